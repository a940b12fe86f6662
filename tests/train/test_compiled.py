"""Acting through torch.compile: what `eval --compile` and `watch --compile` find is what they find without.

In processes of their own, for the compiler cannot read the type checks that are switched on in this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.config.layers import resolve
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.attempt import execute
from dreamerlab.train.runtime import StopRequest
from tests.train.trials import make_trial

ROOT = Path(__file__).parent.parent.parent
SHORT = ["budget.amount=800", "eval.every=800", "eval.episodes=4"]


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    trial = make_trial(tmp_path_factory.mktemp("runs"), resolve(ROOT, "cartpole", "nano", SHORT).config)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StopRequest, "listen", lambda self: None)
        execute(trial.path, None, None)
    return trial


def ask(program: str, trial: TrialDirectory, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"dreamerlab.train.{program}", str(trial.path), *words]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_compiled_evaluation_is_the_plain_one_and_says_so_M_CP_21(nano: TrialDirectory) -> None:
    """The same random numbers are drawn, and every action of nano comes out the same on a CPU."""
    plain, compiled = told(ask("eval_checkpoint", nano)), told(ask("eval_checkpoint", nano, "--compile"))
    assert (plain.pop("compiled"), compiled.pop("compiled")) == (False, True)
    assert compiled == plain


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_film_of_a_compiled_agent_shows_the_same_episode(nano: TrialDirectory, tmp_path: Path) -> None:
    films = tmp_path / "plain.png", tmp_path / "compiled.png"
    plain = told(ask("watch", nano, "--format", "png", "--out", str(films[0])))
    compiled = told(ask("watch", nano, "--format", "png", "--out", str(films[1]), "--compile"))
    assert (plain.pop("compiled"), compiled.pop("compiled")) == (False, True)
    assert compiled == plain
    assert films[0].read_bytes() == films[1].read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_where_nothing_can_be_compiled_the_way_around_is_named(nano: TrialDirectory, tmp_path: Path) -> None:
    done = ask("eval_checkpoint", nano, "--compile", CXX="/nowhere/c++", TORCHINDUCTOR_CACHE_DIR=str(tmp_path))
    assert done.returncode == 5, done.stderr[-2000:]
    assert "error: torch.compile failed: " in done.stderr
    assert "hint: leave out --compile" in done.stderr
