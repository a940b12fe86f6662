"""The page of rules is complete and current, and a stale one is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.diagnostics.table import RULES
from dreamerlab.lab.diagnose_docs import COMMAND, main, page


def test_the_committed_page_of_rules_is_current() -> None:
    assert main(["--check"]) == 0, f"run: {COMMAND}"


def test_every_rule_has_its_place_on_the_page() -> None:
    text = page()
    for rule in RULES:
        assert f"\n## {rule.id}\n" in text
        assert rule.symptom in text
        for source in rule.sources:
            assert source in text


def test_a_stale_page_fails_the_check_and_is_mended_by_writing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--file", str(tmp_path / "rules.md")]
    assert main([*here, "--check"]) == 6
    assert "rules.md" in capsys.readouterr().err
    assert main(here) == 0
    assert main([*here, "--check"]) == 0
