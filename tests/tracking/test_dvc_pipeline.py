"""`dvc repro`, `metrics` and `plots` on a real run; a `dvc.yaml` that somebody edited stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.tracking import dvc_pipeline
from dreamerlab.tracking.dvc_pipeline import PIPELINE
from tests.lab.conftest import Ran
from tests.lab.conftest import ran as ran
from tests.lab.workspaces import ROOT, dreamerlab, git, without


def dvc(lab: Path, *words: str) -> str:
    """Return what DVC prints, with our command on its path as a shell would have it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "DVC_SITE_CACHE_DIR": str(lab / ".dreamerlab")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "dvc", *words], cwd=lab, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_an_edited_pipeline_stays_and_one_of_an_earlier_version_is_brought_up_to_date(ran: Ran, tmp_path: Path) -> None:
    lab = ran.copy(tmp_path / "lab").workspace.path
    bare = without(tmp_path / "blocked", "dvc", "mlflow")
    pipeline = lab / "dvc.yaml"
    edited = f"{PIPELINE}  - mine.csv\n"
    pipeline.write_text(edited)
    assert dreamerlab(lab, "init", **bare).returncode == 0
    assert pipeline.read_text() == edited
    for former in dvc_pipeline._FORMER:
        pipeline.write_text(former)
        assert "dvc.yaml (brought up to date)" in dreamerlab(lab, "init", **bare).stdout
        assert pipeline.read_text() == PIPELINE


def test_this_repository_has_the_pipeline_that_it_gives_others() -> None:
    assert (ROOT / "dvc.yaml").read_text() == PIPELINE


@pytest.mark.slow
def test_dvc_renders_log_and_report_and_shows_scores_and_curves_of_a_real_run(ran: Ran, tmp_path: Path) -> None:
    pytest.importorskip("dvc.__main__", reason="DVC is not installed")
    lab = ran.copy(tmp_path / "lab").workspace.path
    assert dreamerlab(lab, "init", **without(tmp_path / "blocked", "mlflow")).returncode == 0
    first = dvc(lab, "repro")
    assert "Running stage 'log'" in first
    assert (lab / "report.html").read_text().startswith("<!doctype html")
    assert "Data and pipelines are up to date" in dvc(lab, "repro")
    page = lab / "protocol" / "LOG.md"
    whole = page.read_bytes()
    page.write_text("spoilt\n")
    assert "Running stage 'log'" in dvc(lab, "repro")
    assert page.read_bytes() == whole
    git(lab, "add", "dvc.lock")
    git(lab, "commit", "-qm", "Lock")
    assert git(lab, "status", "--porcelain").split() in ([], ["A", "staged.txt"])
    scores = json.loads(dvc(lab, "metrics", "show", "--json"))[""]["data"]["runs/scores.json"]["data"]
    assert scores[ran.run.id]["seeds"].keys() == {"0", "1"}
    noted = json.loads(dvc(lab, "metrics", "diff", "--json", "--all", _before_the_run(lab)))
    assert noted["runs/scores.json"][f"{ran.run.id}.mean"]["new"] == scores[ran.run.id]["mean"]
    plots = json.loads(dvc(lab, "plots", "show", "--json"))
    assert "errors" not in plots
    (content,) = plots["data"][f"runs/curves/{ran.run.id}.csv"]
    points = content["content"]["data"]["values"]
    assert {(point["seed"], point["env_steps"]) for point in points} == {
        (seed, steps) for seed in "01" for steps in ("20", "40", "60")
    }
    assert content["content"]["encoding"]["color"]["field"] == "seed"
    dvc(lab, "plots", "show")
    assert (lab / "dvc_plots" / "index.html").is_file()
    assert git(lab, "status", "--porcelain").split() in ([], ["A", "staged.txt"]), "what is generated is ignored"


def _before_the_run(lab: Path) -> str:
    return git(lab, "rev-list", "--max-parents=0", "HEAD").strip()
