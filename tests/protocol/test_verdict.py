from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dreamerlab.protocol.figures import Arm
from dreamerlab.protocol.hypothesis import Expectation
from dreamerlab.protocol.verdict import (
    OUTCOMES,
    QUALIFIERS,
    Levels,
    Verdict,
    headline,
    judge,
    measure,
    verdict_from_dict,
)
from tests.protocol.arms import arm, expect, proposal

LOW, HIGH = arm("R1", 100.0, 110.0, 105.0), arm("R2", 200.0, 210.0, 205.0)
RISE = expect("rise", 50.0)


def judged(expected: Expectation, treatment: Arm, baseline: Arm | None = LOW, *faults: str, **more: object) -> Verdict:
    return judge(proposal(expected), treatment, baseline, faults, **more)  # type: ignore[arg-type]


# -- outcomes that are decided before any rule ------------------------------------------------------------------------


def test_a_protocol_fault_makes_it_invalid_whatever_the_scores() -> None:
    found = judged(RISE, HIGH, LOW, "The code did not change.")
    assert (found.outcome, found.label, found.reasons) == ("INVALID", None, ("The code did not change.",))
    assert found.figures["difference"] == 100.0, "the figures are shown all the same"
    assert found.figures["decided_by"] is None


@pytest.mark.parametrize("state", ["it is interrupted", "it is running", "it is failed"])
def test_a_seed_without_score_makes_it_incomplete_and_never_reads_as_a_result(state: str) -> None:
    """M-PROT-09: unfinished and killed trials have a status of their own."""
    found = judged(RISE, arm("R2", 200.0, None, 205.0, missing={1: state}))
    assert found.outcome == "INCOMPLETE"
    assert found.reasons == (f"Seed 1 of R2 has no score: {state}.",)
    assert judged(RISE, HIGH, arm("R1", 100.0, None, None)).outcome == "INCOMPLETE"


def test_fewer_than_three_seeds_in_an_arm_are_unreplicated() -> None:
    assert judged(RISE, arm("R2", 200.0, 210.0)).outcome == "UNREPLICATED"
    assert judged(RISE, HIGH, arm("R1", 100.0)).outcome == "UNREPLICATED"
    assert judged(RISE, HIGH, None).outcome == "UNREPLICATED"
    assert judged(expect("at_least", 150.0), arm("R2", 200.0, 210.0), None).outcome == "UNREPLICATED"
    # A level is a matter of the treatment alone.
    assert judged(expect("at_least", 150.0), HIGH, arm("R1", 100.0)).outcome == "SUPPORTED"


def test_faults_come_before_gaps_and_gaps_before_few_seeds() -> None:
    gap = arm("R2", 200.0, None)
    assert judged(RISE, gap, LOW, "Broken.").outcome == "INVALID"
    assert judged(RISE, gap).outcome == "INCOMPLETE"


# -- rise and fall ----------------------------------------------------------------------------------------------------


def test_supported_and_strong() -> None:
    found = judged(RISE, HIGH)
    assert (found.outcome, found.qualifiers) == ("SUPPORTED", ("strong",))
    assert found.reasons[0] == (
        "The difference of +100.0 has the interval [+88.7, +111.3]: it lies above 0, as expected, and the rise is at "
        "least 50."
    )


def test_supported_without_being_strong() -> None:
    found = judged(RISE, arm("R2", 150.0, 175.0, 200.0))
    assert found.outcome == "SUPPORTED"
    assert "strong" not in found.qualifiers


def test_a_fall_is_judged_in_its_own_direction() -> None:
    assert judged(expect("fall", 50.0), LOW, HIGH).outcome == "SUPPORTED"
    found = judged(expect("fall", 50.0), HIGH, LOW)
    assert (found.outcome, found.label) == ("REFUTED", "reversed")
    assert found.figures["difference"] == 100.0, "always treatment minus baseline"
    assert found.figures["improvement"] == 0.0


