"""sheeprl's side of a comparison, in its own environment: `python -m benchmarks.peers.sheeprl_side SIZE SEED THREADS`.

Its own configuration (`exp=dreamer_v3_5`), agent builder, optimiser, metrics and training function; only widths,
layers and keys are set. No environment, no logger, no disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import hydra
import numpy as np
import torch
from lightning import Fabric
from omegaconf import OmegaConf
from sheeprl.algos.dreamer_v3.utils import Moments
from sheeprl.algos.dreamer_v3_5.agent import build_agent
from sheeprl.algos.dreamer_v3_5.dreamer_v3_5 import train, update_target_critic
from sheeprl.algos.dreamer_v3_5.utils import AGGREGATOR_KEYS
from sheeprl.utils.utils import dotdict
from torch.distributions import Distribution

from benchmarks.peers.sizes import Size
from benchmarks.peers.worker import serve


def build(size: Size, rows: dict[str, np.ndarray]) -> tuple[Callable[[], Any], int]:
    """Return a function that makes one update as sheeprl's main loop makes it, and the number of its parameters."""
    config = _config(size)
    Distribution.set_default_validate_args(config.distribution.validate_args)
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    key, box = (
        ("state", gymnasium.spaces.Box(-20, 20, (size.obs,), np.float32))
        if size.obs
        else ("rgb", gymnasium.spaces.Box(0, 255, (3, 64, 64), np.uint8))
    )
    dims = (size.actions,)
    space = gymnasium.spaces.Dict({key: box})
    world_model, actor, critic, target_critic, _ = build_agent(fabric, dims, size.continuous, config, space)
    parameters = [*world_model.parameters(), *actor.parameters(), *critic.parameters()]
    optimizer = hydra.utils.instantiate(config.algo.optimizer, params=parameters, _convert_="all")
    optimizer = fabric.setup_optimizers(optimizer)
    scale = config.algo.actor.moments
    moments = Moments(scale.decay, scale.max, scale.percentile.low, scale.percentile.high)
    aggregator = hydra.utils.instantiate(config.metric.aggregator, _convert_="all").to("cpu")
    data = _data(size, key, rows)

    def update() -> None:
        networks = (world_model, actor, critic, target_critic)
        latents = train(fabric, config, *networks, optimizer, moments, dict(data), aggregator, dims)
        assert latents is not None
        update_target_critic(critic, target_critic, config.algo.critic.tau)

    return update, sum(p.numel() for p in parameters)


def _config(size: Size) -> Any:
    settings = {
        "algo.per_rank_batch_size": size.batch,
        "algo.per_rank_sequence_length": size.length,
        "algo.dense_units": size.units,
        "algo.cnn_channels_multiplier": size.cnn_depth,
        "algo.cnn_keys.encoder": "[]" if size.obs else "[rgb]",
        "algo.mlp_keys.encoder": "[state]" if size.obs else "[]",
        "algo.world_model.stochastic_size": size.stoch,
        "algo.world_model.discrete_size": size.classes,
        "algo.world_model.recurrent_model.recurrent_state_size": size.deter,
        "algo.world_model.recurrent_model.hidden_size": size.units,
    }
    heads = ("encoder", "observation_model", "reward_model", "discount_model")
    settings |= {f"algo.world_model.{name}.mlp_layers": size.layers for name in heads}
    settings |= {f"algo.{name}.mlp_layers": size.layers for name in ("actor", "critic")}
    overrides = ["exp=dreamer_v3_5", "env=gym", *(f"{key}={value}" for key, value in settings.items())]
    with hydra.initialize_config_module("sheeprl.configs", version_base="1.3"):
        composed = hydra.compose("config", overrides)
    config = dotdict(OmegaConf.to_container(composed, resolve=True))
    metrics = config.metric.aggregator.metrics
    for name in set(metrics) - AGGREGATOR_KEYS:
        metrics.pop(name)
    return config


def _data(size: Size, key: str, rows: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the rows as its replay buffer hands them out: time first, actions one-hot, states in half precision."""
    actions = rows["action"]
    if not size.continuous:
        actions = np.where(rows["is_last"][..., None], 0, np.eye(size.actions, dtype=np.float32)[actions[..., 0]])
    obs = rows["obs"] if size.obs else np.ascontiguousarray(rows["obs"].transpose(0, 1, 4, 2, 3))
    flags = {
        "rewards": rows["reward"],
        "is_first": rows["is_first"],
        "terminated": rows["is_terminal"],
        "truncated": rows["is_last"] & ~rows["is_terminal"],
    }
    arrays = {
        key: obs,
        "actions": actions.astype(np.float32),
        "deter": rows["deter"].astype(np.float16),
        "stoch": rows["stoch"].astype(np.uint8),
        **{name: flag[..., None].astype(np.float32) for name, flag in flags.items()},
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


if __name__ == "__main__":
    serve(build)
