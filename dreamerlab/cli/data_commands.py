"""The `data` group: move the artifacts of runs to and from the DVC remote."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Move the artifacts of runs to and from the DVC remote.",
)
RunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="Run id, prefix or name.", autocompletion=completion.run_ids)
]
AllOption = Annotated[bool, typer.Option("--all", help="All runs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def push(run: RunArgument = None, everything: AllOption = False, as_json: JsonOption = False) -> None:
    """Send artifacts to the remote."""
    from dreamerlab.lab.data import chosen_runs
    from dreamerlab.lab.data import push as send
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    runs = chosen_runs(workspace, run, everything=everything, verb="push")
    _print(send(workspace, runs, output.say, output.warn), as_json=as_json)


@app.command()
def pull(run: RunArgument = None, everything: AllOption = False, as_json: JsonOption = False) -> None:
    """Fetch artifacts that are not here."""
    from dreamerlab.lab.data import chosen_runs
    from dreamerlab.lab.data import pull as fetch
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    _print(
        fetch(workspace, chosen_runs(workspace, run, everything=everything, verb="pull"), output.say), as_json=as_json
    )


def _print(rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        output.emit_json(rows)
    else:
        for row in rows:
            output.emit(f"{row['run']}: {row['data']}")