@pytest.mark.parametrize(
    ("expected", "scores", "said"),
    [
        (
            expect("fall", 50.0),
            (10.0, 40.5, 70.0),
            "The difference of -64.8 has the interval [-136.7, +7.04]: no effect and the expected fall of 50 are both "
            "possible.",
        ),
        (
            expect("fall", 5.0),
            (30.0, 40.0, 50.0),
            "The difference of -65.0 has the interval [-85.8, -44.2]: it lies below 0, as expected, and the fall is at "
            "least 5.",
        ),
        (
            expect("fall", percent=10.0),
            (30.0, 40.0, 50.0),
            "The difference of -65.0 has the interval [-85.8, -44.2]: it lies below 0, as expected, and the fall is at "
            "least 10.5 (10 % of the baseline's mean).",
        ),
        (
            expect("fall", 20.0),
            (105.0, 118.0, 131.0),
            "The difference of +13.0 has the interval [-15.1, +41.1]: a fall of 20 is ruled out.",
        ),
        (
            expect("fall", 20.0),
            (70.0, 86.0, 102.0),
            "The difference of -19.0 has the interval [-54.8, +16.8]: no effect and the expected fall of 20 are both "
            "possible.",
        ),
        (
            expect("fall", 20.0),
            (82.0, 86.0, 90.0),
            "The difference of -19.0 has the interval [-29.5, -8.54]: there is a fall, but whether it is as large as "
            "20 stays open.",
        ),
    ],
)
def test_the_reason_reads_as_a_fall_where_a_fall_is_expected(
    expected: Expectation, scores: tuple[float, ...], said: str
) -> None:
    assert judged(expected, arm("R2", *scores)).reasons[0] == said


def test_arms_whose_every_seed_failed_are_at_no_ceiling() -> None:
    """They lie on the floor: that no interval can be computed has another cause."""
    failed = dict.fromkeys(range(3), "it diverged at env step 10")
    found = judged(RISE, arm("R2", 0.0, 0.0, 0.0, failed=failed), arm("R1", 0.0, 0.0, 0.0, failed=failed))
    assert (found.outcome, found.qualifiers) == ("INCONCLUSIVE", ())
    mixed = judged(RISE, arm("R2", 0.0, 0.0, 0.0, failed=failed), arm("R1", 0.0, 0.0, 0.0))
    assert mixed.qualifiers == ("ceiling",)


@pytest.mark.parametrize(
    ("scores", "amount", "label"),
    [
        ((20.0, 30.0, 25.0), 50.0, "reversed"),
        ((104.0, 106.0, 108.0), 50.0, "equivalent"),
        ((70.0, 85.0, 100.0), 20.0, "too small"),
    ],
)
def test_refuted_and_how(scores: tuple[float, ...], amount: float, label: str) -> None:
    found = judged(expect("rise", amount), arm("R2", *scores))
    assert (found.outcome, found.label) == ("REFUTED", label)
    assert headline(found.to_dict()).startswith(f"REFUTED ({label})")


# One arm of ten with a few seeds at the fail score, against three that happen to have none.
SPARED = arm("R1", 340.0, 345.0, 350.0)
SOME_FAILED = arm("R2", 0.0, 330.0, 300.0, 320.0, 0.0, 310.0, 325.0, 0.0, 315.0, 305.0)


def test_a_few_failed_seeds_in_the_larger_arm_refute_nothing_by_themselves() -> None:
    for expected in (RISE, expect("rise", None, percent=5.0)):
        found = judged(expected, SOME_FAILED, SPARED)
        assert found.figures["high"] < 0, "the interval alone would call it reversed"
        assert found.figures["least_p"] < 0.05 < found.figures["p_permutation"]
        assert (found.outcome, found.label, found.qualifiers[0]) == ("INCONCLUSIVE", None, "fragile")
        assert "the permutation test of that rise does not agree (p = 0." in found.reasons[0]
        assert found.needs_seeds is not None
    failed, spared = (arm(one.run, *(-score for score in one.values)) for one in (SOME_FAILED, SPARED))
    fallen = judged(expect("fall", 50.0), failed, spared)
    assert (fallen.outcome, fallen.qualifiers[0]) == ("INCONCLUSIVE", "fragile")
    assert "rules out a fall of 50, but the permutation test of that fall does not agree" in fallen.reasons[0]


def test_reversed_is_what_both_tests_find_and_else_the_plain_refutation_stands() -> None:
    """Far from the predicted rise both agree; that the effect is below zero, only the interval says."""
    found = judged(expect("rise", 400.0), SOME_FAILED, SPARED)
    assert found.figures["high"] < 0
    assert found.figures["p_permutation"] > 0.05
    assert (found.outcome, found.label) == ("REFUTED", "equivalent")
    lower = arm("R2", *(score / 2 for score in SOME_FAILED.values))
    both = judged(RISE, lower, SPARED)
    assert both.figures["p_permutation"] <= 0.05
    assert (both.outcome, both.label) == ("REFUTED", "reversed")


