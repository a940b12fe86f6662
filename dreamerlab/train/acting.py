"""The agent in front of one environment: what the collector calls at every step.

Owns the recurrent carry between steps and the generator actions are drawn from. Batched acting, as evaluation
needs it, is in `evaluate.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dreamerlab.dreamer.agent import Agent, Carry


class ActingPolicy:
    """Sampled actions for streams of observations, with the latent state each one was chosen from."""

    def __init__(self, agent: Agent, streams: int, generator: torch.Generator) -> None:
        self._agent, self._generator = agent, generator
        self._carry = agent.initial_carry(streams)

    def __call__(self, obs: dict[str, np.ndarray], is_first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (actions (N, A), deter (N, D) float32, stoch (N, S) int16) for observations `{key: (N, *shape)}`."""
        device = self._carry.deter.device
        tensors = {key: torch.from_numpy(value).to(device) for key, value in obs.items()}
        first = torch.from_numpy(is_first).to(device)
        action, self._carry = self._agent.act(tensors, first, self._carry, mode=False, generator=self._generator)
        return action.cpu().numpy(), self._carry.deter.cpu().numpy(), self._carry.stoch.to(torch.int16).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """Everything the next action depends on beside the agent's parameters."""
        carry = self._carry
        return {
            "carry": [carry.deter, carry.stoch, carry.prev_action],
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore exactly."""
        device = self._carry.deter.device
        self._carry = Carry(*(tensor.to(device) for tensor in state["carry"]))
        self._generator.set_state(state["generator"])
