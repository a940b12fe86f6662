"""Runs and curves in pandas: every trial a row, the score the verdict's, damaged records named and left out."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

import dreamerlab
from dreamerlab.errors import NotFound
from dreamerlab.frames import CURVE_COLUMNS, RUN_COLUMNS, DamagedRecord, load_curves, load_runs
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.lab.arms import make_arm
from tests.lab.judging import a_case, end
from tests.lab.workspaces import light_workspace

ROOT = Path(__file__).parent.parent
CURVES = [[10.0, 20.0, 30.0], [20.0, 30.0, 40.0]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "a 'lab'\nof mine")


def test_every_trial_is_a_row_and_what_differs_a_column(workspace: Workspace) -> None:
    first = make_arm(workspace, "a", CURVES)
    second = make_arm(workspace, "b", CURVES, "optimizer.lr_actor=2e-3", unfinished={1: "interrupted"})
    runs = load_runs(first.trial(0).path)
    assert list(runs.columns) == [*RUN_COLUMNS, "optimizer.lr_actor"]
    assert list(zip(runs.run, runs.seed, strict=True)) == [(run.id, seed) for run in (first, second) for seed in (0, 1)]
    assert list(runs.score[:3]) == [20.0, 30.0, 20.0]
    assert math.isnan(runs.score[3])
    assert list(runs.state) == ["finished", "finished", "finished", "interrupted"]
    assert list(runs["optimizer.lr_actor"]) == [1e-4, 1e-4, 2e-3, 2e-3]
    assert str(runs.created_at[0]) == "2026-01-02 03:04:05+00:00"
    alone = load_runs(str(workspace.path), runs=["b"])
    assert list(alone.columns) == list(RUN_COLUMNS)
    assert set(alone.run) == {second.id}


def test_a_leaf_younger_than_a_record_has_the_value_that_acts_alike(workspace: Workspace) -> None:
    make_arm(workspace, "a", CURVES)
    old = make_arm(workspace, "b", CURVES)
    kept = [line for line in old.config_path.read_text().splitlines() if not line.startswith("  actor_every:")]
    old.config_path.write_text("\n".join(kept) + "\n")
    assert list(load_runs(workspace.path).columns) == list(RUN_COLUMNS)


def test_curves_are_tidy_and_chosen_by_metric(workspace: Workspace) -> None:
    run = make_arm(workspace, "a", CURVES, unfinished={1: "interrupted"})
    assert run.trial(0).curves_path.exists()
    assert not run.trial(1).curves_path.exists()
    curves = load_curves(workspace.path, "eval/return")
    assert list(curves.columns) == list(CURVE_COLUMNS)
    assert set(curves.metric) == {"eval/return_mode"}
    assert list(curves.value) == [10.0, 20.0, 30.0, 20.0, 30.0, 40.0], "of a trial under way, its evaluations"
    assert list(curves.env_steps) == [100, 200, 300] * 2
    assert list(curves.updates[:3]) == [50, 100, 150]
    assert load_curves(workspace.path, ["wm/loss"]).empty
    with pytest.raises(NotFound, match="did you mean 'wm/loss'"):
        load_curves(workspace.path, "wm/los")


def test_what_is_not_finite_is_kept(workspace: Workspace) -> None:
    run = make_arm(workspace, "a", CURVES[:1])
    line = {"metric": "wm/loss", "of": 2, "values": [1.0, "inf"], "time": [0, 0], "attempt": [1, 1]}
    clocks = {"env_steps": [1, 2], "updates": [1, 2], "wall_s": [0.5, 1]}
    run.trial(0).curves_path.write_text(json.dumps({**line, **clocks}) + "\n")
    assert list(load_curves(workspace.path).value) == [1.0, math.inf]


def test_damaged_records_are_named_and_left_out(workspace: Workspace) -> None:
    torn, spared = make_arm(workspace, "a", CURVES), make_arm(workspace, "b", CURVES)
    torn.manifest_path.write_text("{")
    path = spared.trial(0).curves_path
    path.write_text('{"metric": "torn\n' + path.read_text() + '{"metric": "wm/loss", "values": [1.0]}\n')
    spared.trial(1).summary_path.write_text("nonsense")
    with pytest.warns(DamagedRecord) as told:
        runs, curves = load_runs(workspace.path), load_curves(workspace.path)
    words = "\n".join(str(one.message) for one in told)
    assert f"{torn.manifest_path} is damaged" in words
    assert f"{path}:1: damaged line" in words
    assert f"{spared.trial(1).summary_path} is damaged" in words
    assert told[0].filename == __file__, "the warning points at the caller's line"
    assert set(runs.run) == {spared.id}
    assert math.isnan(runs.score[1])
    assert set(curves.metric) == {"eval/return_mode"}, "the rest of a damaged file still counts"


def test_the_score_and_the_verdict_are_those_of_the_record(workspace: Workspace) -> None:
    higher = [[300.0 + seed] * 10 for seed in range(3)]
    case = a_case(workspace, higher, [[100.0 + seed] * 10 for seed in range(3)])
    end(case.treatment.trial(1), "failed", diverged=True, reason="wm/loss is not finite")
    before = load_runs(workspace.path, runs=[case.treatment.id])
    assert math.isnan(before.score[1])
    assert case.verdict()["outcome"] == "INCONCLUSIVE"
    after = load_runs(workspace.path, runs=[case.treatment.id])
    assert list(after.score) == [300.0, 0.0, 302.0], "a trial that diverged counts with its fail score"
    assert [cell is None or cell != cell for cell in after.failed] == [True, False, True]
    assert set(after.verdict.str.partition(",")[0]) == {"INCONCLUSIVE"}
    assert set(after.hypothesis) == {case.id}
    assert after.asked[0].startswith("change ")


def test_a_dead_process_is_never_running(workspace: Workspace) -> None:
    run = make_arm(workspace, "a", CURVES[:1], unfinished={0: "interrupted"})
    status = read_status(run.trial(0))
    write_status(run.trial(0), type(status)(**{**vars(status), "state": "running", "pid": 2**22 + 1}))
    assert list(load_runs(workspace.path).state) == ["killed"]


def test_an_empty_workspace_gives_empty_frames(workspace: Workspace) -> None:
    assert list(load_runs(workspace.path).columns) == list(RUN_COLUMNS)
    assert load_curves(workspace.path).empty
    with pytest.raises(NotFound, match="no dreamerlab workspace"):
        load_runs(workspace.path.parent)


def test_every_column_is_explained() -> None:
    for function, columns in ((load_runs, RUN_COLUMNS), (load_curves, CURVE_COLUMNS)):
        assert function.__doc__ is not None
        assert not [name for name in columns if f"`{name}`" not in function.__doc__]


def test_pandas_is_imported_only_by_loading() -> None:
    lines = ("import sys, dreamerlab, dreamerlab.frames", "print('pandas' in sys.modules, dreamerlab.load_runs)")
    code = "; ".join(lines)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("False <function load_runs")
    assert {"load_runs", "load_curves", "load_policy"} <= set(dir(dreamerlab))
