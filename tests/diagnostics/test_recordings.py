"""Real runs that were provoked to show a symptom: the rule that is about it is named first, by metrics alone.

Other rules that have a recording fire in one of these as well: as consequences, or as signs of health.
"""

from __future__ import annotations

import pytest

from dreamerlab.diagnostics.engine import diagnose
from dreamerlab.diagnostics.rule import Rule
from dreamerlab.diagnostics.table import RULES
from tests.diagnostics.recordings import load, names

RECORDED = [rule for rule in RULES if rule.recorded is not None]


@pytest.mark.parametrize("name", names())
def test_what_was_planted_is_named_first(name: str) -> None:
    courses, facts = load(name)
    told = diagnose(courses)
    first = (told.findings or told.healthy)[0]
    assert first.rule.id == name, facts["planted"]
    assert not first.rule.reads_config


@pytest.mark.parametrize("rule", RECORDED, ids=lambda rule: rule.id)
def test_a_rule_with_a_recording_fires_in_it(rule: Rule) -> None:
    within = {load(name)[1]["planted"]: load(name)[0] for name in names()}
    told = diagnose(within[str(rule.recorded)])
    assert rule.id in {one.rule.id for one in (*told.findings, *told.healthy)}


def test_every_recording_is_named_by_the_table() -> None:
    assert {load(name)[1]["planted"] for name in names()} == {rule.recorded for rule in RECORDED}
    assert {rule.id for rule in RECORDED} >= set(names())
