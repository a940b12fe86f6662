"""`data`: where artifacts are and what is not yet safe, said plainly; what is refused before DVC is asked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.lab.data_status import RunData
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.status import read_status, write_status
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, dreamerlab, git, inside


def busy_copy(ran: Ran, path: Path) -> Ran:
    busy = ran.copy(path)
    trial, me = busy.run.trial(1), own_identity()
    running = replace(read_status(trial), state="running", pid=os.getpid(), pid_start=me.start_ticks)
    write_status(trial, replace(running, boot_id=me.boot_id, host=me.host))
    (busy.run.path / "artifacts.dvc").write_text("outs:\n- md5: 0.dir\n")
    (busy.workspace.path / ".dvc").mkdir()
    return busy


def test_artifacts_that_a_trainer_is_writing_are_not_moved(ran: Ran, tmp_path: Path) -> None:
    busy = busy_copy(ran, tmp_path / "lab")
    for words in (("push",), ("pull",), ("archive", "--why", "room")):
        done = inside(busy.workspace.path, "data", words[0], "first", *words[1:])
        assert done.returncode == 4
        assert f"seed 1 of {busy.run.id} is still at work" in done.stderr


def test_a_missing_name_is_answered_with_the_same_verb(ran: Ran) -> None:
    for verb in ("push", "pull", "sync"):
        done = inside(ran.workspace.path, "data", verb)
        assert done.returncode == 2
        assert f"hint: dreamerlab data {verb} R12, or H7" in done.stderr
    both = inside(ran.workspace.path, "data", "push", "first", "--all")
    assert both.returncode == 2


def test_without_dvc_data_says_what_is_on_this_disk_alone_and_how_to_change_that(ran: Ran) -> None:
    """ANCHORS 6: local -> cached -> pushed; and plainly what would be lost."""
    shown = inside(ran.workspace.path, "data")
    assert shown.returncode == 0
    header, row = shown.stdout.splitlines()
    assert header.split() == ["run", "size", "local", "cached", "pushed", "note"]
    assert row.split()[0] == ran.run.id
    assert row.split()[3:] == ["yes", "-", "-", "not", "safe", "yet"]
    assert "not yet safe: 1 run is nowhere but on this disk" in shown.stderr
    assert "(dreamerlab init)" in shown.stderr
    as_json = data(inside(ran.workspace.path, "data", "status", "first", "--json"))
    assert as_json["not_safe"] == {"runs": 1, "size_bytes": as_json["runs"][0]["size_bytes"]}
    assert as_json["runs"][0]["size_bytes"] > 100_000


def test_a_hypothesis_means_all_its_runs(ran: Ran) -> None:
    (owner,) = (path.stem for path in (ran.workspace.protocol / "registry").glob("H*.jsonl"))
    shown = data(inside(ran.workspace.path, "data", "status", owner, ran.run.id, "--json"))
    assert [row["run"] for row in shown["runs"]] == [ran.run.id], "named twice, moved once"
    entry = inside(ran.workspace.path, "data", "status", "E99")
    assert entry.returncode == 4


@pytest.mark.parametrize("state", ["pushed", "absent", "archived", "none yet", "cached", "local", "no dvc"])
def test_what_is_here_alone_is_never_called_safe(state: str) -> None:
    assert RunData("R1", 1, state).is_safe == (state not in ("cached", "local", "no dvc"))


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("s3://bucket/lab", 5, "pip install 'dvc[s3]'"),
        ("sssh://host/lab", 2, "did you mean 'ssh'?"),
        ("https://me:secret@host/lab", 2, "carries a password"),
        ("two\nlines", 2, "is no URL"),
    ],
)
def test_what_cannot_be_a_remote_is_refused_before_anything_is_made(
    tmp_path: Path, url: str, code: int, said: str
) -> None:
    done = inside(tmp_path, "init", "lab", "--remote", url)
    assert done.returncode == code
    assert said in done.stderr
    assert not (tmp_path / "lab").exists()


@pytest.mark.slow
def test_sync_adds_pushes_and_replays_and_a_second_time_has_nothing_to_do(ran: Ran, tmp_path: Path) -> None:
    lab = ran.copy(tmp_path / "lab").workspace.path
    assert dreamerlab(lab, "init").returncode == 0
    first = data(dreamerlab(lab, "data", "sync", "--all", "--json"))
    assert [row["data"] for row in first] == ["pushed"]
    assert first[0]["mlflow"].endswith("points sent")
    again = data(dreamerlab(lab, "data", "sync", "first", "--json"))
    assert [(row["data"], row["mlflow"]) for row in again] == [("pushed already", "up to date")]
    (lab / ".dreamerlab" / "mlflow.db").unlink()
    (lab / ".dreamerlab" / "mlflow.db").mkdir()
    lone = dreamerlab(lab, "data", "sync", "first", "--json")
    assert lone.returncode == 5, "MLflow cannot be reached"
    assert '"data": "pushed already"' in lone.stdout, "and artifacts were looked after all the same"


@pytest.mark.slow
def test_a_remote_is_named_for_all_clones_or_for_this_one_and_what_went_elsewhere_counts_as_unsent(
    ran: Ran, tmp_path: Path
) -> None:
    lab = ran.copy(tmp_path / "lab").workspace.path
    assert dreamerlab(lab, "init").returncode == 0
    mind = dreamerlab(lab, "data", "push", "first")
    assert mind.stdout == f"{ran.run.id}: pushed\n"
    assert "lost with the same disk" in dreamerlab(lab, "data").stderr
    named = dreamerlab(lab, "data", "remote", str(tmp_path / "store"))
    assert named.stdout == f"{tmp_path / 'store'}\n"
    assert str(tmp_path / "store") in git(lab, "show", "HEAD:.dvc/config")
    assert git(lab, "status", "--porcelain", ".dvc").strip() == ""
    state = data(dreamerlab(lab, "data", "status", "--json"))
    assert [row["state"] for row in state["runs"]] == ["cached"]
    assert dreamerlab(lab, "data", "push", "--all").returncode == 0
    state = data(dreamerlab(lab, "data", "status", "--json"))
    assert (state["runs"][0]["state"], state["not_safe"]["runs"]) == ("pushed", 0)
    assert state["remote"] == {"name": "dreamerlab", "url": str(tmp_path / "store"), "shared": True}
    assert dreamerlab(lab, "data", "remote", str(tmp_path / "mine"), "--local").returncode == 0
    assert str(tmp_path / "mine") not in (lab / ".dvc" / "config").read_text()
    assert data(dreamerlab(lab, "data", "remote", "--json"))["shared"] is False
