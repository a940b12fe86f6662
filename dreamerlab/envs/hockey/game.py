"""The two-player game, number for number what the upstream package plays (M-HK-01).

`HockeyEnv` has upstream's interface and, unless told otherwise, its quirks (specification, section 14). The order of
everything in `step` and `reset` is part of the rules. Bodies are `field.py`, forces `motion.py`, what players see and
get is `views.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, sin, sqrt
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding

from dreamerlab.envs.hockey.bodies import Mover
from dreamerlab.envs.hockey.contacts import Contacts
from dreamerlab.envs.hockey.engine import Box2D
from dreamerlab.envs.hockey.face_off import Places, draw_places, one_starts_by
from dreamerlab.envs.hockey.field import Field
from dreamerlab.envs.hockey.motion import Movers, Racket
from dreamerlab.envs.hockey.moves import cut, misshapen
from dreamerlab.envs.hockey.rules import (
    CENTER_X,
    CENTER_Y,
    DISCRETE,
    FPS,
    GOAL_REWARD,
    KEEP_STEPS,
    OBSERVED,
    POSITION_ITERATIONS,
    RENDER_MODES,
    SHOT,
    STYLES,
    TIME_STEP,
    VELOCITY_ITERATIONS,
    BadInput,
    Mode,
    require_known,
)
from dreamerlab.envs.hockey.views import Scene, Views, scene_of

if TYPE_CHECKING:
    from dreamerlab.envs.hockey.drawing import Picture

_SINGLE = np.dtype(np.float32)
_KEPT = ("verbose", "clean_reset", "truncate", "tidy", "render_mode", "style", "names", "score", "spec")
_CLOCK = ("done", "winner", "time", "max_timesteps", "player1_has_puck", "player2_has_puck")
"""What a copy takes over as it stands."""


class HockeyEnv(gym.Env[np.ndarray, np.ndarray]):
    """A game of two: `step` takes the actions of both, player one's first, and answers from player one's side.

    Action (8,), or (6,) without keep mode: for each player x, y, turn and shoot within [-1, 1], seen from the own
    goal. Observation (18,), or (16,): see `views.py`. Upstream's behaviour, quirks included, is the default; better
    behaviour has to be asked for:

    - `clean_reset`: timers of a held puck end with the game (Q1); a reset without a seed goes on with the generator
      (Q2), and with one it says who starts, so that a seed says everything about a game.
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
        if render_mode is not None:
            require_known("render_mode", render_mode, RENDER_MODES)
        require_known("style", style, STYLES)
        self.keep_mode, self.mode, self.verbose = bool(keep_mode), Mode.of(mode), verbose
        self.clean_reset, self.truncate, self.tidy = clean_reset, truncate, tidy
        self.render_mode, self.style = render_mode, style
        self.num_actions = 4 if self.keep_mode else 3
        observed = OBSERVED - 2 * (tidy and not self.keep_mode)
        self.observation_space = Box(-np.inf, np.inf, (observed,), np.float32)
        self.action_space = Box(-1.0, 1.0, (2 * self.num_actions,), np.float32)
        self.discrete_action_space = Discrete(8 if tidy and self.keep_mode else 7)
        self.names, self.score = ("player one", "player two"), (0, 0)
        """What the modern picture writes: who plays, and the goals of the games before this one."""
        self._action_shape = (2 * self.num_actions,)
        self._picture: Picture | None = None
        self._field = Field()
        self.world = self._field.world
        self._contacts = Contacts(self._field.goals)
        self._told = self._contacts.told
        self.player1_has_puck = self.player2_has_puck = 0
        self.one_starts: bool = True
        self.reset(one_starting=True)

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride] - upstream's order, which people write without names
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
            for option in options:
                require_known("a reset option", option, ("one_starting", "mode"))
            one_starting = options.get("one_starting", one_starting)
            mode = options.get("mode", mode)
        if mode is not None:
            self.mode = Mode.of(mode)
        if seed is not None or not self.clean_reset or self._np_random is None:
            self._np_random, self._np_random_seed = seeding.np_random(seed)
        if self.clean_reset:
            self.player1_has_puck = self.player2_has_puck = 0
            if one_starting is None and seed is not None and self.mode is Mode.NORMAL:
                one_starting = one_starts_by(seed)
        if self.mode is Mode.NORMAL:
            self.one_starts = (not self.one_starts) if one_starting is None else bool(one_starting)
        self._begin(draw_places(self.np_random, self.mode, self.one_starts), self.mode)
        return self._present()

    def _begin(self, places: Places, mode: Mode) -> None:
        """Put up the field, and begin to remember what is done to it."""
        self._origin = (places, mode, self.one_starts, self.player1_has_puck, self.player2_has_puck)
        self._deeds: list[bytes | tuple[float, ...]] = []
        self.done, self.winner, self.time = False, 0, 0
        self.max_timesteps = mode.max_timesteps
        second, puck, target = places
        self.player1, self.player2, self.puck = self._field.place(second, puck, self._contacts)
        self._one, self._two, moving = Racket(self.player1, 1), Racket(self.player2, -1), Mover(self.puck)
        self._movers = Movers(self._one, self._two, moving)
        self._contacts.watch(self.player1, self.player2, moving)
        self._views = Views(self._one, self._two, moving, keep_mode=self.keep_mode, single_precision=self.tidy)
        if target is not None:
            way = self.puck.position - Box2D.b2Vec2(*target)
            way = way / way.length
            force = -way * SHOT * self.puck.mass / TIME_STEP
            self.puck.ApplyForceToCenter(force, True)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play one step of 0.02 s; the fourth answer is False unless `truncate` was asked for.

        Raises BadInput, a ValueError, for an action of another length or with numbers that are none; numbers beyond
        -1 and 1 are cut.
        """
        given = np.asarray(action, _SINGLE)
        if given.shape != self._action_shape:
            raise misshapen(given, self.num_actions)
        moves: list[float] = given.tolist()
        if self.keep_mode:
            x, y, turn, shoot, x2, y2, turn2, shoot2 = moves
        else:
            (x, y, turn, x2, y2, turn2), shoot, shoot2 = moves, 0.0, 0.0
        if not (
            -1.0 <= x <= 1.0 and -1.0 <= y <= 1.0 and -1.0 <= turn <= 1.0 and -1.0 <= shoot <= 1.0
            and -1.0 <= x2 <= 1.0 and -1.0 <= y2 <= 1.0 and -1.0 <= turn2 <= 1.0 and -1.0 <= shoot2 <= 1.0
        ):  # fmt: skip
            return HockeyEnv.step(self, cut(moves))
        self._deeds.append(given.tobytes())
        self._movers.act(x, y, turn, x2, y2, turn2)
        if self.player1_has_puck > 1 and self.keep_mode:
            self.player1_has_puck = self._keep(self._one, 1, self.player1_has_puck, shoot)
        if self.player2_has_puck > 1 and self.keep_mode:
            self.player2_has_puck = self._keep(self._two, -1, self.player2_has_puck, shoot2)
        self.world.Step(TIME_STEP, VELOCITY_ITERATIONS, POSITION_ITERATIONS)
        if self._told:
            self._heed(self._told)
        time, longest, winner = self.time, self.max_timesteps, self.winner
        self.time = time + 1
        if time >= longest:
            self.done = True
        seen, info = self._views.of_player_one(self.player1_has_puck, self.player2_has_puck, winner, longest, True)
        reward = info["reward_closeness_to_puck"]
        if not self.done:
            return seen, reward, False, False, info
        reward += GOAL_REWARD * winner
        if not self.truncate:
            return seen, reward, True, False, info
        return seen, reward, winner != 0, winner == 0, info

    def _heed(self, told: list[str]) -> None:
        """Do what contacts mean, in the order in which they began: goals end a game, and a free player catches."""
        for event in told:
            if event == "goal 2":
                self.done, self.winner = True, 1
            elif event == "goal 1":
                self.done, self.winner = True, -1
            elif event == "catch 1":
                if self.keep_mode and self.player1_has_puck == 0:
                    self.player1_has_puck = KEEP_STEPS
            elif self.keep_mode and self.player2_has_puck == 0:
                self.player2_has_puck = KEEP_STEPS
        told.clear()

    def _keep(self, racket: Racket, side: int, timer: int, shoot: float) -> int:
        """Carry the puck, or shoot it; return the timer that is left."""
        puck = self.puck
        x, y, angle, speed_x, speed_y, _ = racket.read()
        puck.position, puck.linearVelocity = (x, y), (speed_x, speed_y)
        if timer > 2 and shoot <= 0.5:
            return timer - 1
        force = Box2D.b2Vec2(side * cos(angle), side * sin(angle)) * puck.mass / TIME_STEP * SHOT
        puck.ApplyForceToCenter(force, True)
        return 0

    @property
    def closest_to_goal_dist(self) -> float:
        """Metres from the middle of player two's goal line to the puck where it was nearest, 1000 before the start."""
        return sqrt(self._views.nearest)

    def obs_agent_two(self) -> np.ndarray:
        """Return the present state as player two sees it: the field turned by 180 degrees."""
        return self._views.of_player_two(self.player2_has_puck, self.player1_has_puck)

    def _observe(self) -> np.ndarray:
        return self._present()[0]

    def _info(self) -> dict[str, Any]:
        return self._present()[1]

    def _present(self) -> tuple[np.ndarray, dict[str, Any]]:
        return self._views.of_player_one(self.player1_has_puck, self.player2_has_puck, self.winner, self.max_timesteps)

    def get_info_agent_two(self) -> dict[str, Any]:
        """Return the info of the last step from player two's side."""
        return self._views.info_of_player_two(self.winner, self.player2_has_puck, self.max_timesteps)

    def get_reward(self, info: Mapping[str, Any]) -> float:
        """Return player one's reward: the goal, paid at every step once the game is over, and the closeness."""
        return (GOAL_REWARD * self.winner if self.done else 0.0) + info["reward_closeness_to_puck"]

    def get_reward_agent_two(self, info_two: Mapping[str, Any]) -> float:
        """Return player two's reward, given player two's info; closeness makes the game not zero-sum."""
        return (-GOAL_REWARD * self.winner if self.done else 0.0) + info_two["reward_closeness_to_puck"]

    def discrete_to_continous_action(self, discrete_action: int) -> list[float]:
        """Return the numbers of one player that a discrete action stands for (upstream's spelling)."""
        most = 6 + self.keep_mode
        if isinstance(discrete_action, bool) or discrete_action not in range(most + 1):
            raise BadInput(
                f"a discrete action is a whole number from 0 to {most}; got {discrete_action!r}",
                hint="0 nothing, 1 left, 2 right, 3 down, 4 up, 5 and 6 turn, 7 shoot (with keep mode only)",
            )
        return list(DISCRETE[discrete_action][: self.num_actions])

    def set_state(self, state: Any) -> None:
        """Put players, puck and timers where an observation of player one says; nothing else changes.

        A state taken from an observation replays closely, not exactly: contacts, dampings and clock are not in it.
        """
        state = np.asarray(state, np.float64)
        expected = OBSERVED if self.keep_mode else OBSERVED - 2
        if state.ndim != 1 or len(state) not in (expected, OBSERVED):
            raise BadInput(
                f"a state has shape ({expected},); got {state.shape}", hint="it is laid out as player one's observation"
            )
        state = state[:expected]
        if not np.isfinite(state).all():
            raise BadInput(f"a state holds numbers that are none: {state}", hint="every number must be finite")
        numbers = state.tolist()
        self._deeds.append(tuple(numbers))
        for racket, first in ((self._one, 0), (self._two, 6)):
            body = racket.body
            body.position = (numbers[first] + CENTER_X, numbers[first + 1] + CENTER_Y)
            body.angle = numbers[first + 2]
            body.linearVelocity = (numbers[first + 3], numbers[first + 4])
            body.angularVelocity = numbers[first + 5]
        self.puck.position = (numbers[12] + CENTER_X, numbers[13] + CENTER_Y)
        self.puck.linearVelocity = (numbers[14], numbers[15])
        if self.keep_mode:
            self.player1_has_puck, self.player2_has_puck = int(numbers[16]), int(numbers[17])

    def render(self, mode: str | None = None) -> np.ndarray | None:
        """Return the picture, uint8 of shape (480, 600, 3), or show it in a window with "human".

        The style "modern" is (544, 600, 3). `mode` is upstream's way to ask. Raises DependencyNotInstalled without
        pygame.
        """
        wanted = mode or self.render_mode
        if wanted is None:
            return None
        require_known("render_mode", wanted, RENDER_MODES)
        if self._picture is None:
            from dreamerlab.envs.hockey.drawing import Picture

            self._picture = Picture(self.style)
        return self._picture.show(self.scene(), window=wanted == "human")

    def scene(self) -> Scene:
        """Return what a picture shows of the present state."""
        return scene_of(self)

    def close(self) -> None:
        """Close the window."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what the present game follows from, since the engine itself cannot be copied.

        What was done to the engine's bodies by other ways than `step` and `set_state` is not in it.
        """
        return {
            "made": (self.keep_mode, self.mode),
            "kept": {name: getattr(self, name) for name in _KEPT},
            "spaces": (self.action_space, self.observation_space, self.discrete_action_space),
            "origin": self._origin,
            "deeds": list(self._deeds),
            "clock": {name: getattr(self, name) for name in _CLOCK},
            "generator": (self.np_random, self._np_random_seed),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Play the game again up to where it was."""
        kept = state["kept"]
        HockeyEnv.__init__(self, *state["made"], tidy=kept["tidy"])
        for name, value in kept.items():
            setattr(self, name, value)
        self.action_space, self.observation_space, self.discrete_action_space = state["spaces"]
        self._np_random, self._np_random_seed = state["generator"]
        places, mode, self.one_starts, self.player1_has_puck, self.player2_has_puck = state["origin"]
        self._begin(places, mode)
        for deed in state["deeds"]:
            if isinstance(deed, bytes):
                HockeyEnv.step(self, np.frombuffer(deed, _SINGLE))
            else:
                self.set_state(deed)
        for name, value in state["clock"].items():
            setattr(self, name, value)
