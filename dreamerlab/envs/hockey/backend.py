"""Who plays the game: our own, or the upstream package `hockey` behind the same interface (`env.backend`).

`UpstreamGame` adapts what upstream's package has had since December 2024 (an enumeration of modes, a seed of reset):
modes that can be switched, our error messages, and the better behaviour that `HockeyEnv` can be asked for. It was
tested against a stand-in of the same interface only, never against upstream itself, which no package index has;
`dreamerlab hockey verify --backend upstream` tells whether an installation plays the recorded games.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding

from dreamerlab.envs.hockey.drawing import Picture
from dreamerlab.envs.hockey.face_off import one_starts_by
from dreamerlab.envs.hockey.game import HockeyEnv
from dreamerlab.envs.hockey.moves import cut, misshapen
from dreamerlab.envs.hockey.recording import of_player_one
from dreamerlab.envs.hockey.rules import FPS, GOAL_REWARD, OBSERVED, RENDER_MODES, STYLES, BadInput, Mode, require_known
from dreamerlab.envs.hockey.views import Scene, scene_of
from dreamerlab.errors import ToolFailed

BACKENDS = ("builtin", "upstream", "auto")
PACKAGE, MODULE = "hockey", "hockey.hockey_env"
_INSTALL = "pip install git+https://github.com/martius-lab/hockey-env.git, or env.backend=builtin, our own"


def game_class(backend: str) -> Callable[..., Any]:
    """Return what makes games, with the arguments of `HockeyEnv`; raise ToolFailed when upstream is asked for in vain.

    `auto` takes upstream where its package is installed.
    """
    require_known("env.backend", backend, BACKENDS)
    if backend == "builtin" or (backend == "auto" and not upstream_is_installed()):
        return HockeyEnv
    upstream()
    return UpstreamGame


def upstream_is_installed() -> bool:
    """Tell whether there is a package of upstream's name that has the game, without running the game's module."""
    try:
        return find_spec(MODULE) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def upstream() -> Any:
    """Return upstream's module; raise ToolFailed when it is missing, broken or older than its present interface."""
    if not upstream_is_installed():
        raise ToolFailed(f"the upstream game is not installed: there is no module {MODULE}", hint=_INSTALL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own and its engine's, some of which crash where they are errors
            module = importlib.import_module(MODULE)
    except Exception as error:
        problem = " ".join(str(error).split())
        raise ToolFailed(
            f"the upstream game cannot be imported: {type(error).__name__}: {problem}", hint=_INSTALL
        ) from error
    lacks = [name for name in ("HockeyEnv", "Mode") if not hasattr(module, name)]
    if not lacks and "seed" not in inspect.signature(module.HockeyEnv.reset).parameters:
        lacks = ["a seed of HockeyEnv.reset"]
    if lacks:
        raise ToolFailed(
            f"the installed upstream game is older than December 2024: it lacks {' and '.join(lacks)}", hint=_INSTALL
        )
    return module


class UpstreamGame(gym.Env[np.ndarray, np.ndarray]):
    """Upstream's game with the interface of our `HockeyEnv`; copies and pickles are refused, since it has none."""

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": FPS}  # noqa: RUF012 - gymnasium's own way

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
        module = upstream()
        self._modes = module.Mode
        self.inner: Any = module.HockeyEnv(keep_mode=bool(keep_mode), mode=self._modes(int(Mode.of(mode))))
        """Upstream's own object."""
        self.keep_mode, self.verbose, self.style = bool(keep_mode), verbose, style
        self.clean_reset, self.truncate, self.tidy, self.render_mode = clean_reset, truncate, tidy, render_mode
        self.num_actions = 4 if keep_mode else 3
        self.names, self.score = ("player one", "player two"), (0, 0)
        self._observed = OBSERVED if keep_mode else OBSERVED - 2
        promised = self._observed if tidy else OBSERVED
        self.observation_space = Box(-np.inf, np.inf, (promised,), np.float32)
        self.action_space = Box(-1.0, 1.0, (2 * self.num_actions,), np.float32)
        self.discrete_action_space = Discrete(8 if tidy and keep_mode else 7)
        self._told: dict[str, Any] = {}
        self._picture: Picture | None = None

    def __getattr__(self, name: str) -> Any:
        """Return what users read of upstream's object: bodies, timers, clock, winner."""
        if name.startswith("_") or "inner" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.inner, name)

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride] - upstream's order, which people write without names
        self,
        one_starting: bool | None = None,
        mode: Mode | str | int | None = None,
        seed: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a game; see `HockeyEnv.reset`."""
        for option in options or {}:
            require_known("a reset option", option, ("one_starting", "mode"))
        given = dict(options or {})
        one_starting, mode = given.get("one_starting", one_starting), given.get("mode", mode)
        if mode is not None:
            self.inner.mode = self._modes(int(Mode.of(mode)))
        normal = int(self.inner.mode.value) == Mode.NORMAL
        if self.clean_reset:
            self.inner.player1_has_puck = self.inner.player2_has_puck = 0
            if seed is not None:
                self._np_random, self._np_random_seed = seeding.np_random(seed)
                if one_starting is None and normal:
                    one_starting = one_starts_by(seed)
            else:  # upstream would ask the system
                seed = int(self.np_random.integers(2**31))
        seen, self._told = self.inner.reset(one_starting=one_starting, seed=seed)
        return self._shaped(seen), self._told

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play one step; see `HockeyEnv.step`."""
        given = np.asarray(action, np.float32)
        if given.shape != self.action_space.shape:
            raise misshapen(given, self.num_actions)
        moves = np.array(cut(given.tolist()), np.float32)
        seen, reward, terminated, truncated, self._told = self.inner.step(moves)
        if self.truncate and terminated and not self._told["winner"]:
            terminated, truncated = False, True
        return self._shaped(seen), float(reward), bool(terminated), bool(truncated), self._told

    def _shaped(self, seen: Any) -> np.ndarray:
        return np.asarray(seen, np.float32 if self.tidy else np.float64)

    def obs_agent_two(self) -> np.ndarray:
        """Return the present state as player two sees it."""
        return self._shaped(self.inner.obs_agent_two())

    def _observe(self) -> np.ndarray:
        return of_player_one(self.obs_agent_two())

    def _info(self) -> dict[str, Any]:
        return self._told

    def get_info_agent_two(self) -> dict[str, Any]:
        """Return the info of the last step from player two's side."""
        return self.inner.get_info_agent_two()

    def get_reward(self, info: Mapping[str, Any]) -> float:
        """Return player one's reward."""
        return (GOAL_REWARD * self.winner if self.done else 0.0) + info["reward_closeness_to_puck"]

    def get_reward_agent_two(self, info_two: Mapping[str, Any]) -> float:
        """Return player two's reward, given player two's info."""
        return float(self.inner.get_reward_agent_two(info_two))

    def discrete_to_continous_action(self, discrete_action: int) -> list[float]:
        """Return the numbers of one player that a discrete action stands for."""
        return [float(number) for number in self.inner.discrete_to_continous_action(discrete_action)]

    def set_state(self, state: Any) -> None:
        """Put players, puck and timers where an observation of player one says.

        Raises ToolFailed when the installation understands another layout, as it did before February 2025.
        """
        state = np.asarray(state, np.float64)
        if state.shape != (self._observed,) or not np.isfinite(state).all():
            raise BadInput(
                f"a state is {self._observed} finite numbers; got {state!r}",
                hint="it is laid out as player one's observation",
            )
        self.inner.set_state(state)
        if np.abs(self._observe() - state).max() > 1e-3:
            raise ToolFailed(
                "the installed upstream game sets another state than it is told: it is older than February 2025",
                hint=_INSTALL,
            )

    def scene(self) -> Scene:
        """Return what a picture shows of the present state."""
        return scene_of(self)

    def render(self, mode: str | None = None) -> np.ndarray | None:
        """Return the picture or show it, drawn by us; see `HockeyEnv.render`."""
        wanted = mode or self.render_mode
        if wanted is None:
            return None
        require_known("render_mode", wanted, RENDER_MODES)
        self._picture = self._picture or Picture(self.style)
        return self._picture.show(self.scene(), window=wanted == "human")

    def close(self) -> None:
        """Close the window."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None

    def __getstate__(self) -> dict[str, Any]:
        """Refuse: upstream's copies begin another game with default arguments (quirk Q12)."""
        raise ToolFailed("a game of the upstream package cannot be copied or pickled", hint="env.backend=builtin")
