"""Findings in the HTML report: every run's page has those that `diagnose` names, from what is committed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab import report_runs
from dreamerlab.lab.html_report import build
from dreamerlab.runs.curves import write_curves
from dreamerlab.runs.store import Workspace
from tests.diagnostics.stories import RANDOM
from tests.lab.diagnosed import a_run, a_workspace
from tests.lab.workspaces import data, inside

TOO_MUCH = {**RANDOM, "behavior/entropy_contribution": 0.21}
_RECORD = re.compile(r'<script type="application/json" id="([^"]+)">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """R1: an entropy bonus of 0.3; R2: the same without it."""
    made = a_workspace(tmp_path_factory.mktemp("findings") / "lab")
    for shapes, overrides in ((TOO_MUCH, ("behavior.entropy_scale=0.3",)), ({}, ())):
        for trial in a_run(made, shapes, overrides=overrides).trials():
            write_curves(trial)
    return made


def report(workspace: Workspace, out: Path, *, curves_mb: float = 1) -> tuple[str, dict[str, Any]]:
    build(workspace, out, films_mb=1, curves_mb=curves_mb)
    page = out.read_text()
    found = {key: json.loads(content) for key, content in _RECORD.findall(page)}
    return page, {key.partition("-")[0]: one for key, one in found.items()}


def test_a_run_has_the_findings_that_diagnose_names(workspace: Workspace, tmp_path: Path) -> None:
    _, found = report(workspace, tmp_path / "report.html")
    said = inside(workspace.path, "diagnose", "R1", "--json")
    told = json.loads(said.stdout)["findings"]
    here = found["R0001"]["findings"]
    assert [one["rule"] for one in here["all"]] == [one["rule"] for one in told]
    first = here["all"][0]
    assert first["try"] == told[0]["try"]
    assert first["agreement"] == "3 of 3 seeds"
    rule = found["rules"][first["rule"]]
    assert rule["symptom"] == told[0]["symptom"]
    assert rule["causes"] == told[0]["causes"]
    assert found["R0002"]["findings"] == {"all": [], "roots": [], "remarks": [], "looked": True}


def test_evidence_is_drawn_from_curves_and_in_outline_where_there_is_no_room_for_them(
    workspace: Workspace, tmp_path: Path
) -> None:
    _, full = report(workspace, tmp_path / "report.html")
    _, bare = report(workspace, tmp_path / "report.html", curves_mb=0)
    pieces = [one["findings"]["all"][0]["evidence"] for one in (full["R0001"], bare["R0001"])]
    curves = {name for part in full["R0001"]["curves"] for name in part["of"]}
    for piece, outlined in zip(*pieces, strict=True):
        assert piece["sketch"] == []
        assert set(piece["metrics"]) <= curves
        assert len(outlined["sketch"]) > 20
        assert piece["figure"] == outlined["figure"]


def test_a_clone_without_artifacts_reads_the_committed_curves_and_says_so(workspace: Workspace, tmp_path: Path) -> None:
    clone = Workspace(tmp_path / "clone")
    shutil.copytree(workspace.path, clone.path, ignore=shutil.ignore_patterns("attempt-*", "artifacts"))
    _, found = report(clone, tmp_path / "report.html")
    here = found["R0001"]["findings"]
    assert here["all"][0]["rule"] == "entropy-scale-too-high"
    assert here["remarks"] == ["read from the committed curves in seeds 0-2"]


def test_the_table_of_runs_can_be_filtered_by_the_worst_finding(workspace: Workspace, tmp_path: Path) -> None:
    page, _ = report(workspace, tmp_path / "report.html")
    rows = re.findall(r"<tr data-state[^>]*>.*?</tr>", page)
    marked = {re.findall(r"R000\d", row)[0]: 'data-finding="critical"' in row for row in rows}
    assert marked == {"R0001": True, "R0002": False}
    assert '<label>Finding <select name="finding"><option value="">any</option><option>critical</option>' in page


def test_older_runs_of_many_are_not_put_to_the_rules_and_that_is_said(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_runs, "DIAGNOSED", 1)
    page, found = report(workspace, tmp_path / "report.html")
    assert found["R0001"]["findings"]["looked"] is False
    assert "dreamerlab diagnose R0001" in found["R0001"]["findings"]["remarks"][0]
    assert "One older run was not put to the rules of diagnosis" in page
    assert found["R0002"]["findings"]["looked"] is True


def test_show_and_the_report_agree(workspace: Workspace, tmp_path: Path) -> None:
    _, found = report(workspace, tmp_path / "report.html")
    roots = [{key: one[key] for key in one if key != "words"} for one in found["R0001"]["findings"]["roots"]]
    assert roots == data(inside(workspace.path, "show", "R1", "--json"))["findings"]
