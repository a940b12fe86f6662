"""Our side of a comparison: `python -m benchmarks.peers.ours SIZE SEED THREADS` (see `worker`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.peers.sizes import Size
from benchmarks.peers.worker import serve
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from dreamerlab.train.runtime import keep_freed_memory, repeat_gradients


def build(size: Size, rows: dict[str, np.ndarray]) -> tuple[Callable[[], Any], int]:
    """Return a function that makes one update as the trainer makes it, and the number of parameters it trains."""
    keep_freed_memory()
    repeat_gradients(torch.device("cpu"), deterministic=False)
    agent = Agent(spec_of(size), config_of(size))
    batch, generator = batch_of(size, rows), torch.Generator().manual_seed(0)
    return lambda: agent.update(batch, generator), sum(p.numel() for p in agent.optimizer.parameters_in_order)


def spec_of(size: Size) -> EnvSpec:
    obs = ObsSpec.vector(size.obs) if size.obs else ObsSpec.image(64, 64, 3)
    action = ActionSpec.continuous(size.actions) if size.continuous else ActionSpec.discrete(size.actions)
    return EnvSpec({obs.kind: obs}, action)


def config_of(size: Size) -> Config:
    """Return the defaults, which are the reference's, at this size; the policy has the peer's 1 % of uniform."""
    layers = ("encoder", "decoder", "reward", "continue", "policy", "value")
    model = {
        "deter": size.deter,
        "hidden": size.units,
        "units": size.units,
        "stoch": size.stoch,
        "classes": size.classes,
        "cnn_depth": size.cnn_depth,
        **{f"{name}_layers": size.layers for name in layers},
    }
    return Config.model_validate({"model": model, "behavior": {"policy_unimix": 0.0 if size.continuous else 0.01}})


def batch_of(size: Size, rows: dict[str, np.ndarray]) -> Batch:
    def window(name: str) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows[name][1:].swapaxes(0, 1)))

    context = {name: torch.from_numpy(rows[name][0].copy()) for name in ("action", "deter", "stoch")}
    return Batch(
        obs={"vector" if size.obs else "image": window("obs")},
        action=window("action"),
        reward=window("reward"),
        is_first=window("is_first"),
        is_last=window("is_last"),
        is_terminal=window("is_terminal"),
        prev_action=context["action"],
        context_deter=context["deter"],
        context_stoch=context["stoch"],
    )


if __name__ == "__main__":
    serve(build)
