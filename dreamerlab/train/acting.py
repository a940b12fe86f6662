"""The agent in front of its environments: what the collector calls at every step.

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
        self._agent, self._streams, self._generator = agent, streams, generator
        self._carry = agent.initial_carry(streams)

    def __call__(
        self,
        obs: dict[str, np.ndarray],
        is_first: np.ndarray,
        streams: np.ndarray,
        actions: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (actions (M, A), deter (M, D) float32, stoch (M, S) int16) for observations `{key: (M, *shape)}`.

        `streams` (M,), ascending, says whose they are. Given `actions` (M, A) are taken instead of drawn.
        """
        device = self._carry.deter.device
        tensors = {key: torch.from_numpy(value).to(device) for key, value in obs.items()}
        first = torch.from_numpy(is_first).to(device)
        some = None if len(streams) == self._streams else torch.from_numpy(streams).to(device)
        before = self._carry if some is None else Carry(*(part[some] for part in self._carry))
        action, after = self._agent.act(tensors, first, before, mode=False, generator=self._generator)
        if actions is not None:
            action = torch.from_numpy(actions).to(device)
            after = after._replace(prev_action=action)
        if some is None:
            self._carry = after
        else:
            self._carry = Carry(
                *(whole.index_copy(0, some, part) for whole, part in zip(self._carry, after, strict=True))
            )
        return action.cpu().numpy(), after.deter.cpu().numpy(), after.stoch.to(torch.int16).cpu().numpy()

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
