"""Patterns of learning curves: the courses people described in words get those words, by rule."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.stats.curves import course, first_reached, pattern

RANDOM, SOLVED = 22.0, 475.0
# Courses of CartPole runs as logs tell them, and what each is called (M-PROT-17).
DESCRIBED = {
    "stable plateau": [22, 60, 180, 390, 480, 500, 500, 495, 500, 500],
    "peak-then-decline": [22, 200, 480, 500, 500, 470, 420, 390, 360, 340],
    "peak-then-collapse": [60, 300, 500, 500, 500, 500, 500, 500, 363, 157],
    "collapse without recovery": [500, 500, 400, 200, 100, 98],
    "collapse then recovery": [500, 500, 209, 129, 421, 486, 453],
    "oscillating without catastrophic collapse": [488, 385, 259, 364, 261],
    "slow improvement": [22, 40, 62, 68, 90, 120, 150, 190],
    "stuck": [9.0, 9.8, 9.4, 16.8, 16.4],
    "too short": [9.0, 500.0, 500.0],
}


@pytest.mark.parametrize("label", DESCRIBED)
def test_a_course_gets_the_label_that_people_gave_it(label: str) -> None:
    assert pattern(DESCRIBED[label], RANDOM, SOLVED) == label


@pytest.mark.parametrize("label", DESCRIBED)
def test_the_same_course_downwards_gets_the_same_label(label: str) -> None:
    mirrored = [-value for value in DESCRIBED[label]]
    assert pattern(mirrored, -RANDOM, -SOLVED) == label


def test_a_beginners_wobble_is_no_collapse() -> None:
    assert pattern([22, 120, 30, 90, 200, 300, 480, 490, 500, 495, 500, 500], RANDOM, SOLVED) == "stable plateau"


def test_a_partial_return_is_no_recovery() -> None:
    assert pattern([24, 400, 125, 125, 300, 40, 112], RANDOM, SOLVED) == "collapse without recovery"


def test_a_dip_that_is_made_good_is_an_oscillation() -> None:
    label = "oscillating without catastrophic collapse"
    assert pattern([100, 300, 500, 500, 500, 350, 500, 500], RANDOM, SOLVED) == label


@given(st.lists(st.floats(0, 500), min_size=1, max_size=60), st.floats(0.1, 10), st.floats(-1e3, 1e3))
def test_every_curve_has_a_label_and_units_do_not_change_it(values: list[float], unit: float, shift: float) -> None:
    label = pattern([round(v) for v in values], RANDOM, SOLVED)
    assert label in DESCRIBED
    if unit in (0.25, 0.5, 2.0, 4.0):
        moved = [round(v) * unit for v in values]
        assert pattern(moved, RANDOM * unit, SOLVED * unit) == label


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(-1e6, 1e6))
def test_reaching_is_the_first_evaluation_at_or_beyond(values: list[float], level: float) -> None:
    index = first_reached(values, level)
    if index is None:
        assert max(values) < level
    else:
        assert values[index] >= level
        assert all(value < level for value in values[:index])
    mirrored = first_reached([-value for value in values], -level, falling=True)
    assert mirrored == index


def test_the_course_names_peak_and_what_followed() -> None:
    assert course([1.0, 9.0, 9.0, 4.0, 6.0]) == (9.0, 1, 4.0, 6.0)
    assert course([500.0, 90.0, 300.0], falling=True) == (90.0, 1, 300.0, 300.0)
    assert math.isclose(course([3.0]).lowest_after, 3.0)
