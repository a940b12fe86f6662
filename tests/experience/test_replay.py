"""Replay against a list that forgets nothing (FACTS F17), and the laws of drawing."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dreamerlab.experience.episode import Step
from dreamerlab.experience.replay import Replay, Sample
from tests.experience.streams import DETER, STOCH, fill, make_replay, row, same, vector_spec, window_starts

MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Many small files are made here; a real disk would take its time."""


class ReplayMachine(RuleBasedStateMachine):
    """Any order of adding, sampling, writing back and saving, compared with plain lists.

    A second buffer whose rows lie in files gets the same calls, and must give the same samples bit for bit.
    """

    @initialize(
        capacity=st.integers(3, 40),
        streams=st.integers(1, 3),
        length=st.integers(1, 8),
        online=st.booleans(),
        latent_context=st.booleans(),
        mixture=st.sampled_from([(1.0, 0.0, 0.0), (0.3, 0.4, 0.3), (0.0, 1.0, 0.0)]),
        seed=st.integers(0, 2**32),
    )
    def start(
        self,
        capacity: int,
        streams: int,
        length: int,
        online: bool,
        latent_context: bool,
        mixture: tuple[float, float, float],
        seed: int,
    ) -> None:
        self.ring, self.length, self.online, self.latent_context = capacity // streams, length, online, latent_context
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY_DISK)
        options = {"streams": streams, "online": online, "latent_context": latent_context, "mixture": mixture}
        in_files = {**options, "memory_bytes": 1, "folder": Path(self.folder.name)}
        self.new_replays = lambda: (make_replay(capacity, **options), make_replay(capacity, **in_files))
        self.rngs = np.random.default_rng(seed), np.random.default_rng(seed)
        self.replay, self.mapped = self.new_replays()
        assert (self.replay.mapped, self.mapped.mapped) == (False, True)
        self.rows: list[list[Step]] = [[] for _ in range(streams)]
        self.next_fresh = [0] * streams
        self.samples: list[Sample] = []
        self.fresh_latent = 0.0

    def teardown(self) -> None:
        assert not list(Path(self.folder.name).iterdir()), "the files have no names"
        self.folder.cleanup()

    def oldest(self, stream: int) -> int:
        return max(0, len(self.rows[stream]) - self.ring)

    @rule(stream=st.integers(0, 2), count=st.integers(1, 25), first=st.booleans(), end=st.integers(0, 2))
    def add(self, stream: int, count: int, first: bool, end: int) -> None:
        stream %= len(self.rows)
        rows = self.rows[stream]
        for place in range(count):
            last = end > 0 and place == count - 1
            flags = {"is_first": first and place == 0, "is_last": last, "is_terminal": last and end == 2}
            step = row(len(rows), flags)
            for replay in (self.replay, self.mapped):
                replay.add(step, stream)
            rows.append(step)
        assert self.replay.span(stream) == (self.oldest(stream), len(rows))
        assert self.replay.total == sum(len(rows) for rows in self.rows)
        assert len(self.replay) == sum(len(rows) - self.oldest(stream) for stream, rows in enumerate(self.rows))

    @precondition(lambda self: self.replay.can_sample(1, self.length))
    @rule(batch=st.integers(1, 6))
    def sample(self, batch: int) -> None:
        sample, mapped = (
            replay.sample(batch, self.length, rng)
            for replay, rng in zip((self.replay, self.mapped), self.rngs, strict=True)
        )
        assert same(sample, mapped)
        self.samples.append(sample)
        starts = list(zip(sample.streams.tolist(), window_starts(sample), strict=True))
        assert starts == list(zip(sample.streams.tolist(), sample.starts.tolist(), strict=True))
        self.check_online(starts)
        for window, (stream, start) in enumerate(starts):
            assert self.oldest(stream) <= start <= len(self.rows[stream]) - self.length
            self.check_context(sample, window, stream, start)
            for time in range(self.length):
                self.check_row(sample, window, time, self.rows[stream][start + time :])

    def check_row(self, sample: Sample, window: int, time: int, rows: list[Step]) -> None:
        step = rows[0]
        for key, value in step["obs"].items():
            assert np.array_equal(sample.obs[key][window, time], value)
        assert np.array_equal(sample.action[window, time], step["action"])
        assert sample.reward[window, time] == np.float32(step["reward"])
        assert sample.is_first[window, time] == step["is_first"]
        assert sample.is_terminal[window, time] == step["is_terminal"]
        abandoned = len(rows) > 1 and rows[1]["is_first"]
        assert sample.is_last[window, time] == (step["is_last"] or abandoned)

    def check_context(self, sample: Sample, window: int, stream: int, start: int) -> None:
        found = sample.prev_action[window], sample.context_deter[window], sample.context_stoch[window]
        if self.latent_context and start > self.oldest(stream):
            before = self.rows[stream][start - 1]
            expected = before["action"], before["deter"], before["stoch"]
        else:
            expected = [-1, -1], np.zeros(DETER), np.full(STOCH, -1)
        assert all(np.array_equal(left, right) for left, right in zip(found, expected, strict=True))

    def check_online(self, starts: list[tuple[int, int]]) -> None:
        """Whatever was not delivered yet comes first, oldest first and once, and no whole window is left behind."""
        if not self.online:
            return
        for stream, start in starts:
            fresh = [max(first, self.oldest(stream)) for stream, first in enumerate(self.next_fresh)]
            whole = [(f, s) for s, f in enumerate(fresh) if f + self.length <= len(self.rows[s])]
            if not whole:
                break
            assert (start, stream) == min(whole)
            self.next_fresh[stream] = start + self.length

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
        for replay in (self.replay, self.mapped):
            replay.write_back(sample, deter, stoch)
            replay.prioritise(sample, deter[..., 0] % 7)
        for window, (stream, start) in enumerate(zip(sample.streams, sample.starts, strict=True)):
            for time in range(self.length):
                step = self.rows[stream][start + time]
                step["deter"], step["stoch"] = deter[window, time], stoch[window, time]

    @rule()
    def save_and_load(self) -> None:
        """The state of either is the state of both."""
        states = self.mapped.state_dict(), self.replay.state_dict()
        self.replay, self.mapped = self.new_replays()
        self.replay.load_state_dict(states[0])
        self.mapped.load_state_dict(states[1])


TestReplayMachine = ReplayMachine.TestCase
TestReplayMachine.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


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
    counts = np.bincount(starts - replay.span()[0])
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
        name: (value.shape, value.dtype.name)
        for name, value in {**vars(sample), **sample.obs}.items()
        if name not in ("obs", "targets")
    }
    assert not sample.targets
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
        "streams": ((5,), "int64"),
        "starts": ((5,), "int64"),
        "mirrored": ((5,), "bool"),
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
