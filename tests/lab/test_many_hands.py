"""Several commands at the same moment, and commands killed at any moment: no event is lost and none is half there.

Real processes and real SIGKILL at moments from a seeded generator. What a command acknowledged on stdout is on disk
afterwards; what was on disk stays, byte for byte; and the next command works, whatever the last one left behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol import state
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.runs.store import Workspace
from tests.lab.hypotheses import noted, propose
from tests.lab.workspaces import data, git, inside, light_workspace, remove_git_locks

SENTENCE = "change train.batch_size=64 -> expect eval/return to rise by 20"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = light_workspace(tmp_path / "lab")
    git(made.path, "init", "--quiet")
    (made.path / ".gitignore").write_text(".dreamerlab/\nprotocol/registry/.*.tmp\n")
    git(made.path, "add", ".")
    git(made.path, "commit", "--quiet", "-m", "begin")
    return made


def start(workspace: Workspace, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dreamerlab", *words],
        cwd=workspace.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def on_disk(workspace: Workspace) -> dict[str, bytes]:
    """The whole lines of every record."""
    files = registry_of(workspace).folder.glob("*.jsonl")
    return {path.name: path.read_bytes().rpartition(b"\n")[0] for path in files}


def check(workspace: Workspace) -> None:
    for letter in (HYPOTHESIS, ENTRY):
        for record in registry_of(workspace).all(letter):
            assert record.faults == (), record.id


def test_commands_at_the_same_moment_get_a_record_each(workspace: Workspace) -> None:
    commands = [start(workspace, "note", f"number {number}", "--json") for number in range(4)]
    commands += [start(workspace, "propose", SENTENCE, "--env", "cartpole", "--json") for _ in range(2)]
    results = [(*command.communicate(), command.returncode) for command in commands]
    assert [code for _, _, code in results] == [0] * 6, [error for _, error, _ in results]
    made = [json.loads(out)["id"] for out, _, _ in results]
    assert sorted(one[:5] for one in made) == ["E0001", "E0002", "E0003", "E0004", "H0001", "H0002"]
    check(workspace)
    git(workspace.path, "fsck", "--strict")
    assert git(workspace.path, "status", "--porcelain", "protocol/registry") == ""


def test_notes_taken_while_the_log_is_rendered_are_all_there(workspace: Workspace) -> None:
    for number in range(30):
        noted(workspace, "observation", f"earlier {number}")
    commands = [start(workspace, *words) for words in (("log",), ("note", "meanwhile"), ("log",), ("note", "and now"))]
    results = [(*command.communicate(), command.returncode) for command in commands]
    assert [code for _, _, code in results] == [0] * 4, [error for _, error, _ in results]
    assert inside(workspace.path, "log").returncode == 0
    log = (workspace.protocol / "LOG.md").read_text()
    said = [f"earlier {number}" for number in range(30)] + ["meanwhile", "and now"]
    assert [text for text in said if text not in log] == []
    check(workspace)
    assert git(workspace.path, "status", "--porcelain", "protocol") == ""


def test_a_step_that_two_take_at_once_is_taken_by_one(workspace: Workspace) -> None:
    made = propose(workspace)
    commands = [start(workspace, "withdraw", "H1", "--why", f"reason {number}") for number in range(2)]
    errors = {command.communicate()[1] for command in commands}
    assert sorted(command.returncode for command in commands) == [0, 4]
    assert any(f"{made} was withdrawn already" in error for error in errors)
    events = [event.event for event in registry_of(workspace).read(made).events]
    assert events == [state.PROPOSED, state.WITHDRAWN]


def test_a_disk_that_refuses_git_in_the_middle_of_a_commit_keeps_the_record(workspace: Workspace) -> None:
    """Files may not grow much beyond the index of git: a record has room, a longer index has not."""
    most = (workspace.path / ".git/index").stat().st_size + 200
    limited = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most})); "
    limited += "from dreamerlab.cli.main import main; sys.exit(main(['note', 'kept', '--json']))"
    for number in range(10):
        (workspace.path / f"file-{number}").touch()
    git(workspace.path, "add", ".")
    done = subprocess.run([sys.executable, "-c", limited], cwd=workspace.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the records are kept, and not committed: " in done.stderr
    kept = json.loads(done.stdout)["id"]
    assert registry_of(workspace).read(kept).faults == ()
    remove_git_locks(workspace.path)  # a git that was killed leaves them
    data(inside(workspace.path, "note", "after", "--json"))
    assert git(workspace.path, "status", "--porcelain", "protocol/registry") == ""


COMMANDS = (
    ("note", "H1", "a thought", "--json"),
    ("note", "--conclusion", "so it is", "--json"),
    ("log", "--json"),
    ("propose", SENTENCE, "--env", "cartpole", "--queue", "--json"),
    ("queue", "next", "--json"),
    ("queue", "move", "1", "--last", "--json"),
    ("withdraw", "{open}", "--why", "enough", "--json"),
    ("amend", "{open}", "--seeds", "4", "--why", "more power", "--json"),
)


def torment(workspace: Workspace, kills: int, seed: int) -> int:
    """Start commands and kill most of them, alone or with their git; return how many were killed."""
    rng = random.Random(seed)
    registry = registry_of(workspace)
    propose(workspace)
    killed, acknowledged = 0, set[str]()
    while killed < kills:
        before = on_disk(workspace)
        opened = [one.id for one in state.hypotheses(registry) if one.phase in (state.OPEN, state.QUEUED)]
        words = [word.format(open=rng.choice(opened or ["H1"])) for word in rng.choice(COMMANDS)]
        command = start(workspace, *words)
        time.sleep(rng.uniform(0.05, 0.5))  # some commands come to their end in that time
        if command.poll() is None:
            killed += 1
            if rng.random() < 0.7:
                os.kill(command.pid, signal.SIGKILL)
            else:
                os.killpg(command.pid, signal.SIGKILL)
                remove_git_locks(workspace.path)  # as the next warning would advise
        out, _ = command.communicate()
        if out.strip().endswith("}") and words[0] in ("note", "propose", "withdraw", "amend"):
            acknowledged.add(json.loads(out)["id"])
        after = on_disk(workspace)
        for name, content in before.items():
            assert after[name].startswith(content), f"{name} lost lines"
        assert {path.removesuffix(".jsonl") for path in after} >= acknowledged
        check(workspace)
    return killed


def calm(workspace: Workspace) -> None:
    """After all that the next command works and brings what git lacks along."""
    remove_git_locks(workspace.path)
    data(inside(workspace.path, "note", "the end", "--json"))
    check(workspace)
    assert git(workspace.path, "status", "--porcelain", "protocol/registry") == ""
    git(workspace.path, "fsck", "--strict")


def test_a_few_kills_lose_nothing(workspace: Workspace) -> None:
    assert torment(workspace, kills=5, seed=int(os.environ.get("KILL_SEED", "1"))) == 5
    calm(workspace)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/BRANCH.lock"])
def test_a_lock_that_a_killed_git_left_is_named_with_what_to_do(workspace: Workspace, name: str) -> None:
    branch = git(workspace.path, "symbolic-ref", "--short", "HEAD").strip()
    (workspace.path / ".git" / name.replace("BRANCH", branch)).touch()
    done = inside(workspace.path, "note", "kept all the same")
    assert (done.returncode, len(list(registry_of(workspace).all(ENTRY)))) == (0, 1)
    assert name.replace("BRANCH", branch) in done.stderr
    assert "one died: remove that file" in done.stderr


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing(workspace: Workspace) -> None:
    assert torment(workspace, kills=120, seed=int(os.environ.get("KILL_SEED", "2"))) >= 100
    calm(workspace)
