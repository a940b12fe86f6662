"""The command `eval`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from dreamerlab.cli import output
from dreamerlab.cli.options import AgentRunArgument, CheckpointOption, CompileOption, DeviceOption, episodes_option


def evaluate(
    run: AgentRunArgument,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Only this seed of the run.")] = None,
    episodes: Annotated[
        int | None,
        episodes_option(10_000, "Episodes per policy (default: as in the run)."),
    ] = None,
    policy: Annotated[
        Literal["mode", "sample", "both"],
        typer.Option("--policy", help="The most likely action each time, sampled ones, or one after the other."),
    ] = "both",
    checkpoint: CheckpointOption = "latest",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Only from starts that no evaluation of the run has seen.")
    ] = False,
    device: DeviceOption = None,
    compiled: CompileOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Measure the stored agents of a run again, with intervals.

    As many episodes as in the run repeat its own evaluation exactly, on the same host; more of them begin at starts
    that it has not seen. The interval of a seed is over its episodes, that of all seeds over seeds. Nothing in the run
    is changed.
    """
    from dreamerlab.lab.evaluate import Asked, headline, levels, measure, to_tables
    from dreamerlab.lab.execute import Voice
    from dreamerlab.runs.store import Workspace

    asked = Asked(seed, episodes, policy, checkpoint, fresh, device, compiled)
    measured = measure(Workspace.find(), run, asked, Voice(output.say, output.warn))
    if as_json:
        output.emit_json(measured.to_data())
        return
    output.emit(headline(measured))
    output.emit("\n\n".join(table.to_text() for table in to_tables(measured)))
    if (known := levels(measured)) is not None:
        output.emit(known)
    for caveat in measured.caveats:
        output.warn(caveat)
