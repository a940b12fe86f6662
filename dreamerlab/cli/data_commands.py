"""The `data` group: where the artifacts of runs are, and moving them to and from the DVC remote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion, output
from dreamerlab.cli.options import AgentRunArgument

if TYPE_CHECKING:
    from dreamerlab.lab.data import Moved

app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    add_completion=False,
    help="See where artifacts are, and move them to and fro.",
)
RecordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN|HYPOTHESIS ...]",
        help="Ids, prefixes or names of runs, or of hypotheses for all their runs.",
        autocompletion=completion.record_ids,
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="All runs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.callback()
def data(context: typer.Context) -> None:
    """See where artifacts are, and move them to and fro.

    They go to the DVC remote. Without a command: `data status` of all runs.
    """
    if context.invoked_subcommand is None:
        status()


@app.command()
def status(records: RecordsArgument = None, as_json: JsonOption = False) -> None:
    """Say where artifacts are, and what is not yet safe.

    Local, cached by DVC, or pushed; of all runs, unless some are named.
    """
    from dreamerlab.lab.data import chosen_runs
    from dreamerlab.lab.data_status import data_status
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    found = data_status(workspace, chosen_runs(workspace, records or [], everything=not records, verb="status"))
    if as_json:
        output.emit_json(found.to_data())
        return
    place = found.remote
    output.say(f"remote: {place.folder or place.url if place is not None else 'none (dreamerlab data remote URL)'}")
    if found.runs:
        output.emit(found.to_table().to_text())
    for line in found.in_words():
        output.say(line)


@app.command()
def push(records: RecordsArgument = None, everything: AllOption = False, as_json: JsonOption = False) -> None:
    """Send artifacts to the remote.

    Those that are there are not sent again: an interrupted push goes on.
    """
    from dreamerlab.lab.data import chosen_runs
    from dreamerlab.lab.data import push as send
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    runs = chosen_runs(workspace, records or [], everything=everything, verb="push")
    _print(send(workspace, runs, output.say, output.warn), as_json=as_json)


@app.command()
def pull(
    records: RecordsArgument = None,
    everything: AllOption = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where artifacts here have changed: these are lost.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch artifacts that are not here."""
    from dreamerlab.lab.data import chosen_runs
    from dreamerlab.lab.data import pull as fetch
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    runs = chosen_runs(workspace, records or [], everything=everything, verb="pull")
    _print(fetch(workspace, runs, output.say, replace=replace), as_json=as_json)


@app.command()
def sync(records: RecordsArgument = None, everything: AllOption = False, as_json: JsonOption = False) -> None:
    """Bring the DVC remote and MLflow up to date.

    Adds and pushes artifacts, and replays metrics. One that fails does not keep the other from being tried.
    """
    from dreamerlab.lab.data import chosen_runs
    from dreamerlab.lab.sync import synchronise
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    runs = chosen_runs(workspace, records or [], everything=everything, verb="sync")
    _print(synchronise(workspace, runs, output.say, output.warn), as_json=as_json)


@app.command()
def remote(
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help="A folder, or a URL that DVC understands: s3://, gs://, ssh://, ..."),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="For this clone only, instead of for all of them through git.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say where artifacts go, or choose another place."""
    from dreamerlab.lab.data_status import place_of, send_to
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    if url is not None:
        send_to(workspace, url, shared=not local, warn=output.warn)
    place = place_of(workspace)
    if as_json:
        output.emit_json(place)
    else:
        output.emit(str(place["url"]))
        output.say("known to all clones" if place["shared"] else "known to this clone only")


@app.command()
def archive(
    run: AgentRunArgument,
    why: Annotated[str, typer.Option("--why", metavar="WORDS", help="Why; goes into the record.")],
    everything: Annotated[
        bool, typer.Option("--everything", help="Also the newest and the best checkpoint, which are kept otherwise.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what the remote does not have, or a trial needs to be resumed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop the heavy artifacts of a run from this disk.

    What went, when and why is recorded. Verdicts and logs stay valid. What was pushed can be pulled again.
    """
    from dreamerlab.lab.retention import archive as drop
    from dreamerlab.report.wording import size
    from dreamerlab.runs.store import Workspace, find_run

    workspace = Workspace.find()
    done = drop(workspace, find_run(workspace, run), why, output.warn, everything=everything, force=force)
    if as_json:
        output.emit_json(None if done is None else done.to_data())
        return
    if done is None:
        output.say("nothing to drop")
        return
    where = "the remote has them" if done.dropped.stored else "they are gone"
    output.emit(f"{done.run}: {len(done.dropped.files)} files dropped, {size(done.dropped.size_bytes)}; {where}")


@app.command()
def showcase(
    run: AgentRunArgument,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Which seed (default: the first).")] = None,
    checkpoint: Annotated[
        str,
        typer.Option("--checkpoint", metavar="NAME", help="latest, best, or env steps.", show_default=True),
    ] = "latest",
    as_json: JsonOption = False,
) -> None:
    """Put a policy of at most 3 MB into git, beside its run.

    So every clone can evaluate and watch it, without any remote.
    """
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.showcase import showcase as show
    from dreamerlab.report.wording import size
    from dreamerlab.runs.store import Workspace

    shown = show(Workspace.find(), run, seed, checkpoint, Voice(output.say, output.warn))
    if as_json:
        output.emit_json(shown)
        return
    output.emit(f"{shown['file']}: {shown['checkpoint']} of seed {shown['seed']}, {size(shown['size_bytes'])}")
    output.say(f"in any clone: dreamerlab eval {shown['run']} --seed {shown['seed']}")


def _print(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(moved.rows)
    else:
        for row in moved.rows:
            mlflow = f"; MLflow: {row['mlflow']}" if "mlflow" in row else ""
            if mlflow or not row["data"].startswith("failed: "):  # which is said as an error
                output.emit(f"{row['run']}: {row['data']}{mlflow}")
    moved.raise_failures()
