"""Real runs that were provoked to show a symptom: the rule that is about it is named first, by metrics alone."""

from __future__ import annotations

import pytest

from dreamerlab.diagnostics.engine import diagnose
from dreamerlab.diagnostics.table import BY_ID, RULES
from tests.diagnostics.recordings import load, names


@pytest.mark.parametrize("name", names())
def test_what_was_planted_is_named_first(name: str) -> None:
    courses, facts = load(name)
    told = diagnose(courses)
    assert told.findings, facts["planted"]
    assert told.findings[0].rule.id == name, facts["planted"]
    assert not told.findings[0].rule.reads_config


def test_the_table_says_which_rules_have_a_recording() -> None:
    assert {rule.id for rule in RULES if rule.recorded is not None} == set(names())
    for name in names():
        assert BY_ID[name].recorded == load(name)[1]["planted"]
