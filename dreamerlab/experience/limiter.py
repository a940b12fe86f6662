"""How many updates the experience so far has paid for (FACTS A10, F19; DIS-05).

Owns the bookkeeping of the train ratio: the remainder of a fractional ratio is carried exactly, in integers, so
that neither a long run nor a resume drifts. When learning may start at all is the training loop's decision.
`Ratio` is for a trainer that plays itself, in turn; `Limiter` for one whose environments play by themselves.
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

    @property
    def is_open(self) -> bool:
        """Whether env steps are counted already."""
        return self._opened_at is not None

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


class Limiter:
    """Keeps updates and env steps together although different processes make them (M-CP-08).

    With E env steps since learning began, r updates due per env step and U updates made, it never lets U stray from
    E r by more than `slack` times E r, or by one env step's worth of updates, where that is more. One of the two may
    always go on: what keeps updates waiting is that too few env steps were made, and the other way round. Before
    learning begins env steps are free.
    """

    def __init__(self, train_ratio: float, replayed_per_update: int, slack: float) -> None:
        self.per_env_step = Fraction(repr(train_ratio)) / replayed_per_update
        """Updates due per env step."""
        self._slack, self._least = Fraction(repr(slack)), max(Fraction(1), self.per_env_step)
        self._opened_at: int | None = None
        self._env_steps = self._updates = 0

    @property
    def is_open(self) -> bool:
        """Whether env steps are counted already."""
        return self._opened_at is not None

    def begin(self) -> None:
        """Start to count: learning is possible from now on. Again does nothing."""
        if self._opened_at is None:
            self._opened_at = self._env_steps

    def due(self) -> int:
        """Return how many updates are behind."""
        earned = self._earned(0)
        return max(0, earned.numerator // earned.denominator - self._updates) if self._opened_at is not None else 0

    def may_update(self) -> bool:
        """Tell whether one more update stays within the slack."""
        earned = self._earned(0)
        return self._opened_at is not None and self._updates + 1 <= earned + self._allowed(earned)

    def may_collect(self) -> bool:
        """Tell whether one more env step stays within the slack."""
        earned = self._earned(1)
        return self._opened_at is None or earned - self._updates <= self._allowed(earned)

    def collected(self) -> None:
        """Count one env step."""
        self._env_steps += 1

    def updated(self) -> None:
        """Count one update."""
        self._updates += 1

    def _earned(self, more: int) -> Fraction:
        return (self._env_steps + more - (self._opened_at or 0)) * self.per_env_step

    def _allowed(self, earned: Fraction) -> Fraction:
        return max(self._least, self._slack * earned)

    def state_dict(self) -> dict[str, int]:
        """Return the account; `opened_at` is -1 before learning began."""
        opened_at = -1 if self._opened_at is None else self._opened_at
        return {"opened_at": opened_at, "env_steps": self._env_steps, "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore exactly, for the same ratio and slack."""
        self._opened_at = None if state["opened_at"] < 0 else int(state["opened_at"])
        self._env_steps, self._updates = int(state["env_steps"]), int(state["updates"])
