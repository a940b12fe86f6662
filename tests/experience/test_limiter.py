"""The train ratio: exact over any run, however it is cut (FACTS F19; DIS-05)."""

from __future__ import annotations

import math
from fractions import Fraction

import hypothesis.strategies as st
from hypothesis import given, settings

from dreamerlab.experience.limiter import Limiter, Ratio

RATIOS = st.one_of(
    st.sampled_from([0.1, 0.3, 1, 32, 128.0, 512, 1024, 1e-3, 333.333]), st.floats(1e-6, 1e6, allow_subnormal=False)
)


@given(
    RATIOS,
    st.integers(1, 4096),
    st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=40),
    st.integers(0, 9),
)
def test_updates_follow_env_steps_exactly(
    train_ratio: float, replayed_per_update: int, pieces: list[tuple[int, bool]], late: int
) -> None:
    """After N env steps floor(N * ratio) updates were due, in any pieces and across any save and load (DIS-05)."""
    ratio = Ratio(train_ratio, replayed_per_update)
    assert ratio.due(late) == 0, "what came before the first question owes nothing"
    env_steps, updates = 0, 0
    for steps, save in pieces:
        env_steps += steps
        due = ratio.due(late + env_steps)
        assert due <= steps * train_ratio / replayed_per_update + 1, "no burst"
        updates += due
        if save:
            state = ratio.state_dict()
            ratio = Ratio(train_ratio, replayed_per_update)
            ratio.load_state_dict(state)
            assert ratio.due(late + env_steps) == 0, "nothing is due twice"
    assert updates == int(env_steps * Fraction(repr(train_ratio)) / replayed_per_update)


def test_a_decimal_ratio_is_read_as_written() -> None:
    ratio = Ratio(0.3, 1)
    ratio.due(0)
    assert [ratio.due(n) for n in range(1, 11)] == [0, 0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_one_update_in_32_env_steps_at_the_reference_ratio() -> None:
    """FACTS A13.12."""
    ratio = Ratio(32.0, 16 * 64)
    ratio.due(1000)
    assert [n for n in range(1001, 1101) if ratio.due(n)] == [1032, 1064, 1096]


def test_a_saved_account_that_is_not_open_stays_closed() -> None:
    ratio = Ratio(1024, 1)
    ratio.load_state_dict(Ratio(1024, 1).state_dict())
    assert ratio.due(5000) == 0
    assert ratio.due(5001) == 1024


@settings(max_examples=60)
@given(
    RATIOS.filter(lambda ratio: ratio < 1e4),
    st.integers(1, 4096),
    st.sampled_from([0.01, 0.1, 0.5, 2.0]),
    st.integers(0, 50),
    st.lists(st.tuples(st.booleans(), st.integers(1, 60)), min_size=1, max_size=40),
)
def test_the_limiter_keeps_the_ratio_and_never_stops_both(
    train_ratio: float, replayed_per_update: int, slack: float, free: int, schedule: list[tuple[bool, int]]
) -> None:
    """Whoever is ready in whatever order: the ratio stays within the slack, and one of the two may always go on."""
    limiter, rate = Limiter(train_ratio, replayed_per_update, slack), Fraction(repr(train_ratio)) / replayed_per_update
    for _ in range(free):
        assert limiter.may_collect(), "before learning begins env steps are free"
        assert not limiter.may_update()
        limiter.collected()
    limiter.begin()
    env_steps = updates = 0
    for collecting, times in schedule:
        for _ in range(times):
            assert limiter.may_collect() or limiter.may_update(), "a deadlock"
            if collecting and limiter.may_collect():
                limiter.collected()
                env_steps += 1
            elif not collecting and limiter.may_update():
                limiter.updated()
                updates += 1
            stray = abs(updates - env_steps * rate)
            assert stray <= max(1, rate, Fraction(repr(slack)) * env_steps * rate)
        assert limiter.due() == max(0, math.floor(env_steps * rate) - updates)
        restored = Limiter(train_ratio, replayed_per_update, slack)
        restored.load_state_dict(limiter.state_dict())
        limiter = restored
