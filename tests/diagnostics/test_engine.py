"""From rules to an answer: agreement over seeds, causes before consequences, what could not be judged."""

from __future__ import annotations

import math

from dreamerlab.diagnostics.conditions import Level
from dreamerlab.diagnostics.engine import diagnose
from dreamerlab.diagnostics.rule import Rule, Severity
from dreamerlab.diagnostics.series import Course
from tests.diagnostics.courses import LEARNS, course, rising
from tests.diagnostics.stories import FLAT, NIL, RANDOM, SATURATED, STORIES

HIGH = Level("behavior/value", above=5.0)


def a_rule(name: str, severity: Severity = "warning", explains: tuple[str, ...] = (), **more: object) -> Rule:
    return Rule(name, severity, "Too high", (HIGH,), ("x",), "Look.", ("M-DIAG-19",), explains=explains, **more)  # type: ignore[arg-type]


def test_no_signal_a_bonus_too_strong_and_a_pinned_policy_are_told_apart_M_DIAG_16_19() -> None:
    """S0's question: the entropy is high in all three; what is the cause, and is it a symptom?"""
    causes = {
        name: diagnose({0: STORIES[name].course()}).findings[0]
        for name in ("no-learning-signal", "entropy-scale-too-high", "pinned-at-ceiling", "collapsed-early")
    }
    assert {name: finding.rule.id for name, finding in causes.items()} == {name: name for name in causes}
    exploring = diagnose({0: course({**LEARNS, "behavior/entropy_frac": 0.7})})
    assert not exploring.findings
    assert "exploring" in {finding.rule.id for finding in exploring.healthy}


def test_the_run_of_the_question_sheet_is_pinned_and_not_divergent_M_HK_23() -> None:
    told = diagnose({0: course({**LEARNS, **SATURATED})})
    assert told.findings[0].rule.id == "pinned-at-ceiling"
    named = {finding.rule.id for finding in told.findings}
    assert "policy-diverges" not in named, "the mean of -log p is the entropy, 13.67, and no divergence"
    assert "entropy-scale-too-high" not in named, "the bonus is a fifteenth of what the advantages weigh"


def test_a_ratio_of_entropy_to_advantage_alone_is_no_finding_M_DIAG_15() -> None:
    for ratio in (1e-4, 1e-2, 0.5, 1.0, 5.0):
        bonus = {"behavior/entropy_contribution": ratio * 0.02}
        assert not diagnose({0: course({**LEARNS, **bonus})}).findings


def test_a_negative_entropy_is_no_finding_M_DIAG_04_DIS_01() -> None:
    shapes = {"behavior/entropy_nats": -2.0, "behavior/entropy_lower_nats": -3.53, "behavior/action_std": 0.15}
    told = diagnose({0: course({**LEARNS, **shapes, "behavior/log_prob_abs_mean": 2.0})})
    assert not told.findings
    assert "entropy-below-zero" in {finding.rule.id for finding in told.healthy}


def test_the_spread_at_which_the_entropy_is_zero_is_told_where_it_is_passed_M_ENT_03() -> None:
    crossing = 1 / math.sqrt(2 * math.pi * math.e)
    for std in (0.9 * crossing, 1.1 * crossing):
        nats = 4 * math.log(std / crossing)
        shapes = {"behavior/entropy_nats": nats, "behavior/entropy_lower_nats": -3.53, "behavior/action_std": std}
        told = {sign.rule.id: sign for sign in diagnose({0: course({**LEARNS, **shapes})}).healthy}
        assert ("entropy-below-zero" in told) == (std < crossing)
        if std < crossing:
            assert f"below {crossing:.3f}" in told["entropy-below-zero"].rule.symptom


def test_a_return_scale_that_grows_with_skill_is_health_and_one_that_shrinks_no_fault_M_ENT_09() -> None:
    """One source has it shrink as skill grows, another saw it grow with returns from 20 to 120 (DIS-04)."""
    for scale, grows in ((rising(20, 120), True), (rising(120, 20), False)):
        told = diagnose({0: course({**LEARNS, "behavior/return_scale": scale, "behavior/return_scale_raw": scale})})
        assert not told.findings
        assert ("scale-grows" in {sign.rule.id for sign in told.healthy}) is grows


def test_an_entropy_called_converged_is_impossible_under_a_least_std_of_e_to_the_minus_half_M_ENT_06() -> None:
    """M-ENT-06: 0.5 to 1.5 nats of four actions are called converged, under bounds whose least is 3.68 (DIS-02)."""
    shapes = {**{f"behavior/action_std/{i}": 0.7 for i in range(4)}, "behavior/entropy_nats": 1.0}
    config = {"policy.std": (math.exp(-0.5), math.exp(2.0)), "policy.dist": "tanh_normal"}
    told = diagnose({0: course({**LEARNS, **shapes, "behavior/entropy_upper_nats": 13.68}, config=config)})
    assert [one.rule.id for one in told.findings[:1]] == ["entropy-below-config"]
    assert told.findings[0].evidence[0].wanted.startswith("at most 3.6")


