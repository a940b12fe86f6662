"""What an amount is worth: percentages of the measured baseline, shares of the span, points of a rate."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.errors import GateRefused, UsageError
from dreamerlab.protocol.expectation_words import SaidExpectation
from dreamerlab.protocol.pricing import Measured, priced
from dreamerlab.protocol.quantities import Amount

CARTPOLE = {"random": 22.47, "solved": 475.0}
ACROBOT = {"random": -498.81, "solved": -100.0}
MEAN_3 = "final_mean(3)"


def rise(value: float, share: str = "", metric: str = "eval/return") -> SaidExpectation:
    return SaidExpectation(metric, "rise", Amount(value, share))  # pyright: ignore[reportArgumentType]


def test_a_plain_amount_stays_as_it_is() -> None:
    found = priced(rise(20), "eval/return_mode", MEAN_3, CARTPOLE, None)
    assert (found.amount, found.percent, found.said) == (20, None, "")


def test_a_percentage_of_a_measured_baseline_is_frozen_as_an_amount() -> None:
    baseline = Measured("R0001-abc", (190.0, 200.0, 210.0))
    found = priced(rise(20, "%"), "eval/return_mode", MEAN_3, CARTPOLE, baseline)
    assert found.amount == pytest.approx(40.0)
    assert found.percent == 20
    assert found.said == "20% of 200 (mean of R0001-abc, 3 seeds) = 40"


def test_a_percentage_of_what_is_not_measured_yet_stays_one() -> None:
    found = priced(rise(20, "%"), "eval/return_mode", MEAN_3, CARTPOLE, None)
    assert (found.amount, found.percent) == (None, 20)
    assert "not measured when this was proposed" in found.said


@pytest.mark.parametrize(
    ("scores", "piece"),
    [
        ((-3.0, -2.0, -4.0), "is -3; a percentage of what is not above zero means nothing"),
        ((0.0, 0.0, 0.0), "is 0"),
        ((1.0, 20.0, 60.0), "95% interval reaches down to -"),
        ((-50.0, 60.0, 20.0), "; a percentage of what may be zero means nothing"),
    ],
)
def test_a_percentage_of_something_near_zero_is_refused(scores: tuple[float, ...], piece: str) -> None:
    with pytest.raises(GateRefused) as refused:
        priced(rise(20, "%"), "eval/return_mode", MEAN_3, CARTPOLE, Measured("R0001-abc", scores))
    assert piece in refused.value.message
    assert refused.value.hint == "say a share of the span: eval/return to rise by 20% of span"


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6), st.floats(1, 100))
def test_a_percentage_is_priced_exactly_when_the_interval_lies_above_zero(scores: list[float], percent: float) -> None:
    baseline = Measured("R0001-abc", tuple(scores))
    clear = baseline.mean > 0 and baseline.low > 0
    try:
        found = priced(rise(percent, "%"), "eval/return_mode", MEAN_3, CARTPOLE, baseline)
    except GateRefused:
        assert not clear
    else:
        assert clear
        assert found.amount is not None
        assert found.amount > 0
        assert math.isclose(found.amount, percent / 100 * baseline.mean)


def test_returns_that_can_only_be_negative_take_no_percentage_even_before_they_are_measured() -> None:
    with pytest.raises(GateRefused, match="not above 0"):
        priced(rise(20, "%"), "eval/return_mode", MEAN_3, ACROBOT, None)
    # A loss of the same task is another matter, and so is a time.
    assert priced(rise(20, "%", "wm/loss"), "wm/loss", MEAN_3, ACROBOT, None).percent == 20
    assert priced(rise(20, "%"), "eval/return_mode", "env_steps_to(-200)", ACROBOT, None).percent == 20


@pytest.mark.parametrize(("reference", "span"), [(CARTPOLE, 452.53), (ACROBOT, 398.81)])
def test_the_span_runs_from_random_play_to_solved(reference: dict[str, float], span: float) -> None:
    found = priced(rise(10, "% of span"), "eval/return_mode", MEAN_3, reference, None)
    assert found.amount == pytest.approx(span / 10)
    assert found.percent is None
    assert "of span" in found.said


@pytest.mark.parametrize("reference", [{}, {"random": 1.0, "solved": None}, {"random": 1.0, "solved": 1.0}])
def test_a_task_without_a_span_says_so(reference: dict[str, float | None]) -> None:
    with pytest.raises(UsageError, match="does not declare its span"):
        priced(rise(10, "% of span"), "eval/return_mode", MEAN_3, reference, None)


def test_a_time_has_no_span_and_no_points() -> None:
    for share in ("% of span", "pp"):
        with pytest.raises(UsageError, match="env steps"):
            priced(rise(10, share), "eval/return_mode", "env_steps_to(475)", CARTPOLE, None)


def test_points_of_a_rate_are_hundredths() -> None:
    found = priced(rise(5, "pp", "wm/free_bits_frac"), "wm/free_bits_frac", MEAN_3, CARTPOLE, None)
    assert found.amount == pytest.approx(0.05)


def test_within_a_percentage_needs_the_baseline() -> None:
    said = SaidExpectation("eval/return", "within", Amount(10, "%"))
    with pytest.raises(UsageError, match="measured baseline"):
        priced(said, "eval/return_mode", MEAN_3, CARTPOLE, None)
    measured = Measured("R0001-abc", (199.0, 200.0, 201.0))
    assert priced(said, "eval/return_mode", MEAN_3, CARTPOLE, measured).amount == pytest.approx(20)
