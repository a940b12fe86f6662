"""The command `watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dreamerlab.cli import output
from dreamerlab.cli.options import (
    AgentRunArgument,
    CheckpointOption,
    CompileOption,
    DeviceOption,
    OpponentOption,
    episodes_option,
)


def watch(
    run: AgentRunArgument,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Which seed of the run (default: its first).")
    ] = None,
    episodes: Annotated[
        int | None,
        episodes_option(100, "Episodes, one after the other (default: 1; 3 predictions)."),
    ] = None,
    policy: Annotated[
        Literal["mode", "sample"], typer.Option("--policy", help="The most likely action each time, or sampled ones.")
    ] = "mode",
    checkpoint: CheckpointOption = "latest",
    format_name: Annotated[
        Literal["gif", "mp4", "png"] | None,
        typer.Option("--format", help="png is a sheet of frames with step, action and return (default: gif)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to (default: named after the agent, in this folder)."),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps", metavar="N", min=0.1, max=120, help="Frames a second (default: as it happens, gif <= 25)."
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option("--every", metavar="N", min=1, max=10_000, help="Every Nth frame (default: what keeps it small)."),
    ] = None,
    prediction: Annotated[
        bool,
        typer.Option("--prediction", help="Of an agent that sees images: what its model expects, beside what came."),
    ] = False,
    opponent: OpponentOption = None,
    outcome: Annotated[
        Literal["win", "draw", "loss"] | None,
        typer.Option("--outcome", help="Hockey: only games that end so, searched for among 400."),
    ] = None,
    device: DeviceOption = None,
    compiled: CompileOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Film a stored agent of a run: gif, mp4, or a sheet of frames.

    Episodes begin at starts of their own; the same command makes the same film. An environment that draws no pictures
    is shown as curves of what it observes. Nothing in the run is changed.
    """
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.watch import Wish, in_words
    from dreamerlab.lab.watch import watch as film_agent
    from dreamerlab.runs.store import Workspace

    wish = Wish(
        seed,
        episodes,
        policy,
        checkpoint,
        format_name,
        out,
        fps,
        every,
        device,
        prediction,
        force,
        compiled,
        tuple(opponent or ()),
        outcome,
    )
    film = film_agent(Workspace.find(), run, wish, Voice(output.say, output.warn))
    if as_json:
        output.emit_json(film.to_data())
    else:
        output.emit(in_words(film))
    for caveat in film.caveats:
        output.warn(caveat)
