"""Conditions on how the evaluation went."""

from __future__ import annotations

import random

import pytest

from dreamerlab.diagnostics.peaks import AfterPeak, Dips, Jump, PeakDrop, Progress, Relapses, find_peak
from tests.diagnostics.courses import Shape, course, peaked, rising

HIGH = (400, 390, 395, 400, 405)
EVAL, TRAIN, VALUE = "eval/return_mode", "train/return", "behavior/value"


def test_a_peak_is_measured_against_the_beginning_of_the_run() -> None:
    peak = find_peak(course({EVAL: peaked(20, 500, 150), TRAIN: 20.0}))
    assert peak is not None
    assert (peak.height, peak.end) == (500, 150)
    assert peak.beginning == 20
    assert 4500 <= peak.until <= 5200
    assert peak.lost == pytest.approx(350 / 480, abs=0.02)


@pytest.mark.parametrize(
    ("shape", "dropped"),
    [
        (peaked(20, 500, 150), True),
        (peaked(20, 500, 400), False),
        (rising(20, 500), False),
        (peaked(-1400, -200, -1300), True),
        (lambda x: 500.0 if x < 0.4 or x > 0.7 else 100.0, False),
    ],
    ids=["falls and stays down", "falls a little", "rises", "negative returns", "falls and recovers"],
)
def test_a_drop_counts_when_half_of_the_rise_is_gone_at_the_end(shape: Shape, dropped: bool) -> None:
    beginning = -1400.0 if callable(shape) and shape(0.0) < 0 else 20.0
    seen = PeakDrop().look(course({EVAL: shape, TRAIN: beginning}))
    assert seen is not None
    assert seen.holds == dropped


@pytest.mark.parametrize(
    ("returns", "falls"),
    [
        ([24, *HIGH, 125, 125, *HIGH, 40, 112, 112], 2),
        ([24, *HIGH, 300, 310, *HIGH], 0),
        ([24, *HIGH, 60, *HIGH], 1),
        ([24, *HIGH, 190, 180, 220, 190, *HIGH, 60], 2),
        ([24, *HIGH, 150, *HIGH, 150, *HIGH], 0),
    ],
    ids=["again and again", "holds", "one dip", "a fall counts once, until it is up again", "single shallow dips"],
)
def test_a_return_that_is_lost_again_and_again_M_EXP_09(returns: list[float], falls: int) -> None:
    seen = Relapses().look(course({EVAL: returns, TRAIN: 20.0}))
    assert seen is not None
    assert (seen.value, seen.holds) == (falls, falls >= 2)


def test_falls_that_are_long_past_are_no_relapse() -> None:
    seen = Relapses().look(course({EVAL: [24, *HIGH, 60, *HIGH, 60, *HIGH, *HIGH, *HIGH], TRAIN: 20.0}))
    assert seen is not None
    assert (seen.value, seen.holds) == (2, False)


def test_success_at_four_of_five_is_not_lost_again_by_the_noise_of_five_episodes() -> None:
    chance = random.Random(7)
    for _ in range(50):
        shares = [sum(chance.random() < 0.8 for _ in range(5)) / 5 for _ in range(200)]
        seen = Relapses().look(course({EVAL: [0.0, *shares], TRAIN: 0.0}))
        assert seen is None or not seen.holds


@pytest.mark.parametrize(("level", "noise"), [(21.0, 9.0), (-0.5, 5.0), (-1400.0, 120.0)])
def test_evaluations_that_only_scatter_have_no_peak(level: float, noise: float) -> None:
    chance = random.Random(3)
    peaks = 0
    for _ in range(200):
        found = find_peak(course({EVAL: [chance.gauss(level, noise) for _ in range(40)], TRAIN: level}))
        peaks += found is not None
    assert peaks <= 10


def test_a_run_that_never_rose_has_no_peak() -> None:
    assert PeakDrop().look(course({EVAL: 21.0, TRAIN: 20.0})) is None
    assert AfterPeak(VALUE, above=1.0).look(course({EVAL: 21.0, TRAIN: 20.0, VALUE: 1.0})) is None


def test_what_another_metric_did_after_the_peak() -> None:
    fell = {EVAL: peaked(20, 500, 150), TRAIN: 20.0}
    up, flat, down = rising(50, 150), 100.0, peaked(0, 100, 5)
    assert AfterPeak(VALUE, above=1.4).look(course({**fell, VALUE: up})).holds  # type: ignore[union-attr]
    assert not AfterPeak(VALUE, above=1.4).look(course({**fell, VALUE: flat})).holds  # type: ignore[union-attr]
    assert AfterPeak(VALUE, below=0.2).look(course({**fell, VALUE: down})).holds  # type: ignore[union-attr]
    assert AfterPeak(VALUE, stays=0.02).look(course({**fell, VALUE: flat})).holds  # type: ignore[union-attr]
    assert not AfterPeak(VALUE, stays=0.02).look(course({**fell, VALUE: up})).holds  # type: ignore[union-attr]


def test_progress_is_a_level_above_the_first_training_episodes() -> None:
    learnt = course({EVAL: rising(20, 300), TRAIN: rising(20, 300)})
    assert Progress(made=True).look(learnt).holds  # type: ignore[union-attr]
    assert not Progress(made=False).look(learnt).holds  # type: ignore[union-attr]
    flat = course({EVAL: 22.0, TRAIN: 20.0})
    assert not Progress(made=True).look(flat).holds  # type: ignore[union-attr]
    assert Progress(made=False).look(flat).holds  # type: ignore[union-attr]


def test_a_young_run_is_not_told_that_it_has_not_learnt() -> None:
    assert Progress(made=False).look(course({EVAL: 22.0, TRAIN: 20.0}, spent=0.3)) is None


def test_a_jump_of_two_metrics_at_the_same_place() -> None:
    both = Jump(VALUE, by=-0.3, to_zero=True, beside=Jump("behavior/entropy_frac", by=0.3))
    rose = [0.9 - 0.005 * i for i in range(100)]
    spiked = [1.0 if 50 <= i < 54 else value for i, value in enumerate(rose)]
    values = [0.0 if 50 <= i < 54 else 2.0 * i for i in range(100)]
    seen = both.look(course({VALUE: values, "behavior/entropy_frac": spiked}))
    assert seen is not None
    assert seen.holds
    assert seen.since == 5100
    assert not both.look(course({VALUE: values, "behavior/entropy_frac": rose})).holds  # type: ignore[union-attr]
    elsewhere = [1.0 if 80 <= i < 84 else value for i, value in enumerate(rose)]
    assert not both.look(course({VALUE: values, "behavior/entropy_frac": elsewhere})).holds  # type: ignore[union-attr]


def test_dips_are_counted_M_DIAG_18() -> None:
    entropy = [13.67] * 100
    for at in (55, 70, 85):
        entropy[at] = 9.0
    seen = Dips("behavior/entropy_nats").look(course({"behavior/entropy_nats": entropy}))
    assert seen is not None
    assert seen.holds
    assert seen.value == 3
    steady = Dips("behavior/entropy_nats").look(course({"behavior/entropy_nats": 13.67}))
    assert steady is not None
    assert not steady.holds


def test_a_return_that_is_higher_but_unsure_is_neither_learnt_nor_not() -> None:
    evaluations = [10.0, 60.0, 9.0, 424.0, 90.0, 285.0]
    unsure = course({EVAL: evaluations, TRAIN: 21.0})
    assert not Progress(made=True).look(unsure).holds  # type: ignore[union-attr]
    assert not Progress(made=False).look(unsure).holds  # type: ignore[union-attr]
