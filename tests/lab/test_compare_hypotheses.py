"""`compare` of hypotheses: which run stands against which, verdicts quoted, fail scores, other reducers and levels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.judge import collect
from dreamerlab.lab.show_hypothesis import collect_hypothesis
from dreamerlab.protocol import state
from dreamerlab.protocol.hypothesis import Base, Plan
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import write_summary
from tests.lab.arms import flat, make_arm
from tests.lab.hypotheses import happened, launched, noted, propose
from tests.lab.workspaces import data, inside, light_workspace

LOW, HIGH = flat(200.0, 230.0, 260.0), flat(300.0, 340.0, 320.0)
PLAN = Plan("env_steps", 1000, (0, 1, 2), (0, 1, 2))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return light_workspace(tmp_path / "lab")


def compared(workspace: Workspace, *words: str) -> Any:
    return data(inside(workspace.path, "compare", *words, "--json"))


def differences(found: Any) -> list[tuple[str, str]]:
    """Every pair as (first, other), by the number of the run."""
    return [(pair["first"][:5], pair["other"][:5]) for pair in found["pairs"]]


def end(run: RunDirectory, seed: int, **status: Any) -> None:
    """Give a trial another end than the one it had."""
    trial = run.trial(seed)
    write_status(trial, replace(read_status(trial), **status))
    write_summary(trial)


def scores(found: Any, place: int) -> list[float | None]:
    return [seed["score"] for seed in found["runs"][place]["seeds"]]


def arms(workspace: Workspace, *curves: Sequence[Sequence[float]]) -> list[RunDirectory]:
    rates = [f"optimizer.lr_actor={index}e-3" for index in range(1, len(curves) + 1)]
    return [make_arm(workspace, f"arm{i}", one, rates[i]) for i, one in enumerate(curves)]


def test_a_hypothesis_stands_for_its_run_beside_its_baseline(workspace: Workspace) -> None:
    base, run = arms(workspace, LOW, HIGH)
    launched(workspace, run.id, base.id, name="faster")
    for words in (["H1"], ["faster"]):
        found = compared(workspace, *words)
        assert [one["run"] for one in found["runs"]] == [base.id, run.id]
        assert differences(found) == [("R0001", "R0002")]
        assert found["pairs"][0]["welch"]["difference"] == pytest.approx(90.0)


def test_each_hypothesis_is_set_against_its_own_baseline_and_the_others_against_the_first(workspace: Workspace) -> None:
    a, b, c, d = arms(workspace, LOW, HIGH, LOW, HIGH)
    launched(workspace, b.id, a.id)
    launched(workspace, d.id, c.id)
    launched(workspace, c.id, a.id)
    found = compared(workspace, "H1", "H2")
    assert differences(found) == [("R0001", "R0002"), ("R0003", "R0004"), ("R0002", "R0004")]
    assert "Differences of mean scores" in inside(workspace.path, "compare", "H1", "H2", "--no-log").stdout
    assert differences(compared(workspace, "H1", "R4")) == [("R0001", "R0002"), ("R0002", "R0004")]
    assert differences(compared(workspace, "R1", "H1")) == [("R0001", "R0002")]
    assert differences(compared(workspace, "H1", "R1")) == [("R0001", "R0002")]
    shared = compared(workspace, "H1", "H3")
    assert [one["run"][:5] for one in shared["runs"]] == ["R0001", "R0002", "R0003"]
    assert differences(shared) == [("R0001", "R0002"), ("R0001", "R0003"), ("R0002", "R0003")]


def test_changes_are_counted_against_the_run_a_run_is_set_against(workspace: Workspace) -> None:
    a = make_arm(workspace, "a", LOW)
    b = make_arm(workspace, "b", HIGH, "optimizer.lr_actor=2e-3")
    c = make_arm(workspace, "c", LOW, "train.train_ratio=64")
    d = make_arm(workspace, "d", HIGH, "train.train_ratio=64", "optimizer.lr_actor=2e-3")
    launched(workspace, b.id, a.id)
    launched(workspace, d.id, c.id)
    caveats = compared(workspace, "H1", "H2")["caveats"]
    assert [line for line in caveats if "changes at once" in line] == []
    caveats = compared(workspace, "R1", "R4")["caveats"]
    assert any(line.startswith(f"{d.id}: 2 changes at once") for line in caveats)


def test_the_verdict_is_quoted_and_never_given(workspace: Workspace) -> None:
    base, run = arms(workspace, LOW, HIGH)
    made = launched(workspace, run.id, base.id, kind="bundle")
    figures = {"treatment": {"mean": 320.0}, "difference": 90.0, "low": 28.7, "high": 151.3}
    happened(
        workspace,
        made,
        state.JUDGED,
        outcome="SUPPORTED",
        label=None,
        qualifiers=["bundle"],
        reasons=[],
        figures=figures,
    )
    page = inside(workspace.path, "compare", "H1", "--no-log").stdout
    (line,) = [line for line in page.splitlines() if line.startswith(made)]
    assert "bundle" in line
    assert "SUPPORTED, bundle  +90.0 [+28.7, +151.3]" in line
    (one,) = compared(workspace, "H1")["hypotheses"]
    assert (one["stands"], one["runs"]) == ("SUPPORTED, bundle", [run.id, base.id][::-1])


def test_the_hypothesis_of_a_run_is_found_by_the_run(workspace: Workspace) -> None:
    made = propose(workspace)
    make_arm(workspace, "a", LOW)
    make_arm(workspace, "b", HIGH, hypothesis=made)
    make_arm(workspace, "c", HIGH, hypothesis="H0009-abc")
    found = compared(workspace, "R1", "R2", "R3")
    assert [one["id"] for one in found["hypotheses"]] == [made]
    assert any("its hypothesis H0009-abc cannot be read" in line for line in found["caveats"])


def test_both_arms_are_scored_by_what_the_hypothesis_asks(workspace: Workspace) -> None:
    base, run = arms(workspace, [[100.0] * 9 + [400.0]] * 3, [[200.0] * 9 + [500.0]] * 3)
    plan = replace(PLAN, reducer="final_mean(1)")
    launched(workspace, run.id, base.id, plan=plan)
    found = compared(workspace, "H1")
    assert (scores(found, 0), scores(found, 1)) == ([400.0] * 3, [500.0] * 3)
    assert {one["evaluation"]["score"] for one in found["runs"]} == {"final_mean(1) of eval/return_mode"}
    assert scores(compared(workspace, "R1", "R2"), 0) == [200.0] * 3, "a run alone keeps its own reducer"


def test_compare_and_verdict_use_the_same_scores(workspace: Workspace) -> None:
    nan = float("nan")
    base = make_arm(workspace, "a", [*LOW[:2], [300.0, nan, nan, nan]])
    run = make_arm(workspace, "b", [*HIGH, HIGH[0]], "optimizer.lr_actor=2e-3")
    end(run, 0, state="failed", diverged=True, reason="a loss is not finite")
    end(run, 1, state="stopped", reason="the kill rule ended it")
    end(run, 3, state="interrupted")
    plan = replace(PLAN, seeds=(0, 1, 2, 3), fail_score=-7.0)
    made = launched(workspace, run.id, base.id, plan=plan)
    rule = {"run": run.id, "seed": 1, "rule": "eval/return < 9 at 500", "env_steps": 600, "value": 3.0}
    happened(workspace, made, state.TRIAL_KILLED, **rule)
    judged = collect(workspace, collect_hypothesis(workspace, made).state)
    assert judged.baseline is not None
    assert list(judged.treatment.scores.values()) == [-7.0, -7.0, 320.0, None]
    assert list(judged.baseline.scores.values()) == [200.0, 230.0, -7.0]
    path = run.manifest_path
    path.write_text(path.read_text().replace('"hypothesis": null', f'"hypothesis": "{made}"'))
    found = compared(workspace, "H1")
    assert scores(found, 0) == [200.0, 230.0, -7.0]
    assert scores(found, 1)[:3] == [-7.0, -7.0, 320.0]
    assert [seed["so_far"] for seed in found["runs"][1]["seeds"]] == [False, False, False, True]
    said = "\n".join(found["caveats"])
    assert "seed 0 takes the fail score -7.00: diverged at env step 1,000" in said
    assert "seed 1 takes the fail score -7.00: ended by the declared rule eval/return < 9 at 500" in said
    assert "not finished" in said


def test_a_seed_that_a_look_spared_belongs_to_no_figure_and_is_not_missing(workspace: Workspace) -> None:
    base = make_arm(workspace, "a", LOW)
    run = make_arm(workspace, "b", [*HIGH, [1.0, 2.0]], "optimizer.lr_actor=2e-3")
    end(run, 3, state="stopped", reason="spared by a look")
    seeds = (0, 1, 2, 3)
    made = launched(workspace, run.id, base.id, plan=replace(PLAN, seeds=seeds, looks=(3, 4)))
    run.manifest_path.write_text(run.manifest_path.read_text().replace('"hypothesis": null', f'"hypothesis": "{made}"'))
    before = compared(workspace, "H1")
    assert before["runs"][1]["seeds"][3]["so_far"], "'stopped' can be typed: what a look spares stands in the verdict"
    assert not any("by a declared look" in line for line in before["caveats"]), before["caveats"]
    used = {"treatment": {"mean": 320.0, "seeds": {"0": 300.0, "1": 340.0, "2": 320.0}}, "difference": 90.0}
    happened(workspace, made, state.JUDGED, outcome="SUPPORTED", label=None, qualifiers=[], reasons=[], figures=used)
    found = compared(workspace, "H1")
    assert found["pairs"][0]["welch"]["num_b"] == 3
    said = "\n".join(found["caveats"])
    assert "seeds 3 were spared by a declared look" in said
    assert "computed without seeds" not in said
    assert "not finished" not in said


def test_runs_can_be_scored_by_another_reducer(workspace: Workspace) -> None:
    arms(workspace, [[0.0, 100.0, 200.0]] * 3, [[300.0, 400.0, 500.0]] * 3)
    found = compared(workspace, "R1", "R2", "--reducer", "auc")
    assert (scores(found, 0), scores(found, 1)) == ([100.0] * 3, [400.0] * 3)
    found = compared(workspace, "R1", "R2", "--reducer", "env_steps_to(400) of eval/return")
    assert (scores(found, 0), scores(found, 1)) == ([1000.0] * 3, [200.0] * 3)
    assert found["pairs"][0]["improvement"] == 1.0, "of times the shorter one is ahead"
    assert "seeds 0-2 did not get there within the budget" in "\n".join(found["caveats"])
    assert "BELOW RANDOM" not in "\n".join(found["caveats"])
    page = inside(workspace.path, "compare", "R1", "R2", "--reducer", "env_steps_to(400)", "--no-log").stdout
    assert "0: 1000.0>" in page
    assert "level 400" in page
    for text, message in (
        ("best", "'best of eval/return_mode' is no reducer"),
        ("auc of eval/x", "no metric is called"),
    ):
        done = inside(workspace.path, "compare", "R1", "R2", "--reducer", text)
        assert done.returncode == 2
        assert message in done.stderr


def test_scores_of_another_kind_are_not_subtracted(workspace: Workspace) -> None:
    make_arm(workspace, "a", LOW)
    make_arm(workspace, "b", HIGH, score="auc of eval/return_mode")
    (pair,) = compared(workspace, "a", "b")["pairs"]
    assert pair["withheld"].endswith("different quantities (--reducer scores all alike)")
    assert compared(workspace, "a", "b", "--reducer", "auc")["pairs"][0]["withheld"] is None


def test_the_time_to_any_level_can_be_asked_for(workspace: Workspace) -> None:
    arms(workspace, [[50.0, 150.0, 250.0]] * 3, [[150.0, 150.0, 250.0]] * 3)
    found = compared(workspace, "R1", "R2", "--level", "100", "--level", "475")
    assert [one["name"] for one in found["runs"][0]["thresholds"]] == ["halfway", "solved", "level 100"]
    assert found["runs"][0]["seeds"][0]["reached"]["level 100"]["env_steps"] == 200
    page = inside(workspace.path, "compare", "R1", "R2", "--level", "100", "--no-log").stdout
    assert "level 100, R0002-" in page
    assert "3 of 3 seeds, median 100 env steps, 50 updates, 10 s" in page


def mistakes(workspace: Workspace) -> dict[tuple[str, ...], tuple[int, str]]:
    base, run = arms(workspace, LOW, HIGH)
    judged = launched(workspace, run.id, base.id)
    reference = launched(workspace, base.id, None, kind="baseline", name="reference")
    waiting = propose(workspace)
    given_up = propose(workspace)
    happened(workspace, given_up, state.WITHDRAWN, why="asked already")
    elsewhere = launched(workspace, "R0077-abc", base.id, base=Base("cartpole"))
    entry = noted(workspace, "observation", "it learns late")
    return {
        ("H1", "H1"): (2, f"a run cannot be compared with itself: 'H1' and 'H1' both are {run.id}"),
        ("H1", judged): (2, "cannot be compared with itself"),
        ("H1", "R2"): (2, f"'H1' and 'R2' both are {run.id}"),
        ("reference",): (2, "a comparison needs two runs or more, and 'reference' has one"),
        (reference, "R1"): (2, f"both are {base.id}"),
        (waiting,): (4, f"{waiting} has no run to compare: it is proposed, not launched"),
        (given_up,): (4, f"{given_up} has no run to compare: it is withdrawn"),
        (elsewhere,): (4, f"R0077-abc, a run of {elsewhere}, is not in"),
        ("R1", "H9"): (4, "no hypothesis is called 'H9'"),
        ("R1", entry): (2, f"'{entry}' is {entry}, an entry of the log"),
        ("R1", "refrence"): (4, "did you mean 'reference'?"),
    }


def test_a_mistake_about_a_hypothesis_is_answered(workspace: Workspace) -> None:
    for words, (code, message) in mistakes(workspace).items():
        done = inside(workspace.path, "compare", *words)
        assert (done.returncode, done.stdout) == (code, ""), words
        assert message in done.stderr, words
        assert "hint: " in done.stderr, words
