"""The commands by which a person decides about a hypothesis: `adopt` and `withdraw`."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output
from dreamerlab.cli.noting import JsonOption, NoCommitOption


def adopt(
    hypothesis: Annotated[
        str,
        typer.Argument(
            metavar="H7", help="Hypothesis or its run: id, prefix or name.", autocompletion=completion.record_ids
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
    hypothesis: Annotated[
        str,
        typer.Argument(metavar="H7", help="Hypothesis: id, prefix or name.", autocompletion=completion.hypothesis_ids),
    ],
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
