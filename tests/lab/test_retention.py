"""What is kept of a run, and what dropping the rest leaves behind: a tombstone, and verdicts that hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreamerlab.lab.retention import disk_use, kept_checkpoints, shared_use
from dreamerlab.runs.tombstone import read_tombstone
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, dreamerlab, git, inside


def files_of(ran: Ran) -> set[str]:
    found = (path for path in ran.run.artifacts.rglob("*") if path.is_file())
    return {path.relative_to(ran.run.artifacts).as_posix() for path in found}


def test_nothing_that_is_nowhere_else_is_dropped_unasked(ran: Ran, tmp_path: Path) -> None:
    mine = ran.copy(tmp_path / "lab")
    before = files_of(mine)
    for words, said in (((), "are nowhere but here"), (("--why", " "), "needs a reason")):
        done = inside(mine.workspace.path, "data", "archive", "first", *(words or ("--why", "room")))
        assert said in done.stderr
        assert done.returncode in (2, 4)
    assert files_of(mine) == before
    assert not mine.run.tombstone_path.exists()


def test_the_best_and_the_newest_checkpoint_stay_and_the_rest_is_on_record(ran: Ran, tmp_path: Path) -> None:
    """ANCHORS 3: archive with tombstone; verdict, log and lint stay as they are."""
    mine = ran.copy(tmp_path / "lab")
    lab, trial = mine.workspace.path, mine.run.trials()[0]
    (trial.artifacts / "replay").mkdir()
    (trial.artifacts / "replay" / "rows.bin").write_bytes(b"x" * 5000)
    (trial.checkpoints / "kept-000000020.pt").write_bytes(b"an older one")
    before = files_of(mine)
    pages = {path: path.read_bytes() for path in (lab / "protocol").rglob("*") if path.is_file()}
    done = data(inside(lab, "data", "archive", "first", "--why", "the disk is full", "--force", "--json"))
    left = files_of(mine)
    for one in mine.run.trials():
        names = {f"{one.path.name}/checkpoints/{stem}.pt" for stem in kept_checkpoints(one)}
        assert len(names) == 2
        assert names <= left
    assert not any("replay" in name or "kept-" in name or "metrics.jsonl" in name for name in left)
    assert any(name.endswith("console.txt") for name in left)
    (record,) = read_tombstone(mine.run)
    assert record.why == "the disk is full"
    assert record.stored is None
    assert record.author
    assert {name.removeprefix("artifacts/") for name in record.files} == before - left
    assert record.files["artifacts/seed-0/replay/rows.bin"]["size"] == 5000
    assert done["size_bytes"] == record.size_bytes
    assert json.loads(git(lab, "show", f"HEAD:runs/{mine.run.id}/archived.json"))["dropped"][0]["files"]
    proven = inside(lab, "lint", "--deep")
    assert proven.returncode == 0, proven.stdout
    assert "not checked: artifacts of 2 of 2 trials" in proven.stderr
    assert inside(lab, "doctor").returncode == 0
    assert inside(lab, "log").returncode == 0
    assert {path: path.read_bytes() for path in pages} == pages
    row = data(inside(lab, "data", "status", "--json"))["runs"][0]
    assert row["state"] == "archived"
    assert row["note"].endswith("gone for good")
    again = inside(lab, "data", "archive", "first", "--why", "again", "--force")
    assert "nothing to drop" in again.stderr


def test_disk_use_tells_checkpoints_replay_and_text_apart(ran: Ran, tmp_path: Path) -> None:
    mine = ran.copy(tmp_path / "lab")
    replay = mine.run.trials()[0].replay
    replay.mkdir()
    (replay / "rows.bin").write_bytes(b"x" * 100_000)
    (use,) = disk_use(mine.workspace)
    assert use.run == mine.run.id
    assert 100_000 <= use.replay < 120_000
    assert use.checkpoints >= sum(path.stat().st_size for path in mine.run.artifacts.rglob("*.pt"))
    assert use.text > 4096
    assert use.total == use.text + use.checkpoints + use.replay + use.other == use.to_data()["total"]
    assert shared_use(mine.workspace).keys() == {"snapshots"}


@pytest.mark.slow
def test_what_was_pushed_is_dropped_here_and_pulled_again(ran: Ran, tmp_path: Path) -> None:
    mine = ran.copy(tmp_path / "lab")
    lab = mine.workspace.path
    assert dreamerlab(lab, "init").returncode == 0
    assert dreamerlab(lab, "data", "push", "first").returncode == 0
    before = files_of(mine)
    done = dreamerlab(lab, "data", "archive", "first", "--everything", "--why", "room")
    assert done.stdout.endswith("the remote has them\n"), done.stderr
    assert files_of(mine) == set()
    cached = [path for path in (lab / ".dvc" / "cache").rglob("*") if path.is_file()]
    assert all(path.suffix == ".dir" for path in cached), "DVC's own copies went too"
    row = data(dreamerlab(lab, "data", "status", "--json"))["runs"][0]
    assert (row["state"], row["safe"]) == ("archived", True)
    assert dreamerlab(lab, "data", "push", "first").stdout.endswith("archived: nothing to push\n")
    assert dreamerlab(lab, "lint", "--deep").returncode == 0
    assert dreamerlab(lab, "data", "pull", "first").returncode == 0
    assert files_of(mine) == before
    assert data(dreamerlab(lab, "data", "status", "--json"))["runs"][0]["state"] == "pushed"
    proven = dreamerlab(lab, "lint", "--deep")
    assert "not checked" not in proven.stderr
    assert proven.returncode == 0, proven.stdout
