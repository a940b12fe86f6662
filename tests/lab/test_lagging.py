"""`compare --lag`: from the committed text of runs to a lead, a lag, or neither."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from dreamerlab.lab.lagging import _since_last  # pyright: ignore[reportPrivateUsage]
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.series import Point, append_line
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import write_summary
from tests.lab.arms import make_arm
from tests.lab.workspaces import data, inside, light_workspace

LENGTH, SEEDS, METRIC = 14, 4, "behavior/entropy_nats"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


def a_run(workspace: Workspace, name: str, ahead: int, seeds: int = SEEDS) -> RunDirectory:
    """Make a run whose metric tells the return `ahead` evaluations before it comes, with a little noise."""
    generator = random.Random(7)
    hidden = [[generator.gauss(200, 50) for _ in range(LENGTH + 8)] for _ in range(seeds)]
    run = make_arm(workspace, name, [values[4 : LENGTH + 4] for values in hidden])
    for seed, values in enumerate(hidden):
        trial = run.trial(seed)
        trial.attempt_dir(1).mkdir(parents=True)
        for at in range(1, 2 * LENGTH + 1):  # logged twice an evaluation
            known = values[4 + (at - 1) // 2 + ahead] + generator.gauss(0, 5)
            clocks = {"env_steps": 50 * at, "updates": 25 * at, "wall_s": 1.0 * at, "attempt": 1}
            append_line(trial.metrics_path(1), {**clocks, "values": {METRIC: -known}})
        write_summary(trial)
    return run


def test_a_leading_metric_is_told_from_a_lagging_one_M_PROT_20(workspace: Workspace) -> None:
    for name, ahead in (("before", 2), ("after", -1), ("with", 0)):
        a_run(workspace, name, ahead)
    words = ("compare", "before", "after", "with", "--lag", METRIC)
    page = inside(workspace.path, *words).stdout
    assert "leading: it changes 200 env steps before the score does, the opposite way (median r -1.00" in page
    assert "lagging: it changes 100 env steps after the score did" in page
    assert "neither leading nor lagging: it changes with the score" in page
    assert "not a cause" in page
    found = data(inside(workspace.path, *words, "--json"))
    assert [run["relation"] for run in found["runs"]] == ["lead", "lag", "together"]


def test_one_run_is_enough_and_leaves_nothing_in_the_log(workspace: Workspace, tmp_path: Path) -> None:
    run = a_run(workspace, "a", 1)
    words = ("compare", "a", "--lag", METRIC, "--plot", str(tmp_path / "lag.svg"))
    done = inside(workspace.path, *words)
    assert done.returncode == 0, done.stderr
    assert f"{run.id} a" in done.stdout
    drawn = (tmp_path / "lag.svg").read_text()
    for label in ("lag in env steps", f"{run.id} a: changes", f"{run.id} a: levels"):
        assert f"<!-- {label} -->" in drawn
    assert not (workspace.protocol / "registry").exists()
    rows = list(csv.DictReader(io.StringIO(inside(workspace.path, *words[:4], "--csv").stdout)))
    assert {row["seed"] for row in rows} == {"0", "1", "2", "3"}
    assert {row["of"] for row in rows} == {"changes", "levels"}
    assert "| lag, env steps |" in inside(workspace.path, *words[:4], "--md").stdout


def test_of_few_seeds_and_points_nothing_is_concluded(workspace: Workspace) -> None:
    a_run(workspace, "two", 1, seeds=2)
    done = inside(workspace.path, "compare", "two", "--lag", METRIC)
    assert "nothing can be said of 2 seeds: a description only" in done.stdout
    assert "independent pairs" in done.stdout
    short = make_arm(workspace, "short", [[1.0, 2.0, 3.0]])
    trial = short.trial(0)
    trial.attempt_dir(1).mkdir(parents=True)
    append_line(trial.metrics_path(1), {"env_steps": 90, "updates": 1, "attempt": 1, "values": {METRIC: 1.0}})
    write_summary(trial)
    done = inside(workspace.path, "compare", "short", "--lag", METRIC, "--plot", str(workspace.path / "x.png"))
    assert done.returncode == 4
    assert "nothing to draw" in done.stderr
    assert inside(workspace.path, "compare", "short", "--lag", METRIC).returncode == 0


def test_the_value_beside_an_evaluation_is_the_mean_since_the_one_before() -> None:
    points = [Point(at, 0, 0.0, 0.0, 1, float(at)) for at in (50, 100, 150, 200, 450)]
    points.insert(3, Point(180, 0, 0.0, 0.0, 1, float("nan")))
    assert _since_last(points, [100, 200, 300, 400, 500], 100) == {1: 75.0, 2: 175.0, 5: 450.0}
    assert _since_last(points, [100, 300], 100) == {1: 75.0}, (
        "what an evaluation that is missing would have been beside"
    )
