"""The two-player game, number for number what the upstream package plays (M-HK-01).

`HockeyEnv` has upstream's interface and, unless told otherwise, its quirks (specification, section 14). The order of
everything in `step` and `reset` is part of the rules. Bodies are `field.py`, forces `motion.py`, what players see and
get is `views.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, sin
from typing import Any

import Box2D
import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding

from dreamerlab.envs.hockey.field import Field
from dreamerlab.envs.hockey.motion import Racket, damp_puck
from dreamerlab.envs.hockey.rules import (
    CENTER_X,
    CENTER_Y,
    DISCRETE,
    FPS,
    GOAL_REWARD,
    KEEP_STEPS,
    OBSERVED,
    POSITION_ITERATIONS,
    SHOT,
    TIME_STEP,
    VELOCITY_ITERATIONS,
    WIDTH,
    Mode,
)
from dreamerlab.envs.hockey.views import Views, info_of


class HockeyEnv(gym.Env[np.ndarray, np.ndarray]):
    """A game of two: `step` takes the actions of both, player one's first, and answers from player one's side.

    Action (8,), or (6,) without keep mode: for each player x, y, turn and shoot within [-1, 1], seen from the own
    goal. Observation (18,), or (16,): see `views.py`. Upstream's behaviour, quirks included, is the default; better
    behaviour has to be asked for:

    - `clean_reset`: timers of a held puck end with the game (Q1); a reset without a seed goes on with the generator
      (Q2), and one with a seed draws from it who starts, so that a seed says everything about a game.
    - `truncate`: time running out is a truncation, not a termination (Q5).
    - `tidy`: observations are float32 of the promised shape, and shooting is a discrete action of its own (Q7, Q8).

    Whatever is asked for, `reset(mode=...)` works (Q3), and pickles and deep copies hold the present game (Q12).
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": FPS}  # noqa: RUF012 - gymnasium's own way
    timeStep = TIME_STEP

    def __init__(
        self,
        keep_mode: bool = True,
        mode: Mode | str | int = Mode.NORMAL,
        verbose: bool = False,
        *,
        clean_reset: bool = False,
        truncate: bool = False,
        tidy: bool = False,
        render_mode: str | None = None,
        style: str = "upstream",
    ) -> None:
        self.keep_mode, self.mode, self.verbose = bool(keep_mode), Mode.of(mode), verbose
        self.clean_reset, self.truncate, self.tidy = clean_reset, truncate, tidy
        self.render_mode, self.style = render_mode, style
        self.num_actions = 4 if self.keep_mode else 3
        observed = OBSERVED - 2 * (tidy and not self.keep_mode)
        self.observation_space = Box(-np.inf, np.inf, (observed,), np.float32)
        self.action_space = Box(-1.0, 1.0, (2 * self.num_actions,), np.float32)
        self.discrete_action_space = Discrete(8 if tidy and self.keep_mode else 7)
        self._picture: Any = None
        self.player1_has_puck = self.player2_has_puck = 0
        self.one_starts: bool = True
        self.reset(one_starting=True)

    def reset(
        self,
        one_starting: bool | None = None,
        mode: Mode | str | int | None = None,
        seed: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a game; return player one's observation and info. The first positional argument is not the seed.

        `options` may carry `one_starting` and `mode` too. A player who starts has the puck on the own side; without
        being told, players take turns.
        """
        if options:
            one_starting = options.get("one_starting", one_starting)
            mode = options.get("mode", mode)
        if mode is not None:
            self.mode = Mode.of(mode)
        if seed is not None or not self.clean_reset or self._np_random is None:
            self._np_random, self._np_random_seed = seeding.np_random(seed)
        if self.clean_reset:
            self.player1_has_puck = self.player2_has_puck = 0
            if one_starting is None and seed is not None and self.mode is Mode.NORMAL:
                one_starting = bool(self.np_random.integers(2))
        if self.mode is Mode.NORMAL:
            self.one_starts = (not self.one_starts) if one_starting is None else bool(one_starting)
        self._begin(self.np_random.bit_generator.state)
        return self._observe(), self._info()

    def _begin(self, generator_state: Mapping[str, Any]) -> None:
        """Put up the field with the draws of a generator, and begin to remember what is done to it."""
        self._origin = (generator_state, self.mode, self.one_starts, self.player1_has_puck, self.player2_has_puck)
        self._deeds: list[tuple[str, list[float]]] = []
        self.done, self.winner, self.time = False, 0, 0
        self.max_timesteps = self.mode.max_timesteps
        self.closest_to_goal_dist = 1000.0
        second, puck, target = _places(self.np_random, self.mode, self.one_starts)
        self._listener = _Contacts(self)
        self._field = field = Field(second, puck, self._listener)
        self.world = field.world
        self.player1, self.player2, self.puck = *field.players, field.puck
        self._rackets = Racket(self.player1, 1), Racket(self.player2, -1)
        self._puck_position, self._puck_velocity = self.puck.position, self.puck.linearVelocity
        self._puck_mass = float(self.puck.mass)
        self._views = Views(*self._rackets, self._puck_position, self._puck_velocity)
        if target is not None:
            way = self.puck.position - Box2D.b2Vec2(*target)
            way = way / way.length
            force = -way * SHOT * self.puck.mass / TIME_STEP
            self.puck.ApplyForceToCenter(force, True)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play one step of 0.02 s; the fourth answer is False unless `truncate` was asked for.

        Raises ValueError for an action of another length or with numbers that are none; numbers beyond 1 are cut.
        """
        moves = self._moves(action)
        self._deeds.append(("step", moves))
        second = self.num_actions
        one, two = self._rackets
        one.act(moves[0], moves[1], moves[2])
        two.act(moves[second], moves[second + 1], moves[second + 2])
        damp_puck(self.puck, self._puck_velocity)
        if self.keep_mode and (self.player1_has_puck or self.player2_has_puck):
            self.player1_has_puck = self._keep(one, 1, self.player1_has_puck, moves[3])
            self.player2_has_puck = self._keep(two, -1, self.player2_has_puck, moves[7])
        self.world.Step(TIME_STEP, VELOCITY_ITERATIONS, POSITION_ITERATIONS)
        timed_out = self.time >= self.max_timesteps
        if timed_out:
            self.done = True
        info = self._info()
        reward = self.get_reward(info)
        puck = self._puck_position
        distance = ((puck.x - WIDTH) ** 2 + (puck.y - CENTER_Y) ** 2) ** 0.5
        self.closest_to_goal_dist = min(self.closest_to_goal_dist, distance)
        self.time += 1
        if not self.truncate:
            return self._observe(), reward, self.done, False, info
        return self._observe(), reward, self.winner != 0, timed_out and self.winner == 0, info

    def _keep(self, racket: Racket, side: int, timer: int, shoot: float) -> int:
        """Carry the puck or shoot it; return the timer that is left."""
        if timer <= 1:
            return timer
        puck = self.puck
        puck.position = racket.body.position
        puck.linearVelocity = racket.body.linearVelocity
        if timer > 2 and shoot <= 0.5:
            return timer - 1
        angle = racket.body.angle
        force = Box2D.b2Vec2(side * cos(angle), side * sin(angle)) * puck.mass / TIME_STEP * SHOT
        puck.ApplyForceToCenter(force, True)
        return 0

    def _moves(self, action: Any) -> list[float]:
        """Return the numbers of an action, of single precision and within [-1, 1]."""
        given = np.asarray(action, np.float32)
        if given.shape != self.action_space.shape:
            raise ValueError(f"an action is {self.action_space.shape}, player one's numbers first; got {given.shape}")
        moves = given.tolist()
        for place, number in enumerate(moves):
            if not -1.0 <= number <= 1.0:
                if number != number:
                    raise ValueError(f"number {place} of the action is nan: {moves}")
                moves[place] = 1.0 if number > 0 else -1.0
        return moves

    def obs_agent_two(self) -> np.ndarray:
        """Return the present state as player two sees it: the field turned by 180 degrees."""
        return self._shaped(self._views.of_player_two(self.player2_has_puck, self.player1_has_puck))

    def _observe(self) -> np.ndarray:
        return self._shaped(self._views.of_player_one(self.player1_has_puck, self.player2_has_puck))

    def _shaped(self, view: np.ndarray) -> np.ndarray:
        if not self.keep_mode:
            view = view[: OBSERVED - 2]
        return view if self.tidy else view.astype(np.float64)

    def _info(self) -> dict[str, Any]:
        return info_of(self._rackets[0], self, side=1, timer=self.player1_has_puck)

    def get_info_agent_two(self) -> dict[str, Any]:
        """Return the info of the last step from player two's side."""
        return info_of(self._rackets[1], self, side=-1, timer=self.player2_has_puck)

    def get_reward(self, info: Mapping[str, Any]) -> float:
        """Return player one's reward: the goal, paid at every step once the game is over, and the closeness."""
        return (GOAL_REWARD * self.winner if self.done else 0.0) + info["reward_closeness_to_puck"]

    def get_reward_agent_two(self, info_two: Mapping[str, Any]) -> float:
        """Return player two's reward, given player two's info; closeness makes the game not zero-sum."""
        return (-GOAL_REWARD * self.winner if self.done else 0.0) + info_two["reward_closeness_to_puck"]

    def discrete_to_continous_action(self, discrete_action: int) -> list[float]:
        """Return the numbers of one player that a discrete action stands for (upstream's spelling)."""
        if discrete_action not in range(7 + self.keep_mode):
            raise ValueError(f"a discrete action is 0 to {6 + self.keep_mode}; got {discrete_action!r}")
        return list(DISCRETE[discrete_action][: self.num_actions])

    def set_state(self, state: Any) -> None:
        """Put players, puck and timers where an observation of player one says; nothing else changes.

        A state taken from an observation replays closely, not exactly: contacts, dampings and clock are not in it.
        """
        state = np.asarray(state, np.float64)
        expected = OBSERVED if self.keep_mode else OBSERVED - 2
        if state.shape != (expected,) or not np.isfinite(state).all():
            raise ValueError(f"a state is {expected} finite numbers, player one's view; got {state!r}")
        self._deeds.append(("state", state.tolist()))
        for racket, first in zip(self._rackets, (0, 6), strict=True):
            body = racket.body
            body.position = (float(state[first] + CENTER_X), float(state[first + 1] + CENTER_Y))
            body.angle = float(state[first + 2])
            body.linearVelocity = (float(state[first + 3]), float(state[first + 4]))
            body.angularVelocity = float(state[first + 5])
        self.puck.position = (float(state[12] + CENTER_X), float(state[13] + CENTER_Y))
        self.puck.linearVelocity = (float(state[14]), float(state[15]))
        if self.keep_mode:
            self.player1_has_puck, self.player2_has_puck = int(state[16]), int(state[17])

    def render(self, mode: str | None = None) -> Any:
        """Return the picture (480, 600, 3) uint8, or show it in a window; `mode` is upstream's way to ask."""
        from dreamerlab.envs.hockey.drawing import Picture

        wanted = mode or self.render_mode
        if wanted is None:
            return None
        if self._picture is None:
            self._picture = Picture(self.style)
        return self._picture.show(self._field, state_of(self), window=wanted == "human")

    def close(self) -> None:
        """Close the window."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what the present game follows from: the engine itself cannot be copied."""
        return {
            "settings": (self.keep_mode, self.mode, self.verbose),
            "options": {
                name: getattr(self, name) for name in ("clean_reset", "truncate", "tidy", "render_mode", "style")
            },
            "origin": self._origin,
            "deeds": list(self._deeds),
            "generator": (self.np_random.bit_generator.state, self._np_random_seed),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Play the game again up to where it was."""
        HockeyEnv.__init__(self, *state["settings"], **state["options"])
        generator, self.mode, self.one_starts, self.player1_has_puck, self.player2_has_puck = state["origin"]
        self.np_random.bit_generator.state = generator
        self._begin(generator)
        for deed, numbers in state["deeds"]:
            self.step(numbers) if deed == "step" else self.set_state(numbers)
        self.np_random.bit_generator.state, self._np_random_seed = state["generator"]


class _Contacts(Box2D.b2ContactListener):
    """Goals and catches, told by the engine at the start of a step (specification, section 6)."""

    def __init__(self, game: HockeyEnv) -> None:
        super().__init__()
        self._game = game

    def BeginContact(self, contact: Any) -> None:
        game = self._game
        bodies = contact.fixtureA.body, contact.fixtureB.body
        if game.puck not in bodies:
            return
        other = bodies[0] if bodies[1] == game.puck else bodies[1]
        if other in game._field.goals:
            game.done, game.winner = True, 1 if other == game._field.goals[1] else -1
        elif game.keep_mode and other == game.player1:
            if game._puck_velocity.x < 0.1 and game.player1_has_puck == 0:
                game.player1_has_puck = KEEP_STEPS
        elif game.keep_mode and other == game.player2 and game._puck_velocity.x > -0.1 and game.player2_has_puck == 0:
            game.player2_has_puck = KEEP_STEPS


def _places(
    rng: np.random.Generator, mode: Mode, one_starts: bool
) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float] | None]:
    """Return where player two and the puck begin, and the point the puck is shot at, with draws in the strict order."""
    second = (8.0, CENTER_Y)
    if mode is not Mode.NORMAL:
        second = (8.0 + rng.uniform(-10 / 3, 10 / 6), CENTER_Y + rng.uniform(-2, 2))
    if mode is not Mode.TRAIN_DEFENSE:
        away, up = rng.uniform(1, 2), rng.uniform(-1, 1)
        left = mode is Mode.TRAIN_SHOOTING or one_starts
        return second, (CENTER_X - away if left else CENTER_X + away, CENTER_Y + up), None
    away, up, aim = rng.uniform(0, 10 / 3), rng.uniform(-4, 4), rng.uniform(-1.25, 1.25)
    return second, (CENTER_X + away, CENTER_Y + 0.8 * up), (0.0, CENTER_Y + 0.6 * aim)
