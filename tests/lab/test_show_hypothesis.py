"""`show` of a hypothesis in every phase, and of an entry of the log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol import state
from dreamerlab.protocol.hypothesis import Change, Expectation
from dreamerlab.runs.store import Workspace
from tests.lab.arms import flat, make_arm
from tests.lab.hypotheses import happened, launched, noted, propose
from tests.lab.workspaces import data, inside, light_workspace

LOW, HIGH = flat(200.0, 230.0, 260.0), flat(300.0, 340.0, 320.0)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return light_workspace(tmp_path / "lab")


def shown(workspace: Workspace, *words: str) -> str:
    done = inside(workspace.path, "show", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def verdict(run: str, baseline: str) -> dict[str, object]:
    arms = {
        "treatment": {"run": run, "n": 3, "mean": 320.0, "sd": 20.0, "seeds": {"0": 300.0, "1": 340.0, "2": 320.0}},
        "baseline": {"run": baseline, "n": 3, "mean": 150.0, "sd": 9.0, "seeds": {"0": 200.0, "1": 0.0, "2": 250.0}},
    }
    arms["baseline"]["failed"] = {"1": "diverged"}
    figures = {**arms, "difference": 170.0, "low": 40.0, "high": 300.0, "level": 0.95}
    words = {"outcome": "SUPPORTED", "label": None, "qualifiers": ["strong"], "reasons": ["The interval says so."]}
    return {**words, "figures": figures, "needs_seeds": None, "sources": {}, "rule": 1}


def test_an_open_one_says_what_was_asked_and_what_comes_next(workspace: Workspace) -> None:
    made = propose(workspace, name="slow")
    page = shown(workspace, "slow")
    assert page.startswith(f"{made}  slow: proposed, not launched\n")
    for piece in (
        "change optimizer.lr_actor=2e-5 -> expect eval/return to rise by 20",
        "change optimizer.lr_actor from 4e-05 to 2e-05 -> expect",
        "half the step may hold what was learned",
        "eval/return_mode rises by at least 20",
        "0-2 (n=3), baseline 100-102",
        "1,000 env steps per seed",
        "env cartpole, experiment nano, budget.amount=1000",
        "by Ada",
        f"next: dreamerlab run {made}",
    ):
        assert piece in page
    assert "verdict" not in page


def test_while_it_runs_scores_are_so_far_and_there_is_no_verdict(workspace: Workspace) -> None:
    base = make_arm(workspace, "a", LOW)
    run = make_arm(workspace, "b", HIGH, unfinished={1: "interrupted"})
    launched(workspace, run.id, base.id)
    page = shown(workspace, "H1")
    assert "no figure is a result before the last seed has ended" in page
    assert "0: 300.0, 1: 340.0*, 2: 320.0" in page
    assert "seed 1 is interrupted" in page
    assert "dreamerlab compare H0001" in page
    assert "verdict" not in page.replace("compare H0001", "")


def test_a_judged_one_shows_the_figures_it_was_judged_by(workspace: Workspace) -> None:
    base = make_arm(workspace, "a", LOW)
    run = make_arm(workspace, "b", HIGH, "optimizer.lr_actor=2e-3")
    made = launched(workspace, run.id, base.id)
    happened(workspace, made, state.JUDGED, **verdict(run.id, base.id))
    note = noted(workspace, "conclusion", "the step was too large", made)
    noted(workspace, "observation", "about something else")
    page = shown(workspace, "H1")
    assert page.startswith(f"{made}: SUPPORTED, strong\n")
    assert "verdict: SUPPORTED\n  The data support the expectation." in page
    assert "Difference +170.0, 95 % interval +40.0 to +300.0" in " ".join(page.split())
    assert "strong: even the cautious end of the interval is as large as expected" in page
    assert "1: 0.00 (fail score)" in page
    assert f"{note} conclusion" in page
    assert "about something else" not in page
    found = data(inside(workspace.path, "show", "H1", "--json"))
    assert (found["phase"], found["verdict"]["outcome"]) == ("judged", "SUPPORTED")
    assert [arm["role"] for arm in found["arms"]] == ["treatment", "baseline"]
    assert [event["event"] for event in found["events"]] == ["proposed", "launched", "judged"]
    assert [entry["entry"] for entry in found["entries"]] == [note]


def test_a_measured_baseline_has_one_arm_and_no_verdict(workspace: Workspace) -> None:
    run = make_arm(workspace, "a", LOW)
    arm = {"run": run.id, "n": 3, "mean": 230.0, "sd": 30.0, "low": 155.0, "high": 305.0, "seeds": {"0": 230.0}}
    made = launched(workspace, run.id, None, kind="baseline", changes=(), expectation=None, sentence="nothing")
    happened(workspace, made, state.MEASURED, figures={"treatment": arm, "baseline": None}, qualifiers=[], rule=1)
    page = shown(workspace, "H1")
    assert "Mean score 230.0 (3 seeds, SD 30.0). 95 % interval of the mean: 155.0 to 305.0." in page
    assert "Nothing was predicted, so there is no verdict." in page
    assert "nothing predicted" in page
    assert "compare" not in page


def test_a_bundle_and_a_withdrawal_are_called_what_they_are(workspace: Workspace) -> None:
    changes = (Change("optimizer.lr_actor", 4e-5, 2e-5), Change("train.train_ratio", 32, 64))
    bundle = propose(workspace, kind="bundle", changes=changes, reason="they share one cause")
    happened(workspace, bundle, state.WITHDRAWN, why="asked already")
    page = shown(workspace, "H1")
    assert "bundle (several values at once; which of them acts cannot be told)" in page
    assert "they share one cause" in page
    assert "train.train_ratio: 32 -> 64" in page
    assert "asked already" in page
    assert "next: " not in page


def test_a_run_that_is_not_in_this_clone_is_said_to_be_absent(workspace: Workspace) -> None:
    base = make_arm(workspace, "a", LOW)
    launched(workspace, "R0009-abc", base.id)
    page = shown(workspace, "H1")
    assert "not here" in page
    assert "the treatment R0009-abc cannot be read here" in page
    assert data(inside(workspace.path, "show", "H1", "--json"))["arms"][0]["fault"]


def test_a_damaged_record_is_said_first_among_the_caveats(workspace: Workspace) -> None:
    made = propose(workspace)
    happened(workspace, made, state.WITHDRAWN, why="asked already")
    path = registry_of(workspace).path(made)
    path.write_text(path.read_text().replace("asked already", "never asked at all") + '{"event":')
    page = shown(workspace, "H1")
    assert "the record is damaged: line 2" in page
    assert "unfinished line" in page


def test_the_curves_of_both_arms_are_drawn(workspace: Workspace, tmp_path: Path) -> None:
    base, run = make_arm(workspace, "a", LOW), make_arm(workspace, "b", HIGH)
    launched(workspace, run.id, base.id)
    shown(workspace, "H1", "--plot", str(tmp_path / "curves.svg"))
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    propose(workspace)
    done = inside(workspace.path, "show", "H2", "--plot", str(tmp_path / "none.svg"))
    assert done.returncode == 4
    assert "no run of H0002" in done.stderr


def test_what_only_a_run_can_tell_is_refused_with_the_run(workspace: Workspace) -> None:
    run = make_arm(workspace, "a", LOW)
    made = launched(workspace, run.id, None)
    entry = noted(workspace, "observation", "it learns late", made)
    done = inside(workspace.path, "show", "H1", "--provenance")
    assert done.returncode == 2
    assert f"hint: dreamerlab show {run.id} --provenance" in done.stderr
    assert inside(workspace.path, "show", entry, "--plot", "x.png").returncode == 2


def test_an_entry_is_shown_as_it_was_written(workspace: Workspace) -> None:
    made = propose(workspace)
    entry = noted(workspace, "observation", "it learns\nlate", made)
    page = shown(workspace, "E1")
    assert page.startswith(f"{entry}: observation\n")
    assert "it learns\nlate" in page
    assert made in page
    assert data(inside(workspace.path, "show", "E1", "--json"))["about"] == [made]


def test_a_run_names_its_hypothesis(workspace: Workspace) -> None:
    made = propose(workspace, expectation=Expectation("eval/return_mode", "at_least", 200.0))
    make_arm(workspace, "a", LOW, hypothesis=made)
    page = shown(workspace, "R1")
    assert f"hypothesis  {made} (proposed, not launched): change optimizer.lr_actor from" in page
