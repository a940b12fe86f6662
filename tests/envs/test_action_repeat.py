"""One action for several steps of the environment: sums, ends, limits, pictures, and what comes back wrong."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from dreamerlab.config.schema_task import Env
from dreamerlab.config.validation import from_flat
from dreamerlab.envs.action_repeat import ActionRepeat
from dreamerlab.envs.faults import EnvironmentFault
from dreamerlab.envs.guard import Guard
from dreamerlab.envs.make import describe, make_env
from dreamerlab.envs.random_play import random_action
from dreamerlab.errors import ConfigError


class Counting(gym.Env[np.ndarray, np.ndarray]):
    """Observation and reward are the number of the step; over after `over_at`; spoils the action it is given."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, over_at: int = 1000, lie: Any = None, at: int = 0) -> None:
        self.over_at, self.lie, self.at = over_at, lie, at
        self.given: list[list[float]] = []
        self.pictures = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.number = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        self.number += 1
        self.given.append(action.tolist())
        action[:] = 9.0
        info = {"reward_part": self.number / 4, "reward_words": "none", "speed": float(self.number)}
        reward, over, cut = float(self.number), self.number == self.over_at, False
        if self.number == self.at:
            reward, over, cut = self.lie
        return np.full(1, self.number, np.float32), reward, over, cut, info

    def render(self) -> np.ndarray:
        self.pictures += 1
        return np.full((32, 32, 3), self.number, np.uint8)


def guarded(inner: Counting, times: int, **settings: Any) -> Guard:
    env = Guard(ActionRepeat(inner, times), "Counting-v0", **settings)
    env.reset(seed=0)
    return env


def test_rewards_are_summed_and_the_last_state_is_seen() -> None:
    inner = Counting(over_at=5)
    env = guarded(inner, 3, picture=(32, 32, 3), image_size=16)
    inner.pictures = 0
    obs, reward, terminated, truncated, info = env.step(np.array([0.5, 2.0], np.float32))
    assert (obs["vector"].tolist(), reward, terminated, truncated) == ([3.0], 1.0 + 2 + 3, False, False)
    assert info == {"reward_part": 0.25 + 0.5 + 0.75, "reward_words": "none", "speed": 3.0}
    assert inner.given == [[0.5, 1.0]] * 3, "the same action, although the environment spoils it"
    assert inner.pictures == 1, "rendered once"
    assert obs["image"].min() == obs["image"].max() == 3
    obs, reward, terminated, _, info = env.step(np.array([0, 0], np.float32))
    assert (obs["vector"].tolist(), reward, terminated) == ([5.0], 4.0 + 5, True), "nothing is played after the end"
    assert (info["reward_part"], len(inner.given)) == (1.0 + 1.25, 5)


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ((float("nan"), False, False), "the reward is not finite in float32: nan"),
        (("much", False, False), "the reward is str much, not a number"),
        ((1.0, 1, False), "terminated is 1, not true or false"),
        ((1.0, False, None), "truncated is None, not true or false"),
    ],
)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_wrong_answer_at_any_of_the_steps_is_a_fault(lie: Any, said: str, at: int) -> None:
    env = guarded(Counting(lie=lie, at=at), 3)
    with pytest.raises(EnvironmentFault) as caught:
        env.step(np.array([0, 0], np.float32))
    assert said in str(caught.value)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_repeating_by_hand_gives_the_same_episode_and_the_limit_counts_the_environments_own_steps(env_id: str) -> None:
    """M-HK-01: an episode of 11 steps is 4 decisions of 3, the last of them shorter."""
    once, thrice = (make_env(Env(id=env_id, time_limit=11, action_repeat=times)) for times in (1, 3))
    spec, rng = describe(once), np.random.default_rng(1)
    assert describe(thrice) == spec
    for seed in range(3):
        once.reset(seed=seed)
        thrice.reset(seed=seed)
        decisions, over, flags = 0, False, [False, False]
        obs: dict[str, np.ndarray] = {}
        while not over:
            action = random_action(spec.action, rng)
            total, left = 0.0, 3
            while left and not over:
                obs, reward, *flags, _ = once.step(action)
                total, left, over = total + float(reward), left - 1, any(flags)
            found, reward, *ends, _ = thrice.step(action)
            decisions += 1
            assert found["vector"].tobytes() == obs["vector"].tobytes()
            assert (reward, ends) == (total, flags)
        assert decisions <= 4
        assert (decisions == 4) is flags[1]


def test_once_is_the_environment_itself() -> None:
    env = make_env(Env(id="CartPole-v1"))
    while isinstance(env, gym.Wrapper):
        assert not isinstance(env, ActionRepeat)
        env = env.env


@pytest.mark.parametrize("times", [0, -1, 101, 1.5, "twice"])
def test_a_number_of_times_that_is_none_is_refused(times: Any) -> None:
    with pytest.raises(ConfigError, match=r"env\.action_repeat"):
        from_flat({"env.action_repeat": times})
