"""Evaluation: the agent in its own environments, from fixed start seeds, with its own generators.

Reports the mode and the sampled policy, on the raw reward (FACTS A13.22, F24; M-CP-36). Nothing here reads or
advances a stream that training draws from: evaluating more or less often leaves training bit-identical.
All episodes of one policy advance together as one batch, which costs about as much as a single episode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dreamerlab.dreamer.agent import Agent
from dreamerlab.train.runtime import numpy_stream, torch_stream


@dataclass(frozen=True)
class Episodes:
    """Returns and lengths of the episodes of one policy, in the order of their start seeds."""

    returns: list[float]
    lengths: list[int]


class Evaluator:
    """Runs the same `episodes` start seeds every time it is asked."""

    def __init__(self, make: Callable[[], Any], episodes: int, seed: int) -> None:
        self.envs = [make() for _ in range(episodes)]
        self._seed = seed
        self._start_seeds = [int(s) for s in numpy_stream(seed, "evaluation starts").integers(2**31, size=episodes)]

    def evaluate(self, agent: Agent, beat: Callable[[], None] = lambda: None) -> dict[str, Episodes]:
        """Return the episodes under the `mode` policy and under the `sample` policy.

        `beat` is called at every step of the batch, for evaluations can outlast what a reader takes for a sign of life.
        """
        return {"mode": self._run(agent, beat, mode=True), "sample": self._run(agent, beat, mode=False)}

    def close(self) -> None:
        """Release the environments."""
        for env in self.envs:
            env.close()

    def _run(self, agent: Agent, beat: Callable[[], None], *, mode: bool) -> Episodes:
        count = len(self.envs)
        carry = agent.initial_carry(count)
        device = carry.deter.device
        generator = torch_stream(self._seed, f"evaluation actions mode={mode}", device)
        starts = zip(self.envs, self._start_seeds, strict=True)
        obs = [env.reset(seed=seed)[0] for env, seed in starts]
        is_first = torch.ones(count, dtype=torch.bool, device=device)
        returns, lengths = np.zeros(count), np.zeros(count, int)
        running = list(range(count))
        while running:
            beat()
            tensors = {key: torch.from_numpy(np.stack([o[key] for o in obs])).to(device) for key in obs[0]}
            actions, carry = agent.act(tensors, is_first, carry, mode=mode, generator=generator)
            is_first = torch.zeros_like(is_first)
            chosen = actions.cpu().numpy()
            # Finished episodes stay in the batch with their last observation: a fixed batch size keeps the
            # random draws of every episode independent of how long the others last.
            for index in list(running):
                obs[index], reward, terminated, truncated, _ = self.envs[index].step(chosen[index])
                returns[index] += reward
                lengths[index] += 1
                if terminated or truncated:
                    running.remove(index)
        return Episodes(returns.tolist(), lengths.tolist())


def as_metrics(results: dict[str, Episodes]) -> dict[str, float]:
    """Return the evaluation metrics of the catalogue."""
    values: dict[str, float] = {}
    for policy, episodes in results.items():
        values[f"eval/return_{policy}"] = float(np.mean(episodes.returns))
        values[f"eval/length_{policy}"] = float(np.mean(episodes.lengths))
    return values
