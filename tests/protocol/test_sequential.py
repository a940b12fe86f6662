from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.protocol.hypothesis import Plan
from dreamerlab.protocol.sequential import alpha_of_looks, first_seeds, stages
from tests.protocol.arms import arm

looks = st.lists(st.integers(3, 60), min_size=1, max_size=6, unique=True).map(sorted)


def test_the_published_increments() -> None:
    spent = alpha_of_looks((5, 7, 10), 0.05)
    assert {look: round(alpha, 4) for look, alpha in spent.items()} == {5: 0.0056, 7: 0.0136, 10: 0.0309}


@given(looks, st.sampled_from([0.01, 0.05, 0.1]))
def test_all_of_alpha_is_spent_and_the_first_looks_get_least(at: list[int], alpha: float) -> None:
    spent = alpha_of_looks(at, alpha)
    assert sum(spent.values()) == pytest.approx(alpha)
    assert all(one > 0 for one in spent.values())
    assert list(spent)[-1] == at[-1]
    assert set(spent) <= set(at)
    if len(spent) > 1:
        first = next(iter(spent))
        assert spent[first] < alpha * first / at[-1], "less than its share of the seeds"


def test_a_look_that_could_never_decide_is_left_out() -> None:
    assert list(alpha_of_looks((3, 31), 0.01)) == [31]
    assert list(alpha_of_looks((3, 4, 60), 0.05)) == [60]
    passed_on = alpha_of_looks((5, 7, 10), 0.05, lambda seeds, share: seeds != 5)
    assert {look: round(alpha, 4) for look, alpha in passed_on.items()} == {7: 0.0191, 10: 0.0309}


@pytest.mark.parametrize("at", [(), (5, 5), (7, 5), (0, 5)])
def test_looks_that_are_none(at: tuple[int, ...]) -> None:
    with pytest.raises(AssertionError):
        alpha_of_looks(at, 0.05)


def a_plan(*at: int, num_baseline: int = 3) -> Plan:
    return Plan("env_steps", 1000, tuple(range(at[-1])), tuple(range(num_baseline)), looks=at if len(at) > 1 else ())


def test_without_looks_there_is_one_stage_with_all_of_alpha() -> None:
    assert stages(a_plan(3)) == {3: 0.05}
    assert stages(a_plan(3), "at_least", 0) == {3: 0.05}


@pytest.mark.parametrize(
    ("form", "num_baseline", "counting"),
    [
        ("rise", 10, [5, 7, 10]),  # 5 against 10 seeds: least p 1 / 3003
        ("within", 5, [7, 10]),  # 5 against 5: 2 / 252 is above .0056
        ("fall", 3, [7, 10]),  # 7 against 3: 1 / 120 is below .0192
        ("rise", 0, [10]),
        ("at_least", 10, [7, 10]),  # 5 seeds of one arm: 2 / 32 is above .0056; 7: 2 / 128 is below .0192
        ("reaches", 10, [10]),
    ],
)
def test_a_look_counts_where_an_exact_test_could_reach_its_alpha(
    form: str, num_baseline: int, counting: list[int]
) -> None:
    found = stages(a_plan(5, 7, 10), form, num_baseline)
    assert list(found) == counting
    assert sum(found.values()) == pytest.approx(0.05)


def test_the_planned_baseline_is_taken_where_none_is_there_yet() -> None:
    assert stages(a_plan(5, 7, 10, num_baseline=10)) == stages(a_plan(5, 7, 10), "rise", 10)


def test_an_arm_as_it_was_at_a_look() -> None:
    whole = arm(
        "R1",
        *(1.0, None, 3.0, 4.0),
        missing={1: "x"},
        failed={0: "y", 3: "z"},
        censored=frozenset({2, 3}),
        reached={0: 5, 3: None},
        summaries={0: "a", 3: "b"},
    )
    part = first_seeds(whole, (0, 1, 2))
    assert part.scores == {0: 1.0, 1: None, 2: 3.0}
    assert (part.missing, part.failed, part.censored) == ({1: "x"}, {0: "y"}, frozenset({2}))
    assert (part.reached, part.summaries) == ({0: 5}, {0: "a"})
    assert part.source != whole.source
    assert first_seeds(whole, (3, 2, 1, 0)) == whole
