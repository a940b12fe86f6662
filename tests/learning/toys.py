"""A small agent trained in this process on a toy environment, by the parts the trainer is made of.

No run directory and no files: `learn` is the training loop without its records. The networks are those of `nano`,
halved; rates suit a thousand updates, the algorithm's settings are the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.train.session import Session

TOY: dict[str, dict[str, Any]] = {
    "model": {
        **dict.fromkeys(("deter", "hidden", "units"), 32),
        **{"stoch": 4, "classes": 8, "blocks": 1},
        **dict.fromkeys(
            ("prior_layers", "posterior_layers", "encoder_layers", "decoder_layers", "policy_layers", "value_layers"), 1
        ),
    },
    "behavior": {"horizon": 5},
    "free_bits": {"nats": 0.1},
    "optimizer": {"lr_world": 3e-3, "lr_actor": 1e-3, "lr_critic": 3e-3, "warmup_updates": 50},
    "train": {"batch_size": 16, "batch_length": 8, "train_ratio": 128.0, "learning_starts": 200},
}


def toy_config(env_id: str, **sections: dict[str, Any]) -> Config:
    """Give the configuration for an environment, with some leaves replaced."""
    merged = {name: {**TOY.get(name, {}), **sections.get(name, {})} for name in {*TOY, *sections}}
    merged["env"] = {"id": env_id, **merged.get("env", {})}
    return Config.model_validate(merged)


def learn(config: Config, seed: int, env_steps: int) -> tuple[Session, list[Mapping[str, torch.Tensor]]]:
    """Play and learn for so many env steps; give the session and the metrics of every update."""
    session = Session(config, seed)
    seen: list[Mapping[str, torch.Tensor]] = []
    while session.collector.env_steps < env_steps:
        session.collector.step(session.policy)
        session.counters.env_steps = session.collector.env_steps
        seen += [session.update() for _ in range(session.updates_due())]
    return session, seen


def returns(session: Session) -> dict[str, float]:
    """Give the mean evaluation return of the mode and of the sampled policy."""
    return {
        name: float(np.mean(episodes.returns)) for name, episodes in session.evaluator.evaluate(session.agent).items()
    }


@torch.no_grad()
def values_along(
    agent: Agent, observations: list[dict[str, np.ndarray]], actions: list[np.ndarray], copies: int = 64
) -> list[float]:
    """Give the critic's value after each observation of an episode, the mean over draws of the latents.

    `actions` are those taken between them, one fewer.
    """
    carry, generator = agent.initial_carry(copies), torch.Generator().manual_seed(0)
    out = []
    for t, obs in enumerate(observations):
        tensors = {key: torch.from_numpy(value).expand(copies, *value.shape) for key, value in obs.items()}
        first = torch.full((copies,), t == 0)
        _, carry = agent.act(tensors, first, carry, mode=True, generator=generator)
        rows = torch.nn.functional.one_hot(carry.stoch, agent.config.model.classes).flatten(1)
        features = torch.cat([carry.deter, rows.to(carry.deter.dtype)], -1)
        behavior = agent.behavior
        out.append(float(behavior.twohot.mean(behavior.critic(features).softmax(-1)).mean()))
        if t < len(actions):
            chosen = torch.from_numpy(np.asarray(actions[t])).expand(copies, -1)
            carry = carry._replace(prev_action=chosen)
    return out


def mean_metric(seen: Sequence[Mapping[str, torch.Tensor]], name: str, last: int = 50) -> float:
    """Give the mean of a metric over the last updates."""
    return float(torch.stack([metrics[name] for metrics in seen[-last:]]).mean())
