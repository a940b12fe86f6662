"""What a person can get wrong: one line that says what, a hint, the right exit code, no traceback, nothing created.

Most of a command's time is Python starting, so the cases share this process; a few are repeated in one of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.cli.main import main
from tests.lab.workspaces import dreamerlab, light_workspace

BASELINE = ("run", "--baseline", "--env", "cartpole")
# name: words, exit code, pieces of the message (in order of no importance), pieces of the hint
CASES: dict[str, tuple[tuple[str, ...], int, tuple[str, ...], str]] = {
    "no purpose": (("run", "--env", "cartpole"), 3, ("needs a purpose",), "--baseline"),
    "no environment": (("run", "--baseline"), 2, ("no environment is named",), "--env cartpole"),
    "unknown env": (("run", "--baseline", "--env", "cartpol"), 4, ("did you mean 'cartpole'",), "gymnasium id"),
    "unknown gym id": (("run", "--baseline", "--env", "CartPol-v1"), 2, ("CartPol-v1", "did you mean"), ""),
    "env is a path": (("run", "--baseline", "--env", "../cartpole"), 2, ("a name, not a path",), ""),
    "unknown experiment": ((*BASELINE, "--experiment", "nan"), 4, ("did you mean 'nano'?",), ""),
    "unknown keys": (
        (*BASELINE, "optimizer.lr_acto=1", "lr_warld=1"),
        2,
        ("lr_actor", "lr_world", "2 problems"),
        "explain",
    ),
    "negative seed": ((*BASELINE, "--seeds", "-1"), 2, ("--seeds '-1'", "negative"), "--seeds 3 is 0, 1, 2"),
    "repeated seed": ((*BASELINE, "--seeds", "3,3"), 2, ("more than once",), "--seeds"),
    "too many seeds": ((*BASELINE, "--seeds", "1001"), 2, ("more than 1000",), "--seeds"),
    "two pilot seeds": (
        ("run", "--pilot", "--env", "cartpole", "--seeds", "2"),
        2,
        ("a pilot has one seed",),
        "--seeds",
    ),
    "zero budget": ((*BASELINE, "budget.amount=0"), 2, ("budget.amount", "got 0"), "explain"),
    "yaml tag": ((*BASELINE, "budget.amount=!!python/object/apply:os.system ['true']"), 2, ("budget.amount",), ""),
    "no value": ((*BASELINE, "budget.amount"), 2, ("KEY=VALUE",), ""),
    "zero jobs": ((*BASELINE, "--jobs", "0"), 2, ("--jobs",), "dreamerlab run --help"),
    "name like an id": ((*BASELINE, "--name", "R7"), 2, ("could be taken for an id",), ""),
    "name with a slash": ((*BASELINE, "--name", "a/b"), 2, ("cannot be a name",), ""),
    "id is a path": (("show", "../../etc/passwd"), 2, ("is not an id",), "H7"),
    "id is empty": (("status", ""), 2, ("'' is not a run id",), "R12"),
    "id drives the terminal": (("show", "\x1b[31mR1"), 4, (r"\x1b[31mR1",), "dreamerlab list"),
    "a hypothesis is no run": (("resume", "H7"), 4, ("'H7' is a hypothesis, and a run",), "dreamerlab show H7"),
    "unknown run": (("show", "R77"), 4, ("no run is called 'R77'",), "dreamerlab list"),
    "resume of nothing": (("resume",), 4, ("nothing to resume",), "dreamerlab list"),
    "resume with a change": (("resume", "R1", "a=1"), 3, ("'a=1' cannot be changed by resuming",), "a=1"),
    "resume of two": (("resume", "R1", "R2"), 3, ("one run, not 2",), "one by one"),
    "nothing to show": (("show",), 4, ("no run in",), "--baseline"),
    "nothing to push": (("data", "push"), 2, ("name runs or hypotheses",), "data push"),
    "no database": (("ui",), 4, ("no MLflow database",), "dreamerlab init"),
    "unknown command": (("resum",), 2, ("no command is called 'resum'", "did you mean 'resume'?"), "--help"),
    "unknown subcommand": (("config", "explane"), 2, ("did you mean 'explain'?",), "config --help"),
    "unknown option": (("list", "--al"), 2, ("no option is called '--al'", "did you mean '--all'?"), "list --help"),
    "option without value": ((*BASELINE, "--seeds"), 2, ("--seeds",), "run --help"),
    "unknown choice": (
        ("eval", "R1", "--policy", "moed"),
        2,
        ("'moed' is not one of 'mode', 'sample', 'both'", "(did you mean 'mode'?)"),
        "eval --help",
    ),
    "a choice far from all": (("watch", "R1", "--outcome", "never"), 2, ("'never' is not one of",), "watch --help"),
    "too many words": (("status", "R1", "R2"), 2, ("R2",), "status --help"),
    "seed is no number": (("resume", "R1", "--seed", "x"), 2, ("--seed",), "resume --help"),
    "init onto a file": (("init", "protocol/workspace.yaml"), 4, ("is a file",), "init PATH"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return light_workspace(tmp_path_factory.mktemp("lab")).path


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_answered(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, code, pieces, hint = CASES[name]
    monkeypatch.chdir(folder)
    assert main(words) == code
    said = capsys.readouterr()
    message, _, hinted = said.err.partition("\n\nhint: ")
    assert message.startswith("error: ")
    assert not [piece for piece in pieces if piece not in message], message
    assert hint in hinted, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err
    left = {path.name for path in folder.iterdir()} - {"env_configs", "protocol", ".dreamerlab"}
    assert not left
    assert not list(folder.rglob("bug-*"))


@pytest.mark.parametrize("name", ["no purpose", "unknown keys", "id drives the terminal", "unknown option"])
def test_a_process_answers_the_same(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = CASES[name][0]
    monkeypatch.chdir(folder)
    code = main(words)
    done = dreamerlab(folder, *words)
    assert (done.returncode, done.stdout, done.stderr) == (code, *capsys.readouterr())


def test_outside_a_workspace_the_way_in_is_named(tmp_path: Path) -> None:
    for words in (("list",), ("run", "--baseline", "--env", "cartpole")):
        done = dreamerlab(tmp_path, *words)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith(f"error: no dreamerlab workspace at or above {tmp_path}")
        assert done.stderr.endswith("hint: make one here: dreamerlab init\n")


def test_training_parts_that_are_not_installed_are_named(folder: Path, tmp_path: Path) -> None:
    blocker = "import sys\nfor name in ('torch', 'gymnasium'):\n    sys.modules[name] = None\n"
    (tmp_path / "sitecustomize.py").write_text(blocker)
    done = dreamerlab(folder, *BASELINE, PYTHONPATH=str(tmp_path))
    assert done.returncode == 5
    assert done.stderr.startswith("error: training needs torch and gymnasium, not installed for ")
    assert done.stderr.endswith("hint: pip install 'dreamerlab[train]'\n")
    assert not (folder / "runs").exists()


def unprivileged() -> list[str]:
    """Words before a command that make file permissions count, also for root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("permissions do not bind root, and setpriv is not here to take that away")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search"]


def test_a_read_only_workspace_can_be_read_and_refuses_to_run(tmp_path: Path) -> None:
    folder = light_workspace(tmp_path / "lab").path
    (folder / "runs").mkdir()
    locked = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in locked:
        path.chmod(0o555)
    try:
        command = [*unprivileged(), sys.executable, "-m", "dreamerlab"]
        listed = subprocess.run([*command, "list"], cwd=folder, capture_output=True, text=True)
        ran = subprocess.run([*command, *BASELINE], cwd=folder, capture_output=True, text=True)
    finally:
        for path in locked:
            path.chmod(0o755)
    assert (listed.returncode, listed.stdout) == (0, "")
    assert ran.returncode == 5, ran.stderr
    error = ran.stderr[ran.stderr.index("error: ") :]
    assert error.startswith(f"error: cannot write {folder}")
    assert "Permission denied" in error
    assert "hint: " in error
    assert not list((folder / "runs").iterdir())
