"""The commands that train: `run` and `resume`. They show progress until the run ends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion, output
from dreamerlab.cli.options import EnvOption, ExperimentOption

if TYPE_CHECKING:
    from dreamerlab.lab.execute import Execution

JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="Trials at once (default: as many as the cores carry)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HYPOTHESIS] [KEY=VALUE]...",
            help="Id, prefix or name, such as H7 (default: the only open one); config values.",
            autocompletion=completion.hypothesis_ids,
        ),
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Measure a reference: no change, no expectation.")
    ] = False,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="One seed on a tenth of the budget; can never carry a verdict.")
    ] = False,
    env: EnvOption = None,
    experiment: ExperimentOption = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="SPEC", help="How many (3 is 0,1,2), a range 100-102, or a list 5,7,9."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="ALIAS", help="A second name for a baseline or a pilot.")
    ] = None,
    jobs: JobsOption = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Run uncommitted code; recorded, and marked in the verdict.")
    ] = False,
    new_family: Annotated[
        bool, typer.Option("--new-family", help="A change of architecture or environment is meant.")
    ] = False,
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Do not commit the records.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train every declared seed of a hypothesis, then judge it.

    Anything but the declared change is refused. A baseline that is missing is measured along with it. Repeating the
    command goes on with what is missing. Progress is shown until the end; Ctrl-C stops with checkpoints written.
    """
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.launch_run import Request, open_run, split_words
    from dreamerlab.runs.store import Workspace

    hypothesis, overrides = split_words(words or (), baseline=baseline)
    request = Request(
        hypothesis=hypothesis,
        env=env,
        experiment=experiment,
        overrides=overrides,
        baseline=baseline,
        pilot=pilot,
        seeds=seeds,
        name=name,
        jobs=jobs,
        allow_dirty=allow_dirty,
        new_family=new_family,
        commit=not no_commit,
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
    can be resumed, or the two of one hypothesis.
    """
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.resume import open_resume, refuse_overrides
    from dreamerlab.runs.store import Workspace

    refuse_overrides([word for word in (run_text, *context.args) if word is not None])
    execution = open_resume(Workspace.find(), run_text, seed, jobs, Voice(output.say, output.warn))
    if execution is not None:
        _execute(execution, as_json=as_json)


def _execute(execution: Execution, *, as_json: bool) -> None:
    """Run the trials with progress on stderr, print what came out on stdout, and raise what went wrong."""
    from dreamerlab.cli.progress import Progress
    from dreamerlab.lab.execute import Voice, execute
    from dreamerlab.lab.status import view_run

    trained = [run for run in execution.runs if any(trial.run == run for trial in execution.trials)]
    progress = Progress(lambda: [view_run(run) for run in trained])
    try:
        failure = execute(execution, Voice(progress.say, progress.warn), progress)
    finally:
        progress.close()
    try:
        _show_result(execution, as_json=as_json)
    except OSError:
        if failure is None:
            raise
        # The terminal was closed, which is why the run was stopped: that is what the exit code should say.
    if failure is not None:
        raise failure


def _show_result(execution: Execution, *, as_json: bool) -> None:
    from dreamerlab.cli.run_page import scores
    from dreamerlab.lab.outcome import outcome_of
    from dreamerlab.lab.show import collect, to_data

    outcome = outcome_of(execution.workspace, execution.hypothesis)
    details = [collect(execution.workspace, run) for run in execution.runs]
    if as_json:
        beside = to_data(details[1]) if len(details) > 1 else None
        judged = {"judgement": outcome.to_dict() if outcome is not None else None}
        output.emit_json(to_data(details[0]) | {"baseline": beside} | judged)
        return
    several = len(details) > 1
    blocks = [f"{one.run.id}{f' ({one.manifest.kind})' if several else ''}\n{scores(one)}" for one in details]
    output.emit("\n\n".join([*blocks, *([outcome.to_text()] if outcome is not None else [])]))
