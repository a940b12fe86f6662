"""Windows around terminal rows: which, how often, after evictions and restores, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from dreamerlab.config.schema_experience import Smooth
from dreamerlab.experience.replay import Replay
from tests.experience.streams import make_replay, row, same
from tests.experience.test_priorities import chi_square, unlikely

STREAMS = st.lists(st.lists(st.booleans(), min_size=0, max_size=60), min_size=1, max_size=3)


def add(replay: Replay, flags: Sequence[bool], stream: int = 0) -> None:
    """Add a row for each flag: true for the last row of an episode that was over."""
    for over in flags:
        replay.add(row(replay.span(stream)[1], {"is_last": over, "is_terminal": over}), stream)


def starts_around_events(replay: Replay, length: int) -> dict[tuple[int, int], float]:
    """The oracle: the chance of every (stream, start), by going through all windows of all events."""
    around: list[list[tuple[int, int]]] = []
    for stream in range(replay.streams):
        first, final = replay.span(stream)[0], replay.final(stream)
        over = replay.read(stream, first, final, ["is_terminal"])["is_terminal"]
        for event in first + np.flatnonzero(over):
            windows = range(first, final - length + 1)
            around.append([(stream, start) for start in windows if start <= event < start + length])
    around = [windows for windows in around if windows]
    chances: dict[tuple[int, int], float] = {}
    for windows in around:
        for window in windows:
            chances[window] = chances.get(window, 0.0) + 1 / len(windows) / len(around)
    return chances


@settings(max_examples=150)
@given(
    streams=STREAMS,
    length=st.integers(1, 7),
    capacity=st.integers(4, 50),
    smooth=st.sampled_from([None, Smooth(kernel="uniform", width=5.0)]),
    data=st.data(),
)
def test_every_window_around_an_event_can_be_drawn_and_no_other(
    streams: list[list[bool]], length: int, capacity: int, smooth: Smooth | None, data: st.DataObject
) -> None:
    """Against brute force: several streams, evictions, rows that are not final, and a restore at any moment."""
    options: dict[str, Any] = {"streams": len(streams), "online": False, "event_share": 1.0, "smooth": smooth}
    replay = make_replay(capacity * len(streams), **options)
    for stream, flags in enumerate(streams):
        add(replay, flags, stream)
    if data.draw(st.booleans(), label="restored"):
        saved, replay = replay.state_dict(), make_replay(capacity * len(streams), **options)
        replay.load_state_dict(saved)
    more = data.draw(st.lists(st.booleans(), max_size=8), label="more")
    add(replay, more)
    if not replay.can_sample(1, length):
        return
    chances = starts_around_events(replay, length)
    sample = replay.sample(64, length, np.random.default_rng(len(more)))
    drawn = set(zip(sample.streams.tolist(), sample.starts.tolist(), strict=True))
    metrics = replay.event_metrics()
    if chances:
        assert drawn <= chances.keys()
        assert metrics == {"replay/event_frac": 1.0, "replay/event_missed_frac": 0.0}
        assert sample.is_terminal.any(1).all()
    else:
        assert metrics == {"replay/event_frac": 0.0, "replay/event_missed_frac": 1.0}
        assert not sample.is_terminal.any()


@pytest.mark.parametrize("rows", [25, 80], ids=["not yet full", "wrapped"])
def test_each_event_is_as_likely_as_any_other(rows: int) -> None:
    replay, rng = make_replay(60, streams=2, online=False, event_share=1.0), np.random.default_rng(3)
    over = np.random.default_rng(0).random((2, rows)) < 0.15
    for stream in (0, 1):
        add(replay, over[stream].tolist(), stream)
    chances = starts_around_events(replay, 4)
    order = {window: place for place, window in enumerate(chances)}
    counts = np.zeros(len(chances))
    for _ in range(40):
        sample = replay.sample(200, 4, rng)
        for window in zip(sample.streams.tolist(), sample.starts.tolist(), strict=True):
            counts[order[window]] += 1
    assert chi_square(counts, np.array(list(chances.values()))) < unlikely(len(chances) - 1)


@pytest.mark.parametrize("mixture", [(1.0, 0.0, 0.0), (0.2, 0.5, 0.3)])
def test_the_share_is_kept_beside_fresh_windows_and_the_mixture_and_a_restore_goes_on_exactly(
    mixture: tuple[float, float, float],
) -> None:
    options: dict[str, Any] = {"event_share": 0.3, "mixture": mixture, "streams": 2}
    replay, rng = make_replay(4000, **options), np.random.default_rng(5)
    for stream in (0, 1):
        add(replay, [number % 500 == 499 for number in range(1500)], stream)
    fresh = replay.sample(370, 8, rng)
    assert sorted(fresh.starts[:4]) == [0, 0, 8, 8], "every row comes fresh once, before any other draw"
    replay.event_metrics()
    around = [replay.sample(100, 8, rng).is_terminal.any(1).mean() for _ in range(30)][5:]
    # Three events in 1500 rows are in some 1.6 % of the other windows.
    assert np.mean(around) == pytest.approx(0.3 + 0.7 * 0.016, abs=0.03)
    restored = make_replay(4000, **options)
    restored.load_state_dict(replay.state_dict())
    left, right = (one.sample(50, 8, np.random.default_rng(1)) for one in (replay, restored))
    assert same(left, right)
    assert (metrics := replay.event_metrics()) == restored.event_metrics()
    assert metrics["replay/event_frac"] == pytest.approx(0.31, abs=0.04)
    assert replay.event_metrics() == {}, "counted since the last call"


def test_without_a_share_nothing_is_drawn_or_kept() -> None:
    plain, shared = make_replay(100, online=False), make_replay(100, online=False, event_share=0.5)
    for replay in (plain, shared):
        add(replay, [False] * 50)
    rng = np.random.default_rng(0)
    assert plain.sample(8, 4, rng).starts.tolist() == (np.random.default_rng(0).integers(0, 47, 8)).tolist()
    assert "events" not in plain.counters()
    assert plain.event_metrics() == {}
    assert shared.counters()["events"]["asked"] == 0
