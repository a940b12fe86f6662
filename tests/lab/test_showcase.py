"""A policy in git beside its run: a clone that can reach no remote evaluates and watches it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreamerlab.lab import showcase as module
from dreamerlab.runs.series import read_evals
from dreamerlab.runs.showcase import LARGEST_BYTES, agents_folder, as_asked
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, dreamerlab, git, inside


@pytest.mark.slow
def test_a_clone_without_a_remote_evaluates_to_the_same_figures(ran: Ran, tmp_path: Path) -> None:
    """A showcase is stripped of optimiser and critic, and acts bit for bit as the checkpoint it was taken from."""
    mine, clone = ran.copy(tmp_path / "lab"), tmp_path / "clone"
    trial = mine.run.trials()[1]
    shown = data(inside(mine.workspace.path, "data", "showcase", "first", "--seed", str(trial.seed), "--json"))
    whole = trial.checkpoints / shown["checkpoint"]
    assert shown["size_bytes"] < whole.stat().st_size / 2
    assert shown["size_bytes"] <= LARGEST_BYTES
    described = json.loads((mine.workspace.path / shown["file"]).with_suffix(".json").read_text())
    recorded = json.loads(trial.summary_path.read_text())["files"]
    assert described["stripped_from"] == recorded[f"artifacts/{trial.path.name}/checkpoints/{whole.name}"]["sha256"]
    git(tmp_path, "clone", "-q", str(mine.workspace.path), str(clone))
    assert not (clone / "runs" / mine.run.id / "artifacts").exists()
    measured = inside(clone, "eval", "first", "--json")
    (again,) = data(measured)["trials"]
    assert again["seed"] == trial.seed
    assert again["returns"] == read_evals(trial)[0][-1]["returns"]
    assert any("from the showcase that git carries" in line for line in data(measured)["caveats"])


@pytest.mark.slow
def test_one_too_large_for_git_is_refused_and_nothing_is_left(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ran.copy(tmp_path / "lab")
    monkeypatch.setattr(module, "LARGEST_BYTES", 1000)
    done = inside(mine.workspace.path, "data", "showcase", "first", "--checkpoint", "best")
    assert done.returncode == 4
    assert "git gets 1.0 kB at most" in done.stderr
    assert f"dreamerlab data push {mine.run.id}" in done.stderr
    assert not list(mine.run.path.glob("seed-*/showcase"))
    assert not list(mine.workspace.cache.glob("showcase-*"))


def test_of_showcases_the_latest_is_the_newest_there_is(ran: Ran, tmp_path: Path) -> None:
    trial = ran.copy(tmp_path / "lab").run.trials()[0]
    assert agents_folder(trial) == trial.checkpoints
    trial.showcase.mkdir()
    for name in ("best-000000020", "kept-000000040"):
        (trial.showcase / f"{name}.json").write_text("{}")
    assert agents_folder(trial) == trial.checkpoints, "looked at only where there is nothing else"
    trial.checkpoints.rename(trial.artifacts / "elsewhere")
    assert agents_folder(trial) == trial.showcase
    assert as_asked(trial.showcase, "latest") == "40"
    assert as_asked(trial.showcase, "best") == "best"
    (trial.showcase / "ckpt-000000010.json").write_text("{}")
    assert as_asked(trial.showcase, "latest") == "latest"


@pytest.mark.slow
def test_a_clone_without_a_remote_watches_it_and_loads_it(ran: Ran, tmp_path: Path) -> None:
    mine, clone = ran.copy(tmp_path / "lab"), tmp_path / "clone"
    assert dreamerlab(mine.workspace.path, "data", "showcase", "first", "--checkpoint", "best").returncode == 0
    git(tmp_path, "clone", "-q", str(mine.workspace.path), str(clone))
    film = dreamerlab(clone, "watch", "first", "--out", str(tmp_path / "film.png"))
    assert film.returncode == 0, film.stderr
    assert (tmp_path / "film.png").stat().st_size > 1000
    assert dreamerlab(clone, "eval", "first", "--checkpoint", "best", "--policy", "mode").returncode == 0
    from dreamerlab import load_policy

    policy = load_policy("first", workspace=clone)
    assert policy.facts["checkpoint"].startswith("best-")
    absent = dreamerlab(clone, "eval", "first", "--checkpoint", "60")
    assert absent.returncode == 4
    assert not (clone / "runs" / mine.run.id / "artifacts").exists()
