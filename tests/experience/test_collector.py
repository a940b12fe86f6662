"""The collector: time alignment (FACTS A1, F18), what counts as an env step, exact resume (F20), faults."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.faults import EnvironmentFault, NonDeterministic
from dreamerlab.envs.guard import Guard
from dreamerlab.envs.make import describe, make_env
from dreamerlab.envs.random_play import random_action
from dreamerlab.experience.collector import Collector, EpisodeEnd, RandomStart
from dreamerlab.experience.replay import Replay
from dreamerlab.spaces import ActionSpec


class Clock(gym.Env):
    """Observes (reset seed, time); reward = 10 * time + action; over in the task itself at time `end`."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gym.spaces.Discrete(5)

    def __init__(self, end: int) -> None:
        self._end = end

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self._seed, self._time = seed, 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._time += 1
        return self._observe(), 10.0 * self._time + action, self._time >= self._end, False, {}

    def _observe(self) -> np.ndarray:
        return np.array([self._seed % 1000, self._time], np.float64)


class Counting:
    """A policy whose action and latent state tell how often it was asked; it notes what it saw."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, bool]] = []

    def __call__(
        self, obs: dict[str, np.ndarray], is_first: np.ndarray, streams: np.ndarray, actions: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.calls.append((int(obs["vector"][0, 1]), bool(is_first[0])))
        number = len(self.calls)
        return np.int64([[1 + number % 4]]), np.float32([[number]]), np.int16([[number]])


def guarded(env: gym.Env) -> gym.Env:
    return Guard(env, "a toy")


def clock(end: int, limit: int) -> gym.Env:
    return guarded(gym.wrappers.TimeLimit(Clock(end), limit))


def collector_of(*envs: gym.Env, seed: int = 0, random_steps: int = 0) -> tuple[Collector, Replay]:
    """A collector whose n-th environment draws its reset seeds from seed + n."""
    spec = describe(envs[0])
    replay = Replay(1000 * len(envs), spec, deter=1, stoch=1, streams=len(envs))
    rngs = [np.random.default_rng(seed + number) for number in range(len(envs))]
    start = RandomStart(random_steps, spec.action, np.random.default_rng(999))
    return Collector(envs, replay, rngs, start), replay


def rows_of(replay: Replay) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in replay.state_dict()["rows"].items()}


def test_rows_are_aligned_as_drawn_in_episode() -> None:
    collector, replay = collector_of(clock(end=3, limit=100))
    policy = Counting()
    ends = [collector.step(policy) for _ in range(4)]
    rows = rows_of(replay)
    assert [obs[1] for obs in rows["obs/vector"]] == [0, 1, 2, 3, 0]
    assert rows["is_first"] == [True, False, False, False, True]
    assert rows["is_last"] == [False, False, False, True, False]
    assert rows["is_terminal"] == [False, False, False, True, False]
    assert rows["action"] == [[2], [3], [4], [0], [2]], "chosen at the row's own observation; 0 on the last row"
    assert rows["reward"] == [0, 10 + 2, 20 + 3, 30 + 4, 0], "the answer to the action of the row before"
    assert rows["deter"] == [[1], [2], [3], [4], [5]], "the policy is asked on the last row as well"
    assert policy.calls == [(0, True), (1, False), (2, False), (3, False), (0, True)]
    assert [len(end) == 1 for end in ends] == [False, False, True, False]


def test_the_end_of_an_episode_is_reported() -> None:
    collector, replay = collector_of(clock(end=3, limit=100), seed=6)
    ends = [end for _ in range(6) for end in collector.step(Counting())]
    seeds = [int(s) for s in np.random.default_rng(6).integers(2**31, size=2)]
    assert ends == [
        EpisodeEnd(episode=1, seed=seeds[0], episode_return=10 + 20 + 30 + 6, length=3, terminated=True),
        EpisodeEnd(episode=2, seed=seeds[1], episode_return=10 + 20 + 30 + 6, length=3, terminated=True),
    ]
    assert [obs[0] for obs in rows_of(replay)["obs/vector"]] == [seed % 1000 for seed in seeds for _ in range(4)]


def test_a_time_limit_is_last_without_terminal() -> None:
    collector, replay = collector_of(clock(end=100, limit=3))
    ends = [collector.step(Counting()) for _ in range(3)]
    rows = rows_of(replay)
    assert rows["is_last"] == [False, False, False, True]
    assert not any(rows["is_terminal"])
    assert not ends[-1][0].terminated


def test_an_episode_that_ends_on_its_limit_by_itself_is_terminal() -> None:
    collector, replay = collector_of(clock(end=3, limit=3))
    for _ in range(3):
        collector.step(Counting())
    assert rows_of(replay)["is_terminal"][-1]


def test_reset_rows_are_not_env_steps() -> None:
    collector, replay = collector_of(clock(end=3, limit=100))
    for _ in range(30):
        collector.step(Counting())
    assert (collector.env_steps, collector.episodes, len(replay)) == (30, 10, 40)


class SeededPolicy:
    """Random actions, latent state from the observation: repeatable from its generator's state."""

    def __init__(self, spec: ActionSpec) -> None:
        self.rng, self._spec = np.random.default_rng(77), spec

    def __call__(
        self, obs: dict[str, np.ndarray], is_first: np.ndarray, streams: np.ndarray, actions: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        totals = sum(value.reshape(len(is_first), -1).sum(1) for value in obs.values())
        actions = np.stack([random_action(self._spec, self.rng) for _ in is_first])
        return actions, np.float32(totals)[:, None], np.int16(is_first)[:, None]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "tests.toy_envs:Walk-v0"])
