"""The command `propose`: a sentence, or flags that say the same."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output


def propose(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SENTENCE]", help='In quotes: "change KEY=VALUE -> expect METRIC to rise by N".'),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env", metavar="NAME", help="A file in env_configs/, or a gymnasium id.", autocompletion=completion.envs
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            metavar="NAME",
            help="A file in env_configs/experiments/.",
            autocompletion=completion.experiments,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A config value of both arms (repeat)."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="RUN",
            help="The run to compare with (default: the champion or newest that matches).",
            autocompletion=completion.run_ids,
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="SPEC", help="How many (3 is 0,1,2), a range 100-102, or a list 5,7,9."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="ALIAS", help="A second name for it.")] = None,
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Leave git alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Freeze a prediction: one change, one expectation.

    Nothing is trained yet; `dreamerlab run` does that.
    """
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.proposal_plan import PlanRequest
    from dreamerlab.lab.propose import ProposeRequest
    from dreamerlab.lab.propose import propose as use_case
    from dreamerlab.runs.store import Workspace

    request = ProposeRequest(
        sentence=" ".join(words) if words else None,
        env=env,
        experiment=experiment,
        overrides=tuple(overrides or ()),
        baseline=baseline,
        plan=PlanRequest(seeds=seeds),
        name=name,
    )
    made = use_case(Workspace.find(), request, Voice(output.say, output.warn), commit=not no_commit)
    if as_json:
        output.emit_json({"id": made.id, "proposal": made.proposal.to_dict()})
    else:
        output.emit(f"{made.id}\n  {made.proposal.reading}")
