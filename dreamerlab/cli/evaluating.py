"""The command `eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dreamerlab.cli import completion, output
from dreamerlab.cli.options import CheckpointOption, CompileOption, DeviceOption, OpponentOption, episodes_option
from dreamerlab.errors import UsageError


def evaluate(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Run id, prefix or name, such as R12; with --league several players.",
            autocompletion=completion.run_ids,
        ),
    ],
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Only this seed of the run.")] = None,
    episodes: Annotated[
        int | None,
        episodes_option(10_000, "Episodes per policy (default: as in the run), per opponent, per pair of a league."),
    ] = None,
    policy: Annotated[
        Literal["mode", "sample", "both"] | None,
        typer.Option("--policy", help="The most likely action each time, sampled ones, or both (of a league: mode)."),
    ] = None,
    checkpoint: CheckpointOption = "latest",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Only from starts that no evaluation of the run has seen.")
    ] = False,
    opponent: OpponentOption = None,
    maps: Annotated[
        Path | None,
        typer.Option("--maps", metavar="FOLDER", help="Hockey: draw where shots came from and where the puck was."),
    ] = None,
    league: Annotated[
        bool, typer.Option("--league", help="Hockey: everybody named plays everybody: R12@all weak strong.")
    ] = False,
    device: DeviceOption = None,
    compiled: CompileOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Measure the stored agents of a run again, with intervals.

    As many episodes as in the run repeat its own evaluation exactly, on the same host; more of them begin at starts
    that it has not seen. The interval of a seed is over its episodes, that of all seeds over seeds. In hockey, with
    --opponent or --episodes, all games are new ones, with both starts on both sides. Nothing in the run is changed.
    """
    if league:
        refused = {"fresh": fresh, "opponent": opponent, "maps": maps, "compile": compiled}
        refused["checkpoint"] = checkpoint != "latest"
        _league(runs, seed, episodes, policy, device, [name for name, given in refused.items() if given], as_json)
        return
    if len(runs) > 1:
        raise UsageError(
            f"one run is measured at a time; got {' '.join(runs)}", hint="players of a league: dreamerlab eval --league"
        )
    from dreamerlab.lab.evaluate import Asked, headline, levels, measure, to_tables
    from dreamerlab.lab.execute import Voice
    from dreamerlab.runs.store import Workspace

    asked = Asked(seed, episodes, policy or "both", checkpoint, fresh, device, compiled, tuple(opponent or ()), maps)
    measured = measure(Workspace.find(), runs[0], asked, Voice(output.say, output.warn))
    if as_json:
        output.emit_json(measured.to_data())
        return
    output.emit(headline(measured))
    output.emit("\n\n".join(table.to_text() for table in to_tables(measured)))
    if (known := levels(measured)) is not None:
        output.emit(known)
    for picture in measured.pictures:
        output.emit(str(picture))
    for caveat in measured.caveats:
        output.warn(caveat)


def _league(
    players: list[str],
    seed: int | None,
    games: int | None,
    policy: str | None,
    device: str | None,
    refused: list[str],
    as_json: bool,
) -> None:
    if refused:
        raise UsageError(
            f"--league and --{refused[0]} do not go together",
            hint="a league names its agents with their checkpoints: dreamerlab eval --league R12@best weak strong",
        )
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.league import USUAL_GAMES, hold
    from dreamerlab.lab.league_tables import headline, to_tables
    from dreamerlab.runs.store import Workspace

    policies = ("mode", "sample") if policy == "both" else (policy or "mode",)
    found: Any = hold(
        Workspace.find(),
        players,
        Voice(output.say, output.warn),
        games=USUAL_GAMES if games is None else games,
        policies=policies,
        only_seed=seed,
        device=device,
    )
    if as_json:
        output.emit_json(found.to_data())
        return
    output.emit(headline(found))
    output.emit("\n\n".join(table.to_text() for table in to_tables(found)))
    for caveat in found.caveats:
        output.warn(caveat)
