"""The collector: plays its environments side by side, one env step each per call, and stores every row in replay.

Owns the open episodes and the reset seeds; each episode follows from its reset seed and the actions taken, which is
what makes an exact resume possible: the environment is built anew, reset with the same seed and given the same
actions. Every environment has a stream of rows and a generator of reset seeds of its own. Where episodes are games a
matchmaker chooses how each is reset; what it chose is part of the open episode. Shaping terms go onto the reward of the
rows, which is trained on, and nowhere else. What a row means is `episode.py`; where actions come from is the caller's
`policy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dreamerlab.envs.faults import EnvironmentFault, NonDeterministic
from dreamerlab.envs.random_play import random_action
from dreamerlab.experience.augment import OtherSide
from dreamerlab.experience.episode import Step
from dreamerlab.spaces import ActionSpec

if TYPE_CHECKING:
    import gymnasium as gym

    Env = gym.Env[dict[str, Any], np.ndarray]


Shaping = Callable[[Mapping[str, Any]], dict[str, float]]
"""Returns what is added to the reward of a step by name, given its info."""


class Policy(Protocol):
    """What chooses actions; it keeps a carry for each stream, and forgets it at is_first."""

    def __call__(
        self,
        obs: dict[str, np.ndarray],
        is_first: np.ndarray,
        streams: np.ndarray,
        actions: np.ndarray | None = None,
        /,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (action (M, A), deter (M, D) float32, stoch (M, S) int16) for some of the streams, named in `streams`.

        `obs` is {key: (M, *shape)}, `is_first` (M,) bool. Given `actions` (M, A) are taken instead of chosen.
        """
        ...


class Store(Protocol):
    """What rows are added to: replay, or the way there."""

    @property
    def wants_info(self) -> bool:
        """Tell whether rows should carry the environment's info."""
        ...

    def add(self, step: Step, stream: int = 0) -> None:
        """Append one row to a stream."""
        ...


class Matchmaker(Protocol):
    """What chooses the reset options of each episode."""

    def choose(self, env_steps: int, stream: int) -> dict[str, Any]:
        """Return options, plain values, for an episode that begins after `env_steps` env steps in a stream."""
        ...

    def ended(self, end: EpisodeEnd) -> None:
        """Take note of an episode that has ended."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next choice depends on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly."""
        ...


@dataclass(frozen=True)
class EpisodeEnd:
    """A finished episode."""

    episode: int
    """Its number, from 1."""
    seed: int
    """The seed it was reset with."""
    episode_return: float
    """Sum of its rewards, as the environment gave them."""
    length: int
    """Its env steps."""
    terminated: bool
    """The task was over; false for a time limit."""
    game: Mapping[str, Any] | None = None
    """Of a game with a matchmaker: the opponent, how it began and its outcome, as the environment's info tells."""
    shaping: Mapping[str, float] | None = None
    """Sum of each shaping term that was trained on beside the rewards; no part of the return."""


@dataclass
class _Open:
    """The episode under way: all that it follows from, and the row that waits for its action."""

    seed: int
    options: dict[str, Any] | None
    obs: dict[str, np.ndarray]
    info: Mapping[str, Any]
    actions: list[np.ndarray] = field(default_factory=list)
    reward: float = 0.0
    episode_return: float = 0.0
    bonus: float = 0.0
    shaped: dict[str, float] = field(default_factory=dict[str, float])

    def take(
        self,
        action: np.ndarray,
        obs: dict[str, np.ndarray],
        reward: Any,
        info: Mapping[str, Any],
        shaping: Shaping | None,
    ) -> None:
        """Take over an action and what came of it."""
        self.actions.append(action)
        self.obs, self.reward, self.info = obs, float(reward), info
        self.episode_return += self.reward
        if shaping is not None:
            terms = shaping(info)
            self.bonus = sum(terms.values())
            for name, value in terms.items():
                self.shaped[name] = self.shaped.get(name, 0.0) + value


@dataclass(frozen=True)
class RandomStart:
    """Uniformly random actions for the first `env_steps` env steps, from a generator of their own (FACTS A13.16)."""

    env_steps: int
    spec: ActionSpec
    rng: np.random.Generator


