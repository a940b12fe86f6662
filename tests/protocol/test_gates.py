"""The rules about configs and launches, each by a config that breaks it; what breaks none passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.diff import canonical, diff
from dreamerlab.config.layers import resolve
from dreamerlab.errors import GateRefused
from dreamerlab.protocol.families import family
from dreamerlab.protocol.gates import (
    FREE_ZONES,
    Arm,
    base_digest,
    declared_change,
    equal_measure,
    like_baseline,
    same_base,
    same_family,
)
from dreamerlab.protocol.hypothesis import Base, Change, Plan, Proposal
from dreamerlab.protocol.launch_rules import (
    base_words,
    committed,
    enough_seeds,
    fresh_seeds,
    frozen_seeds,
    not_open,
    nothing_overridden,
    override_allowed,
)
from dreamerlab.protocol.violations import Violation, refusal, seed_list

ROOT = Path(__file__).parents[2]
WHO = "H0007-k3f"
ACTOR = "optimizer.lr_actor"


def arm(*overrides: str) -> Arm:
    resolved = resolve(ROOT, "cartpole", None, overrides)
    return Arm(resolved.flat, resolved.origins)


BASE = arm()


def proposal(*changes: Change, kind: str = "config", **rest: object) -> Proposal:
    plan = Plan("env_steps", 12000, (0, 1, 2), (0, 1, 2))
    made = Proposal(kind, "said", "read", Base("cartpole"), plan, "cartpole/a", "cartpole/a", changes=changes)
    return replace(made, **rest)  # type: ignore[arg-type]


def change(key: str, after: object) -> Change:
    return Change(key, BASE.flat[key], after)


def rules(found: list[Violation]) -> list[str]:
    return [one.rule for one in found]


def test_exactly_the_declared_change_breaks_no_rule() -> None:
    asked = proposal(change(ACTOR, 1e-4))
    treatment = arm(f"{ACTOR}=1e-4")
    assert declared_change(asked, BASE, treatment, WHO) == []
    assert equal_measure(asked, BASE, treatment) == []
    assert like_baseline(BASE, arm("execution.threads=4", "log.every=7"), "R0001-abc", WHO) == []


def test_a_second_difference_is_named_with_both_values_and_origins() -> None:
    treatment = arm(f"{ACTOR}=1e-4", "behavior.horizon=9")
    (found,) = declared_change(proposal(change(ACTOR, 1e-4)), BASE, treatment, WHO)
    assert (found.rule, found.key, found.values) == ("declared-change", "behavior.horizon", ("15", "9"))
    assert found.origins == ("default", "command line: behavior.horizon=9")
    assert f"dreamerlab withdraw {WHO}" in found.hint


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (proposal(change(ACTOR, 1e-4), change("behavior.horizon", 9)), "exactly one leaf"),
        (proposal(change(ACTOR, 1e-4), change("behavior.horizon", 9), kind="bundle"), "needs a reason"),
        (proposal(kind="config"), "exactly one leaf"),
        (proposal(kind="code"), "says what is changed"),
        (proposal(change(ACTOR, 1e-4), kind="code", code="x"), "changes no config leaf"),
        (proposal(change(ACTOR, 1e-4), kind="baseline"), "changes no config leaf"),
        (proposal(kind="baseline", code="x"), "a baseline changes nothing"),
        (proposal(change(ACTOR, 1e-4), kind="equivalence", code="x"), "neither can be told"),
    ],
)
def test_a_proposal_that_does_not_declare_one_thing_is_named(asked: Proposal, words: str) -> None:
    treatment = arm(*(f"{one.key}={one.after}" for one in asked.changes))
    found = [one for one in declared_change(asked, BASE, treatment, WHO) if words in one.message]
    assert rules(found) == ["declared-change"]


def test_a_change_that_does_nothing_is_named() -> None:
    assert rules(declared_change(proposal(change(ACTOR, BASE.flat[ACTOR])), BASE, BASE, WHO)) == ["declared-change"]


def test_a_change_of_a_leaf_that_does_not_act_is_named_with_what_would_make_it_act() -> None:
    off = arm("optimizer.agc=0")
    asked = proposal(Change("optimizer.agc_min_norm", 1e-3, 1e-2))
    (found,) = declared_change(asked, off, arm("optimizer.agc=0", "optimizer.agc_min_norm=1e-2"), WHO)
    assert found.rule == "inert-change"
    assert "optimizer.agc > 0" in found.message


def test_a_base_that_moved_since_the_proposal_is_named() -> None:
    asked = proposal(Change(ACTOR, 2e-5, 1e-4))
    (found,) = declared_change(asked, BASE, arm(f"{ACTOR}=1e-4"), WHO)
    assert (found.rule, found.values) == ("base-changed", ("2.0e-05", "4.0e-05"))
    frozen = proposal(base=Base("cartpole", "nano", digest=base_digest(BASE.flat)))
    assert same_base(frozen, BASE, WHO) == []
    (found,) = same_base(frozen, arm("train.train_ratio=64"), WHO)
    assert found.rule == "base-changed"
    assert "env_configs/experiments/nano.yaml" in found.hint


@given(st.sampled_from(sorted(key for key, info in leaves().items() if info.type_text in ("number", "integer"))))
def test_the_digest_of_a_base_sees_every_leaf_that_decides_a_score_and_no_other(key: str) -> None:
    value = BASE.flat[key]
    moved = {**BASE.flat, key: 1 if value is None else value + 1}  # type: ignore[operator]
    zone = leaves()[key].zone.value
    assert (base_digest(moved) != base_digest(BASE.flat)) == (zone not in FREE_ZONES | {"BUDGET"})


@pytest.mark.parametrize(
    ("key", "after", "rule"),
    [
        ("budget.amount", 6000, "unequal-budget"),
        ("eval.episodes", 20, "unequal-evaluation"),
        ("reference.solved", 200.0, "unequal-evaluation"),
        ("env.id", "Acrobot-v1", "another-task"),
    ],
)
def test_a_declared_change_of_the_measure_itself_is_refused(key: str, after: object, rule: str) -> None:
    (found,) = equal_measure(proposal(change(key, after)), BASE, arm(f"{key}={after}"))
    assert (found.rule, found.key) == (rule, key)


@pytest.mark.parametrize("override", ["model.units=128", "env.time_limit=200", "twohot.support=[-5,5]"])
def test_a_change_of_architecture_or_environment_needs_leave(override: str) -> None:
    treatment = arm(override)
    families = (family("cartpole", BASE.flat), family("cartpole", treatment.flat))
    (found,) = same_family(BASE, treatment, families, allowed=False, subject=WHO)
    assert (found.rule, found.hint) == (
        "new-family",
        f"say that this is meant: dreamerlab run {WHO} --new-family",
    )
    assert families[0] in found.message
    assert families[1] in found.message
    assert same_family(BASE, treatment, families, allowed=True, subject=WHO) == []


def test_a_change_of_dynamics_stays_in_its_family() -> None:
    treatment = arm(f"{ACTOR}=1e-4")
    families = (family("cartpole", BASE.flat), family("cartpole", treatment.flat))
    assert same_family(BASE, treatment, families, allowed=False, subject=WHO) == []


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("budget.amount=6000", "unequal-budget"),
        ("eval.every=100", "unequal-evaluation"),
        ("behavior.horizon=9", "undeclared-difference"),
        ("model.units=128", "undeclared-difference"),
    ],
)
def test_a_baseline_of_another_config_is_named_by_the_leaf_and_its_origins(override: str, rule: str) -> None:
    (found,) = like_baseline(BASE, arm(override), "R0001-abc", WHO)
    key, _, value = override.partition("=")
    assert (found.rule, found.key, found.values[0]) == (rule, key, value)
    assert found.origins[0] == f"R0001-abc: command line: {override}"
    assert f"--set {override}" in found.hint


@given(st.sampled_from(sorted(leaves())), st.integers(0, 3))
def test_two_arms_differ_by_rule_exactly_where_their_configs_do(key: str, step: int) -> None:
    """What `like_baseline` names is the config difference outside the free zones, no more and no less."""
    value = BASE.flat[key]
    moved = dict(BASE.flat)
    if isinstance(value, int | float) and not isinstance(value, bool):
        moved[key] = value + step
    elif step:
        moved[key] = "other"
    named = {one.key for one in like_baseline(BASE, Arm(moved, {}), "R0001-abc", WHO)}
    wanted = {one.key for one in diff(BASE.flat, moved) if one.zone is not None and one.zone.value not in FREE_ZONES}
    assert named == wanted
    assert (key in {d.key for d in diff(BASE.flat, moved)}) == (canonical(value) != canonical(moved[key]))


def test_overrides_of_a_launch_may_not_change_what_was_declared() -> None:
    treatment = arm(f"{ACTOR}=1e-4")
    asked = resolve(ROOT, "cartpole", None, [f"{ACTOR}=3e-4", "behavior.horizon=9", "log.every=7"])
    seen = diff(BASE.flat, asked.flat, BASE.origins, asked.origins)
    found = override_allowed(seen, treatment, WHO)
    assert {one.key for one in found} == {ACTOR, "behavior.horizon"}
    assert {one.rule for one in found} == {"override"}
    assert next(one for one in found if one.key == ACTOR).values == ("0.0001", "0.0003")
    same = resolve(ROOT, "cartpole", None, [f"{ACTOR}=1e-4"])
    assert override_allowed(diff(BASE.flat, same.flat), treatment, WHO) == []


def test_seeds_are_declared_once() -> None:
    asked = proposal(change(ACTOR, 1e-4))
    assert frozen_seeds(asked, None, ended=True, subject=WHO) == []
    assert frozen_seeds(asked, (0, 1, 2), ended=False, subject=WHO) == []
    assert rules(frozen_seeds(asked, (0, 1, 2, 3), ended=False, subject=WHO)) == ["frozen-seeds"]
    (found,) = frozen_seeds(asked, (0, 1, 2, 3), ended=True, subject=WHO)
    assert found.rule == "seeds-after-verdict"
    assert found.hint.endswith(f"dreamerlab propose --replicates {WHO} --seeds 3-6")


def test_a_replication_takes_fresh_seeds() -> None:
    asked = proposal(change(ACTOR, 1e-4), replicates="H0001-aaa")
    assert fresh_seeds(asked, (3, 4, 5), WHO) == []
    (found,) = fresh_seeds(asked, (2, 3), WHO)
    assert (found.rule, found.values) == ("repeated-seeds", ("2,3", "0-2"))
    assert "--seeds 4-6" in found.hint


@pytest.mark.parametrize(("baseline", "broken"), [(("R0001-abc", 2), True), (("R0001-abc", 3), False), (None, False)])
def test_a_baseline_needs_three_seeds(baseline: tuple[str, int] | None, broken: bool) -> None:
    assert rules(enough_seeds(proposal(change(ACTOR, 1e-4)), baseline, WHO)) == ["baseline-seeds"] * broken


def test_a_planned_baseline_needs_three_seeds_too() -> None:
    asked = proposal(change(ACTOR, 1e-4), plan=Plan("env_steps", 12000, (0, 1), (0, 1)))
    assert rules(enough_seeds(asked, None, WHO)) == ["baseline-seeds"]
    assert enough_seeds(replace(asked, kind="baseline"), None, WHO) == []


def test_what_has_ended_does_not_run_again() -> None:
    judged = not_open("judged", "SUPPORTED", WHO)
    assert "SUPPORTED" in judged.message
    assert f"--replicates {WHO}" in judged.hint
    assert "a hunch" in not_open("withdrawn", "a hunch", WHO).message


def test_a_run_keeps_the_config_it_started_with() -> None:
    (found,) = nothing_overridden(["log.every=5"], WHO)
    assert (found.rule, found.key, found.values) == ("override", "log.every", ("5",))


def test_uncommitted_code_is_refused_unless_it_is_allowed() -> None:
    files = [f"f{number}.py" for number in range(7)]
    (found,) = committed(files, allowed=False, subject=WHO)
    assert "f4.py and 2 more" in found.message
    assert found.hint.endswith(f"dreamerlab run {WHO} --allow-dirty")
    (early,) = committed(files, allowed=False, subject="this proposal")
    assert early.hint.endswith("dreamerlab run --allow-dirty")
    assert committed(files, allowed=True, subject=WHO) == committed([], allowed=False, subject=WHO) == []


def test_the_refusal_names_every_violation_with_its_remedy() -> None:
    one = Violation("uncommitted", "the first", "do this")
    other = Violation("not-open", "the second", "do that")
    assert (refusal([one], WHO).message, refusal([one], WHO).hint) == ("the first", "do this")
    both = refusal([one, other], WHO)
    assert isinstance(both, GateRefused)
    assert all(text in both.message for text in ("2 rules", WHO, "the first", "do this", "the second", "do that"))


def test_words_of_a_base_are_those_of_a_command_line() -> None:
    asked = proposal(base=Base("cartpole", "nano", ("budget.amount=60",)))
    assert base_words(asked) == "--env cartpole --experiment nano budget.amount=60"


@pytest.mark.parametrize(("seeds", "text"), [((0, 1, 2), "0-2"), ((5, 3), "3,5"), ((4,), "4"), ((1, 2), "1,2")])
def test_seeds_are_spelt_short(seeds: tuple[int, ...], text: str) -> None:
    assert seed_list(seeds) == text
