"""How many updates the experience so far has paid for (FACTS A10, F19; DIS-05).

Owns the bookkeeping of the train ratio: the remainder of a fractional ratio is carried exactly, in integers, so
that neither a long run nor a resume drifts. When learning may start at all is the training loop's decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction


class Ratio:
    """Updates due as env steps go by: `train_ratio / replayed_per_update` of them per env step.

    `train_ratio` is replayed steps per env step, read as the decimal it is written as (0.1 is one tenth);
    `replayed_per_update` is B times T. The account opens at the first question: env steps before it owe nothing,
    so a late start of learning is followed by no burst.
    """

    def __init__(self, train_ratio: float, replayed_per_update: int) -> None:
        self._per_env_step = Fraction(repr(train_ratio)) / replayed_per_update
        self._opened_at: int | None = None
        self._granted = 0

    def due(self, env_steps: int) -> int:
        """Return the updates to make now, given the env steps of the trial so far; none is due twice."""
        if self._opened_at is None:
            self._opened_at = env_steps
        assert env_steps >= self._opened_at, (env_steps, self._opened_at)
        earned = (env_steps - self._opened_at) * self._per_env_step
        updates = earned.numerator // earned.denominator - self._granted
        self._granted += updates
        return updates

    def state_dict(self) -> dict[str, int]:
        """Return the account; `opened_at` is -1 before the first question."""
        return {"opened_at": -1 if self._opened_at is None else self._opened_at, "granted": self._granted}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore exactly, for the same ratio."""
        self._opened_at = None if state["opened_at"] < 0 else int(state["opened_at"])
        self._granted = int(state["granted"])
