"""The command `check`: what `run` would say, without running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion, output

if TYPE_CHECKING:
    from dreamerlab.lab.check import Examination


def check(
    hypothesis: Annotated[
        str | None,
        typer.Argument(
            metavar="[HYPOTHESIS]",
            help="Id, prefix or name, such as H7 (default: the only open one).",
            autocompletion=completion.hypothesis_ids,
        ),
    ] = None,
    prove_inert: Annotated[
        bool,
        typer.Option(
            "--prove-inert", help="Train the baseline's start again, to show that changed code does the same."
        ),
    ] = False,
    updates: Annotated[
        int | None, typer.Option("--updates", metavar="N", min=1, help="With --prove-inert: how many (default 100).")
    ] = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="As for run: uncommitted code is allowed.")
    ] = False,
    new_family: Annotated[bool, typer.Option("--new-family", help="As for run: another family is meant.")] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="As for run.")] = None,
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Do not commit the entry of a proof.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Ask every rule whether a hypothesis may run.

    Nothing is created. Exit code 3 when a rule forbids it, with the command that resolves it.
    """
    from dreamerlab.errors import UsageError
    from dreamerlab.lab.check import baseline_of_other_code, choose, examine
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    state = choose(workspace, hypothesis, "check")
    if updates is not None and not prove_inert:
        raise UsageError("--updates goes with --prove-inert", hint=f"dreamerlab check {state.id} --prove-inert")
    if prove_inert:
        from dreamerlab.lab.execute import Voice
        from dreamerlab.lab.prove_inert import DEFAULT_UPDATES
        from dreamerlab.lab.prove_inert import prove_inert as prove
        from dreamerlab.tracking.code_identity import compute

        run = baseline_of_other_code(workspace, state)
        if run is None:
            output.say(f"nothing to prove: code does not stand between {state.id} and its baseline")
        else:
            voice = Voice(output.say, output.warn)
            wanted = updates or DEFAULT_UPDATES
            proof = prove(workspace, run, compute(workspace), voice, updates=wanted, commit=not no_commit)
            output.say(f"{proof.entry}: {proof.lines} lines of {proof.updates} updates are equal bit for bit")
    found = examine(workspace, state, allow_dirty=allow_dirty, new_family=new_family or None, jobs=jobs)
    if as_json:
        output.emit_json(found.to_dict())
    else:
        output.emit(_page(found))
    if found.violations:
        raise typer.Exit(3)  # what forbids it is printed already


def _page(found: Examination) -> str:
    """Return the answer as a page: what would run, what forbids it and how to mend that, what to remember."""
    from dreamerlab.config.diff import show
    from dreamerlab.report.wording import amount, seeds_text

    proposal, plan = found.proposal, found.proposal.plan
    baseline = found.baseline_run or f"to be measured with it, seeds {seeds_text(plan.baseline_seeds)}"
    rows = [("asks", proposal.sentence)]
    if proposal.kind == "baseline":
        baseline = "none is needed"
    rows += [("change", f"{one.key} {show(one.before)} -> {show(one.after)}") for one in proposal.changes]
    rows += [("code", proposal.code)] if proposal.code else []
    rows += [
        ("baseline", baseline),
        ("trains", f"seeds {seeds_text(plan.seeds)}, {amount(plan.budget_amount, plan.budget_unit)} each"),
        ("code is", found.code.identity[:16] + (", with uncommitted changes" if found.dirty else "")),
    ]
    lines = [found.subject, *(f"  {name:<9} {text}" for name, text in rows)]
    for violation in found.violations:
        lines += [f"forbidden: {violation.message}", f"  mend it: {violation.hint}"]
    lines += [f"passed: {line}" for line in found.passed]
    lines += [f"caveat: {line}" for line in found.caveats]
    if not found.violations:
        lines.append(f"nothing forbids it: dreamerlab run {found.subject}")
    return "\n".join(lines)
