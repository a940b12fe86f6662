"""The command `propose`: a sentence, or flags that say the same and more."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output
from dreamerlab.cli.options import EnvOption, ExperimentOption

_Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SENTENCE]", help='In quotes: "change KEY=VALUE -> expect METRIC to rise by N".'),
]
_Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="RUN",
        help="Compare with this run (default: the champion, or what matches with most seeds).",
        autocompletion=completion.run_ids,
    ),
]


def _text(flag: str, metavar: str, explained: str) -> typer.models.OptionInfo:
    return typer.Option(flag, metavar=metavar, help=explained)


def propose(
    words: _Words = None,
    env: EnvOption = None,
    experiment: ExperimentOption = None,
    overrides: Annotated[list[str] | None, _text("--set", "KEY=VALUE", "A value of both arms (repeat).")] = None,
    budget: Annotated[str | None, _text("--budget", "N", "How long each trial trains, such as 30k.")] = None,
    baseline: _Baseline = None,
    seeds: Annotated[
        str | None, _text("--seeds", "SPEC", "How many (3 is 0,1,2), a range 100-102, or a list 5,7,9.")
    ] = None,
    baseline_seeds: Annotated[
        str | None, _text("--baseline-seeds", "SPEC", "Of a baseline that has to be measured (default: as --seeds).")
    ] = None,
    change: Annotated[list[str] | None, _text("--change", "KEY=VALUE", "What changes; several: a bundle.")] = None,
    code: Annotated[str | None, _text("--code", "WHAT", "What changes in the code, in words.")] = None,
    nothing: Annotated[bool, typer.Option("--nothing", help="Nothing changes: a baseline.")] = False,
    metric: Annotated[str | None, _text("--metric", "NAME", "What is expected of (default: eval/return).")] = None,
    rise: Annotated[str | None, _text("--rise", "N", "Expect a rise by 20, 20%, '20% of span' or '5 pp'.")] = None,
    fall: Annotated[str | None, _text("--fall", "N", "Expect a fall by N.")] = None,
    at_least: Annotated[str | None, _text("--at-least", "N", "Expect the level >= N.")] = None,
    at_most: Annotated[str | None, _text("--at-most", "N", "Expect the level <= N.")] = None,
    within: Annotated[str | None, _text("--within", "N", "Expect no difference larger than N.")] = None,
    reaches: Annotated[str | None, _text("--reaches", "N", "Expect N to be reached, by --by.")] = None,
    by: Annotated[str | None, _text("--by", "K", "Env steps by which --reaches holds, such as 30k.")] = None,
    reducer: Annotated[
        str | None, _text("--reducer", "HOW", "How a curve becomes a score (default: final_mean(3)).")
    ] = None,
    looks: Annotated[
        str | None, _text("--looks", "N,N,N", "Numbers of seeds after which a verdict may end it early.")
    ] = None,
    kill: Annotated[
        list[str] | None, _text("--kill", "RULE", "End a trial: 'eval/return < 30 at 5000 env_steps' (repeat).")
    ] = None,
    fail_score: Annotated[
        str | None, _text("--fail-score", "N", "Score of a trial that diverges (default: the task's).")
    ] = None,
    reason: Annotated[str | None, _text("--reason", "WORDS", "Why several changes are one bundle.")] = None,
    new_family: Annotated[
        bool, typer.Option("--new-family", help="Allow a change of architecture or environment.")
    ] = False,
    why: Annotated[str | None, _text("--why", "WORDS", "Why you believe it, for the log.")] = None,
    name: Annotated[str | None, _text("--name", "ALIAS", "A second name for it.")] = None,
    follows: Annotated[str | None, _text("--follows", "H", "The hypothesis that led to this one.")] = None,
    replicates: Annotated[str | None, _text("--replicates", "H", "Repeat a judged one on fresh seeds.")] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Put it into the queue, for later.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, and store nothing.")] = False,
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Leave git alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Freeze a prediction: one change, one expectation.

    The sentence says both, or flags do. Nothing is trained yet: `dreamerlab run` does that, and refuses anything but
    the declared change.
    """
    from dreamerlab.cli.proposal_page import next_step, page
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.proposal_plan import PlanRequest
    from dreamerlab.lab.propose import ProposeRequest
    from dreamerlab.lab.propose import propose as use_case
    from dreamerlab.runs.store import Workspace

    forms = {
        "rise": rise,
        "fall": fall,
        "at-least": at_least,
        "at-most": at_most,
        "within": within,
        "reaches": reaches,
    }
    request = ProposeRequest(
        sentence=" ".join(words) if words else None,
        changes=tuple(change or ()),
        code=code,
        nothing=nothing,
        metric=metric,
        expected=tuple((form, said) for form, said in forms.items() if said is not None),
        by=by,
        env=env,
        experiment=experiment,
        overrides=tuple(overrides or ()),
        budget=budget,
        baseline=baseline,
        plan=PlanRequest(seeds, baseline_seeds, reducer, looks, tuple(kill or ()), fail_score),
        new_family=new_family,
        why=why,
        name=name,
        reason=reason,
        queue=queue,
        replicates=replicates,
        follows=follows,
    )
    voice = Voice(output.say, output.warn)
    made = use_case(Workspace.find(), request, voice, commit=not no_commit, rehearse=dry_run)
    if as_json:
        output.emit_json({"id": made.id, "proposal": made.proposal.to_dict()})
        return
    output.emit(page(made))
    output.say(next_step(made))
