"""The table of rules: complete, without loops, and each rule says what its words say, on courses made by hand."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from dreamerlab.config.catalogue import leaves
from dreamerlab.diagnostics.engine import diagnose
from dreamerlab.diagnostics.rule import Rule
from dreamerlab.diagnostics.series import Course
from dreamerlab.diagnostics.table import BY_ID, RULES, watched
from dreamerlab.metrics import CATALOGUE
from tests.diagnostics.courses import LEARNS, course, rising
from tests.diagnostics.stories import STORIES, long_course

AILING = [rule for rule in RULES if rule.severity != "healthy"]
PROMISED = re.compile(r"(control/.*|surprise/.*|probe/.*|behavior/action_(mean|std)/.*)")
"""Names of metrics whose measuring is a part of its own; rules on them say nothing until they are there."""


def found(one: Course) -> list[str]:
    return [finding.rule.id for finding in diagnose({0: one}).findings]


def test_a_run_that_learns_gives_no_finding_M_DIAG_11_17() -> None:
    told = diagnose({0: course(LEARNS)})
    assert not told.findings
    signs = {finding.rule.id for finding in told.healthy}
    assert signs >= {"learns", "converged", "entropy-steady", "advantages-in-range", "model-learns", "scale-grows"}


def test_more_games_won_are_a_sign_of_health_M_DIAG_17() -> None:
    for rate, more in ((rising(0.1, 0.6), True), (0.3, False)):
        told = diagnose({0: course({**LEARNS, "train/win_rate": rate})})
        assert ("wins-more" in {finding.rule.id for finding in told.healthy}) is more


@pytest.mark.parametrize("name", STORIES)
def test_each_rule_fires_on_its_story(name: str) -> None:
    told = found(STORIES[name].course())
    assert name in told
    assert told[0] == (STORIES[name].first or name), told


def test_rules_of_a_length_or_an_end() -> None:
    assert "entropy-high-late" in found(long_course())
    assert found(Course(dict(course(LEARNS).series), diverged="wm/loss is nan"))[0] == "diverged"


def test_every_rule_has_a_story() -> None:
    assert {rule.id for rule in AILING} - {"entropy-high-late", "diverged"} == set(STORIES)


@pytest.mark.parametrize("rule", AILING, ids=lambda rule: rule.id)
def test_each_rule_is_silent_where_a_metric_it_needs_is_missing(rule: Rule) -> None:
    for names in rule.watches():
        shapes = dict(STORIES[rule.id].shapes) if rule.id in STORIES else {}
        config = STORIES[rule.id].config if rule.id in STORIES else {}
        gone = {name: shape for name, shape in {**LEARNS, **shapes}.items() if name not in names.split("|")}
        without_pattern = {k: v for k, v in gone.items() if not fnmatchcase(k, names)}
        if any(names in one.metrics for one in rule.when) and names != "train/return":
            assert rule.id not in found(course(without_pattern, config=config)), names


def test_ids_are_unique_and_every_rule_is_complete() -> None:
    assert len(BY_ID) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.id)
        assert rule.sources, rule.id
        assert rule.check.endswith((".", "?", "N", "RUN", ")", "policy_loss", "init.parts")), rule.id
        assert rule.symptom[0].isupper(), rule.id
        assert not rule.symptom.endswith("."), rule.id
        assert len(rule.symptom) <= 90, rule.id
        if rule.severity != "healthy":
            assert rule.causes, rule.id


def test_what_explains_what_has_no_loop() -> None:
    def walk(rule_id: str, path: tuple[str, ...]) -> None:
        for other in BY_ID[rule_id].explains:
            assert other not in path, (*path, other)
            walk(other, (*path, other))

    for rule in RULES:
        walk(rule.id, (rule.id,))


def test_every_change_names_a_leaf() -> None:
    for rule in RULES:
        for change in rule.changes:
            assert change.key in leaves(), (rule.id, change.key)
            assert (change.to is None) != (change.times is None), (rule.id, change.key)


def test_every_metric_is_in_the_catalogue() -> None:
    unknown = {name for name in watched() if name not in CATALOGUE and not PROMISED.fullmatch(name)}
    assert not unknown


def test_rules_that_read_the_config_are_marked() -> None:
    reading = {rule.id for rule in RULES if rule.reads_config}
    assert "value-at-ceiling-of-config" in reading
    assert "value-at-ceiling" not in reading
    for name in reading:
        assert name not in found(course({**LEARNS, **STORIES[name].shapes})), "without a config it says nothing"