@pytest.mark.parametrize("cut", [0, 1, 57, 200])
def test_steps_with_a_restart_in_between_equal_steps_without(env_id: str, cut: int) -> None:
    """Everything is built anew at the cut, and the rest is bit for bit what it would have been (FACTS F20)."""
    config, steps = Env(id=env_id, time_limit=60), 200

    def build() -> tuple[Collector, Replay, SeededPolicy]:
        env = make_env(config)
        return *collector_of(env, seed=5), SeededPolicy(describe(env).action)

    collector, replay, policy = build()
    expected = [collector.step(policy) for _ in range(steps)]
    whole = replay.state_dict()

    collector, replay, policy = build()
    ends = [collector.step(policy) for _ in range(cut)]
    states = collector.state_dict(), replay.state_dict(), policy.rng.bit_generator.state
    collector, replay, policy = build()
    collector._rngs[0].random(3)  # whatever the new process drew before the restore does not matter
    collector.load_state_dict(states[0])
    replay.load_state_dict(states[1])
    policy.rng.bit_generator.state = states[2]
    ends += [collector.step(policy) for _ in range(steps - cut)]

    assert ends == expected
    assert (collector.env_steps, collector.episodes) == (steps, sum(len(end) for end in expected))
    parted = replay.state_dict()
    assert all(parted["rows"][name].tobytes() == column.tobytes() for name, column in whole["rows"].items())


def test_a_state_taken_between_episodes_has_none_open() -> None:
    collector, _ = collector_of(clock(end=3, limit=100))
    for _ in range(3):
        collector.step(Counting())
    assert collector.state_dict()["open"] == [None]


class Unseeded(Clock):
    """Draws its observations from a generator that reset(seed) does not seed."""

    def __init__(self) -> None:
        super().__init__(end=50)
        self._rng = np.random.default_rng()

    def _observe(self) -> np.ndarray:
        return self._rng.normal(size=2)