def test_between_arms_of_one_size_the_interval_refutes_alone() -> None:
    baseline = arm("R1", 206.0, 148.2, 225.6, 195.7, 269.9)
    found = judged(expect("rise", 100.0), arm("R2", 257.3, 161.7, 171.8, 182.1, 309.5), baseline)
    assert (found.outcome, found.label, found.qualifiers) == ("REFUTED", "equivalent", ("underpowered",))


def test_three_seeds_an_arm_are_refuted_by_the_interval_alone() -> None:
    found = judged(RISE, LOW, HIGH)
    assert found.figures["least_p"] == found.figures["p_permutation"] == 0.1
    assert (found.outcome, found.label) == ("REFUTED", "reversed")


def test_inconclusive_says_how_many_seeds_it_would_take() -> None:
    found = judged(RISE, arm("R2", 60.0, 160.0, 260.0))
    assert found.outcome == "INCONCLUSIVE"
    assert found.needs_seeds == 28
    assert "no effect and the expected rise of 50 are both possible" in found.reasons[0]
    assert "underpowered" in found.qualifiers


def test_an_effect_that_is_there_and_may_be_too_small_is_inconclusive() -> None:
    found = judged(RISE, arm("R2", 130.0, 145.0, 160.0))
    assert found.outcome == "INCONCLUSIVE"
    assert "stays open" in found.reasons[0]


def test_a_permutation_test_that_does_not_agree_makes_it_fragile_and_inconclusive() -> None:
    baseline, treatment = arm("R1", 30.0, 10.0, 12.0, 12.0), arm("R2", 31.0, 33.0, 33.0, 29.0)
    found = judged(expect("rise", 5.0), treatment, baseline)
    assert found.figures["low"] > 0
    assert found.figures["p_welch"] < 0.05 < found.figures["p_permutation"]
    assert (found.outcome, found.qualifiers[0]) == ("INCONCLUSIVE", "fragile")
    assert "permutation test does not agree (p = 0.0571)" in found.reasons[0]
    assert found.needs_seeds is not None


def test_three_seeds_are_not_held_to_a_permutation_test_they_cannot_pass() -> None:
    found = judged(RISE, HIGH)
    assert found.figures["least_p"] == found.figures["p_permutation"] == 0.1
    assert found.outcome == "SUPPORTED"


def test_no_spread_in_both_arms_is_inconclusive_and_at_a_ceiling() -> None:
    flat = arm("R1", 500.0, 500.0, 500.0)
    for other in (replace(flat, run="R2"), arm("R2", 9.0, 9.0, 9.0)):
        found = judged(RISE, other, flat)
        assert (found.outcome, found.qualifiers) == ("INCONCLUSIVE", ("ceiling",))
        assert found.figures["low"] is None


def test_no_spread_in_one_arm_is_no_obstacle() -> None:
    assert judged(RISE, arm("R2", 500.0, 500.0, 500.0)).outcome == "SUPPORTED"


# -- by a percentage of a baseline that was measured later ------------------------------------------------------------


def test_a_percentage_is_tested_as_a_contrast_with_its_own_variance() -> None:
    by_half = expect("rise", None, percent=50.0)
    found = judged(by_half, HIGH)
    assert found.outcome == "SUPPORTED"
    assert found.figures["delta"] == 52.5
    assert "strong" in found.qualifiers
    # 200 of a mean of 105: as an absolute amount it is ruled out; the baseline's own spread leaves it open.
    spread = arm("R1", 80.0, 105.0, 130.0)
    assert judged(expect("rise", 200.0), HIGH, spread).outcome == "REFUTED"
    assert judged(expect("rise", None, percent=200.0 / 1.05), HIGH, spread).outcome == "INCONCLUSIVE"


def test_a_fall_by_a_percentage() -> None:
    assert judged(expect("fall", None, percent=40.0), LOW, HIGH).outcome == "SUPPORTED"
    found = judged(expect("fall", None, percent=40.0), HIGH, LOW)
    assert (found.outcome, found.label) == ("REFUTED", "reversed")
    same = judged(expect("fall", None, percent=40.0), arm("R2", 104.0, 106.0, 108.0))
    assert (same.outcome, same.label) == ("REFUTED", "equivalent")


