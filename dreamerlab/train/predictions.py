"""Fresh windows of play, and what the world model expects of them when it may see only their first few frames.

Played in environments and with generators of their own, from the same starts each time, so looking changes nothing in
a trial, and pictures of one trial at different moments show the same beginnings. The model's part is
`dreamer/prediction.py`, the picture's `pictures.py`; `loop.py` looks at every evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.prediction import CONTEXT, predict, predicted_pictures
from dreamerlab.envs.make import make_env
from dreamerlab.train.generators import Env, undisturbed_globals, with_own_generators
from dreamerlab.train.runtime import numpy_stream, torch_stream

WINDOWS = 3
LENGTH = CONTEXT + 40


@dataclass(frozen=True)
class Foreseen:
    """Pictures of windows, one row for each window and image key, beside what the model expected."""

    truth: np.ndarray
    """(N, T, H, W, C) uint8."""
    model: np.ndarray
    """The same shape; rows before `context` are reconstructed, later ones foreseen."""
    valid: np.ndarray
    """(N, T): whether a row belongs to the episode that the model saw begin; a later one cannot be foreseen."""
    context: int


def foresight_of_trial(config: Config, agent: Agent, seed: int) -> Foresight | None:
    """Return what looks ahead at every evaluation of a trial; None where no images are seen, or none are wanted."""
    if not (config.log.predictions and agent.world.decoder.pictures.keys):
        return None
    return Foresight(partial(spare, config, step_timeout_s=config.execution.step_timeout_s), seed)


def spare(config: Config, **settings: Any) -> Env:
    """Return an environment of the task to look at; a game against the weak bot, whoever the agent meets."""
    hockey = config.hockey.model_copy(update={"opponent": ("weak",), "curriculum": ()})
    return make_env(config.env, hockey=hockey, **settings)


class Foresight:
    """Plays `windows` windows of `length` rows from the starts of a seed, in environments from `make`."""

    def __init__(self, make: Callable[[], Env], seed: int, windows: int = WINDOWS, length: int = LENGTH) -> None:
        self._make, self._seed, self._windows, self._length = make, seed, windows, length

    def look(self, agent: Agent, beat: Callable[[], None] = lambda: None) -> dict[str, Foreseen]:
        """Return what the agent's model expects, by image key; `beat` is called at every step."""
        with undisturbed_globals():
            batch = self._play(agent, beat)
        device = batch.reward.device
        prediction = predict(agent.world, batch, torch_stream(self._seed, "foreseen latents", device))
        valid = prediction.valid.cpu().numpy()
        expected = predicted_pictures(agent.world, prediction)
        return {
            key: Foreseen(batch.obs[key].cpu().numpy(), model, valid, prediction.context)
            for key, model in expected.items()
        }

    def _play(self, agent: Agent, beat: Callable[[], None]) -> Batch:
        """Return the windows: sampled actions, and a new episode right after the last row of one that ends."""
        count, carry = self._windows, agent.initial_carry(self._windows)
        device = carry.deter.device
        starts = numpy_stream(self._seed, "foreseen starts")
        generator = torch_stream(self._seed, "foreseen actions", device)
        envs = [with_own_generators(self._make, alternating=count > 1) for _ in range(count)]
        try:
            seen = [env.reset(seed=int(starts.integers(2**31)))[0] for env in envs]
            first, last, terminal = np.ones(count, bool), np.zeros(count, bool), np.zeros(count, bool)
            reward = np.zeros(count, np.float32)
            before, rows = carry, []
            for _ in range(self._length):
                beat()
                obs = {key: torch.from_numpy(np.stack([one[key] for one in seen])).to(device) for key in seen[0]}
                flags = [torch.from_numpy(flag.copy()).to(device) for flag in (first, last, terminal, reward)]
                action, carry = agent.act(obs, flags[0], carry, mode=False, generator=generator)
                action = torch.where(flags[1].unsqueeze(1), torch.zeros_like(action), action)
                rows.append((obs, action, *flags))
                for index, env in enumerate(envs):
                    if last[index]:
                        seen[index], _ = env.reset(seed=int(starts.integers(2**31)))
                        first[index], last[index], terminal[index], reward[index] = True, False, False, 0.0
                        continue
                    seen[index], given, over, cut, _ = env.step(action[index].cpu().numpy())
                    reward[index], first[index] = float(given), False
                    last[index], terminal[index] = over or cut, over
        finally:
            for env in envs:
                env.close()
        columns = list(zip(*rows, strict=True))
        action, is_first, is_last, is_terminal, rewards = (torch.stack(column, 1) for column in columns[1:])
        return Batch(
            obs={key: torch.stack([obs[key] for obs in columns[0]], 1) for key in columns[0][0]},
            action=action,
            reward=rewards,
            is_first=is_first,
            is_last=is_last,
            is_terminal=is_terminal,
            prev_action=before.prev_action,
            context_deter=before.deter,
            context_stoch=before.stoch,
        )
