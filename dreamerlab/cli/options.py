"""Options that several commands take, said once: which environment, which experiment."""

from __future__ import annotations

from typing import Annotated

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
