"""A stored agent brought back: its checkpoint found by name, its network built anew, its parameters loaded.

Shared by everything that looks at agents after training: `eval_checkpoint.py`, `watch.py`, `policy.py`. No trial
imports it, so it may change without changing the code that trains.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dreamerlab.config.layers import load_config
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.envs.make import describe, make_env
from dreamerlab.errors import Conflict, UsageError
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.spaces import EnvSpec
from dreamerlab.train import checkpoint
from dreamerlab.train.checkpoint import Checkpoint

LATEST = "latest"


@dataclass(frozen=True)
class StoredAgent:
    """An agent as a checkpoint holds it, ready to act."""

    agent: Agent
    config: Config
    spec: EnvSpec
    info: Checkpoint
    seed: int
    device: torch.device
    passed_over: list[str] = field(default_factory=list[str])
    """A line for each newer checkpoint that was damaged."""

    def facts(self) -> dict[str, Any]:
        """Return which agent this is, as JSON-ready values."""
        return {
            "seed": self.seed,
            "checkpoint": self.info.file,
            "env_steps": self.info.env_steps,
            "passed_over": self.passed_over,
        }


def open_agent(
    trial: TrialDirectory, name: str = LATEST, *, device: str | None = None, folder: Path | None = None
) -> StoredAgent:
    """Return the agent of a checkpoint of `trial`: `latest`, `best`, or the env steps it was written at.

    `folder` is where to look, by default among the trial's checkpoints; a showcase lies elsewhere, and what it was
    stripped of (optimiser, critic) stays as it is drawn, for acting has no use for it. `device` is `cpu` or `cuda`
    (default: where it was trained). The generators of the process stay as they were.
    NotFound names the checkpoints that exist; Conflict when the one found belongs to another trial, or does not fit
    the network that today's code builds; UsageError when the device is not there.
    """
    # Code of before there were names knows the newest only.
    place = trial.checkpoints if folder is None else folder
    loaded = checkpoint.load_newest(place) if name == LATEST else checkpoint.load(place, name)
    info = loaded.info
    if (info.run, info.seed) != (trial.run.id, trial.seed):
        raise Conflict(f"{info.file} belongs to {info.run} seed {info.seed}, not to {trial.run.id} seed {trial.seed}")
    config = load_config(trial.run.config_path)
    on = _device(device or config.execution.device, asked=device is not None)
    env = make_env(config.env)
    spec = describe(env)
    env.close()
    with torch.random.fork_rng(devices=[]):  # initial parameters are drawn, and replaced at once
        agent = Agent(spec, config).to(on)
    try:
        session = loaded.state["session"]
        left_out = tuple(session.get("left_out", ()))
        drawn = {key: value for key, value in agent.state_dict().items() if left_out and key.startswith(left_out)}
        agent.load_state_dict({**drawn, **session["agent"]})
    except (RuntimeError, KeyError) as error:
        said = " ".join(str(error).split())
        raise Conflict(
            f"{info.file} of {trial.run.id} does not fit the network that this code builds: {said[:300]}",
            hint="the code that trained it is named by: dreamerlab show --provenance",
        ) from error
    return StoredAgent(agent, config, spec, info, trial.seed, on, loaded.passed_over)


def _device(name: str, *, asked: bool) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        whence = "--device cuda" if asked else "it was trained with execution.device=cuda"
        raise UsageError(f"{whence}, and torch sees no CUDA device here", hint="--device cpu acts the same, slower")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device is called '{name}'", hint="cpu or cuda") from error
