"""`reproduce`: a recorded seed trained again by its own code is the same to the last bit, or it is said where not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.errors import NotFound, UsageError
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.reproduce import Divergence, Reproduction, page, reproduce
from dreamerlab.runs.processes import trainers
from tests.lab.conftest import Ran
from tests.lab.workspaces import dreamerlab, inside

SILENT = Voice(lambda _: None, lambda _: None)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_a_recorded_seed_comes_out_again(ran: Ran) -> None:
    before = files(ran.run.path)
    done = dreamerlab(ran.workspace.path, "reproduce", "first", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "machine and software: as recorded",
        "compared: 6 metrics, 3 evaluations, 3 episodes",
        "parameters: equal",
        "equal bit for bit",
    ]
    assert done.stdout.startswith(f"{ran.run.id} seed 1, 60 env steps, by its own code")
    assert files(ran.run.path) == before, "nothing of the run is touched"
    assert not (ran.workspace.cache / "reproduce").exists()


@pytest.mark.slow
def test_what_differs_first_is_named_with_both_values_and_the_machine_before_it(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    trial = copied.run.trial(0)
    text = trial.metrics_path(1).read_text().splitlines(keepends=True)
    line = json.loads(text[2])
    (metric, value) = next((key, number) for key, number in line["values"].items() if key.startswith("wm/"))
    line["values"][metric] = value + 2**-30
    trial.metrics_path(1).write_text("".join([*text[:2], json.dumps(line) + "\n", *text[3:]]))
    attempts = json.loads(trial.attempts_path.read_text())
    attempts[0] |= {"torch": "1.0.0", "libraries": {"blas": "other"}, "host": "elsewhere"}
    attempts[0]["variables"]["MKL_CBWR"] = "AVX2"
    trial.attempts_path.write_text(json.dumps(attempts))
    done = dreamerlab(copied.workspace.path, "reproduce", "first", "--steps", "30")
    assert done.returncode == 6, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("not the same: torch 1.0.0 there, ")
    assert lines[1].endswith(" here (can change numbers)")
    assert lines[2].startswith("not the same: BLAS of torch other there, ")
    assert lines[3] == "not the same: $MKL_CBWR AVX2 there, unset here (can change numbers)"
    assert lines[4].startswith("not the same, and changing no number: host elsewhere there, ")
    assert lines[6] == "parameters: not compared: trained in part only"
    assert lines[7] == f"first difference: {metric} at env step 30 is {value!r}, and was {value + 2**-30!r}"
    assert lines[8] == "what may explain it: torch, BLAS of torch, $MKL_CBWR"
    assert "did not come out the same" in done.stderr
    assert "warning: exactness is not promised: $MKL_CBWR AVX2 there, unset here" in done.stderr


def test_each_figure_that_differs_is_told_with_its_first_step_and_both_values_whole() -> None:
    found = Reproduction(
        "R0001-abc", 0, 60, "c0de", [], ["BLAS of torch"], {"metrics": 6}, [
            Divergence("wm/loss", 20, 0.1, 0.1 + 2**-50), Divergence("eval/return_mode", 40, 9.5, 10.0),
        ], "different",
    )  # fmt: skip
    lines = page(found).splitlines()
    assert lines[1] == "machine and software: as recorded"
    assert lines[2] == "not recorded then, and so not held against this machine: BLAS of torch"
    assert "what may explain it: what was not recorded" in lines
    assert [line.split() for line in lines[-2:]] == [
        ["wm/loss", "20", "0.1", repr(0.1 + 2**-50)],
        ["eval/return_mode", "40", "9.5", "10.0"],
    ]
    assert found.to_data()["equal"] is False
    json.dumps(found.to_data())


def test_a_run_recorded_elsewhere_or_damaged_is_answered(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    folder, run = copied.workspace.path, copied.run
    missing = inside(folder, "reproduce", "R99")
    assert (missing.returncode, missing.stdout) == (4, "")
    shutil.rmtree(folder / ".dreamerlab" / "snapshots")
    manifest = json.loads(run.manifest_path.read_text())
    manifest["code"]["kept"] = {"../../x": {"sha256": "0" * 64, "size_bytes": 3, "where": "../../../../etc/passwd"}}
    run.manifest_path.write_text(json.dumps(manifest | {"environment": {"packages": [], "cpu": 3}}))
    for words in (("show", "first", "--provenance"), ("show", "first"), ("show", "first", "--provenance", "--json")):
        done = inside(folder, *words)
        assert done.returncode == 0, done.stderr
    assert "not inside the run" in inside(folder, "show", "first", "--provenance").stdout
    run.manifest_path.write_text(json.dumps(manifest | {"environment": "none"}))
    for verb in ("show", "reproduce"):
        done = inside(folder, verb, "first")
        assert done.returncode == 5, done.stderr
        assert "is damaged: 'environment' must be an object" in done.stderr
        assert "hint: restore it from git" in done.stderr


def test_what_cannot_be_reproduced_is_refused_with_the_way_out(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    workspace, run = copied.workspace, copied.run
    with pytest.raises(UsageError, match="has a record of 60 env steps"):
        reproduce(workspace, "first", None, 100, SILENT)
    with pytest.raises(NotFound, match="has no seed 7"):
        reproduce(workspace, "first", 7, None, SILENT)
    manifest = json.loads(run.manifest_path.read_text())
    manifest["code"] |= {"identity": "f" * 64, "commit": "a" * 40, "dirty": True}
    run.manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(NotFound, match="is gone") as refused:
        reproduce(workspace, "first", None, None, SILENT)
    patched = f"git checkout {'a' * 12} && git apply runs/{run.id}/code.patch"
    assert refused.value.hint == f"{patched}, then dreamerlab reproduce {run.id}"
    kept = {"sha256": "0" * 64, "size_bytes": 1, "where": "artifacts/untracked/mine.py"}
    manifest["code"]["kept"] = {"mine.py": kept}
    run.manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(NotFound) as refused:
        reproduce(workspace, "first", None, None, SILENT)
    copied_back = f"{patched} && cp -r runs/{run.id}/artifacts/untracked/. ."
    assert refused.value.hint == f"{copied_back}, then dreamerlab reproduce {run.id}"


@pytest.mark.slow
def test_a_clone_without_artifacts_compares_the_committed_text(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    shutil.rmtree(copied.run.artifacts)
    found = reproduce(copied.workspace, "first", None, None, SILENT)
    assert found.equal, page(found)
    assert found.compared == {"metrics": 6, "evaluations": 3, "episodes": 0}
    assert found.agent == "equal"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(ran: Ran, tmp_path: Path, number: int) -> None:
    folder = ran.copy(tmp_path / "lab").workspace.path
    command = [sys.executable, "-m", "dreamerlab", "reproduce", "first"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def alive() -> list[int]:
        return [one.pid for one in trainers() if one.trial is not None and one.trial.is_relative_to(folder)]

    deadline = time.monotonic() + 60
    while not alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert alive() == []
    assert not (folder / ".dreamerlab" / "cache" / "reproduce").exists()
