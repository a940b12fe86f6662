"""Symmetries of hockey put to use (`train.augment`): windows upside down, and games as the other player saw them.

What the symmetries are, and how far they hold, is `envs/hockey/symmetry.py`.

mirror   Half of the windows of a batch are mirrored after they are drawn; replay holds what was played. Its latent
         states belong to windows the right way up: a mirrored window starts from an empty context, as one whose context
         was evicted, and its latent states are not written back.
swap     The other player's rows go into streams of their own, where they count as any others: they share the capacity
         evenly with the agent's, are delivered fresh once and drawn as often. Their latent states are empty until
         training refreshes them. Env steps, and with them the train ratio, count what the agent played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dreamerlab.config.heads import HeadSpec
from dreamerlab.envs.hockey.symmetry import MIRRORED_OBS, mirrored_action, mirrored_obs
from dreamerlab.experience.drawing import Sample
from dreamerlab.experience.episode import Step
from dreamerlab.spaces import ActionSpec

KEY = "vector"
"""Key of hockey's observation."""

AddRow = Callable[[Step, int], None]
Bonus = Callable[[Mapping[str, Any]], float]


class Mirror:
    """Mirrors half of the windows of every batch."""

    def __init__(self, action: ActionSpec, heads: Sequence[HeadSpec]) -> None:
        self._none = action.none
        self._negated = tuple(
            head.name
            for head in heads
            if head.source == "obs" and head.kind == "regression" and (head.key, head.index) in _MIRRORED_TARGETS
        )

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the sample with B/2 windows, chosen by `rng`, upside down; an odd B is rounded either way."""
        batch = len(sample.starts)
        chosen = np.zeros(batch, bool)
        chosen[rng.permutation(batch)[: (batch + int(rng.integers(2))) // 2]] = True
        targets = {
            name: _where(chosen, -target, target) if name in self._negated else target
            for name, target in sample.targets.items()
        }
        obs = sample.obs[KEY]
        return replace(
            sample,
            obs={**sample.obs, KEY: _where(chosen, mirrored_obs(obs), obs)},
            action=_where(chosen, mirrored_action(sample.action), sample.action),
            prev_action=_where(chosen, np.full_like(sample.prev_action, self._none), sample.prev_action),
            context_deter=_where(chosen, np.zeros_like(sample.context_deter), sample.context_deter),
            context_stoch=_where(chosen, np.full_like(sample.context_stoch, -1), sample.context_stoch),
            targets=targets,
            mirrored=chosen,
        )


class OtherSide:
    """Stores each game a second time, as the other player saw it: stream n of the agent in `first_stream` + n.

    Infos are those of an environment that tells the other side (`symmetry.tell_other_side`). A row is complete with the
    next step, which tells what the other player did: nothing beyond the infos has to be remembered.
    """

    def __init__(self, add: AddRow, first_stream: int, *, deter: int, stoch: int, wants_info: bool) -> None:
        self._add, self._first_stream, self._wants_info = add, first_stream, wants_info
        self._deter, self._stoch = np.zeros(deter, np.float32), np.full(stoch, -1, np.int16)

    def stepped(
        self, stream: int, before: Mapping[str, Any], after: Mapping[str, Any], bonus: Bonus, *, is_first: bool
    ) -> None:
        """Store the row of the state before a step, given the infos before and after; `bonus` goes onto the reward."""
        self._store(stream, before["other"], after["other"]["action"], bonus, is_first=is_first)

    def ended(self, stream: int, info: Mapping[str, Any], bonus: Bonus, *, terminated: bool) -> None:
        """Store the last row of a game."""
        other = info["other"]
        self._store(stream, other, np.zeros_like(other["action"]), bonus, is_last=True, is_terminal=terminated)

    def _store(
        self,
        stream: int,
        other: Mapping[str, Any],
        action: np.ndarray,
        bonus: Bonus,
        *,
        is_first: bool = False,
        is_last: bool = False,
        is_terminal: bool = False,
    ) -> None:
        step: Step = {
            "obs": {KEY: other["obs"]},
            "action": action,
            "reward": 0.0 if is_first else other["reward"] + bonus(other),
            "is_first": is_first,
            "is_last": is_last,
            "is_terminal": is_terminal,
            "deter": self._deter,
            "stoch": self._stoch,
        }
        if self._wants_info:
            step["info"] = other
        self._add(step, self._first_stream + stream)


_MIRRORED_TARGETS = {(KEY, index) for index in MIRRORED_OBS}


def _where(chosen: np.ndarray, mirrored: np.ndarray, plain: np.ndarray) -> np.ndarray:
    return np.where(chosen.reshape(-1, *[1] * (plain.ndim - 1)), mirrored, plain)
