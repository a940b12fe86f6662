"""The collector: plays one environment, one env step per call, and stores every row in replay.

Owns the open episode and the reset seeds; each episode follows from its reset seed and the actions taken, which is
what makes an exact resume possible: the environment is built anew, reset with the same seed and given the same
actions. What a row means is `episode.py`; where actions come from is the caller's `policy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dreamerlab.envs.faults import EnvironmentFault, NonDeterministic
from dreamerlab.experience.replay import Replay

if TYPE_CHECKING:
    import gymnasium as gym

Policy = Callable[[dict[str, np.ndarray], np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""(obs {key: (N, *shape)}, is_first (N,) bool) -> (action (N, A), deter (N, D) float32, stoch (N, S) int16), one row
per stream. It keeps its own carry, and forgets it at is_first."""


@dataclass(frozen=True)
class EpisodeEnd:
    """A finished episode."""

    episode: int
    """Its number, from 1."""
    seed: int
    """The seed it was reset with."""
    episode_return: float
    """Sum of its rewards."""
    length: int
    """Its env steps."""
    terminated: bool
    """The task was over; false for a time limit."""


@dataclass
class _Open:
    """The episode under way: all that it follows from, and the row that waits for its action."""

    seed: int
    obs: dict[str, np.ndarray]
    actions: list[np.ndarray]
    reward: float = 0.0
    episode_return: float = 0.0


class Collector:
    """Plays `env` (from `make_env`) into `replay`; `rng` draws the reset seeds and nothing else."""

    def __init__(self, env: gym.Env[dict[str, Any], np.ndarray], replay: Replay, rng: np.random.Generator) -> None:
        self._env, self._replay, self._rng = env, replay, rng
        self.env_steps = 0
        """Calls of env.step so far: reset rows are rows, not env steps."""
        self.episodes = 0
        """Episodes finished so far."""
        self._open: _Open | None = None

    def step(self, policy: Policy) -> list[EpisodeEnd]:
        """Choose one action, store its row, make one env step; return the episodes which that ended.

        Opens an episode when none is. The last row of an episode is stored at once, with action 0; the policy is
        asked there as well, because training continues from that row's latent state. Raises EnvironmentFault.
        """
        episode = self._open or self._reset()
        action = self._store(policy, episode, is_last=False, is_terminal=False)
        try:
            obs, reward, terminated, truncated, _ = self._env.step(action)
        except EnvironmentFault as fault:
            raise fault.during(f"env step {self.env_steps + 1} of the trial") from fault.__cause__
        self.env_steps += 1
        episode.actions.append(action)
        episode.obs, episode.reward = obs, float(reward)
        episode.episode_return += episode.reward
        if not (terminated or truncated):
            return []
        self._store(policy, episode, is_last=True, is_terminal=terminated)
        self._open = None
        self.episodes += 1
        length = len(episode.actions)
        return [EpisodeEnd(self.episodes, episode.seed, episode.episode_return, length, terminated)]

    def close(self) -> None:
        """Release the environment."""
        self._env.close()

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next rows depend on, beside the policy: arrays, numbers and nested dicts."""
        episode = self._open
        return {
            "generator": self._rng.bit_generator.state,
            "env_steps": self.env_steps,
            "episodes": self.episodes,
            "open": None
            if episode is None
            else {
                "seed": episode.seed,
                "actions": np.array(episode.actions),
                "obs": {key: value.copy() for key, value in episode.obs.items()},
                "reward": episode.reward,
                "return": episode.episode_return,
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly: bring the open episode back by its reset seed and actions.

        Raises NonDeterministic when the environment arrives anywhere else, bit for bit.
        """
        self._rng.bit_generator.state = state["generator"]
        self.env_steps, self.episodes = int(state["env_steps"]), int(state["episodes"])
        self._open = None if state["open"] is None else self._replayed(state["open"])

    def _reset(self) -> _Open:
        seed = int(self._rng.integers(2**31))
        try:
            obs, _ = self._env.reset(seed=seed)
        except EnvironmentFault as fault:
            raise fault.during(f"after env step {self.env_steps} of the trial") from fault.__cause__
        self._open = _Open(seed, obs, [])
        return self._open

    def _store(self, policy: Policy, episode: _Open, *, is_last: bool, is_terminal: bool) -> np.ndarray:
        """Ask the policy at the current observation and store the row; return the action to take, zeros at the end."""
        is_first = not episode.actions
        obs = {key: value[None] for key, value in episode.obs.items()}
        actions, deters, stochs = policy(obs, np.array([is_first]))
        action, deter, stoch = np.zeros_like(actions[0]) if is_last else actions[0], deters[0], stochs[0]
        self._replay.add(
            {
                "obs": episode.obs,
                "action": action,
                "reward": episode.reward,
                "is_first": is_first,
                "is_last": is_last,
                "is_terminal": is_terminal,
                "deter": deter,
                "stoch": stoch,
            }
        )
        return action

    def _replayed(self, saved: Mapping[str, Any]) -> _Open:
        actions = list(saved["actions"])
        obs, _ = self._env.reset(seed=int(saved["seed"]))
        reward, episode_return = 0.0, 0.0
        for number, action in enumerate(actions, start=1):
            obs, reward, terminated, truncated, _ = self._env.step(action)
            reward = float(reward)
            episode_return += reward
            if terminated or truncated:
                raise self._differs(saved, f"the episode ended at step {number} of {len(actions)}")
        for key, value in saved["obs"].items():
            if obs[key].tobytes() != value.tobytes():
                raise self._differs(saved, f"observation '{key}' is {obs[key]} where it was {value}")
        if (reward, episode_return) != (saved["reward"], saved["return"]):
            was = f"{saved['reward']} and {saved['return']}"
            raise self._differs(saved, f"reward and return are {reward} and {episode_return} where they were {was}")
        return _Open(int(saved["seed"]), obs, actions, reward, episode_return)

    def _differs(self, saved: Mapping[str, Any], problem: str) -> NonDeterministic:
        env_id = self._env.spec.id if self._env.spec else type(self._env.unwrapped).__name__
        return NonDeterministic(
            env_id,
            f"reset(seed={saved['seed']}) and the same {len(saved['actions'])} actions",
            "the restore of an open episode",
            problem,
            hint="the trial cannot be continued exactly; reset(seed=...) must seed everything the episode depends on",
        )