def test_a_percentage_of_a_baseline_that_may_be_zero_means_nothing() -> None:
    found = judged(expect("rise", None, percent=10.0), HIGH, arm("R1", -5.0, 1.0, 10.0))
    assert found.outcome == "INCONCLUSIVE"
    assert "percentage" in found.reasons[0]


# -- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "level", "outcome"),
    [
        ("at_least", 190.0, "SUPPORTED"),
        ("at_least", 204.0, "INCONCLUSIVE"),
        ("at_least", 220.0, "REFUTED"),
        ("at_most", 220.0, "SUPPORTED"),
        ("at_most", 206.0, "INCONCLUSIVE"),
        ("at_most", 190.0, "REFUTED"),
    ],
)
def test_a_level_is_held_against_the_interval_of_the_mean(form: str, level: float, outcome: str) -> None:
    found = judged(expect(form, level), HIGH, None)
    assert found.outcome == outcome
    assert (found.figures["baseline"], found.figures["difference"]) == (None, None)
    said = " ".join(found.reasons)
    assert ("3 seeds cannot tell how scores are spread" in said) == (outcome != "INCONCLUSIVE")


@pytest.mark.parametrize(("count", "outcome"), [(5, "INCONCLUSIVE"), (6, "SUPPORTED")])
def test_seeds_that_all_score_alike_are_counted(count: int, outcome: str) -> None:
    seeds = tuple(range(count))
    found = judge(proposal(expect("at_least", 475.0), seeds=seeds), arm("R2", *([500.0] * count)), None)
    assert (found.outcome, found.qualifiers) == (outcome, ("ceiling",))
    assert found.needs_seeds == (6 if count < 6 else None)
    other = judge(proposal(expect("at_most", 475.0), seeds=seeds), arm("R2", *([500.0] * count)), None)
    assert other.outcome == ("REFUTED" if count >= 6 else "INCONCLUSIVE")


# -- stays within -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [
        ((101.0, 106.0, 111.0), "SUPPORTED"),
        ((180.0, 190.0, 200.0), "REFUTED"),
        ((10.0, 20.0, 30.0), "REFUTED"),
        ((100.0, 130.0, 160.0), "INCONCLUSIVE"),
    ],
)
def test_stays_within(scores: tuple[float, ...], outcome: str) -> None:
    found = judged(expect("within", 30.0), arm("R2", *scores))
    assert found.outcome == outcome
    assert found.figures["delta"] == 30.0
    assert found.label is None


# -- reaches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reached", "outcome"),
    [
        ((300, 400, 600), "SUPPORTED"),
        ((300, 400, 601), "INCONCLUSIVE"),
        ((300, None, None), "REFUTED"),
        ((None, None, None), "REFUTED"),
    ],
)
def test_reaches_is_counted(reached: tuple[int | None, ...], outcome: str) -> None:
    treatment = arm("R2", 300.0, 400.0, 600.0, reached=dict(enumerate(reached)))
    found = judged(expect("reaches", 475.0, by_env_steps=600), treatment, None)
    assert found.outcome == outcome
    assert found.figures["p"] is None
    assert "of 3 seeds reached 475 by 600 env steps" in found.reasons[0]


# -- times that the budget cut off ------------------------------------------------------------------------------------


def test_cut_off_times_are_judged_by_their_order_from_four_seeds_on() -> None:
    slow = arm("R1", 1000.0, 1000.0, 900.0, 1000.0, censored=frozenset({0, 1, 3}))
    quick = arm("R2", 300.0, 350.0, 320.0, 280.0)
    found = judged(expect("fall", 100.0), quick, slow)
    assert (found.outcome, found.figures["decided_by"]) == ("SUPPORTED", "rank permutation")
    turned = judged(expect("fall", 100.0), slow, quick)
    assert (turned.outcome, turned.label) == ("REFUTED", "reversed")
    few = judged(
        expect("fall", 100.0), arm("R2", 300.0, 350.0, 320.0), arm("R1", 1e3, 1e3, 900.0, censored=frozenset({0, 1}))
    )
    assert (few.outcome, few.needs_seeds) == ("INCONCLUSIVE", 4)


def test_a_time_that_was_cut_off_never_supports_that_it_was_short() -> None:
    treatment = arm("R2", 1000.0, 1000.0, 998.0, censored=frozenset({0, 1}))
    assert judged(expect("at_most", 1200.0), treatment, None).outcome == "INCONCLUSIVE"
    assert judged(expect("at_most", 500.0), treatment, None).outcome == "REFUTED"


