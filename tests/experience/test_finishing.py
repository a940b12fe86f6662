"""Rows that are final only later: smoothed rewards and auxiliary targets in replay (FACTS B1, F17, F21, M-HK-15)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema_experience import Smooth
from dreamerlab.errors import ConfigError
from dreamerlab.experience.replay import Replay
from dreamerlab.experience.rewards import Smoother
from tests.experience.streams import make_replay, row, same

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def episode(rewards: list[float], end: str = "terminal", start: int = 0, **fields: Any) -> list[Any]:
    """The rows of one episode: reset, then one row per reward; `end` is terminal, limit or abandoned."""
    rows = []
    for place, reward in enumerate([0.0, *rewards]):
        last = place == len(rewards) and end != "abandoned"
        flags = {"is_first": place == 0, "is_last": last, "is_terminal": last and end == "terminal"}
        rows.append({**row(start + place, flags), "reward": reward, **fields})
    return rows


def replay_of(*episodes: list[Any], capacity: int = 1000, **options: Any) -> Replay:
    replay = make_replay(capacity, **options)
    for rows in episodes:
        for step in rows:
            replay.add(step)
    return replay


def column(replay: Replay, name: str) -> np.ndarray:
    """The final rows of stream 0."""
    return replay.read(0, replay.span()[0], replay.final())[name]


def smooth(kernel: str, width: float, edge: str = "renormalise") -> Smooth:
    return Smooth.model_validate({"kernel": kernel, "width": width, "edge": edge})


KERNELS = [smooth("ema", 0.5), smooth("gaussian", 1.0), smooth("uniform", 4, "nearest"), smooth("backward_sum", 0.5)]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.kernel)
@settings(max_examples=40)
@given(lengths=LENGTHS, seed=st.integers(0, 1000), end=st.sampled_from(["terminal", "limit", "abandoned"]))
def test_replay_trains_on_smoothed_rewards_of_each_episode_alone(
    kernel: Smooth, lengths: list[int], seed: int, end: str
) -> None:
    """Each episode is smoothed as if it were the only one, the reset row takes no part, and raw rewards are kept."""
    rng = np.random.default_rng(seed)
    rewards = [rng.normal(size=length).astype(np.float32).astype(float).tolist() for length in lengths]
    replay = replay_of(*(episode(one, end) for one in rewards), episode([]), smooth=kernel, online=False)
    expected: list[float] = []
    for one in rewards:
        smoothed = Smoother(kernel).smooth(np.array(one))
        if kernel.kernel == "ema" and end == "abandoned":
            smoothed[-1] *= 0.5  # what would come later is given to the last step only where it is known to be the last
        expected += [0.0, *smoothed]
    found = column(replay, "reward")
    assert found[: len(expected)] == pytest.approx(np.array(expected), abs=1e-5)
    assert column(replay, "raw_reward")[: len(expected)] == pytest.approx([r for one in rewards for r in [0, *one]])


def test_a_row_is_drawable_only_when_it_is_final() -> None:
    """A Gaussian of sigma 1 reaches 4 steps ahead; sharing out the mass takes 8."""
    replay = make_replay(100, smooth=smooth("gaussian", 1.0), online=False)
    finals = []
    for step in episode([1.0] * 12, "limit"):
        replay.add(step)
        finals.append(replay.final())
    assert finals == [0] * 8 + [1, 2, 3, 4, 13]
    assert replay.num_windows(13) == 1
    nearest = replay_of(episode([1.0] * 12, "abandoned"), smooth=smooth("gaussian", 1.0, "nearest"))
    assert (nearest.final(), nearest.num_windows(5)) == (9, 5)
    whole = replay_of(episode([1.0] * 12, "abandoned"), smooth=smooth("backward_sum", 0.5))
    assert (whole.final(), whole.can_sample(1, 1)) == (0, False)


@settings(max_examples=40)
@given(lengths=LENGTHS, capacity=st.integers(3, 20), cut=st.integers(0, 60), kernel=st.sampled_from(KERNELS))
def test_a_restored_buffer_finishes_rows_in_the_same_way(
    lengths: list[int], capacity: int, cut: int, kernel: Smooth
) -> None:
    """Also where open rows are evicted before they are final."""
    options = {"smooth": kernel, "heads": parse_heads(["binary:reward_within_3"])}
    rows = [step for n, length in enumerate(lengths) for step in episode([float(n), *range(length)], "limit", 100 * n)]
    whole = replay_of(rows, capacity=capacity, **options)
    before = replay_of(rows[:cut], capacity=capacity, **options)
    after = make_replay(capacity, **options)
    after.load_state_dict(before.state_dict())
    for step in rows[cut:]:
        after.add(step)
    assert after.final() == whole.final()
    if whole.can_sample(1, 2):
        left, right = (replay.sample(4, 2, np.random.default_rng(0)) for replay in (whole, after))
        assert same(left, right)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        # rewards 0 0 0 5 0 0 0 after the reset row: within 2 steps of rows 2 and 3 (counted from 0)
        ("terminal", [0, 0, 1, 1, 0, 0, 0, 0]),
        ("limit", [0, 0, 1, 1, 0, 0, np.nan, np.nan]),
        ("abandoned", [0, 0, 1, 1, 0, 0, np.nan, np.nan]),
    ],
)
def test_whether_a_reward_comes_soon_is_unknown_beyond_a_limit(end: str, expected: list[float]) -> None:
    rewards = [0.0, 0, 0, 5, 0, 0, 0]
    heads = parse_heads(["binary:reward_within_2"])
    replay = replay_of(episode(rewards, end), episode([9.0]), heads=heads)
    assert np.array_equal(column(replay, "target/reward_within_2")[:8], expected, equal_nan=True)
    assert not replay.wants_info


@settings(max_examples=40)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["terminal", "limit", "abandoned"])), min_size=1),
    steps=st.integers(1, 6),
)
def test_whether_the_task_is_over_soon_whatever_the_rewards_M_HK_15(lengths: list[tuple[int, str]], steps: int) -> None:
    """A goal within K steps, M-HK-15: unlike a reward within K, small rewards on the way are none."""
    heads = parse_heads([f"binary:terminal_within_{steps}"])
    episodes = [episode([0.5] * length, end) for length, end in lengths]
    replay = replay_of(*episodes, episode([9.0]), heads=heads)
    expected: list[float] = []
    for length, end in lengths:
        for left in range(length, -1, -1):
            soon = 1 <= left <= steps
            expected.append(float(soon) if end == "terminal" else np.nan if left < steps else 0.0)
    found = column(replay, f"target/terminal_within_{steps}")[: len(expected)]
    assert np.array_equal(found, expected, equal_nan=True)


def test_targets_come_from_observation_and_info() -> None:
    infos: list[dict[str, Any]] = [{"goal": True}, {"goal": np.float32(0)}, {"goal": np.array([3])}, {}]
    infos += [{"goal": "yes"}, {"goal": float("inf")}, {"goal": np.array([1, 2])}, {"goal": None}]
    rows = [{**row(n), "info": info} for n, info in enumerate(infos)]
    heads = parse_heads(["regression:obs/speed/1", "binary:info/goal", "regression:obs/view/5", "regression:info/none"])
    replay = replay_of(rows, heads=heads)
    assert replay.wants_info
    sample = replay.sample(1, 8, np.random.default_rng(0))
    nan = np.nan
    assert sample.targets.keys() == {"obs/speed/1", "info/goal", "obs/view/5", "info/none"}
    assert all(target.shape == (1, 8) and target.dtype == np.float32 for target in sample.targets.values())
    assert sample.targets["obs/speed/1"][0].tolist() == [-n for n in range(8)]
    assert sample.targets["obs/view/5"][0].tolist() == [n + 5 for n in range(8)]
    assert np.array_equal(sample.targets["info/goal"][0], [1, 0, 1, nan, nan, nan, nan, nan], equal_nan=True)
    assert np.isnan(sample.targets["info/none"]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("regression:obs/sped/0", "the environment observes no 'sped' (did you mean 'speed'?)"),
        ("regression:obs/speed/2", "observation 'speed' has 2 numbers, counted from 0"),
    ],
)
def test_a_number_that_is_not_observed_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_replay(10, heads=parse_heads([text]))
    assert said in caught.value.message
