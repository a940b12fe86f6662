"""The entry a comparison leaves in the log: once for the same records, and never in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.show_hypothesis import read_entry
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.series import append_line
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import write_summary
from tests.lab.arms import flat, make_arm
from tests.lab.hypotheses import launched
from tests.lab.workspaces import dreamerlab, git, inside, light_workspace

LOW, HIGH = flat(200.0, 230.0, 260.0), flat(300.0, 340.0, 320.0)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    made = light_workspace(tmp_path / "lab")
    make_arm(made, "a", LOW)
    make_arm(made, "b", HIGH, "optimizer.lr_actor=2e-3")
    return made


def entries(workspace: Workspace) -> list[str]:
    return [str(one) for one in registry_of(workspace).ids(ENTRY)]


def compare(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    done = inside(workspace.path, "compare", *words)
    assert done.returncode == 0, done.stderr
    return done


def test_the_tables_are_entered_once(workspace: Workspace) -> None:
    done = compare(workspace, "a", "b")
    (entry,) = entries(workspace)
    assert f"entered in the log as {entry}" in done.stderr
    found = read_entry(workspace, entry)
    assert found.kind == "comparison"
    assert [run[:5] for run in found.about] == ["R0001", "R0002"]
    assert found.data["reducer"] == "final_mean(3) of eval/return_mode"
    assert found.data["records"].keys() == set(found.about)
    for piece in ("+90.0", "optimizer.lr_actor", "## Caveats"):
        assert piece in found.data["markdown"]
    for again in (("a", "b"), ("a", "b", "--md"), ("b", "a")):
        assert "entered" not in compare(workspace, *again).stderr
    assert entries(workspace) == [entry]


def test_other_runs_reducers_or_records_are_another_comparison(workspace: Workspace) -> None:
    compare(workspace, "a", "b")
    make_arm(workspace, "c", HIGH)
    compare(workspace, "a", "b", "c")
    compare(workspace, "a", "b", "--reducer", "auc")
    assert len(entries(workspace)) == 3
    trial = workspace.run(str(read_entry(workspace, entries(workspace)[0]).about[0])).trial(0)
    clocks = {"time": 1e9, "env_steps": 1100, "updates": 550, "episodes": 9, "wall_s": 110.0}
    append_line(trial.evals_path, {**clocks, "attempt": 1, "values": {"eval/return_mode": 500.0}})
    trial.summary_path.unlink()
    write_summary(trial)
    compare(workspace, "a", "b")
    assert len(entries(workspace)) == 4


@pytest.mark.parametrize("words", [("--json",), ("--csv",), ("--no-log",), ("--no-log", "--md")])
def test_what_programs_ask_for_leaves_no_entry(workspace: Workspace, words: tuple[str, ...]) -> None:
    compare(workspace, "a", "b", *words)
    assert entries(workspace) == []


def test_a_run_at_work_is_shown_and_not_entered(workspace: Workspace) -> None:
    from dreamerlab.runs.processes import own_identity
    from dreamerlab.runs.status import Status, write_status

    me = own_identity()
    alive = {"pid": me.pid, "pid_start": me.start_ticks, "boot_id": me.boot_id, "host": me.host}
    run = make_arm(workspace, "c", HIGH, unfinished={0: "running"})
    write_status(run.trial(0), Status("running", 0, 1, env_steps=500, **alive))
    done = compare(workspace, "a", "c")
    assert (
        "not finished (1 running, 2 finished)" in done.stdout or "not finished (2 finished, 1 running)" in done.stdout
    )
    assert f"not entered in the log: {run.id} is still at work" in done.stderr
    assert entries(workspace) == []


def test_a_workspace_that_cannot_be_written_is_compared_all_the_same(workspace: Workspace) -> None:
    shutil.rmtree(workspace.hidden)
    workspace.hidden.write_text("where the lock would lie\n")  # also root cannot write below a file
    done = compare(workspace, "a", "b")
    assert "+90.0" in done.stdout
    assert "not entered in the log: " in done.stderr


def test_a_lock_that_is_held_costs_a_word(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workspace, "lock", lambda self: owned_lock(self.lock_path, timeout_s=0.1, what="the workspace"))
    workspace.hidden.mkdir(exist_ok=True)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from dreamerlab.runs.store import Workspace\n"
            "with Workspace(Path(sys.argv[1])).lock():\n print('held', flush=True); sys.stdin.read()",
            str(workspace.path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        done = compare(workspace, "a", "b")
    finally:
        holder.communicate("")
    assert "+90.0" in done.stdout
    assert "not entered in the log: the workspace" in done.stderr


def test_two_at_the_same_moment_enter_it_once(workspace: Workspace) -> None:
    command = [sys.executable, "-m", "dreamerlab", "compare", "a", "b"]
    both = [subprocess.Popen(command, cwd=workspace.path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert len(entries(workspace)) == 1


def test_the_entry_is_committed_alone_and_shown_with_its_hypothesis(workspace: Workspace) -> None:
    run, base = (workspace.run(next(p.name for p in workspace.runs.glob(f"R000{n}*"))).id for n in (2, 1))
    made = launched(workspace, run, base)
    git(workspace.path, "init", "-q")
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        git(workspace.path, "config", name, text)
    git(workspace.path, "add", ".")
    git(workspace.path, "commit", "-q", "-m", "start")
    (workspace.path / "mine.txt").write_text("the user's own\n")
    git(workspace.path, "add", "mine.txt")
    assert dreamerlab(workspace.path, "compare", "H1").returncode == 0
    (entry,) = entries(workspace)
    committed = git(workspace.path, "show", "--name-only", "--format=%s").split("\n")
    assert committed[0] == f"{entry}: compare {base} {run}"
    assert f"protocol/registry/{entry}.jsonl" in committed
    assert all(name.startswith("protocol/") for name in committed[1:] if name)
    assert entry in inside(workspace.path, "show", made).stdout
    assert git(workspace.path, "status", "--porcelain", "mine.txt").split() == ["A", "mine.txt"]
