"""The `hockey` group: whether a game of hockey is the game that was recorded."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dreamerlab.cli import output

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, add_completion=False, help="Prove that our hockey is upstream's."
)


class Backend(StrEnum):
    """Whose game it is."""

    builtin = "builtin"
    upstream = "upstream"
    auto = "auto"


@app.callback()
def hockey() -> None:
    """Prove that our hockey is upstream's."""


@app.command()
def verify(
    golden: Annotated[
        Path | None,
        typer.Option("--golden", metavar="FILE", help="The recording to replay (default: upstream's, in the source)."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FILE", help="Record fresh games of the backend, and replay them on our own."),
    ] = None,
    backend: Annotated[
        Backend, typer.Option("--backend", help="Whose game: ours, or the installed package hockey.")
    ] = Backend.builtin,
    games: Annotated[
        int | None, typer.Option("--games", metavar="N", min=1, help="With --record: how many (default 235).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="With --record: what they are drawn from.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Replay recorded games and tell the first number that differs.

    Observations, ends and winners must be equal to the bit, rewards and infos to 1e-12. Exit code 6 when they are not.
    """
    from dataclasses import asdict

    from dreamerlab.errors import UsageError
    from dreamerlab.lab.hockey_verify import verify as ask

    if record is not None and golden is not None:
        raise UsageError("--golden replays a recording and --record makes one", hint="give one of them")
    if record is None and (games is not None or seed is not None):
        raise UsageError("--games and --seed go with --record", hint="dreamerlab hockey verify --record FILE")
    found = ask(golden=golden, record=record, backend=backend.value, games=games, seed=seed)
    if as_json:
        output.emit_json(asdict(found))
    else:
        if found.recorded is not None:
            output.say(f"recorded {found.games} games of {found.recorded} in {found.golden}")
        counts = f"{found.games} games, {found.steps} steps, {found.goals} goals"
        if found.deviation is None:
            output.emit(f"equal: {counts} of {found.golden}, played by {found.backend}")
        else:
            output.emit(f"differs: {found.deviation} ({counts} of {found.golden}, played by {found.backend})")
    if found.deviation is not None:
        raise typer.Exit(6)  # what differs is printed already
