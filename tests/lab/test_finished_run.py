"""A run from `run` to `show`: what is on disk, what is printed, and what every reading command says about it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from dreamerlab.runs.manifest import read_manifest
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, dreamerlab, git, inside


def test_the_result_is_printed_as_data_and_the_talk_is_elsewhere(ran: Ran) -> None:
    result = data(ran.done)
    assert [trial["state"] for trial in result["trials"]] == ["finished", "finished"]
    assert result["complete"] is True
    assert result["mean_score"] == sum(trial["score"] for trial in result["trials"]) / 2
    assert f"{ran.run.id}: cartpole, seeds 0-1, 60 env steps each" in ran.done.stderr
    assert f"finalising {ran.run.id}" in ran.done.stderr


def test_the_manifest_says_what_was_asked_for(ran: Ran) -> None:
    manifest = json.loads(ran.run.manifest_path.read_text())
    assert (manifest["id"], manifest["name"], manifest["kind"]) == (ran.run.id, "first", "baseline")
    assert (manifest["seeds"], manifest["budget"]) == ([0, 1], {"unit": "env_steps", "amount": 60})
    assert manifest["family"].startswith("cartpole/")
    assert manifest["command"][:3] == ["dreamerlab", "run", "--baseline"]
    assert json.loads(ran.run.origins_path.read_text())["budget.amount"] == "command line: budget.amount=60"
    snapshot = ran.workspace.snapshots / manifest["code"]["identity"][:16]
    assert (snapshot / "dreamerlab" / "train" / "__main__.py").is_file()


def test_the_records_are_committed_and_nothing_else(ran: Ran) -> None:
    """The launch, the run's records, and what the hypothesis has come to: three commits, each of exactly its own."""
    folder = ran.workspace.path
    subjects = git(folder, "log", "--format=%s").splitlines()
    launched, recorded = (
        subjects.index(f"{word} {name}") for word, name in (("Launch", hypothesis_of(ran)), ("Record", ran.run.id))
    )
    assert recorded < launched, "newest first"
    committed = set(git(folder, "show", "--name-only", "--format=", f"HEAD~{recorded}").split())
    inside = {name for name in committed if name.startswith(f"runs/{ran.run.id}/")}
    assert committed - inside == {"runs/scores.json", f"runs/curves/{ran.run.id}.csv"}
    assert {f"runs/{ran.run.id}/seed-1/{name}" for name in ("status.json", "summary.json", "evals.jsonl")} <= inside
    everything = set(git(folder, "ls-tree", "-r", "--name-only", "HEAD").split())
    assert {f"runs/{ran.run.id}/{name}" for name in ("manifest.json", "config.yaml")} <= everything
    assert f"protocol/registry/{hypothesis_of(ran)}.jsonl" in everything
    assert not [name for name in everything if "/artifacts/" in name]
    assert git(folder, "status", "--porcelain").split() == ["A", "staged.txt"]


def hypothesis_of(ran: Ran) -> str:
    return json.loads(ran.run.manifest_path.read_text())["hypothesis"]


def test_list_and_status_show_it(ran: Ran) -> None:
    (row,) = data(inside(ran.workspace.path, "list", "--json"))["runs"]
    assert (row["run"], row["name"], [trial["state"] for trial in row["trials"]]) == (
        ran.run.id,
        "first",
        ["finished"] * 2,
    )
    listed = inside(ran.workspace.path, "list", "--runs").stdout.splitlines()
    assert listed[0].split()[:5] == ["run", "name", "hypothesis", "kind", "env"]
    assert listed[1].split()[:2] == [ran.run.id, "first"]
    assert "  baseline  cartpole  0-1    finished  60 env steps" in listed[1]
    assert data(inside(ran.workspace.path, "list", "--env", "acrobot", "--json")) == {"hypotheses": [], "runs": []}
    (view,) = data(inside(ran.workspace.path, "status", "first", "--json"))
    assert [(trial["spent"], trial["left_s"]) for trial in view["trials"]] == [(60, None), (60, None)]


