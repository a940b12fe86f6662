"""The command `init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamerlab.cli import output


def init(
    path: Annotated[
        Path, typer.Argument(metavar="[PATH]", help="Folder to make a workspace (default: here).")
    ] = Path(),
    remote: Annotated[
        str | None,
        typer.Option("--remote", metavar="URL", help="Where DVC stores artifacts (default: a local folder)."),
    ] = None,
    no_git: Annotated[bool, typer.Option("--no-git", help="Leave git alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Make a folder a workspace; a second time changes nothing."""
    from dreamerlab.lab.init import initialise

    made = initialise(path.absolute(), remote=remote, use_git=not no_git, say=output.say)
    if as_json:
        output.emit_json(made.to_data())
        return
    for line in made.skipped:
        output.say(f"skipped {line}")
    if not made.created:
        output.say(f"{made.workspace.path} is a workspace already; nothing was changed")
        return
    output.emit(f"workspace {made.workspace.path}")
    for name in made.created:
        output.emit(f"  {name}")
    output.say("\nnext: dreamerlab run --baseline --env cartpole --experiment nano --seeds 3")
