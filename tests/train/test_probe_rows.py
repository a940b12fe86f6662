"""Rows for probes: where episodes end, what followed, and which rows have room around them."""

from __future__ import annotations

import numpy as np
import pytest

from dreamerlab.experience.replay import Replay
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from dreamerlab.train.probe_rows import newest_rows

SPEC = EnvSpec({"place": ObsSpec.vector(1)}, ActionSpec.discrete(2))


def played(*episodes: str, capacity: int = 100, streams: int = 1, stream: int = 0) -> Replay:
    """Replay with episodes such as `012t`: rewards, then how it ended: t terminal, l time limit, . still open."""
    replay = Replay(capacity, SPEC, deter=2, stoch=1, streams=streams)
    add(replay, stream, *episodes)
    return replay


def add(replay: Replay, stream: int, *episodes: str) -> None:
    for episode in episodes:
        rewards, how = episode[:-1], episode[-1]
        for place, reward in enumerate(rewards):
            last = place == len(rewards) - 1
            replay.add(
                {
                    "obs": {"place": np.array([place], np.float32)},
                    "action": np.array([1]),
                    "reward": float(reward),
                    "is_first": place == 0,
                    "is_last": last and how in "tl",
                    "is_terminal": last and how == "t",
                    "deter": np.zeros(2, np.float32),
                    "stoch": np.zeros(1, np.int16),
                },
                stream,
            )


def test_what_followed_by_hand_FACTS_A6() -> None:
    """The reward of a row is received on arriving there, so the first that counts is the next row's."""
    rows = newest_rows(played("0123t", "045l", "01."), 1, 100)
    assert rows.last.tolist() == [3, 3, 3, 3, 6, 6, 6, 8, 8]
    assert rows.finished.tolist() == [True] * 7 + [False] * 2
    returns, tail = rows.outcomes(np.array([0, 2, 3, 4, 5]), 0.5)
    assert returns.tolist() == [1 + 2 * 0.5 + 3 * 0.25, 3.0, 0.0, 4 + 5 * 0.5, 5.0]
    assert tail.tolist() == [0.0, 0.0, 0.0, 0.25, 0.5], "beyond a death there is nothing, beyond a time limit there is"


def test_room_is_counted_in_the_stream_before_and_in_the_episode_after() -> None:
    rows = newest_rows(played("0123t", "045l"), 1, 100)
    assert np.flatnonzero(rows.with_room(3)).tolist() == [2, 3, 4, 5, 6]
    assert np.flatnonzero(rows.with_room(1, ahead=2)).tolist() == [0, 1, 4]


def test_only_the_newest_rows_that_are_still_held() -> None:
    replay = played("0123456789t", "01234567l", capacity=12)
    rows = newest_rows(replay, 1, 100)
    assert rows.numbers.tolist() == list(range(6, 18))
    assert rows.before.tolist() == list(range(12))
    assert rows.last[0] == 3
    newest = newest_rows(replay, 1, 5)
    assert newest.numbers.tolist() == list(range(13, 18))
    assert newest.before[0] == 7, "older rows than those looked at can still be seen before them"


def test_streams_are_apart_and_only_the_first_are_looked_at() -> None:
    """M-HK-02: the streams after them hold the games as the opponent saw them."""
    replay = played("012.", streams=3)
    add(replay, 1, "05t")
    add(replay, 2, "09t")
    rows = newest_rows(replay, 2, 100)
    assert rows.streams.tolist() == [0, 0, 0, 1, 1]
    assert rows.last.tolist() == [2, 2, 2, 4, 4]
    assert rows.reward.tolist() == [0.0, 1.0, 2.0, 0.0, 5.0]


@pytest.mark.parametrize("streams", [1, 2])
def test_nothing_played_is_no_rows(streams: int) -> None:
    rows = newest_rows(Replay(10, SPEC, deter=2, stoch=1, streams=streams), streams, 100)
    assert len(rows) == 0
    assert rows.outcomes(np.zeros(0, np.int64), 0.9).returns.tolist() == []