def test_show_says_what_can_and_cannot_be_concluded(ran: Ran) -> None:
    page = inside(ran.workspace.path, "show").stdout
    made = read_manifest(ran.run.manifest_path).created_at
    assert f"created  {made[:10]} {made[11:16]} UTC\n" in re.sub(" {2,}", "  ", page)
    assert page.startswith(f"{ran.run.id}  first\n")
    assert "score = final_mean(3) of eval/return_mode" in page
    assert "n=2: fewer than 3 seeds" in page
    assert "over n=2, lowest" in page
    assert "artifacts here; DVC is not used here" in page
    assert page.isascii(), "no block characters where they are not wanted"
    assert "▁" in dreamerlab(ran.workspace.path, "show", TERM="xterm", PYTHONIOENCODING="utf-8").stdout


def test_show_traces_every_value_and_file(ran: Ran) -> None:
    facts = data(inside(ran.workspace.path, "show", "first", "--provenance", "--json"))["provenance"]
    assert facts["config"]["budget.amount"] == {"value": 60, "origin": "command line: budget.amount=60"}
    assert facts["config"]["env.id"]["origin"].startswith("env_configs/cartpole.yaml:")
    assert facts["code"]["identity"]
    assert "artifacts/seed-1/episodes.jsonl" in facts["files"]
    text = inside(ran.workspace.path, "show", "first", "--provenance").stdout
    assert facts["files"]["artifacts/seed-1/episodes.jsonl"]["sha256"] in text


def test_the_learning_curve_is_drawn(ran: Ran, tmp_path: Path) -> None:
    done = inside(ran.workspace.path, "show", "first", "--plot", str(tmp_path / "curve.png"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    nowhere = inside(ran.workspace.path, "show", "--plot", str(tmp_path / "no" / "curve.png"))
    assert (nowhere.returncode, nowhere.stdout) == (4, "")


def test_a_stored_agent_evaluates_as_it_did_at_the_end_of_training(ran: Ran) -> None:
    before = ran.run.trial(1).evals_path.read_bytes()
    (row,) = data(dreamerlab(ran.workspace.path, "eval", "first", "--seed", "1", "--json"))["trials"]
    recorded = json.loads(before.splitlines()[-1])
    assert row["returns"] == recorded["returns"]
    assert row["values"] == recorded["values"]
    assert ran.run.trial(1).evals_path.read_bytes() == before


def test_there_is_nothing_to_resume_and_the_name_is_taken(ran: Ran) -> None:
    done = inside(ran.workspace.path, "resume", "first")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"nothing to resume: every seed of {ran.run.id} is finished" in done.stderr
    taken = dreamerlab(ran.workspace.path, "run", "--baseline", "--name", "first")
    assert taken.returncode == 4
    assert f"the name 'first' belongs to {ran.run.id}" in taken.stderr


def test_finalising_again_changes_no_byte(ran: Ran, tmp_path: Path) -> None:
    again = ran.copy(tmp_path / "lab")
    records = [path for path in again.run.path.rglob("*") if path.is_file()] + [again.workspace.scores_path]
    before = {path: path.read_bytes() for path in records}
    command = [sys.executable, "-m", "dreamerlab.lab.finalise", str(again.workspace.path), again.run.id]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert {path: path.read_bytes() for path in records} == before


def test_a_clone_without_artifacts_says_what_was_not_checked(ran: Ran, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ran.workspace.path), str(clone))
    page = inside(clone, "show").stdout
    assert "artifacts are not here: not checked" in page
    assert "finished" in page
    assert data(inside(clone, "show", "--json"))["mean_score"] == data(ran.done)["mean_score"]
    assert inside(clone, "doctor").returncode == 0
    evaluated = dreamerlab(clone, "eval", ran.run.id)
    assert evaluated.returncode == 4
    assert "has no checkpoint here" in evaluated.stderr


def test_an_agent_is_evaluated_by_todays_code_only_with_a_caveat(ran: Ran, tmp_path: Path) -> None:
    other = ran.copy(tmp_path / "lab")
    manifest = json.loads(other.run.manifest_path.read_text())
    manifest["code"]["identity"] = "f" * 64
    other.run.manifest_path.write_text(json.dumps(manifest))
    result = data(dreamerlab(other.workspace.path, "eval", "first", "--seed", "0", "--episodes", "1", "--json"))
    assert "trained by ffffffffffffffff" in result["caveats"][0]
    assert result["trials"][0]["episodes"] == 1
