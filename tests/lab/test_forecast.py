"""What is said beforehand: the detectable effect, the cost at the pace of earlier runs, and the gates' answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamerlab.runs.manifest import Code
from dreamerlab.runs.store import Workspace
from dreamerlab.stats.power import minimum_detectable_effect, seeds_needed
from dreamerlab.stats.student import quantile
from dreamerlab.tracking.code_identity import compute
from tests.lab.arms import flat, make_arm
from tests.lab.workspaces import data, inside, light_workspace

NANO = ("--env", "cartpole", "--experiment", "nano")
ARM = (*NANO, "--set", "budget.amount=1000", "--set", "eval.every=100")
RISE = "change lr_actor=3e-4 -> expect eval/return to rise by 15"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


def forecast(workspace: Workspace, *words: str) -> dict[str, Any]:
    return data(inside(workspace.path, "propose", *words, "--dry-run", "--json"))["proposal"]["forecast"]


@pytest.mark.parametrize(("seeds", "in_sd"), [("3", 3.07), ("5", 2.02), ("10", 1.32)])
def test_the_detectable_difference_follows_from_the_seeds(workspace: Workspace, seeds: str, in_sd: float) -> None:
    found = forecast(workspace, RISE, *NANO, "--seeds", seeds)["detectable"]
    assert found["in_sd"] == pytest.approx(in_sd, abs=0.005)
    assert (found["power"], found["spread"], found["in_unit"]) == (0.8, None, None)


def test_looks_before_the_last_cost_power(workspace: Workspace) -> None:
    plain = forecast(workspace, RISE, *NANO, "--seeds", "10")["detectable"]["in_sd"]
    looked = forecast(workspace, RISE, *NANO, "--seeds", "10", "--looks", "5,7,10")["detectable"]["in_sd"]
    assert plain < looked < 1.2 * plain


def test_where_the_baseline_was_measured_it_is_said_in_the_unit_of_the_score(workspace: Workspace) -> None:
    code = Code(compute(workspace).identity)
    run = make_arm(workspace, "base", flat(190, 200, 210, 200, 200), code=code).id
    found = forecast(workspace, RISE, *ARM, "--seeds", "3")["detectable"]
    in_sd, spread = minimum_detectable_effect(3, 5), 50**0.5
    assert in_sd is not None
    assert found["in_sd"] == pytest.approx(in_sd)
    assert found["spread"] == pytest.approx(spread)
    assert found["in_unit"] == pytest.approx(in_sd * spread)
    assert found["seeds_for_expected"] == seeds_needed(15 / spread)
    page = inside(workspace.path, "propose", RISE, *ARM, "--dry-run").stdout
    assert f"baseline     {run} (mean 200.0 of 5 seeds)" in page
    assert f"MORE than the expected 15.0: {seeds_needed(15 / spread)} seeds an arm would find it" in page


def test_a_level_is_told_apart_by_half_the_interval_of_one_mean(workspace: Workspace) -> None:
    found = forecast(workspace, "nothing -> expect eval/return >= 200", *NANO, "--seeds", "4")["detectable"]
    assert found["what"] == "half-width"
    assert found["in_sd"] == pytest.approx(quantile(0.975, 3) / 2)
    assert found["baseline_seeds"] is None


def test_what_is_not_tested_has_no_power(workspace: Workspace) -> None:
    assert forecast(workspace, "nothing", *NANO)["detectable"] is None
    assert forecast(workspace, "nothing -> expect eval/return reaches 300 by 2k env_steps", *NANO)["detectable"] is None


@pytest.mark.slow
def test_the_cost_is_that_of_earlier_runs_with_the_baseline_where_it_has_to_be_measured(workspace: Workspace) -> None:
    assert forecast(workspace, RISE, *ARM)["cost"] is None
    # Its pace is a tenth of a second per env step.
    other = make_arm(workspace, "other", flat(1, 2), "behavior.horizon=5").id
    cost = forecast(workspace, RISE, *ARM)["cost"]
    assert (cost["trials"], cost["of_baseline"], cost["pace_of"]) == (6, 3, other)
    assert (cost["each_s"], cost["total_s"]) == (pytest.approx(100), pytest.approx(600))
    assert cost["wall_s"] == pytest.approx(100 * -(-6 // cost["at_once"]))
    base = make_arm(workspace, "base", flat(190, 200, 210), code=Code(compute(workspace).identity)).id
    make_arm(workspace, "later", flat(1, 2), "behavior.horizon=4")
    cost = forecast(workspace, RISE, *ARM, "--seeds", "4")["cost"]
    assert (cost["trials"], cost["of_baseline"], cost["pace_of"]) == (4, 0, base)
    assert forecast(workspace, "nothing", *ARM, "--seeds", "4")["cost"]["trials"] == 4
    page = inside(workspace.path, "propose", RISE, *NANO, "--dry-run").stdout
    assert "6 trials (3 of them the baseline's) of 6 min 40 s" in page


def test_a_budget_of_time_costs_that_time(workspace: Workspace) -> None:
    cost = forecast(workspace, RISE, *NANO, "--set", "budget.unit=wall_clock", "--budget", "60")["cost"]
    assert (cost["each_s"], cost["pace_of"]) == (60, "")


def test_the_gates_answer_beforehand_with_what_resolves_it(workspace: Workspace) -> None:
    words = ("change model.units=32 -> expect eval/return to rise by 20%", *NANO)
    gates = forecast(workspace, *words)["gates"]
    assert not gates["allowed"]
    assert len(gates["violations"]) == len(gates["hints"])
    assert any("model.units" in line for line in gates["violations"])
    page = inside(workspace.path, "propose", *words, "--dry-run").stdout
    assert "gates        WOULD REFUSE it now" in page
    assert "--new-family" in page


def test_a_curve_of_training_has_more_points_than_evaluations(workspace: Workspace) -> None:
    pace = ("nothing -> expect pace/acting_share <= 0.2", *NANO, "--reducer", "final_mean(20)")
    assert forecast(workspace, *pace)["gates"]["allowed"]
    done = inside(workspace.path, "propose", *pace[:-1], "final_mean(400)", "--dry-run")
    assert done.returncode == 2
    assert "needs 400 points of the curve" in done.stderr
    assert "--set log.every=10" in done.stderr