class Collector:
    """Plays `envs` (from `make_env`) into `replay`, the n-th as stream n; `rngs` draw their reset seeds, no more.

    `shaping` is added to the rewards of rows, `other_side` stores what the opponents saw.
    """

    def __init__(
        self,
        envs: Sequence[Env],
        replay: Store,
        rngs: Sequence[np.random.Generator],
        random_start: RandomStart | None = None,
        matchmaker: Matchmaker | None = None,
        shaping: Shaping | None = None,
        other_side: OtherSide | None = None,
    ) -> None:
        assert len(envs) == len(rngs), (len(envs), len(rngs))
        self._envs, self._replay, self._rngs = list(envs), replay, list(rngs)
        self._random_start, self._matchmaker = random_start, matchmaker
        self._shaping, self._other_side = shaping, other_side
        self.env_steps = 0
        """Calls of env.step so far, over all environments: reset rows are rows, not env steps."""
        self.episodes = 0
        """Episodes finished so far."""
        self._open: list[_Open | None] = [None] * len(envs)
        self._all = np.arange(len(envs))

    def step(self, policy: Policy) -> list[EpisodeEnd]:
        """Choose an action for each stream, store the rows, make one env step in each; return the episodes that ended.

        Opens an episode where none is. The last row of an episode is stored at once, with action 0; the policy is
        asked there as well, because training continues from that row's latent state. Raises EnvironmentFault.
        """
        episodes = [episode or self._reset(stream) for stream, episode in enumerate(self._open)]
        actions = self._store(policy, self._all, episodes, self._random_actions())
        ended: list[tuple[int, bool]] = []
        for stream, (env, episode, action) in enumerate(zip(self._envs, episodes, actions, strict=True)):
            try:
                obs, reward, terminated, truncated, info = env.step(action)
            except EnvironmentFault as fault:
                raise fault.during(f"env step {self.env_steps + 1} of the trial") from fault.__cause__
            self.env_steps += 1
            before = episode.info
            episode.take(action, obs, reward, info, self._shaping)
            if self._other_side is not None:
                is_first = len(episode.actions) == 1
                self._other_side.stepped(stream, before, info, self._bonus, is_first=is_first)
            if terminated or truncated:
                ended.append((stream, terminated))
        return self._end(policy, ended) if ended else []

    def close(self) -> None:
        """Release the environments."""
        for env in self._envs:
            env.close()

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next rows depend on, beside the policy: arrays, numbers and nested dicts."""
        start = self._random_start
        return {
            "generators": [rng.bit_generator.state for rng in self._rngs],
            "random_start": None if start is None else start.rng.bit_generator.state,
            "env_steps": self.env_steps,
            "episodes": self.episodes,
            "open": [None if episode is None else _saved(episode) for episode in self._open],
            **({} if self._matchmaker is None else {"matchmaker": self._matchmaker.state_dict()}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly: bring the open episodes back by their reset seeds and actions.

        Raises NonDeterministic when an environment arrives anywhere else, bit for bit.
        """
        for rng, saved in zip(self._rngs, state["generators"], strict=True):
            rng.bit_generator.state = saved
        if self._random_start is not None:
            self._random_start.rng.bit_generator.state = state["random_start"]
        self.env_steps, self.episodes = int(state["env_steps"]), int(state["episodes"])
        if self._matchmaker is not None and "matchmaker" in state:
            self._matchmaker.load_state_dict(state["matchmaker"])  # before the games: it knows who plays in them
        self._open = [
            None if saved is None else _replayed(env, saved, self._shaping)
            for env, saved in zip(self._envs, state["open"], strict=True)
        ]

    def _reset(self, stream: int) -> _Open:
        seed = int(self._rngs[stream].integers(2**31))
        options = None if self._matchmaker is None else self._matchmaker.choose(self.env_steps, stream)
        try:
            obs, info = self._envs[stream].reset(seed=seed, options=options)
        except EnvironmentFault as fault:
            raise fault.during(f"after env step {self.env_steps} of the trial") from fault.__cause__
        episode = self._open[stream] = _Open(seed, options, obs, info)
        return episode

    def _random_actions(self) -> np.ndarray | None:
        """Return actions (N, A) while the start is random; it ends for all streams at once."""
        start = self._random_start
        if start is None or self.env_steps >= start.env_steps:
            return None
        return np.stack([random_action(start.spec, start.rng) for _ in self._envs])

    def _end(self, policy: Policy, ended: Sequence[tuple[int, bool]]) -> list[EpisodeEnd]:
        """Store the last rows of the episodes that ended, (stream, terminated) each, and close them."""
        episodes = [episode for stream, _ in ended if (episode := self._open[stream]) is not None]
        streams = np.array([stream for stream, _ in ended])
        self._store(policy, streams, episodes, None, terminated=[terminated for _, terminated in ended])
        ends: list[EpisodeEnd] = []
        for episode, (stream, terminated) in zip(episodes, ended, strict=True):
            self._open[stream] = None
            self.episodes += 1
            length = len(episode.actions)
            game = None if self._matchmaker is None else episode.info.get("game")
            shaped = None if self._shaping is None else episode.shaped
            end = EpisodeEnd(self.episodes, episode.seed, episode.episode_return, length, terminated, game, shaped)
            if self._other_side is not None:
                self._other_side.ended(stream, episode.info, self._bonus, terminated=terminated)
            if self._matchmaker is not None:
                self._matchmaker.ended(end)
            ends.append(end)
        return ends

    def _store(
        self,
        policy: Policy,
        streams: np.ndarray,
        episodes: Sequence[_Open],
        actions: np.ndarray | None,
        terminated: Sequence[bool] | None = None,
    ) -> np.ndarray:
        """Ask the policy at the current observations of some streams and store their rows; return the actions (M, A).

        With `terminated` these are the last rows of their episodes, whose actions are zeros.
        """
        is_first = np.array([not episode.actions for episode in episodes])
        first = episodes[0].obs
        if len(episodes) == 1:
            obs = {key: value[None] for key, value in first.items()}
        else:
            obs = {key: np.stack([episode.obs[key] for episode in episodes]) for key in first}
        actions, deters, stochs = policy(obs, is_first, streams, actions)
        if terminated is not None:
            actions = np.zeros_like(actions)
        for place, episode in enumerate(episodes):
            step: Step = {
                "obs": episode.obs,
                "action": actions[place],
                "reward": episode.reward if self._shaping is None else episode.reward + episode.bonus,
                "is_first": bool(is_first[place]),
                "is_last": terminated is not None,
                "is_terminal": terminated is not None and terminated[place],
                "deter": deters[place],
                "stoch": stochs[place],
            }
            if self._replay.wants_info:
                step["info"] = episode.info
            self._replay.add(step, int(streams[place]))
        return actions

    def _bonus(self, info: Mapping[str, Any]) -> float:
        return 0.0 if self._shaping is None else sum(self._shaping(info).values())


