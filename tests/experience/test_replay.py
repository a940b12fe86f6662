"""Replay against a list that forgets nothing (FACTS F17), and the laws of drawing."""

from __future__ import annotations

import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dreamerlab.experience.episode import Step
from dreamerlab.experience.replay import Replay, Sample
from tests.experience.streams import DETER, STOCH, fill, make_replay, row, same, vector_spec, window_starts


class ReplayMachine(RuleBasedStateMachine):
    """Any order of adding, sampling, writing back and saving, compared with plain lists."""

    @initialize(
        capacity=st.integers(1, 40),
        length=st.integers(1, 8),
        online=st.booleans(),
        latent_context=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def start(self, capacity: int, length: int, online: bool, latent_context: bool, seed: int) -> None:
        self.capacity, self.length, self.online, self.latent_context = capacity, length, online, latent_context
        self.rng = np.random.default_rng(seed)
        self.replay = self.new_replay()
        self.rows: list[Step] = []
        self.delivered: set[int] = set()
        self.samples: list[Sample] = []
        self.fresh_latent = 0.0

    def new_replay(self) -> Replay:
        return make_replay(self.capacity, online=self.online, latent_context=self.latent_context)

    @property
    def oldest(self) -> int:
        return max(0, len(self.rows) - self.capacity)

    @rule(count=st.integers(1, 25), first=st.booleans(), last=st.booleans(), terminal=st.booleans())
    def add(self, count: int, first: bool, last: bool, terminal: bool) -> None:
        for place in range(count):
            end = last and place == count - 1
            flags = {"is_first": first and place == 0, "is_last": end, "is_terminal": end and terminal}
            step = row(len(self.rows), flags)
            self.replay.add(step)
            self.rows.append(step)
        assert (len(self.replay), self.replay.total) == (len(self.rows) - self.oldest, len(self.rows))

    @precondition(lambda self: self.replay.can_sample(1, self.length))
    @rule(batch=st.integers(1, 6))
    def sample(self, batch: int) -> None:
        sample = self.replay.sample(batch, self.length, self.rng)
        self.samples.append(sample)
        starts = window_starts(sample)
        assert starts == sample.starts.tolist()
        self.check_online(starts)
        for window, start in enumerate(starts):
            assert self.oldest <= start <= len(self.rows) - self.length
            self.check_context(sample, window, start)
            for time in range(self.length):
                self.check_row(sample, window, time, start + time)

    def check_row(self, sample: Sample, window: int, time: int, number: int) -> None:
        step = self.rows[number]
        for key, value in step["obs"].items():
            assert np.array_equal(sample.obs[key][window, time], value)
        assert np.array_equal(sample.action[window, time], step["action"])
        assert sample.reward[window, time] == np.float32(step["reward"])
        assert sample.is_first[window, time] == step["is_first"]
        assert sample.is_terminal[window, time] == step["is_terminal"]
        abandoned = number + 1 < len(self.rows) and self.rows[number + 1]["is_first"]
        assert sample.is_last[window, time] == (step["is_last"] or abandoned)

    def check_context(self, sample: Sample, window: int, start: int) -> None:
        found = sample.prev_action[window], sample.context_deter[window], sample.context_stoch[window]
        if self.latent_context and start > self.oldest:
            before = self.rows[start - 1]
            expected = before["action"], before["deter"], before["stoch"]
        else:
            expected = [-1, -1], np.zeros(DETER), np.full(STOCH, -1)
        assert all(np.array_equal(left, right) for left, right in zip(found, expected, strict=True))

    def check_online(self, starts: list[int]) -> None:
        """Whatever was not delivered yet comes first, in order and once, and no whole window is left behind."""
        if not self.online:
            return
        for start in starts:
            waiting = [n for n in range(self.oldest, len(self.rows)) if n > max(self.delivered, default=-1)]
            if len(waiting) < self.length:
                break
            assert start == waiting[0]
            self.delivered |= set(waiting[: self.length])

    @precondition(lambda self: self.samples)
    @rule(which=st.integers(0, 10))
    def write_back(self, which: int) -> None:
        """Latent states of any earlier sample land on its rows, except on rows that are gone."""
        sample = self.samples[which % len(self.samples)]
        batch = len(sample.starts)
        self.fresh_latent += 1
        deter = self.fresh_latent * np.arange(1, 1 + batch * self.length * DETER, dtype=np.float32)
        deter = deter.reshape(batch, self.length, DETER)
        stoch = (deter[..., :STOCH] % 11).astype(np.int16)
        self.replay.write_back(sample, deter, stoch)
        for window, start in enumerate(sample.starts.tolist()):
            for time in range(self.length):
                step = self.rows[start + time]
                step["deter"], step["stoch"] = deter[window, time], stoch[window, time]

    @rule()
    def save_and_load(self) -> None:
        state = self.replay.state_dict()
        self.replay = self.new_replay()
        self.replay.load_state_dict(state)


TestReplayMachine = ReplayMachine.TestCase
TestReplayMachine.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("rows", [40, 95], ids=["not yet full", "wrapped"])
def test_every_start_is_equally_likely(rows: int) -> None:
    replay, length, draws = make_replay(60, online=False), 8, 40_000
    fill(replay, rows)
    starts = np.concatenate(
        [replay.sample(100, length, rng).starts for rng in [np.random.default_rng(1)] for _ in range(draws // 100)]
    )
    counts = np.bincount(starts - replay.oldest)
    assert len(counts) == replay.num_windows(length) == min(rows, 60) - length + 1
    degrees = len(counts) - 1
    assert chi_square(counts) < degrees + 4 * np.sqrt(2 * degrees)


def test_the_chi_square_bound_would_notice_a_favoured_start() -> None:
    counts = np.full(33, 40_000 // 33)
    counts[0] = 2 * counts[0]
    assert chi_square(counts) > 32 + 4 * np.sqrt(64)


def test_fresh_windows_come_once_in_order_and_before_uniform_draws() -> None:
    replay, rng = make_replay(1000), np.random.default_rng(0)
    fill(replay, 54)
    assert window_starts(replay.sample(2, 10, rng)) == [0, 10]
    fill(replay, 10)
    mixed = window_starts(replay.sample(8, 10, rng))
    assert mixed[:4] == [20, 30, 40, 50]
    later = window_starts(replay.sample(1000, 10, rng))
    assert later != sorted(later)
    assert set(later) == set(range(55))


def test_without_the_online_queue_draws_are_uniform_from_the_start() -> None:
    replay = make_replay(1000, online=False)
    fill(replay, 54)
    assert set(window_starts(replay.sample(1000, 10, np.random.default_rng(0)))) == set(range(45))


def test_fresh_rows_that_were_overwritten_are_skipped() -> None:
    replay = make_replay(30)
    fill(replay, 47)
    assert window_starts(replay.sample(3, 10, np.random.default_rng(0))) == [17, 27, 37]


def test_write_back_reaches_the_next_context_and_not_the_rows_that_replaced_its_own() -> None:
    replay, rng = make_replay(20), np.random.default_rng(0)
    fill(replay, 20)
    sample = replay.sample(2, 10, rng)  # rows 0..9 and 10..19
    fill(replay, 5)  # evicts rows 0..4
    replay.write_back(sample, np.full((2, 10, DETER), -8.0), np.full((2, 10, STOCH), 9))
    rows = replay.state_dict()["rows"]
    refreshed = np.arange(5, 25) < 20
    assert np.array_equal((rows["deter"] == -8.0).all(1), refreshed)
    assert np.array_equal((rows["stoch"] == 9).all(1), refreshed)
    assert np.array_equal(rows["deter"][~refreshed, 0], np.arange(20, 25))


def test_without_latent_context_latents_are_neither_kept_nor_given() -> None:
    replay = make_replay(50, latent_context=False)
    fill(replay, 30)
    sample = replay.sample(5, 4, np.random.default_rng(0))
    replay.write_back(sample, np.ones((5, 4, DETER)), np.ones((5, 4, STOCH)))
    again = replay.sample(50, 4, np.random.default_rng(0))
    assert not again.context_deter.any()
    assert (again.context_stoch == -1).all()
    assert (again.prev_action == -1).all()
    assert not {"deter", "stoch"} & replay.state_dict()["rows"].keys()


def test_an_abandoned_episode_ends_where_the_next_one_begins() -> None:
    replay = make_replay(50)
    for number in range(10):
        replay.add(row(number, {"is_first": number in (0, 4), "is_last": number == 9}))
    whole = replay.sample(1, 10, np.random.default_rng(0))
    assert np.flatnonzero(whole.is_last[0]).tolist() == [3, 9]
    assert not whole.is_terminal.any()


def test_a_first_row_that_is_the_newest_ends_nothing() -> None:
    replay = make_replay(50)
    for number in range(6):
        replay.add(row(number, {"is_first": number == 5}))
    whole = replay.sample(1, 6, np.random.default_rng(0))
    assert np.flatnonzero(whole.is_last[0]).tolist() == [4]


def test_shapes_and_types_are_what_the_agent_reads() -> None:
    replay = make_replay(50)
    fill(replay, 30)
    sample = replay.sample(5, 4, np.random.default_rng(0))
    found = {
        name: (value.shape, value.dtype.name) for name, value in {**vars(sample), **sample.obs}.items() if name != "obs"
    }
    assert found == {
        "angle": ((5, 4, 1), "float32"),
        "speed": ((5, 4, 2), "float32"),
        "view": ((5, 4, 2, 1, 3), "uint8"),
        "gear": ((5, 4, 1), "int64"),
        "action": ((5, 4, 2), "int64"),
        "reward": ((5, 4), "float32"),
        "is_first": ((5, 4), "bool"),
        "is_last": ((5, 4), "bool"),
        "is_terminal": ((5, 4), "bool"),
        "prev_action": ((5, 2), "int64"),
        "context_deter": ((5, DETER), "float32"),
        "context_stoch": ((5, STOCH), "int16"),
        "starts": ((5,), "int64"),
    }


@pytest.mark.parametrize("capacity, rows", [(5000, 2500), (3000, 3000), (3000, 7100), (1024, 1025)])
def test_growth_keeps_every_row(capacity: int, rows: int) -> None:
    replay = make_replay(capacity, online=False)
    fill(replay, rows)
    sample = replay.sample(300, 16, np.random.default_rng(0))
    assert np.array_equal(sample.obs["angle"][..., 0], sample.starts[:, None] + np.arange(16))
    held = replay.state_dict()["rows"]["obs/angle"][:, 0]
    assert np.array_equal(held, np.arange(max(0, rows - capacity), rows))


def test_memory_is_not_claimed_up_front() -> None:
    tracemalloc.start()
    replay = Replay(1_000_000_000, vector_spec(4), deter=512, stoch=32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(replay) == 0
    assert peak < 10e6


def test_memory_ends_at_the_capacity() -> None:
    tracemalloc.start()
    replay = Replay(1100, vector_spec(1000), deter=1, stoch=1)
    fillers = {
        "obs": {"vector": np.zeros(1000, np.float32)},
        "action": np.zeros(1),
        "deter": np.zeros(1),
        "stoch": np.zeros(1),
    }
    for number in range(1200):
        replay.add({**row(number), **fillers})
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 1.1 * 1100 * 4 * 1000


def test_a_restored_buffer_draws_the_same_windows() -> None:
    original, rng = make_replay(64), np.random.default_rng(5)
    fill(original, 90)
    original.sample(3, 8, rng)
    state, generator = original.state_dict(), rng.bit_generator.state
    fill(original, 30)
    expected = [original.sample(4, 8, rng) for _ in range(6)]

    restored, rng = make_replay(64), np.random.default_rng(0)
    rng.bit_generator.state = generator
    restored.load_state_dict(state)
    fill(restored, 30)
    assert all(same(restored.sample(4, 8, rng), sample) for sample in expected)


def test_a_state_is_a_copy() -> None:
    replay = make_replay(16)
    fill(replay, 16)
    state = replay.state_dict()
    fill(replay, 5)
    assert state["rows"]["obs/angle"][:, 0].tolist() == list(range(16))


def test_a_batch_needs_as_many_windows_as_it_draws() -> None:
    replay = make_replay(100)
    fill(replay, 9)
    assert replay.num_windows(10) == 0
    fill(replay, 4)
    assert replay.num_windows(10) == 4
    assert replay.can_sample(4, 10)
    assert not replay.can_sample(5, 10)
