"""The command `log`: bring the notebook up to date and say what changed in it."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import output


def log(
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Write the pages and leave git alone.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Render all of it anew and trust no cache.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Render LOG.md and the pages from the records.

    Other commands do this by themselves; it is for after a merge, a hand edit, or an interrupted command. Prints the
    files that changed.
    """
    from dreamerlab.lab.log import refresh
    from dreamerlab.runs.store import Workspace

    done = refresh(Workspace.find(), output.warn, commit=not no_commit, rebuild=rebuild)
    if as_json:
        output.emit_json(done.to_data())
        return
    for path in done.changed:
        output.emit(path)
    for record, faults in done.damaged.items():
        output.warn(f"{record} is damaged: {'; '.join(faults)} (dreamerlab lint says more)")
    said = "one file" if len(done.changed) == 1 else f"{len(done.changed)} files"
    committed = ", committed" if done.committed else ""
    output.say(
        f"{done.log} {f'and its pages: {said} rendered{committed}' if done.changed else f'is up to date{committed}'}"
    )
