from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN, OPEN, RUNNING, Hypothesis
from dreamerlab.protocol.tally import champions, holm, tallies
from tests.protocol.arms import expect, proposal

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def one(number: int, outcome: str | None = None, p: float | None = None, **more: Any) -> Hypothesis:
    """Return a launched hypothesis: judged when it has an outcome, else running."""
    changes = {key: more.pop(key) for key in ("family", "baseline_family") if key in more}
    made = proposal(more.pop("expectation", None), **changes)
    if more.pop("measures", False):
        made = proposal(kind="baseline")
        object.__setattr__(made, "expectation", None)
    values: dict[str, Any] = {
        "phase": DONE_JUDGED if outcome else RUNNING,
        "launched_at": "2026-01-02",
        "verdict": {"outcome": outcome, "figures": {"p": p}} if outcome else None,
        "run": f"R{number:04d}-abc",
    }
    return Hypothesis(f"H{number:04d}-abc", made, "2026-01-01", "Ada", **{**values, **more})


def test_what_a_family_adds_up_to() -> None:
    (found,) = tallies(
        [
            one(1, "SUPPORTED", 0.001),
            one(2, "SUPPORTED", 0.04),
            one(3, "REFUTED", 0.5),
            one(4, "INCONCLUSIVE", 0.2),
            one(5, "INVALID"),
            one(6),
            one(7, phase=OPEN, launched_at=None),
            one(8, measures=True, phase=DONE_MEASURED),
        ]
    ).values()
    assert dict(found.outcomes) == {"INCONCLUSIVE": 1, "INVALID": 1, "REFUTED": 1, "SUPPORTED": 2}
    assert (found.tested, found.tests, found.running) == (5, 5, 1)
    assert found.supported == ("H0001-abc", "H0002-abc")
    assert found.holm == ("H0001-abc",), "0.04 does not survive four other tests"
    assert found.by_luck == pytest.approx(0.25)


def test_withdrawing_after_the_launch_counts_and_before_it_does_not() -> None:
    gone = one(1, phase=DONE_WITHDRAWN)
    never = one(2, phase=DONE_WITHDRAWN, launched_at=None)
    (found,) = tallies([gone, never]).values()
    assert dict(found.outcomes) == {"INCOMPLETE": 1}


def test_families_are_counted_apart_and_what_crosses_them_in_none() -> None:
    crossing = one(2, "SUPPORTED", 0.01, family="a/2")
    assert crossing.proposal.baseline_family != "a/2"
    own = one(3, "REFUTED", 0.4, family="a/2", baseline_family="a/2")
    found = tallies([one(1, "SUPPORTED", 0.01), crossing, own])
    assert list(found) == ["a/2", "cartpole/3f2a"]
    assert dict(found["a/2"].outcomes) == {"REFUTED": 1}


def test_a_count_of_seeds_is_tested_and_no_test() -> None:
    counted = one(1, "SUPPORTED", None, expectation=expect("reaches", 475.0, by_env_steps=1000))
    (found,) = tallies([counted, one(2, "SUPPORTED", 0.04)]).values()
    assert (found.tested, found.tests) == (2, 1)
    assert found.holm == ("H0002-abc",)


def test_refuted_ones_do_not_enter_the_list_of_holm() -> None:
    (found,) = tallies([one(1, "REFUTED", 0.0001), one(2, "SUPPORTED", 0.03)]).values()
    assert found.holm == ("H0002-abc",)


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_by_its_definition(values: list[float], alpha: float) -> None:
    """Adjusted p = running maximum of (m - i) p(i); scipy-free, straight from the definition."""
    named = [(p, str(i)) for i, p in enumerate(values)]
    ordered = sorted(named)
    adjusted, worst = {}, 0.0
    for index, (p, name) in enumerate(ordered):
        worst = max(worst, p * (len(values) - index))
        adjusted[name] = worst
    near = {name for name, p in adjusted.items() if abs(p - alpha) < 1e-12}
    assert set(holm(named, alpha)) - near == {name for name, p in adjusted.items() if p <= alpha} - near


@given(p_values)
def test_holm_lies_between_bonferroni_and_nothing(values: list[float]) -> None:
    named = [(p, str(i)) for i, p in enumerate(values)]
    kept = set(holm(named, 0.05))
    assert {name for p, name in named if p < 0.05 / len(values)} <= kept <= {name for p, name in named if p <= 0.05}


def test_the_champion_is_what_was_adopted_last() -> None:
    found = champions(
        [
            one(1, "SUPPORTED", 0.01, adopted_at="2026-02-01"),
            one(2, "SUPPORTED", 0.01, adopted_at="2026-03-01"),
            one(3, "SUPPORTED", 0.01),
            one(4, "SUPPORTED", 0.01, adopted_at="2026-01-01", family="a/2"),
        ]
    )
    assert {family: champion.run for family, champion in found.items()} == {
        "a/2": "R0004-abc",
        "cartpole/3f2a": "R0002-abc",
    }
    assert champions([]) == {}
