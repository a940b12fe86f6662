"""The README is executed: its commands run, in order, in an empty folder, and every command has its line there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# The tour trains three seeds an arm for minutes; the same commands with one seed and these leaves take seconds.
LEAVES = ("budget.amount=90", "eval.every=30", "eval.episodes=2", "checkpoint.every=30", "log.every=15")
SHORT = ["--seeds", "1", *(word for leaf in LEAVES for word in ("--set", leaf))]


def commands() -> list[list[str]]:
    """Every `$ command` of the README's console blocks, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line, comments=True) for line in lines]


def test_the_tour_runs(tmp_path: Path) -> None:
    folder, ran = tmp_path, []
    for words in commands():
        if words[0] in ("make", "git", "pip"):
            continue  # installing is what continuous integration does
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        assert words[0] == "dreamerlab", words
        extra = SHORT if words[1] == "propose" else []
        command = [sys.executable, "-m", *words, *extra]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        ran.append(words[1])
    assert {"init", "propose", "check", "run", "compare", "note", "list", "show", "log", "lint", "eval"} <= set(ran)
    log = (folder / "protocol" / "LOG.md").read_text()
    assert "UNREPLICATED" in log, "one seed an arm carries no verdict"
    assert "for want of learning" in log


def test_every_command_has_its_line_in_the_readme() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "dreamerlab", "--help"], capture_output=True, text=True, check=True
    ).stdout
    names = re.findall(r"^  ([a-z]+)  ", shown, re.MULTILINE)
    assert len(names) >= 11, shown
    assert not [name for name in names if f"`dreamerlab {name}" not in README]


def test_links_and_pictures_resolve() -> None:
    targets = re.findall(r"\]\(([^)#]+)", README)
    local = [target for target in targets if "://" not in target]
    assert local
    assert not [target for target in local if not (ROOT / target).exists()]
