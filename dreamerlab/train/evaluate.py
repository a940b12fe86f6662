"""Evaluation: the agent in its own environments, from fixed start seeds, with its own generators.

Reports the mode and the sampled policy, on the raw reward (FACTS A13.22, F24; M-CP-36). Nothing here reads or
advances a stream that training draws from: evaluating more or less often leaves training bit-identical. Its result is a
function of agent and seed alone: the environments are built anew each time, so that one which remembers something
from reset to reset cannot tell how often it was evaluated before, and a resumed trial evaluates as one that never
stopped. All episodes of one policy advance together as one batch, which costs about as much as a single episode.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dreamerlab.dreamer.agent import Agent
from dreamerlab.train.generators import Env, undisturbed_globals, with_own_generators
from dreamerlab.train.runtime import numpy_stream, torch_stream

POLICIES = ("mode", "sample")


@dataclass(frozen=True)
class Episodes:
    """Returns and lengths of the episodes of one policy, in the order of their start seeds."""

    returns: list[float]
    lengths: list[int]


class Evaluator:
    """Runs the same `episodes` start seeds every time it is asked, in environments from `make`."""

    def __init__(self, make: Callable[[], Env], episodes: int, seed: int) -> None:
        self.episodes = episodes
        self._make, self._seed = make, seed
        self._start_seeds = [int(s) for s in numpy_stream(seed, "evaluation starts").integers(2**31, size=episodes)]

    def evaluate(
        self, agent: Agent, beat: Callable[[], None] = lambda: None, *, policies: Sequence[str] = POLICIES
    ) -> dict[str, Episodes]:
        """Return the episodes under each policy: `mode`, the most likely action each step, and `sample`.

        `beat` is called at every step of the batch, for evaluations can outlast what a reader takes for a sign of life.
        """
        envs: list[Env] = []
        with undisturbed_globals():
            try:
                for _ in range(self.episodes):
                    envs.append(with_own_generators(self._make, alternating=False))
                    beat()
                return {policy: self._run(agent, envs, beat, mode=policy == "mode") for policy in policies}
            finally:
                _release(envs)

    def _run(self, agent: Agent, envs: Sequence[Env], beat: Callable[[], None], *, mode: bool) -> Episodes:
        count = len(envs)
        carry = agent.initial_carry(count)
        device = carry.deter.device
        generator = torch_stream(self._seed, f"evaluation actions mode={mode}", device)
        obs = [env.reset(seed=seed)[0] for env, seed in zip(envs, self._start_seeds, strict=True)]
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
                obs[index], reward, terminated, truncated, _ = envs[index].step(chosen[index])
                returns[index] += float(reward)
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


def _release(envs: Sequence[Env]) -> None:
    """Close the environments; what was measured counts all the same where one cannot be closed."""
    for env in envs:
        try:
            env.close()
        except Exception as error:
            print(f"warning: an environment could not be closed: {type(error).__name__}: {error}", file=sys.stderr)
