"""Windows drawn by loss and by age: their frequencies, and what is drawn first (FACTS A10)."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from dreamerlab.experience.priorities import SumTree
from dreamerlab.experience.replay import Replay
from tests.experience.streams import fill, make_replay

BY_LOSS, BY_AGE = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def chi_square(counts: np.ndarray, shares: np.ndarray) -> float:
    expected = counts.sum() * shares / shares.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def unlikely(degrees: int) -> float:
    """A bound that a chi-square value passes once in some ten thousand times."""
    return degrees + 4 * np.sqrt(2 * degrees) + 8


@settings(max_examples=50)
@given(
    st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=70),
    st.lists(st.tuples(st.integers(0, 69), st.floats(0, 1e6, allow_subnormal=False)), max_size=30),
)
def test_a_tree_finds_the_leaf_of_every_mass(masses: list[float], changes: list[tuple[int, float]]) -> None:
    tree, leaves = SumTree(len(masses)), np.array(masses)
    tree.set(np.arange(len(masses)), leaves)
    for place, mass in changes:
        leaves[place % len(masses)] = mass
        tree.set(np.array([place % len(masses)]), np.array([mass]))
    assert tree.total == pytest.approx(leaves.sum())
    if leaves.sum() == 0:
        return
    middles = (np.cumsum(leaves) - leaves / 2)[leaves > 1e-6 * leaves.sum()]
    assert tree.find(middles).tolist() == np.flatnonzero(leaves > 1e-6 * leaves.sum()).tolist()
    everywhere = tree.find(np.linspace(0, np.nextafter(tree.total, 0), 200))
    assert (leaves[everywhere] > 0).all(), "a leaf without mass"


def losses(replay: Replay, sample: object) -> np.ndarray:
    """A loss that each row always has: its number plus 1 (B, T)."""
    starts = sample.starts  # pyright: ignore[reportAttributeAccessIssue]
    return starts[:, None] + np.arange(3) + 1.0


@pytest.mark.parametrize("exponent", [0.0, 0.8])
@pytest.mark.parametrize("rows", [25, 70], ids=["not yet full", "wrapped"])
def test_windows_are_drawn_in_proportion_to_their_loss(rows: int, exponent: float) -> None:
    replay, rng = make_replay(30, online=False, mixture=BY_LOSS, priority_exponent=exponent), np.random.default_rng(2)
    fill(replay, rows)
    windows = replay.num_windows(3)
    first = [replay.sample(1, 3, rng) for _ in range(windows)]
    assert sorted(int(one.starts[0]) for one in first) == list(range(replay.span()[0], replay.span()[0] + windows))
    for one in first:
        replay.prioritise(one, losses(replay, one))
    counts = np.zeros(windows)
    for _ in range(80):
        sample = replay.sample(100, 3, rng)
        np.add.at(counts, sample.starts - replay.span()[0], 1)
        replay.prioritise(sample, losses(replay, sample))
    shares = (replay.span()[0] + np.arange(windows) + 1.0) ** exponent
    assert chi_square(counts, shares) < unlikely(windows - 1)
    if exponent:
        assert chi_square(counts, np.ones(windows)) > unlikely(windows - 1), "the bound notices another distribution"


def test_rows_never_trained_on_come_first_and_what_is_drawn_counts_nothing_until_its_loss_is_known() -> None:
    replay, rng = make_replay(100, online=False, mixture=BY_LOSS, streams=2), np.random.default_rng(0)
    fill(replay, 12)
    fill(replay, 12, stream=1)
    sample = replay.sample(20, 3, rng)
    assert len({(int(s), int(n)) for s, n in zip(sample.streams, sample.starts, strict=True)}) == 20, "each once"
    replay.prioritise(sample, np.full((20, 3), 5.0))
    fill(replay, 4)
    fresh = replay.sample(4, 3, rng)
    drawn = {(int(stream), int(start)) for stream, start in zip(fresh.streams, fresh.starts, strict=True)}
    assert drawn >= {(0, 12), (0, 13)}, "rows 10 and 11 were part of other windows"
    again = replay.sample(50, 3, rng)
    assert not drawn & {(int(stream), int(start)) for stream, start in zip(again.streams, again.starts, strict=True)}


def test_a_buffer_whose_losses_are_all_zero_is_drawn_evenly() -> None:
    replay, rng = make_replay(100, online=False, mixture=BY_LOSS), np.random.default_rng(0)
    fill(replay, 12)
    replay.prioritise(replay.sample(10, 3, rng), np.zeros((10, 3)))
    assert set(replay.sample(300, 3, rng).starts.tolist()) == set(range(10))


def test_newer_windows_are_likelier_as_one_over_their_rank() -> None:
    replay, rng = make_replay(60, online=False, mixture=BY_AGE), np.random.default_rng(1)
    fill(replay, 100)
    windows = replay.num_windows(8)
    starts = np.concatenate([replay.sample(100, 8, rng).starts for _ in range(300)])
    counts = np.bincount(replay.span()[1] - 8 - starts, minlength=windows)
    ranks = 1.0 + np.arange(windows)
    assert len(counts) == windows
    assert chi_square(counts, np.log1p(1 / ranks)) < unlikely(windows - 1)
    assert chi_square(counts, np.ones(windows)) > unlikely(windows - 1)


def test_a_mixture_has_its_shares() -> None:
    """Of 30 windows 10 have no loss and only these are old: what is drawn of them was drawn evenly."""
    replay, rng = make_replay(1000, online=False, mixture=(0.5, 0.5, 0.0)), np.random.default_rng(1)
    fill(replay, 32)
    counts = np.zeros(30)
    for _ in range(80):
        sample = replay.sample(100, 3, rng)
        np.add.at(counts, sample.starts, 1)
        replay.prioritise(sample, (sample.starts[:, None] + np.arange(3) >= 10).astype(float))
    assert counts[:10].sum() / counts.sum() == pytest.approx(0.5 / 3, abs=0.01)


def test_windows_of_all_streams_are_equally_likely() -> None:
    replay, rng = make_replay(120, online=False, streams=3), np.random.default_rng(1)
    for stream, rows in enumerate((11, 60, 5)):
        fill(replay, rows, stream)
    sample = replay.sample(20_000, 6, rng)
    counts = np.concatenate([np.bincount(sample.starts[sample.streams == n] - replay.span(n)[0]) for n in range(2)])
    assert len(counts) == replay.num_windows(6) == 6 + 35
    assert chi_square(counts, np.ones(41)) < unlikely(40)


def test_bytes_limit_the_rows_of_each_stream() -> None:
    each = make_replay(10).row_bytes
    replay = make_replay(1000, streams=2, max_bytes=each * 21)
    assert (replay.ring, replay.capacity) == (10, 20)
    fill(replay, 30)
    assert (replay.span(0), len(replay)) == ((20, 30), 10)
