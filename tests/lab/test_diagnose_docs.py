"""The page of rules is complete and current, and a stale one is noticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dreamerlab.diagnostics.table import RULES
from dreamerlab.lab.diagnose_docs import COMMAND, main, page, watchers
from dreamerlab.metrics import CATALOGUE


def test_the_committed_page_of_rules_is_current() -> None:
    assert main(["--check"]) == 0, f"run: {COMMAND}"


def test_every_rule_has_its_place_on_the_page() -> None:
    text = page()
    for rule in RULES:
        assert f"\n## {rule.id}\n" in text
        assert rule.symptom in text
        for source in rule.sources:
            assert source in text


def test_every_metric_that_a_rule_watches_leads_to_the_rule() -> None:
    text = page()
    found = watchers()
    read = {name for rule in RULES for names in (*rule.watches(), *rule.also) for name in names.split("|")}
    assert {name for name in read if "*" not in name} <= found.keys()
    assert [name for name in found if "*" not in name and name not in CATALOGUE] == []
    rows = text[text.index("## Metrics and the rules") :]
    for rule in RULES:
        assert not [*rule.watches()] or f"[{rule.id}](#{rule.id})" in rows
    row = next(line for line in rows.splitlines() if line.startswith("| `behavior/entropy_frac`"))
    assert "[pinned-at-ceiling](#pinned-at-ceiling)" in row
    places = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= places


def test_a_stale_page_fails_the_check_and_is_mended_by_writing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--file", str(tmp_path / "rules.md")]
    assert main([*here, "--check"]) == 6
    assert "rules.md" in capsys.readouterr().err
    assert main(here) == 0
    assert main([*here, "--check"]) == 0
