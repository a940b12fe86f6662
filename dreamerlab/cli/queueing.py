"""The command `queue` and its own commands: what is to be tried next, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import output
from dreamerlab.cli.noting import JsonOption, NoCommitOption

if TYPE_CHECKING:
    from dreamerlab.lab.queue import Item

app = typer.Typer(help="List what is to be tried next, take from it, add to it.", rich_markup_mode=None)


def _waiting(incomplete: str) -> list[str]:
    from dreamerlab.errors import LabError
    from dreamerlab.lab.queue import queue_items
    from dreamerlab.runs.store import Workspace

    try:
        items = queue_items(Workspace.find())
    except (LabError, OSError):
        return []
    words = [*(item.id for item in items), *(item.name for item in items if item.name)]
    return [word for word in words if word.startswith(incomplete)]


ItemArgument = Annotated[
    str,
    typer.Argument(metavar="ITEM", help="Its place in the queue, id, or name.", autocompletion=_waiting),
]


@app.callback(invoke_without_command=True)
def queue(context: typer.Context, as_json: JsonOption = False) -> None:
    """List what is to be tried next, take from it, add to it.

    Without a command of its own it lists what waits, first to last.
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@app.command("list")
def list_queue(as_json: JsonOption = False) -> None:
    """Show what waits, first to last."""
    _list(as_json)


@app.command("next")
def take_next(no_commit: NoCommitOption = False, as_json: JsonOption = False) -> None:
    """Take the first hypothesis from the queue, so that `run` can run it."""
    from dreamerlab.lab.queue import take_next as take
    from dreamerlab.runs.store import Workspace

    state = take(Workspace.find(), output.warn, wanted=not no_commit)
    if as_json:
        output.emit_json({"id": state.id, "name": state.proposal.name, "sentence": state.proposal.sentence})
        return
    output.emit(f"{state.id}  {state.proposal.sentence}")
    output.say(f"\nnext: dreamerlab run {state.id}")


@app.command()
def load(
    source: Annotated[
        str, typer.Argument(metavar="FILE|examples|hockey|disputes", help="A yaml file, or what is shipped.")
    ],
    no_commit: NoCommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add the experiments of a file: all of them, or none."""
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.queue import queue_items
    from dreamerlab.lab.queue_files import load_file
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    loaded = load_file(workspace, source, Voice(output.say, output.warn), wanted=not no_commit)
    if as_json:
        output.emit_json(loaded.to_data())
        return
    made = {*loaded.hypotheses, *loaded.ideas}
    items = queue_items(workspace)
    _print([(place, item) for place, item in enumerate(items, start=1) if item.id in made])
    if loaded.present:
        output.say(f"there already: {', '.join(loaded.present)}")
    output.say(f"{len(loaded.hypotheses)} hypotheses and {len(loaded.ideas)} ideas were queued")


@app.command()
def move(
    item: ItemArgument,
    first: Annotated[bool, typer.Option("--first", help="To the front (the default).")] = False,
    last: Annotated[bool, typer.Option("--last", help="To the end.")] = False,
    before: Annotated[str | None, typer.Option("--before", metavar="ITEM", help="Before this one.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="ITEM", help="After this one.")] = None,
    no_commit: NoCommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give an item another place."""
    from dreamerlab.errors import UsageError
    from dreamerlab.lab.queue import move as move_item
    from dreamerlab.runs.store import Workspace

    if first and (last or before is not None or after is not None):
        raise UsageError("one place at a time", hint=f"dreamerlab queue move {item} --first")
    workspace = Workspace.find()
    items = move_item(workspace, item, output.warn, before=before, after=after, to_end=last, wanted=not no_commit)
    _show(items, as_json)


@app.command()
def drop(
    item: ItemArgument,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason; it stays in the log.")] = None,
    became: Annotated[
        str | None, typer.Option("--became", metavar="H7", help="The hypothesis that an idea became.")
    ] = None,
    no_commit: NoCommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take an item off the queue: a hypothesis is withdrawn, an idea is dropped or filed."""
    from dreamerlab.lab.queue import drop as drop_item
    from dreamerlab.runs.store import Workspace

    dropped = drop_item(Workspace.find(), item, why, output.warn, became=became, wanted=not no_commit)
    if as_json:
        output.emit_json({"id": dropped.id, "why": why, "became": became})
    else:
        output.emit(f"{dropped.id}  left the queue")


def _list(as_json: bool) -> None:
    from dreamerlab.lab.queue import queue_items
    from dreamerlab.runs.store import Workspace

    items = queue_items(Workspace.find())
    _show(items, as_json)
    if not as_json and not items:
        output.say('nothing waits; add to it: dreamerlab propose "..." --queue, or dreamerlab queue load examples')


def _show(items: list[Item], as_json: bool) -> None:
    if as_json:
        output.emit_json([item.to_data(place) for place, item in enumerate(items, start=1)])
    else:
        _print(list(enumerate(items, start=1)))


def _print(placed: list[tuple[int, Item]]) -> None:
    """Print each item with its place; what an idea lacks stands in a line of its own."""
    for place, item in placed:
        name = f" ({item.name})" if item.name else ""
        output.emit(f"{place:>2}  {item.id}{name}  {'' if item.runnable else 'idea: '}{item.text}")
        if item.needs:
            output.emit(f"      needs {item.needs}")
