"""Who plays on the other side: what an opponent is to the game, and the built-in ones (M-HK-02).

    random                 every number of an action anew, evenly from [-1, 1]
    weak, strong           the course's bots: the same plan, pushed with gain 0.5 or 10

The plan of a bot (specification, section 10): stand between a puck that comes and the own goal, go for one that is in
reach, wait in front of the goal otherwise, wag the racket, and shoot soon after a catch. `BotOpponent` is for training:
its randomness comes from a generator of its own. `BasicOpponent` has upstream's interface and draws from numpy's
global state (quirk Q13). Agents of runs and of pools are built in `dreamerlab.train`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sin, sqrt
from typing import Any, Protocol

import numpy as np

from dreamerlab.envs.hockey.rules import BadInput
from dreamerlab.errors import UsageError, did_you_mean

_KEPT_X = -3.5
"""Where a bot waits: 1.5 m in front of the own goal's line, relative to the centre."""
_TURN = pi / 3
_BRAKE_WITHIN = (0.1, 0.1, 1.0)
_BRAKE_GAIN = 0.5


class Opponent(Protocol):
    """A player: sees the field from its own side and answers with an action."""

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a game; whatever is random in it is drawn from `rng`."""
        ...

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Return an action of 4 numbers within [-1, 1] for an unscaled own view (18,)."""
        ...


OpponentSource = Callable[[str], Opponent]
"""Returns the opponent of a resolved name: `weak`, `R0012-9qd@20000`, `self@20000`."""


class RandomOpponent:
    """Draws every number of an action evenly from [-1, 1]."""

    def __init__(self, num_actions: int = 4) -> None:
        self._num_actions = num_actions
        self._rng = np.random.default_rng(0)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a game, drawing from `rng`."""
        self._rng = rng

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Return (4,) float64; what is seen does not matter."""
        return self._rng.uniform(-1.0, 1.0, self._num_actions)


class BotOpponent:
    """The weak or the strong bot; all it draws comes from the generator of the game, the first phase included."""

    def __init__(self, weak: bool = True, keep_mode: bool = True) -> None:
        self.weak, self.keep_mode = weak, keep_mode
        self.phase = 0.0
        self._rng = np.random.default_rng(0)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a game with a new phase."""
        self._rng = rng
        self.phase = float(rng.uniform(0.0, pi))

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Return (4,) float64, or (3,) without keep mode; one draw."""
        self.phase += float(self._rng.uniform(0.0, 0.2))
        return bot_action(obs, self.phase, weak=self.weak, keep_mode=self.keep_mode)


class BasicOpponent:
    """The bot with upstream's interface: global numpy randomness, a phase drawn at construction and never reset."""

    def __init__(self, weak: bool = True, keep_mode: bool = True) -> None:
        self.weak, self.keep_mode = weak, keep_mode
        self.phase = float(np.random.uniform(0.0, pi))

    def act(self, obs: np.ndarray, verbose: bool = False) -> np.ndarray:
        """Return (4,) float64, or (3,) without keep mode, for an own view; `verbose` is accepted and not used."""
        self.phase += float(np.random.uniform(0.0, 0.2))
        return bot_action(obs, self.phase, weak=self.weak, keep_mode=self.keep_mode)


def bot_action(obs: Any, phase: float, *, weak: bool, keep_mode: bool = True) -> np.ndarray:
    """Return what a bot does in an own view (18,), or (16,), at a phase of its wagging.

    Per axis i of x, y and angle, with target T, place p, speed v: clip(k_i (T_i - p_i) - 0.5 v_i [brake_i], -1, 1),
    where it brakes when the target is less than 0.1 s (1 s for the angle) away. Raises BadInput for fewer numbers.
    """
    seen = np.asarray(obs, np.float64).tolist()
    if len(seen) < 16 + 2 * keep_mode:
        raise BadInput(
            f"a bot sees {16 + 2 * keep_mode} numbers; got {len(seen)}", hint="without keep mode: keep_mode=False"
        )
    x, y = seen[0], seen[1]
    puck_x, puck_y, puck_speed_x, puck_speed_y = seen[12:16]
    target_x, target_y = _KEPT_X, 0.0
    if puck_speed_x < 0.5:
        target_y = puck_y
        if x < puck_x and abs(y - puck_y) < 0.5:
            away = sqrt((x - puck_x) ** 2 + (y - puck_y) ** 2)
            target_x, target_y = puck_x + 0.2, puck_y + puck_speed_y * away * 0.1
    gain = 0.5 if weak else 10.0
    action: list[float] = []
    for target, place, speed, share, soon in zip(
        (target_x, target_y, _TURN * sin(phase)), seen[0:3], seen[3:6], (1.0, 5.0, 2.0), _BRAKE_WITHIN, strict=True
    ):
        error = target - place
        rest = speed + 0.01
        brakes = rest != 0 and abs(error / rest) < soon
        push = error * (gain / share) - speed * brakes * _BRAKE_GAIN
        action.append(min(max(push, -1.0), 1.0))
    if keep_mode:
        action.append(1.0 if 0 < seen[16] < 7 else 0.0)
    return np.array(action)


def make_bot(name: str, *, keep_mode: bool = True) -> Opponent:
    """Return the built-in opponent called `random`, `weak` or `strong`; raise UsageError for another name."""
    if name == "random":
        return RandomOpponent(4 if keep_mode else 3)
    if name in ("weak", "strong"):
        return BotOpponent(name == "weak", keep_mode)
    raise UsageError(
        f"no built-in opponent is called '{name}'{did_you_mean(name, ('random', 'weak', 'strong'))}",
        hint="the bots are random, weak and strong",
    )
