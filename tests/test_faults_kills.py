"""kill -9 of the commands that render, compare and store, at random points: the same command again heals everything.

Of `log` and `compare` every step that is meant to last can be the last one (`KILL_AT`, see `tests.lab.standin`); a
`data push` is killed at random moments together with its DVC, as when a machine goes down. The finaliser is in
`tests/lab/test_finaliser_killed.py`, trainers and `run` in `test_kills.py` and `tests/lab/test_launch.py`, a few kills
of `log` among the tests that are always run in `tests/lab/test_log.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.lab.init import _IGNORED as IGNORED
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.protocol.state import COMPARED
from dreamerlab.runs.store import Workspace
from tests.lab.conftest import Ran
from tests.lab.conftest import ran as ran
from tests.lab.hypotheses import noted
from tests.lab.standin import lab
from tests.lab.told import Told, tell
from tests.lab.workspaces import data, dreamerlab, git, inside, remove_git_locks, without


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A sound workspace whose log lacks its newest note."""
    made = tell(tmp_path_factory.mktemp("told") / "lab")
    (made.workspace.path / ".gitignore").write_text("".join(f"{line}\n" for line in IGNORED))
    git(made.workspace.path, "rm", "--quiet", "-r", "--cached", ".dreamerlab")
    made.commit("ignore what is hidden")
    noted(made.workspace, "observation", "seen after the log was rendered", made.treatment.id)
    return made


def pages(workspace: Workspace) -> dict[str, bytes]:
    found = [workspace.protocol / "LOG.md", *sorted((workspace.protocol / "hypotheses").glob("*.md"))]
    return {path.name: path.read_bytes() for path in found if path.exists()}


def killed_and_repeated(told: Told, path: Path, step: int, *words: str) -> bool:
    """Kill a command at its n-th lasting step and repeat it; return whether it was not over by then.

    What a whole page held is whole or new at any moment, and the records are sound; afterwards nothing is left over.
    """
    mine = told.copy(path)
    before = pages(mine.workspace)
    done = lab(path, *words, KILL_AT=str(step))
    if done.returncode == 0:
        return False
    assert done.returncode == -signal.SIGKILL, done.stderr
    after = pages(mine.workspace)
    assert before.keys() <= after.keys()
    assert all(content.endswith(b"\n") for content in after.values())
    for record in registry_of(mine.workspace).all(ENTRY):
        assert record.faults == (), f"{record.id} after step {step}"
    remove_git_locks(path)  # of a git that went with the command
    again = lab(path, *words)
    assert again.returncode == 0, f"step {step}: {again.stderr}"
    entered = [one for one in registry_of(mine.workspace).all(ENTRY) if one.events[0].event == COMPARED]
    assert len(entered) == (words[0] == "compare"), f"step {step}"
    # What the next command did not need, such as the lock of the one that was killed, is left to `doctor`.
    for command in (("log",), ("lint",), ("doctor", "--fix", "--yes"), ("doctor",)):
        ended = inside(path, *command)
        assert ended.returncode == 0, f"step {step}, {command}: {ended.stdout}{ended.stderr}"
    assert git(path, "status", "--porcelain") == "", f"step {step}"
    shutil.rmtree(path)
    return True


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("words", [("log",), ("compare", "H1")], ids=lambda words: words[0])
def test_a_kill_at_any_step_is_healed_by_the_same_command(told: Told, tmp_path: Path, words: tuple[str, ...]) -> None:
    step = 1
    while killed_and_repeated(told, tmp_path / f"at-{step}", step, *words):
        step += 1
    assert step > 5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killed_push_loses_nothing_and_is_completed_by_the_next_one(ran: Ran, tmp_path: Path) -> None:
    bare = without(tmp_path / "blocked", "mlflow")
    calm, mine = ran.copy(tmp_path / "calm"), ran.copy(tmp_path / "lab")
    for one in (calm, mine):
        assert dreamerlab(one.workspace.path, "init", **bare).returncode == 0
    began = time.monotonic()
    assert dreamerlab(calm.workspace.path, "data", "push", "first").returncode == 0
    undisturbed_s = time.monotonic() - began
    folder, rng = mine.workspace.path, random.Random(4)
    command = [sys.executable, "-m", "dreamerlab", "data", "push", "first"]
    before = {path: path.read_bytes() for path in mine.run.path.rglob("*") if path.is_file()}
    killed = 0
    for _ in range(8):
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(rng.uniform(0.05, 0.8) * undisturbed_s)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        for path, content in before.items():
            if path.suffix in (".pt", ".jsonl", ".json"):
                assert path.read_bytes() == content, path
        remove_git_locks(folder)
    assert killed >= 3
    pushed = dreamerlab(folder, "data", "push", "first")
    assert pushed.returncode == 0, pushed.stderr
    (row,) = data(dreamerlab(folder, "data", "status", "--json"))["runs"]
    assert (row["state"], row["safe"]) == ("pushed", True)
    examined = inside(folder, "doctor")
    assert examined.returncode == 0, examined.stdout
    git(folder, "add", "runs", ".dvc", ".dvcignore")
    git(folder, "commit", "--allow-empty", "-qm", "Store artifacts")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(folder), str(clone))
    pulled = dreamerlab(clone, "data", "pull", "first")
    assert pulled.returncode == 0, pulled.stderr
    for path, content in before.items():
        assert (clone / path.relative_to(folder)).read_bytes() == content or path.suffix not in (".pt", ".jsonl")
