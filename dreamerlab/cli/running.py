"""The commands that train: `run` and `resume`. They show progress until the run ends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion, output

if TYPE_CHECKING:
    from dreamerlab.lab.execute import Execution

JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="Trials at once (default: as many as the cores carry)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def run(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Config values, such as optimizer.lr_actor=1e-4."),
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Measure a reference: no change, no expectation.")
    ] = False,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="One seed on a tenth of the budget; can never carry a verdict.")
    ] = False,
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
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="SPEC", help="How many (3 is 0,1,2), a range 100-102, or a list 5,7,9."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="ALIAS", help="A second name for the run.")] = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train one configuration over its declared seeds.

    Progress is shown until the run ends. Ctrl-C stops it with checkpoints written; `dreamerlab resume` goes on.
    """
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.launch_run import Request, open_run
    from dreamerlab.runs.store import Workspace

    request = Request(
        env=env,
        experiment=experiment,
        overrides=tuple(overrides or ()),
        baseline=baseline,
        pilot=pilot,
        seeds=seeds,
        name=name,
        jobs=jobs,
        command=("dreamerlab", *sys.argv[1:]),
    )
    execution = open_run(Workspace.find(), request, Voice(output.say, output.warn))
    _execute(execution, as_json=as_json)


def resume(
    context: typer.Context,
    run_text: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Run id, prefix or name, such as R12.", autocompletion=completion.run_ids),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Only this seed.")] = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Continue the unfinished trials of a run.

    Each goes on from its newest checkpoint, on the code and config it started with. Without RUN: the only run that
    can be resumed.
    """
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.resume import open_resume, refuse_overrides
    from dreamerlab.runs.store import Workspace

    refuse_overrides([word for word in (run_text, *context.args) if word is not None])
    execution = open_resume(Workspace.find(), run_text, seed, jobs, Voice(output.say, output.warn))
    if execution is not None:
        _execute(execution, as_json=as_json)


def _execute(execution: Execution, *, as_json: bool) -> None:
    """Run the trials with progress on stderr, print the scores on stdout, and raise what went wrong."""
    from dreamerlab.cli.progress import Progress
    from dreamerlab.cli.run_page import scores
    from dreamerlab.lab.execute import Voice, execute
    from dreamerlab.lab.show import collect, to_data
    from dreamerlab.lab.status import view_run

    progress = Progress(lambda: view_run(execution.run))
    try:
        failure = execute(execution, Voice(progress.say, progress.warn), progress)
    finally:
        progress.close()
    details = collect(execution.workspace, execution.run)
    try:
        if as_json:
            output.emit_json(to_data(details))
        else:
            output.emit(f"{execution.run.id}\n{scores(details)}")
    except OSError:
        if failure is None:
            raise
        # The terminal was closed, which is why the run was stopped: that is what the exit code should say.
    if failure is not None:
        raise failure
