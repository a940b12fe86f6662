"""The commands by which a person decides about a hypothesis: `adopt`, `withdraw` and `amend`."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output
from dreamerlab.cli.noting import JsonOption, NoCommitOption

_HypothesisArgument = Annotated[
    str,
    typer.Argument(
        metavar="HYPOTHESIS", help="Hypothesis: id, prefix or name.", autocompletion=completion.hypothesis_ids
    ),
]


def _text(flag: str, metavar: str, explained: str) -> typer.models.OptionInfo:
    return typer.Option(flag, metavar=metavar, help=explained)


def adopt(
    hypothesis: Annotated[
        str,
        typer.Argument(
            metavar="HYPOTHESIS",
            help="Hypothesis or its run: id, prefix or name.",
            autocompletion=completion.record_ids,
        ),
    ],
    why: Annotated[
        str | None, typer.Option("--why", metavar="TEXT", help="The reason; needed where the verdict is no support.")
    ] = None,
    no_commit: NoCommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a judged run the champion of its family.

    It is the baseline of what is proposed next.
    """
    from dreamerlab.lab.life import adopt as adopt_run
    from dreamerlab.runs.store import Workspace

    adopted = adopt_run(Workspace.find(), hypothesis, why, output.warn, wanted=not no_commit)
    if as_json:
        output.emit_json(vars(adopted))
        return
    output.emit(f"{adopted.run} is the champion of {adopted.family} ({adopted.hypothesis})")
    if adopted.before is not None:
        output.say(f"until now it was {adopted.before}")


def withdraw(
    hypothesis: _HypothesisArgument,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason; it stays in the log.")] = None,
    no_commit: NoCommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give up a hypothesis that has no verdict.

    It stays in the log with its reason; one that was launched stays in the tally of its family too.
    """
    from dreamerlab.lab.life import withdraw as withdraw_hypothesis
    from dreamerlab.runs.store import Workspace

    state = withdraw_hypothesis(Workspace.find(), hypothesis, why, output.warn, wanted=not no_commit)
    launched = state.launched_at is not None
    if as_json:
        output.emit_json({"id": state.id, "why": state.withdrawn, "launched": launched})
        return
    output.emit(f"{state.id}  withdrawn")
    if launched:
        output.say(f"it was launched, so it stays in the tally of {state.proposal.family}")


def amend(
    hypothesis: _HypothesisArgument,
    sentence: Annotated[
        str | None, typer.Argument(metavar="[SENTENCE]", help="The whole sentence anew, where that changes.")
    ] = None,
    why: Annotated[str | None, _text("--why", "TEXT", "The reason; both wordings stay in the log.")] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", metavar="NAME", help="Another environment.", autocompletion=completion.envs),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="NAME", help="Another experiment.", autocompletion=completion.experiments),
    ] = None,
    overrides: Annotated[list[str] | None, _text("--set", "KEY=VALUE", "A value of both arms (repeat).")] = None,
    budget: Annotated[str | None, _text("--budget", "N", "How long each trial trains, such as 30k.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="RUN", help="Compare with this run.", autocompletion=completion.run_ids),
    ] = None,
    seeds: Annotated[str | None, _text("--seeds", "SPEC", "How many, a range, or a list.")] = None,
    baseline_seeds: Annotated[
        str | None, _text("--baseline-seeds", "SPEC", "Of a baseline that has to be measured.")
    ] = None,
    reducer: Annotated[str | None, _text("--reducer", "HOW", "How a curve becomes a score.")] = None,
    looks: Annotated[
        str | None, _text("--looks", "N,N,N", "Numbers of seeds after which a verdict may end it early.")
    ] = None,
    kill: Annotated[list[str] | None, _text("--kill", "RULE", "Rules that end a trial, all of them (repeat).")] = None,
    fail_score: Annotated[str | None, _text("--fail-score", "N", "Score of a trial that diverges.")] = None,
    reason: Annotated[str | None, _text("--reason", "WORDS", "Why several changes are one bundle.")] = None,
    new_family: Annotated[
        bool, typer.Option("--new-family", help="Allow a change of architecture or environment.")
    ] = False,
    name: Annotated[str | None, _text("--name", "ALIAS", "Another second name.")] = None,
    no_commit: NoCommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say a hypothesis otherwise, before its launch.

    What is not said again stays as it was. From the launch on nothing can be amended.
    """
    from dreamerlab.lab.amend import amend as amend_hypothesis
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.proposal_plan import PlanRequest
    from dreamerlab.lab.propose import ProposeRequest
    from dreamerlab.runs.store import Workspace

    said = ProposeRequest(
        sentence=sentence,
        env=env,
        experiment=experiment,
        overrides=tuple(overrides or ()),
        budget=budget,
        baseline=baseline,
        plan=PlanRequest(seeds, baseline_seeds, reducer, looks, tuple(kill or ()), fail_score),
        new_family=new_family,
        name=name,
        reason=reason,
    )
    voice = Voice(output.say, output.warn)
    amended = amend_hypothesis(Workspace.find(), hypothesis, said, why, voice, commit=not no_commit)
    if as_json:
        output.emit_json({"id": amended.id, "changes": amended.changes, "proposal": amended.proposal.to_dict()})
        return
    output.emit(f"{amended.id}  {amended.proposal.reading}")
    output.say(f"said anew: {', '.join(key for key in amended.changes if key != 'forecast')}")
