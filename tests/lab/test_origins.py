"""What a run needs of others is looked into before anything is created: it is refused, not recorded, when it is amiss.

`init.checkpoint`, and the runs' agents that hockey is played against.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dreamerlab.config.layers import resolve
from dreamerlab.lab.origins import origin_gate
from dreamerlab.runs.status import read_status, write_status
from tests.lab.conftest import Ran
from tests.lab.workspaces import TINY, dreamerlab, git, inside


def said(ran: Ran, *words: str, seeds: tuple[int, ...] = (0, 1)) -> list[str]:
    given = {word.partition("=")[0]: word for word in (*TINY, *words)}
    resolved = resolve(ran.workspace.path, "cartpole", None, tuple(given.values()))
    return [one.message for one in origin_gate(ran.workspace, resolved, seeds)]


def test_what_can_be_used_passes_and_what_cannot_is_named(ran: Ran) -> None:
    run = ran.run.id
    assert said(ran) == said(ran, f"init.checkpoint={run}") == said(ran, "init.checkpoint=first@best") == []
    assert said(ran, "init.checkpoint=nobody") == ["init.checkpoint=nobody: no run is called 'nobody'"]
    (line,) = said(ran, f"init.checkpoint={run}", seeds=(7,))
    assert f"{run} has no seed 7" in line
    (line,) = said(ran, f"init.checkpoint={run}", "model.units=16")
    assert "model.units is 8 there and 16 here" in line
    (line,) = said(ran, f"init.checkpoint={run}", "init.parts=[world, replay]")
    assert "holds no replay" in line
    (line,) = said(ran, f"init.checkpoint={run}@999")
    assert "no checkpoint of env step 999" in line


def test_runs_agents_as_opponents_are_looked_into_too(ran: Ran, tmp_path: Path) -> None:
    """M-HK-02: by the leaf that names them; elsewhere than in hockey nobody plays."""
    hockey, run = "env.id=dreamerlab/HockeyOne-v0", ran.run.id
    assert said(ran, f"hockey.opponent=[{run}]") == []
    (line,) = said(ran, hockey, f"hockey.opponent=[weak, {run}@best]")
    assert line.startswith(f"hockey.opponent={run}@best: best-")
    assert line.endswith("cannot play: it was trained on CartPole-v1, not on dreamerlab/HockeyOne-v0")
    first, second = said(ran, hockey, "hockey.curriculum=['0 normal R9']", "hockey.eval_opponents=[R8]")
    assert first == "hockey.curriculum=R9: no run is called 'R9'"
    assert second == "hockey.eval_opponents=R8: no run is called 'R8'"
    copied = ran.copy(tmp_path / "lab")
    for trial in copied.run.trials():
        config = trial.run.config_path
        config.write_text(config.read_text().replace("CartPole-v1", "dreamerlab/HockeyOne-v0"))
    assert said(copied, hockey, f"hockey.opponent=[{run}]") == []
    trial = copied.run.trial(1)
    write_status(trial, replace(read_status(trial), state="interrupted"))
    (line,) = said(copied, hockey, f"hockey.opponent=[{run}]")
    assert line == f"hockey.opponent={run} may mean another checkpoint tomorrow: seed 1 of {run} is not over"
    assert said(copied, hockey, f"hockey.opponent=[{run}@60]") == []


def test_check_forbids_and_pilots_are_refused_with_nothing_created(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    folder = copied.workspace.path
    layers = [word for leaf in TINY for word in ("--set", leaf)]
    sentence = "change init.checkpoint=R9 -> expect eval/return to rise by 5"
    assert inside(folder, "propose", sentence, "--env", "cartpole", *layers, "--no-commit").returncode == 0
    done = inside(folder, "check", "--allow-dirty")
    assert done.returncode == 3
    assert "no run is called 'R9'" in done.stdout
    before = git(folder, "status", "--porcelain")
    done = dreamerlab(folder, "run", "--pilot", "--env", "cartpole", *TINY, "init.checkpoint=R9")
    assert done.returncode == 2, done.stderr
    assert "no run is called 'R9'" in done.stderr
    assert [path.name for path in copied.workspace.runs.glob("*R*")] == [copied.run.id]
    assert git(folder, "status", "--porcelain").splitlines() == before.splitlines()
