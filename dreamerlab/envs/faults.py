"""What an environment can do wrong while a trial runs, said so that its author can find the place.

Owns the errors; `guard.py` raises the first at every call, the collector raises the second when it brings an open
episode back, `acting.py` the third, so that an environment is not blamed for what it was told to do. Needs no
gymnasium, so that `experience` can name them.
"""

from __future__ import annotations

from dreamerlab.errors import TrialFailed


class EnvironmentFault(TrialFailed):
    """An environment raised, or returned something that its own spaces rule out.

    The message names the environment, the call, the place (step of the episode and its reset seed, and the env
    step of the trial where known) and the value seen.
    """

    _wording = "environment '{env_id}' failed in {call} at {place}: {problem}"

    def __init__(self, env_id: str, call: str, place: str, problem: str, *, hint: str | None = None) -> None:
        message = self._wording.format(env_id=env_id, call=call, place=place, problem=problem)
        super().__init__(message, hint=hint)
        self.env_id, self.call, self.place, self.problem = env_id, call, place, problem

    def during(self, place: str) -> EnvironmentFault:
        """Return the same fault with a second place: where the caller stood when it met it."""
        return type(self)(self.env_id, self.call, f"{self.place} ({place})", self.problem, hint=self.hint)


class NonDeterministic(EnvironmentFault):
    """The same reset seed and actions gave another episode, so a trial cannot be continued exactly."""

    _wording = "environment '{env_id}' is not deterministic: {call} led elsewhere in {place}: {problem}"


class ActionNotFinite(TrialFailed):
    """The agent gave numbers that are none: it has diverged, and the environment is not to blame."""
