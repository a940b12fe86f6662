"""`doctor`: every planted fault is found, what is safe is mended, and nothing a person made is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.runs.processes import boot_id, hostname
from dreamerlab.runs.status import read_status, write_status
from tests.lab.conftest import Ran
from tests.lab.workspaces import inside


def kinds(done: subprocess.CompletedProcess[str]) -> list[tuple[str, bool]]:
    return sorted((found["kind"], found["mended"]) for found in json.loads(done.stdout)["findings"])


def test_a_sound_workspace_has_no_findings(ran: Ran) -> None:
    done = inside(ran.workspace.path, "doctor")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"({ran.run.id} " in done.stderr
    assert done.stderr.endswith("nothing is wrong\n")


def test_planted_faults_are_found_and_the_safe_ones_mended(ran: Ran, tmp_path: Path) -> None:
    sick = ran.copy(tmp_path / "lab")
    liar, torn = sick.run.trial(0), sick.run.trial(1)
    write_status(liar, replace(read_status(liar), state="running", pid=2**22 + 1, host=hostname(), boot_id=boot_id()))
    checkpoint = next(torn.checkpoints.glob("*.pt"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"x")
    torn.summary_path.unlink()
    with torn.evals_path.open("a") as file:
        file.write('{"env_steps": 7')
    (sick.workspace.runs / ".new-R0009-xyz").mkdir()
    dead = {"pid": 2**22 + 1, "start_ticks": 1, "boot_id": boot_id(), "host": hostname(), "token": "t"}
    sick.workspace.lock_path.write_text(json.dumps(dead))

    found = inside(sick.workspace.path, "doctor", "--json")
    assert found.returncode == 6
    expected = ["damaged checkpoint", "false status", "half-made run", "stale lock", "torn line"]
    assert kinds(found) == [(kind, False) for kind in expected]
    assert found.stderr.startswith("5 of 5 findings need attention")

    fixed = inside(sick.workspace.path, "doctor", "--fix", "--yes", "--json")
    assert fixed.returncode == 6
    assert [kind for kind, mended in kinds(fixed) if mended] == ["false status", "half-made run", "stale lock"]
    assert read_status(liar).state == "interrupted"
    assert "died without a word" in (read_status(liar).reason or "")
    assert not (sick.workspace.runs / ".new-R0009-xyz").exists()
    assert checkpoint.exists()
    again = inside(sick.workspace.path, "doctor")
    assert again.returncode == 6
    told = [line.split(":")[0] for line in again.stdout.splitlines() if not line.startswith(" ")]
    assert sorted(told) == ["damaged checkpoint", "torn line"]


def test_a_run_that_nobody_finalised_is_finalised(ran: Ran, tmp_path: Path) -> None:
    late = ran.copy(tmp_path / "lab")
    before = late.run.trial(1).summary_path.read_bytes()
    late.run.trial(1).summary_path.unlink()
    assert kinds(inside(late.workspace.path, "doctor", "--json")) == [("not finalised", False)]
    done = inside(late.workspace.path, "doctor", "--fix", "--yes")
    assert done.returncode == 0, done.stderr
    assert late.run.trial(1).summary_path.read_bytes() == before
    assert inside(late.workspace.path, "doctor").returncode == 0


def test_mending_one_trial_does_not_record_the_damage_of_another_as_its_truth(ran: Ran, tmp_path: Path) -> None:
    sick = ran.copy(tmp_path / "lab")
    whole = sick.run.trial(0).summary_path.read_bytes()
    with sick.run.trial(0).episodes_path.open("a") as file:
        file.write('{"episode": 99}\n')
    sick.run.trial(1).summary_path.unlink()
    assert kinds(inside(sick.workspace.path, "doctor", "--fix", "--yes", "--json")) == [
        ("changed artifact", False),
        ("not finalised", True),
    ]
    assert sick.run.trial(0).summary_path.read_bytes() == whole
    again = inside(sick.workspace.path, "doctor")
    assert again.returncode == 6
    assert "episodes.jsonl: differs from its recorded sha256" in again.stdout


def test_a_damaged_record_is_named_and_hides_no_other_run(ran: Ran, tmp_path: Path) -> None:
    sick = ran.copy(tmp_path / "lab")
    other = sick.workspace.run("R0002-bad")
    other.path.mkdir()
    other.manifest_path.write_text("{")
    done = inside(sick.workspace.path, "doctor")
    assert done.returncode == 6
    assert done.stdout.startswith("damaged record: R0002-bad: ")
    listed = inside(sick.workspace.path, "list").stdout
    assert "unreadable" in listed
    assert sick.run.id in listed


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_an_orphan_of_this_workspace_is_asked_to_stop_and_others_are_left_alone(ran: Ran, tmp_path: Path) -> None:
    sick = ran.copy(tmp_path / "lab")
    stand_in = tmp_path / "code" / "dreamerlab" / "train"
    stand_in.mkdir(parents=True)
    for package in (stand_in, stand_in.parent):
        (package / "__init__.py").touch()
    (stand_in / "__main__.py").write_text("import time; time.sleep(60)")
    environment = {**os.environ, "PYTHONPATH": str(stand_in.parent.parent), "DREAMERLAB_SUPERVISOR": f"{2**22 + 1}:1"}
    orphans = [
        subprocess.Popen([sys.executable, "-P", "-m", "dreamerlab.train", str(trial)], env=environment)
        for trial in (sick.run.trial(0).path, tmp_path / "elsewhere" / "seed-0")
    ]
    try:
        done = inside(sick.workspace.path, "doctor", "--fix", "--yes", "--json")
        report = json.loads(done.stdout)
        found = {item["where"]: item["mended"] for item in report["findings"]}
        assert found == {str(sick.run.trial(0).path): True}
        assert any(str(tmp_path / "elsewhere" / "seed-0") in note for note in report["notes"])
        assert orphans[0].wait(timeout=10) == -signal.SIGTERM
        time.sleep(0.1)
        assert orphans[1].poll() is None
    finally:
        for orphan in orphans:
            orphan.kill()
            orphan.wait()
