"""The demo, as `make demo` runs it: one prediction, two arms, a verdict, a log; and the baseline's honest bar.

Trained here on seeds that were never used while the preset's settings were chosen.
"""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

import pytest

from tests.lab.workspaces import ROOT, data, dreamerlab, inside

UNSEEN = "100-102"
LONGEST_S = 14 * 60


def demo_commands() -> list[list[str]]:
    """The words of every dreamerlab command of the target, in order."""
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    return [shlex.split(line.partition("/dreamerlab ")[2]) for line in recipe[1].splitlines()]


def test_the_demo_goes_from_the_prediction_to_the_log() -> None:
    assert [words[0] for words in demo_commands()] == ["init", "propose", "run", "compare", "log"]


@pytest.mark.slow
def test_the_demo_ends_in_the_verdict_it_expects_and_its_baseline_learns(tmp_path: Path) -> None:
    begun, folder = time.monotonic(), tmp_path
    for words in demo_commands():
        told = [UNSEEN if last == "--seeds" else word for last, word in zip(["", *words], words, strict=False)]
        done = dreamerlab(folder, *told, timeout=LONGEST_S)
        assert done.returncode == 0, f"{told}: {done.stderr}"
        folder = tmp_path / "demo"
    took_s = time.monotonic() - begun
    listing = data(inside(folder, "list", "--json"))
    runs = {run["kind"]: data(inside(folder, "show", run["run"], "--json")) for run in listing["runs"]}
    scores = [trial["score"] for trial in runs["baseline"]["trials"]]
    assert runs["baseline"]["mean_score"] >= 200, scores
    assert min(scores) >= 100, scores
    assert runs["treatment"]["mean_score"] < runs["baseline"]["mean_score"] - 100
    log = (folder / "protocol" / "LOG.md").read_text()
    assert "train.train_ratio" in log
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert dreamerlab(folder, "lint").returncode == 0
    assert took_s < LONGEST_S, f"the demo took {took_s:.0f} s"
