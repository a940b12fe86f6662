"""An agent as one side of many games of hockey, all at the same step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dreamerlab.dreamer.agent import Agent
from dreamerlab.envs.hockey.rules import DIVISORS

KEY = "vector"
"""What an agent calls an observation that is one array of numbers."""


class AgentSeat:
    """An agent that sees numbers, as one side of many games; asked every `repeat` steps, or as it was trained to be."""

    def __init__(self, agent: Agent, *, mode: bool, repeat: int | None = None) -> None:
        self._agent, self._mode, config = agent, mode, agent.config
        self._device = agent.initial_carry(1).deter.device
        self._divisors = np.array(DIVISORS, np.float32) if config.hockey.scaling == "divisors" else None
        self._repeat = repeat or config.env.action_repeat

    def begin(self, games: int, seed: int) -> None:
        """Begin so many games."""
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._carry = self._agent.initial_carry(games)
        self._is_first = torch.ones(games, dtype=torch.bool, device=self._device)
        self._actions = np.zeros((games, 4))
        self._left = 0

    def act(self, seen: np.ndarray, running: Sequence[int]) -> np.ndarray:
        """Return actions (games, 4); the batch stays whole, so that no game's draws depend on how long others last."""
        if self._left == 0:
            scaled = seen if self._divisors is None else seen / self._divisors
            tensors = {KEY: torch.from_numpy(scaled).to(self._device)}
            actions, self._carry = self._agent.act(
                tensors, self._is_first, self._carry, mode=self._mode, generator=self._generator
            )
            self._is_first = torch.zeros_like(self._is_first)
            self._actions, self._left = actions.cpu().numpy().astype(np.float64), self._repeat
        self._left -= 1
        return self._actions