# -- what is said beside the outcome ----------------------------------------------------------------------------------


def test_qualifiers_of_the_proposal_and_the_launch_stand_in_one_order() -> None:
    bundle = proposal(RISE, kind="bundle", baseline_family="cartpole/ffff", new_family=True)
    found = judge(bundle, HIGH, LOW, marks=["order-unproven", "dirty"])
    assert found.qualifiers == ("strong", "bundle", "cross-family", "dirty", "order-unproven")
    assert set(found.qualifiers) <= set(QUALIFIERS)


def test_scores_below_random_play_and_at_the_ceiling_are_called_out() -> None:
    """M-PROT-15: 9.8 is worse than random play."""
    levels = Levels(random=22.5, solved=475.0)
    found = judged(RISE, arm("R2", 9.0, 9.8, 30.0), levels=levels)
    assert "2 of 3 seeds of R2 score below random play (22.5)." in found.reasons
    full = judged(RISE, arm("R2", 500.0, 490.0, 480.0), levels=levels)
    assert "ceiling" in full.qualifiers
    assert any("3 of 6 seeds solve the task (475)" in line for line in full.reasons)
    falling = judged(
        RISE, arm("R2", -90.0, -95.0, -99.0), arm("R1", -400.0, -450.0, -500.0), levels=Levels(-500.0, -100.0)
    )
    assert not any("below random" in line for line in falling.reasons)
    assert Levels(500.0, 80.0).falling


def test_a_fail_score_is_named() -> None:
    found = judged(RISE, arm("R2", 0.0, 210.0, 205.0, failed={0: "it diverged at env step 300"}))
    assert "Seed 0 of R2 takes the fail score: it diverged at env step 300." in found.reasons
    assert found.outcome == "INCONCLUSIVE"


def test_a_maximum_over_training_is_labelled_optimistic() -> None:
    peak = proposal(RISE)
    found = judge(replace(peak, plan=replace(peak.plan, reducer="peak")), HIGH, LOW)
    assert any("optimistic" in line for line in found.reasons)
    assert not any("optimistic" in line for line in judged(RISE, HIGH).reasons)


def test_alpha_spent_on_a_look_widens_the_interval_and_is_accounted_for() -> None:
    whole, look = judged(RISE, HIGH), judged(RISE, HIGH, alpha=0.0056)
    assert look.figures["level"] == pytest.approx(0.9944)
    assert look.figures["low"] < whole.figures["low"]
    assert look.figures["p"] == pytest.approx(whole.figures["p"] * 0.05 / 0.0056)


# -- the stored form --------------------------------------------------------------------------------------------------


def test_a_verdict_survives_its_record() -> None:
    found = judged(RISE, HIGH)
    data = json.loads(json.dumps(found.to_dict()))
    assert verdict_from_dict(data) == found
    assert verdict_from_dict(data).to_dict() == data
    assert set(data) == {"outcome", "label", "qualifiers", "reasons", "figures", "needs_seeds", "sources", "rule"}
    assert set(data["figures"]) == {
        *("metric", "reducer", "treatment", "baseline", "difference", "low", "high", "level", "delta", "p_welch"),
        *("p_permutation", "least_p", "alpha", "p", "decided_by", "improvement", "iqm", "detectable"),
    }
    assert data["figures"]["treatment"]["seeds"] == {"0": 200.0, "1": 210.0, "2": 205.0}
    assert found.outcome in OUTCOMES


def test_the_source_of_an_arm_follows_its_summaries() -> None:
    one, other = replace(HIGH, summaries={0: "a"}), replace(HIGH, summaries={0: "b"})
    assert judged(RISE, one).sources["R2"] != judged(RISE, other).sources["R2"]
    assert judged(RISE, one).sources == judged(RISE, one).sources


def test_a_baseline_that_predicted_nothing_is_measured() -> None:
    data = measure(proposal(kind="baseline"), LOW, "eval/return_mode", marks=["order-unproven"])
    assert data["figures"]["treatment"]["mean"] == 105.0
    assert (data["qualifiers"], data["rule"]) == (["order-unproven"], 1)


def test_a_headline_is_one_short_line() -> None:
    data = {"outcome": "REFUTED", "label": "too small", "qualifiers": ["underpowered", "bundle"]}
    assert headline(data) == "REFUTED (too small), underpowered, bundle"
    assert headline({"outcome": "SUPPORTED", "label": None, "qualifiers": []}) == "SUPPORTED"
