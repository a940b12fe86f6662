"""The whole round where things are not as usual: hostile characters in the workspace's path, and no network at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.told import Told, tell
from tests.lab.workspaces import TINY, inside

STRANGE = """it's "quoted" $HOME 100% #hash?\nnew line; rm -rf *"""
SENTENCE = "change train.train_ratio=4 -> expect eval/return to rise by 5"


def offline() -> list[str]:
    """Words before a command that leave it without any network, the loopback included."""
    unshare = shutil.which("unshare")
    words = [unshare or "unshare", "--net"] if os.geteuid() == 0 else [unshare or "unshare", "--net", "--map-root-user"]
    if unshare is None or subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a network namespace of its own is not to be had here")
    return words


def command(folder: Path, before: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*before, sys.executable, "-m", "dreamerlab", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def whole_round(folder: Path, before: list[str]) -> None:
    """From `init` to `doctor` with real training, as a user would."""
    folder.mkdir()
    settings = [word for leaf in TINY for word in ("--set", leaf)]
    command(folder, before, "init")
    command(folder, before, "propose", SENTENCE, "--env", "cartpole", "--experiment", "nano", *settings, "--seeds", "3")
    ran = command(folder, before, "run", "H1")
    assert "verdict: " in ran.stdout
    assert "interval" in command(folder, before, "compare", "H1", "--plot", "two words.png").stdout
    assert (folder / "two words.png").stat().st_size > 10_000
    command(folder, before, "show", "H1")
    command(folder, before, "note", "H1", "seen")
    command(folder, before, "log")
    command(folder, before, "report", "-o", "the report.html")
    command(folder, before, "lint")
    command(folder, before, "data", "push", "--all")
    assert command(folder, before, "doctor").stdout == ""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True)
    assert {line.split(None, 1)[1] for line in status.stdout.splitlines()} <= {'"two words.png"', '"the report.html"'}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_round_in_a_folder_whose_name_is_hostile(tmp_path: Path) -> None:
    whole_round(tmp_path / STRANGE, [])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_round_without_any_network(tmp_path: Path) -> None:
    whole_round(tmp_path / "lab", offline())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("strange") / STRANGE)


def test_records_are_read_rendered_and_proven_in_a_folder_whose_name_is_hostile(told: Told) -> None:
    folder = told.workspace.path
    for words in (
        ("show", "H1"),
        ("note", "H1", "a thought"),
        ("compare", "H1"),
        ("lint",),
        ("doctor",),
        ("propose", SENTENCE, "--env", "cartpole", "--experiment", "nano"),
    ):
        done = inside(folder, *words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
    assert "a thought" in (told.workspace.protocol / "LOG.md").read_text()


def test_records_are_read_and_rendered_without_any_network(told: Told) -> None:
    before = offline()
    for words in (("compare", "H1"), ("doctor",)):
        command(told.workspace.path, before, *words)
