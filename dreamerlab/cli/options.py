"""Options that several commands take, said once: which environment, which experiment, which stored agent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from dreamerlab.cli import completion

EnvOption = Annotated[
    str | None,
    typer.Option(
        "--env", metavar="NAME", help="A file in env_configs/, or a gymnasium id.", autocompletion=completion.envs
    ),
]
ExperimentOption = Annotated[
    str | None,
    typer.Option(
        "--experiment",
        metavar="NAME",
        help="A file in env_configs/experiments/.",
        autocompletion=completion.experiments,
    ),
]
AgentRunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Run id, prefix or name, such as R12.", autocompletion=completion.run_ids)
]
CheckpointOption = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="NAME",
        help="latest, best (by its evaluations), or the env steps it was written at.",
        autocompletion=completion.checkpoints,
    ),
]
DeviceOption = Annotated[
    Literal["cpu", "cuda"] | None, typer.Option("--device", help="Where to compute (default: as in the run).")
]
CompileOption = Annotated[
    bool, typer.Option("--compile", help="Compile acting first, which takes a minute or more (default: not).")
]
OpponentOption = Annotated[
    list[str] | None,
    typer.Option("--opponent", metavar="NAME", help="Hockey: weak, strong, random, R7@best; may be repeated."),
]


def episodes_option(most: int, meaning: str) -> Any:
    """Return `--episodes N`: how many episodes a stored agent plays, 1 to `most`; each command says which they are."""
    return typer.Option("--episodes", metavar="N", min=1, max=most, help=meaning)