class Growing(Clock):
    """Ends one step later in every later episode: state that is carried across resets."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self._end += 1
        return super().reset(seed=seed)


class Paying(Clock):
    """Same observations every time, rewards that depend on how many episodes were played."""

    _episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self._episodes += 1
        return super().reset(seed=seed)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        obs, _, *rest = super().step(action)
        return obs, float(self._episodes), *rest


@pytest.mark.parametrize(
    "make, said",
    [
        (Unseeded, "observation 'vector' is ["),
        (lambda: Growing(end=5), "the episode ended at step 6 of 6"),
        (lambda: Paying(end=8), "reward and return are 1.0 and 6.0 where they were 2.0 and 12.0"),
    ],
    ids=["unseeded", "growing", "paying"],
)
def test_an_environment_that_does_not_repeat_itself_is_found_out(make: Any, said: str) -> None:
    collector, _ = collector_of(guarded(make()))
    while collector.episodes < 1:
        collector.step(Counting())
    for _ in range(6):
        collector.step(Counting())
    state = collector.state_dict()
    with pytest.raises(NonDeterministic) as caught:
        collector_of(guarded(make()))[0].load_state_dict(state)
    seed = state["open"][0]["seed"]
    place = "led elsewhere in the restore of an open episode: "
    name = type(make()).__name__
    start = f"environment '{name}' is not deterministic: reset(seed={seed}) and the same 6 actions {place}"
    assert caught.value.message.startswith(start)
    assert said in caught.value.message


def test_a_fault_tells_the_env_step_of_the_trial() -> None:
    class Breaking(Clock):
        def step(self, action: int) -> Any:
            if self._seed in broken and self._time == 1:
                raise OSError("the cable fell out")
            return super().step(action)

    collector, _ = collector_of(guarded(Breaking(end=3)))
    broken = {int(np.random.default_rng(0).integers(2**31, size=2)[1])}
    for _ in range(4):
        collector.step(Counting())
    with pytest.raises(EnvironmentFault) as caught:
        collector.step(Counting())
    place = f"at step 2 of the episode with reset seed {broken.pop()} (env step 5 of the trial): "
    assert caught.value.message.endswith(place + "OSError: the cable fell out")
    assert isinstance(caught.value.__cause__, OSError)
    assert collector.env_steps == 4, "a call that failed is not a step"


def test_a_fault_in_reset_tells_how_far_the_trial_was() -> None:
    class Stuck(Clock):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            raise OSError("no answer")

    collector, _ = collector_of(guarded(Stuck(end=3)))
    with pytest.raises(
        EnvironmentFault, match=r"failed in reset\(seed=\d+\) .* \(after env step 0 of the trial\): OSError"
    ):
        collector.step(Counting())


class Noting(SeededPolicy):
    """Also notes which streams it was asked for, and which actions it was given."""

    def __init__(self, spec: ActionSpec) -> None:
        super().__init__(spec)
        self.asked: list[list[int]] = []
        self.given: list[np.ndarray] = []

    def __call__(
        self, obs: dict[str, np.ndarray], is_first: np.ndarray, streams: np.ndarray, actions: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.asked.append(streams.tolist())
        if actions is not None:
            self.given.append(actions)
            return actions, np.zeros((len(streams), 1), np.float32), np.zeros((len(streams), 1), np.int16)
        return super().__call__(obs, is_first, streams)


def test_environments_side_by_side_are_streams_of_their_own() -> None:
    """Ends come at different times; only the streams that ended are asked for a last row (FACTS A10)."""
    collector, replay = collector_of(clock(2, 100), clock(3, 100), clock(100, 4))
    policy = Noting(ActionSpec.discrete(5))
    ends = [collector.step(policy) for _ in range(6)]
    assert [[end.episode for end in some] for some in ends] == [[], [1], [2], [3, 4], [], [5, 6]]
    assert [end.length for some in ends for end in some] == [2, 3, 2, 4, 2, 3]
    assert collector.env_steps == 18
    every = [0, 1, 2]
    assert policy.asked == [every, every, [0], every, [1], every, [0, 2], every, every, [0, 1]]
    for stream, (length, offset) in enumerate([(3, 0), (4, 1), (5, 2)]):
        rows = replay.read(stream, *replay.span(stream))
        times = [int(time) for time in rows["obs/vector"][:, 1]]
        assert times == [number % length for number in range(len(times))]
        assert rows["is_first"].tolist() == [time == 0 for time in times]
        assert rows["is_last"].tolist() == [time == length - 1 for time in times]
        seed = int(np.random.default_rng(offset).integers(2**31))
        assert rows["obs/vector"][0, 0] == seed % 1000


@pytest.mark.parametrize("cut", [1, 30, 66])
def test_several_environments_restart_exactly(cut: int) -> None:
    """FACTS F20, also in the middle of the random start."""
    config, steps = Env(id="tests.toy_envs:Walk-v0", time_limit=60), 100

    def build() -> tuple[Collector, Replay, SeededPolicy]:
        envs = [make_env(config) for _ in range(3)]
        return *collector_of(*envs, seed=5, random_steps=100), Noting(describe(envs[0]).action)

    collector, replay, policy = build()
    expected = [collector.step(policy) for _ in range(steps)]
    whole = replay.state_dict()
    collector, replay, policy = build()
    ends = [collector.step(policy) for _ in range(cut)]
    states = collector.state_dict(), replay.state_dict(), policy.rng.bit_generator.state
    collector, replay, policy = build()
    collector.load_state_dict(states[0])
    replay.load_state_dict(states[1])
    policy.rng.bit_generator.state = states[2]
    ends += [collector.step(policy) for _ in range(steps - cut)]
    assert ends == expected
    parted = replay.state_dict()
    assert all(parted["rows"][name].tobytes() == column.tobytes() for name, column in whole["rows"].items())


def test_random_actions_come_first_and_the_agent_knows_them() -> None:
    """FACTS A13.16: uniform, stored as taken, and given to the policy, whose carry has to know them."""
    collector, replay = collector_of(clock(50, 1000), clock(70, 1000), random_steps=401)
    policy = Noting(ActionSpec.discrete(5))
    for _ in range(300):
        collector.step(policy)
    assert len(policy.given) == 201, "whole steps of all environments"
    drawn = np.concatenate(policy.given)
    assert (np.bincount(drawn[:, 0], minlength=5) > 0.13 * len(drawn)).all()
    rows = replay.read(1, 0, 60)
    assert rows["action"].tolist() == [actions[1].tolist() for actions in policy.given[:60]]