def test_an_entropy_of_minus_3_cannot_be_under_a_least_std_of_e_to_the_minus_2_M_ADD_10() -> None:
    told = diagnose({0: STORIES["entropy-below-config"].course()})
    assert told.findings[0].rule.id == "entropy-below-config"
    assert told.findings[0].evidence[0].wanted.startswith("at most -2.3")


def test_a_cause_stands_before_its_consequences() -> None:
    told = diagnose({0: course({**LEARNS, **RANDOM, **NIL})})
    root = told.findings[0]
    assert root.rule.id == "no-learning-signal"
    assert root.is_root
    assert {"scale-at-floor", "not-learning"} <= {one.rule.id for one in told.consequences(root)}
    for one in told.findings[1:]:
        if not one.is_root:
            places = [other.rule.id for other in told.findings]
            assert any(places.index(cause) < places.index(one.rule.id) for cause in one.explained_by)


def test_agreement_over_seeds_is_counted() -> None:
    well, ill = course(LEARNS), course({**LEARNS, "wm/free_bits_frac": 1.0, "wm/kl_dyn_nats": 1.0})
    told = diagnose({0: ill, 1: well, 2: ill, 3: Course({})})
    (finding,) = told.findings
    assert (list(finding.seeds), list(finding.judged)) == ([0, 2], [0, 1, 2])


def test_what_most_seeds_show_comes_first() -> None:
    low, high = course({"behavior/value": 1.0}), course({"behavior/value": 9.0})
    often = Rule("often", "warning", "Low", (Level("behavior/value", below=5.0),), ("x",), "Look.", ("M-DIAG-19",))
    told = diagnose({0: low, 1: low, 2: high}, (a_rule("rare", "critical"), often))
    assert [one.rule.id for one in told.findings] == ["often", "rare"]
    told = diagnose({0: high}, (a_rule("a"), a_rule("b", "critical")))
    assert [one.rule.id for one in told.findings] == ["b", "a"]


def test_a_cause_in_other_seeds_explains_nothing() -> None:
    low, high = course({"behavior/value": 1.0}), course({"behavior/value": 9.0})
    lows = Rule("lows", "warning", "Low", (Level("behavior/value", below=5.0),), ("x",), "Look.", ("M-DIAG-19",))
    told = diagnose({0: low, 1: high}, (a_rule("highs", explains=("lows",)), lows))
    assert all(one.is_root for one in told.findings)


def test_rules_that_could_not_be_judged_are_told_with_what_is_missing() -> None:
    told = diagnose({0: course({**FLAT})})
    assert "probe/reward_correlation" in told.silent["reward-misjudged"]
    assert "not-learning" not in told.silent


def test_evidence_gives_the_figure_of_every_seed_and_where_it_was_seen() -> None:
    told = diagnose({seed: course({"behavior/value": 6.0 + seed}) for seed in range(3)}, (a_rule("high"),))
    (evidence,) = told.findings[0].evidence
    assert (evidence.low, evidence.value, evidence.high) == (6.0, 7.0, 8.0)
    assert (evidence.since, evidence.until) == (5100, 10_000)
    assert len(evidence.sketch) == 48


def test_a_controller_that_is_always_on_or_never_is_named_M_SUR_09() -> None:
    on = diagnose({0: STORIES["controller-always-on"].course()})
    assert (on.findings[0].rule.id, on.findings[0].subject) == ("controller-always-on", "control/focus_active_frac")
    assert {"actor-withheld", "actor-idle"} <= {one.rule.id for one in on.consequences(on.findings[0])}
    off = diagnose({0: STORIES["controller-inert"].course()})
    assert [(one.rule.id, one.subject) for one in off.findings] == [("controller-inert", "control/focus_active_frac")]


def test_nothing_to_judge_is_no_finding() -> None:
    told = diagnose({})
    assert not told.findings
    assert diagnose({0: Course({})}).findings == []


def test_dreams_that_promise_less_than_what_comes_exploit_nothing_M_EXP_16() -> None:
    story = {**LEARNS, **STORIES["exploits-model"].shapes}
    for gap, named in ((40.0, True), (-40.0, False)):
        found = diagnose({0: course({**story, "probe/imagined_return_gap": gap})}).findings
        assert ("exploits-model" in {one.rule.id for one in found}) == named