def _saved(episode: _Open) -> dict[str, Any]:
    return {
        "seed": episode.seed,
        **({} if episode.options is None else {"options": dict(episode.options)}),
        "actions": np.array(episode.actions),
        "obs": {key: value.copy() for key, value in episode.obs.items()},
        "reward": episode.reward,
        "return": episode.episode_return,
    }


def _replayed(env: Env, saved: Mapping[str, Any], shaping: Shaping | None) -> _Open:
    """Return the open episode as it was, played again from its reset seed and actions."""
    actions, options = list(saved["actions"]), saved.get("options")
    episode = _Open(int(saved["seed"]), options, *env.reset(seed=int(saved["seed"]), options=options))
    for number, action in enumerate(actions, start=1):
        obs, reward, terminated, truncated, info = env.step(action)
        episode.take(action, obs, reward, info, shaping)
        if terminated or truncated:
            raise _differs(env, saved, f"the episode ended at step {number} of {len(actions)}")
    for key, value in saved["obs"].items():
        if (now := episode.obs[key]).tobytes() != value.tobytes():
            raise _differs(env, saved, f"observation '{key}' is {_shown(now)} where it was {_shown(value)}")
    if (episode.reward, episode.episode_return) != (saved["reward"], saved["return"]):
        sums, was = f"{episode.reward} and {episode.episode_return}", f"{saved['reward']} and {saved['return']}"
        raise _differs(env, saved, f"reward and return are {sums} where they were {was}")
    return episode


def _shown(value: np.ndarray) -> str:
    """Return an observation on one short line: a picture would fill the screen."""
    return str(value) if value.size <= 32 else f"{value.shape} {value.reshape(-1)[:8]}..."


def _differs(env: Env, saved: Mapping[str, Any], problem: str) -> NonDeterministic:
    env_id = env.spec.id if env.spec else type(env.unwrapped).__name__
    return NonDeterministic(
        env_id,
        f"reset(seed={saved['seed']}) and the same {len(saved['actions'])} actions",
        "the restore of an open episode",
        problem,
        hint="the trial cannot be continued exactly; reset(seed=...) must seed everything the episode depends on",
    )
