"""Each kind of condition: when it holds, when it does not, and when it says that nothing was measured."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.diagnostics.bounds import OfConfig, OfMetric
from dreamerlab.diagnostics.conditions import Condition, Diverged, Level, Seen, Share, Stays, Trend, named
from dreamerlab.diagnostics.series import Course, make_series, quantile
from tests.diagnostics.courses import course, rising

M, N = "behavior/value", "behavior/return_p95"


def look(condition: Condition, **shapes: object) -> Seen | None:
    given_ = {M if name == "m" else N: shape for name, shape in shapes.items()}
    return condition.look(course(given_))  # type: ignore[arg-type]


def test_a_level_holds_when_most_of_the_window_is_beyond_the_bound() -> None:
    seen = look(Level(M, above=5.0), m=rising(0, 10))
    assert seen is not None
    assert seen.holds
    assert seen.value == pytest.approx(7.5, abs=0.1)
    assert seen.wanted == "at least 5"
    assert (seen.since, seen.until) == (5100, 10_000)
    beyond_for_too_short = look(Level(M, above=6.0), m=rising(0, 10))
    assert beyond_for_too_short is not None
    assert not beyond_for_too_short.holds


def test_a_level_looks_at_the_window_it_names() -> None:
    assert look(Level(M, below=2.0, first=0.1), m=rising(0, 10)).holds  # type: ignore[union-attr]
    assert look(Level(M, above=8.9, last=0.1), m=rising(0, 10)).holds  # type: ignore[union-attr]
    assert look(Level(M, above=0.0, for_steps=5000), m=1.0) is None, "half a run of 10,000 is shorter than 5,000"


def test_a_level_of_sizes_and_of_a_ratio() -> None:
    seen = look(Level(M, above=3.0, over=N, size=True), m=-8.0, n=2.0)
    assert seen is not None
    assert seen.holds
    assert seen.value == 4.0
    assert seen.metric == "behavior/value / behavior/return_p95"
    assert look(Level(M, above=3.0, over=N), m=8.0, n=0.0) is None, "a ratio to nothing is not measured"


def test_bounds_of_other_metrics_and_of_the_config() -> None:
    assert look(Level(M, above=OfMetric(N, 0.5)), m=6.0, n=10.0).holds  # type: ignore[union-attr]
    assert not look(Level(M, above=OfMetric(N, 0.5)), m=4.0, n=10.0).holds  # type: ignore[union-attr]
    assert look(Level(M, above=OfMetric(N)), m=4.0) is None
    ceiling = Level(M, above=OfConfig("end of twohot.support"))
    small = course({M: 147.42}, config={"twohot.support": (-5.0, 5.0)})
    assert ceiling.look(small).holds, "symexp(5) is 147.41"  # type: ignore[union-attr]
    assert ceiling.look(course({M: 147.4})) is None, "no config, no answer"


def test_a_value_that_stays() -> None:
    assert look(Stays(M, within=0.02, relative=True), m=1.0).holds  # type: ignore[union-attr]
    assert not look(Stays(M, within=0.02, relative=True), m=rising(1, 1.5)).holds  # type: ignore[union-attr]
    assert look(Stays(M, within=1e-12, at=0.0), m=0.0).holds  # type: ignore[union-attr]
    assert not look(Stays(M, within=1e-12, at=0.0), m=1e-6).holds  # type: ignore[union-attr]


def test_a_trend_must_be_larger_than_asked_and_than_the_noise() -> None:
    assert look(Trend(M, factor=2.0), m=rising(1, 5)).holds  # type: ignore[union-attr]
    assert not look(Trend(M, factor=2.0), m=rising(4, 5)).holds  # type: ignore[union-attr]
    assert look(Trend(M, factor=0.5), m=rising(5, 1)).holds  # type: ignore[union-attr]
    assert not look(Trend(M, factor=0.5), m=rising(1, 5)).holds  # type: ignore[union-attr]
    assert look(Trend(M, amount=2.0), m=rising(-3, 3)).holds  # type: ignore[union-attr]
    noisy = [10.0 * math.sin(17.0 * i * i) for i in range(100)]
    assert not look(Trend(M, amount=0.1), m=noisy).holds  # type: ignore[union-attr]


def test_a_share_is_the_mean_of_the_whole_run() -> None:
    assert look(Share(M, above=0.95), m=1.0).holds  # type: ignore[union-attr]
    assert not look(Share(M, above=0.95), m=[0.0] * 10 + [1.0] * 90).holds  # type: ignore[union-attr]
    assert look(Share(M, below=0.01), m=0.0).holds  # type: ignore[union-attr]


def test_what_was_not_measured_is_not_answered() -> None:
    for condition in (Level(M, above=1.0), Stays(M, within=1.0), Trend(M, factor=2.0), Share(M, above=0.5)):
        assert condition.look(course({})) is None
        assert condition.look(course({M: [1.0, 1.0, 1.0]})) is None, "three points tell nothing"


def test_a_trial_that_diverged() -> None:
    assert not Diverged().look(course({M: 1.0})).holds  # type: ignore[union-attr]
    assert Diverged().look(Course({}, diverged="wm/loss is nan")).holds  # type: ignore[union-attr]


def test_the_first_alternative_that_exists_is_read() -> None:
    assert look(Level(f"wm/missing|{M}", above=1.0), m=2.0).metric == M  # type: ignore[union-attr]


def test_a_pattern_is_asked_of_one_metric() -> None:
    assert (
        named(Share("control/*_active_frac", above=0.9), "control/camp_active_frac").metric
        == "control/camp_active_frac"
    )
    assert named(Share(M, above=0.9), "control/camp_active_frac").metric == M


def test_windows_begin_where_learning_does() -> None:
    late = make_series((10_000 + 100 * i, 1.0) for i in range(1, 101))
    early = make_series((100 * i, 5.0) for i in range(1, 201))
    both = Course({"behavior/value": late, "train/return": early})
    assert both.first == 10_100
    assert both.tail("train/return", 1.0)[1].steps[0] == 10_100
    assert both.tail("train/return", 0.5)[1].steps[0] == 15_100


def test_values_that_are_not_finite_are_left_out() -> None:
    assert make_series([(1, math.nan), (2, 1.0), (3, math.inf)]).values == [1.0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_lies_between_the_ends(values: list[float], share: float) -> None:
    assert min(values) <= quantile(values, share) <= max(values)
    assert quantile(values, 0.0) == min(values)
    assert quantile(values, 1.0) == max(values)
