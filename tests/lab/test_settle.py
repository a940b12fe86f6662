from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.atomic import read_object
from dreamerlab.lab.aftercare import finalise_leftovers
from dreamerlab.lab.judge import recompute, verdict_now
from dreamerlab.lab.kill_rules import Firing, record_kill
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol import state as events
from dreamerlab.protocol.hypothesis import Expectation, KillRule
from dreamerlab.protocol.sequential import alpha_of_looks
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, RUNNING, fold
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.lab.arms import flat
from tests.lab.hypotheses import happened, propose
from tests.lab.judging import a_case, end
from tests.lab.workspaces import ROOT, git, light_workspace

LOW, HIGH = (100.0, 105.0, 110.0), (200.0, 205.0, 210.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


def test_a_hypothesis_is_judged_when_its_last_trial_has_ended(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    (found,) = case.settle()
    assert found.line == f"{case.id}: SUPPORTED, strong"
    assert (found.run, case.state.phase) == (case.treatment.id, DONE_JUDGED)
    names = [event.event for event in registry_of(workspace).read(case.id).events]
    assert names == ["proposed", "launched", "trial-finished", "trial-finished", "trial-finished", "judged"]
    trial = case.state.trials[1]
    assert (trial["run"], trial["seed"], trial["state"], trial["score"]) == (case.treatment.id, 1, "finished", 205.0)


def test_settling_again_changes_nothing_and_judging_again_gives_the_same_bytes(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    case.settle()
    before = case.record
    assert case.settle() == []
    assert case.record == before
    again = recompute(workspace, case.id)
    assert again is not None
    assert (again[0], json.dumps(again[1])) == (events.JUDGED, json.dumps(dict(case.state.verdict or {})))


def test_a_verdict_rests_on_the_committed_text_alone(workspace: Workspace, tmp_path: Path) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    data = case.verdict()
    clone = tmp_path / "clone"
    subprocess.run(["cp", "-r", str(workspace.path), str(clone)], check=True)
    for artifacts in clone.glob("runs/*/artifacts"):
        subprocess.run(["rm", "-r", str(artifacts)], check=True)
    code = (
        "import json, sys; from pathlib import Path; from dreamerlab.lab.judge import recompute; "
        "from dreamerlab.runs.store import Workspace; "
        "print(json.dumps(recompute(Workspace(Path(sys.argv[1])), sys.argv[2])[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, clone, case.id], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == json.dumps(data), done.stderr


@pytest.mark.parametrize("state", ["interrupted", "failed", "running", "queued"])
def test_while_a_seed_is_out_it_is_incomplete_and_not_judged(workspace: Workspace, state: str) -> None:
    """M-PROT-09: a trial that was stopped by hand has no score, whatever its curve promised."""
    case = a_case(workspace, flat(*HIGH), flat(*LOW), unfinished={2: state})
    assert case.settle() == []
    assert case.state.phase == RUNNING
    assert [trial["seed"] for trial in case.state.trials] == [0, 1], "what has ended is on record"
    now = verdict_now(workspace, case.state)
    assert now is not None
    assert now.outcome == "INCOMPLETE"
    assert now.figures["treatment"]["seeds"]["2"] is None
    end(case.treatment.trial(2), "finished")
    assert case.verdict()["outcome"] == "SUPPORTED"


def test_a_finished_trial_counts_once_it_is_summarised(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    case.treatment.trial(1).summary_path.unlink()
    assert case.settle() == []
    now = verdict_now(workspace, case.state)
    assert now is not None
    assert now.figures["treatment"]["missing"] == {"1": "it is not summarised"}


def test_a_trial_that_diverged_takes_the_fail_score(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW), unfinished={1: "interrupted"})
    end(case.treatment.trial(1), "failed", diverged=True, reason="wm/loss is nan", env_steps=300)
    data = case.verdict()
    assert data["figures"]["treatment"]["seeds"] == {"0": 200.0, "1": 0.0, "2": 210.0}
    assert data["figures"]["treatment"]["failed"] == {"1": "it diverged at env step 300 (wm/loss is nan)"}
    assert data["outcome"] == "INCONCLUSIVE"


def test_a_trial_that_failed_for_another_reason_has_no_score(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW), unfinished={1: "interrupted"})
    end(case.treatment.trial(1), "failed", reason="the disk is full")
    assert case.settle() == []
    assert case.state.phase == RUNNING


def test_divergence_without_any_fail_score_leaves_it_incomplete_for_good(workspace: Workspace) -> None:
    case = a_case(
        workspace, flat(*HIGH), flat(*LOW), "reference.fail=null", unfinished={1: "queued"}, plan={"fail_score": None}
    )
    end(case.treatment.trial(1), "failed", diverged=True, reason="wm/loss is nan")
    data = case.verdict()
    assert data["outcome"] == "INCOMPLETE"
    assert "no fail score was declared" in data["reasons"][0]


def test_the_fail_score_of_the_task_stands_in_for_an_undeclared_one(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW), unfinished={1: "queued"}, plan={"fail_score": None})
    end(case.treatment.trial(1), "failed", diverged=True)
    assert case.verdict()["figures"]["treatment"]["seeds"]["1"] == 0.0  # env_configs/cartpole.yaml


def test_a_trial_ended_by_a_declared_kill_rule_takes_the_fail_score(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW), unfinished={1: "stopped"})
    assert case.settle() == [], "stopped by nobody knows what"
    killed = {"run": case.treatment.id, "seed": 1, "rule": "eval/return_mode < 30 at 500 env steps"}
    happened(workspace, case.id, events.TRIAL_KILLED, **killed, env_steps=600, value=12.0)
    data = case.verdict()
    said = "the kill rule eval/return_mode < 30 at 500 env steps ended it at env step 600"
    assert data["figures"]["treatment"]["failed"] == {"1": said}
    assert data["figures"]["treatment"]["seeds"]["1"] == 0.0


def test_a_rule_that_fired_unseen_is_on_record_before_anything_is_summarised(workspace: Workspace) -> None:
    """The launcher was killed after its trainer's last line and before it could ask the rule once more."""
    rule = KillRule("eval/return_mode", "<", 30.0, 500)
    case = a_case(workspace, flat(200.0, 12.0, 210.0), flat(*LOW), plan={"kill": (rule,)})
    for seed in (0, 1, 2):
        case.treatment.trial(seed).summary_path.unlink()
    owned = read_object(str(case.treatment.manifest_path))
    case.treatment.manifest_path.write_text(json.dumps({**owned, "hypothesis": case.id}))
    finalise_leftovers(workspace, lambda line: None, lambda line: None, [case.treatment])
    data = case.verdict()
    assert [event["event"] for event in case.state.trials].count(events.TRIAL_KILLED) == 1
    assert data["figures"]["treatment"]["seeds"] == {"0": 200.0, "1": 0.0, "2": 210.0}
    assert read_status(case.treatment.trial(1)).state == "stopped"


def test_a_rule_ends_no_trial_of_what_is_judged(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    case.settle()
    before = case.record
    firing = Firing(KillRule("eval/return_mode", "<", 300.0, 500), 500, 200.0)
    record_kill(workspace, case.id, case.treatment.trial(0), firing)
    assert case.record == before


def test_a_kill_in_the_baseline_stands_in_the_record_of_the_baseline(workspace: Workspace) -> None:
    owner = a_case(workspace, flat(*LOW), None, expectation=None, kind="baseline")
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    assert case.baseline is not None
    manifest = read_object(str(case.baseline.manifest_path))
    case.baseline.manifest_path.write_text(json.dumps({**manifest, "hypothesis": owner.id}))
    happened(workspace, owner.id, events.TRIAL_KILLED, run=case.baseline.id, seed=0, rule="x", env_steps=1, value=0.0)
    end(case.baseline.trial(0), "stopped")
    assert case.verdict()["figures"]["baseline"]["seeds"]["0"] == 0.0


def test_a_baseline_that_predicted_nothing_is_measured_and_settled_first(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    base = a_case(workspace, flat(*LOW), None, expectation=None, kind="baseline")
    found = case.settle()
    assert [one.hypothesis for one in found] == [base.id, case.id]
    assert found[0].line == f"{base.id}: measured, 3 seeds"
    assert base.state.phase == DONE_MEASURED
    assert (base.state.verdict or {})["figures"]["treatment"]["mean"] == 105.0
    assert recompute(workspace, base.id) == (events.MEASURED, dict(base.state.verdict or {}))


def test_a_baseline_may_predict_a_level(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), None, expectation=Expectation("eval/return_mode", "at_least", 180.0))
    assert case.verdict()["outcome"] == "SUPPORTED"


def test_a_treatment_waits_for_its_baseline(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    assert case.baseline is not None
    end(case.baseline.trial(0), "interrupted")
    assert case.settle() == []
    end(case.baseline.trial(0), "finished")
    assert case.verdict()["outcome"] == "SUPPORTED"


def test_marks_of_the_launch(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW), commit=None)
    assert case.verdict()["qualifiers"] == ["strong", "order-unproven"]


def test_uncommitted_code_in_either_arm_is_marked(workspace: Workspace) -> None:
    own = a_case(workspace, flat(*HIGH), flat(*LOW), dirty=True)
    assert "dirty" in own.verdict()["qualifiers"]
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    assert case.baseline is not None
    manifest = read_object(str(case.baseline.manifest_path))
    dirty_code = {"code": {**manifest["code"], "dirty": True}}
    case.baseline.manifest_path.write_text(json.dumps({**manifest, **dirty_code}))
    assert "dirty" in case.verdict()["qualifiers"], "no hypothesis launched it: its manifest tells"
    other = a_case(workspace, flat(*HIGH), flat(*LOW))
    assert other.baseline is not None
    other.baseline.manifest_path.write_text(json.dumps({**manifest, **dirty_code, "hypothesis": case.id}))
    assert "dirty" not in other.verdict()["qualifiers"], "its launch found every file of the scope committed"


def test_a_seed_of_the_baseline_cannot_be_put_aside(workspace: Workspace) -> None:
    """Only a look spares seeds, and only those that its verdict did without; 'stopped' can be typed."""
    case = a_case(workspace, flat(*HIGH), flat(*LOW, 900.0))
    assert case.baseline is not None
    trial = case.baseline.trial(3)
    write_status(trial, replace(read_status(trial), state="stopped", reason="spared: a declared look had decided"))
    assert case.settle() == []
    now = verdict_now(workspace, case.state)
    assert now is not None
    assert (now.outcome, now.figures["baseline"]["missing"]) == ("INCOMPLETE", {"3": "it is stopped"})


def test_seeds_that_a_look_spared_are_none_of_the_baseline_it_became(workspace: Workspace) -> None:
    first = a_case(workspace, flat(*[300.0, 301.0, 302.0] * 2), flat(*FIVE), unfinished=FIRST, plan=LOOKS)
    first.settle()
    for seed in (4, 5):
        end(first.treatment.trial(seed), "stopped")
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    launch = {"run": case.treatment.id, "baseline_run": first.treatment.id, "code": {}, "dirty": False}
    second = propose(workspace, plan=case.state.proposal.plan, changes=())
    happened(workspace, second, events.LAUNCHED, **launch, proposal_commit="ab" * 20)
    now = verdict_now(workspace, fold(registry_of(workspace).read(second)))
    assert now is not None
    assert set(now.figures["baseline"]["seeds"]) == {"0", "1", "2", "3"}


def test_that_a_failure_was_a_divergence_is_on_record_when_it_is_summarised(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    assert case.baseline is not None
    trial = case.baseline.trial(0)
    end(trial, "failed", reason="the disk is full")
    write_status(trial, replace(read_status(trial), diverged=True))
    assert case.settle() == []


def test_a_baseline_that_is_not_in_this_clone_is_waited_for(workspace: Workspace) -> None:
    """INVALID is for good: a folder that is away, on another branch say, is no fault of the protocol."""
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    assert case.baseline is not None
    away = case.baseline.path.rename(workspace.path / "away")
    assert case.settle() == []
    assert case.state.phase == RUNNING
    away.rename(case.baseline.path)
    assert case.verdict()["outcome"] == "SUPPORTED"


# -- looks ------------------------------------------------------------------------------------------------------------

LOOKS = {"looks": (4, 5, 6), "seeds": tuple(range(6))}
FIVE = (100.0, 102.0, 105.0, 108.0, 110.0)
FIRST = {5: "queued", 4: "queued"}


def test_a_decisive_look_ends_it_on_the_first_seeds_declared(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*[300.0, 301.0, 302.0] * 2), flat(*FIVE), unfinished=FIRST, plan=LOOKS)
    data = case.verdict()
    assert data["outcome"] == "SUPPORTED"
    assert set(data["figures"]["treatment"]["seeds"]) == {"0", "1", "2", "3"}
    assert len(data["figures"]["baseline"]["seeds"]) == 5, "all of the baseline"
    assert data["figures"]["alpha"] == pytest.approx(alpha_of_looks((4, 5, 6), 0.05)[4])


def test_a_look_that_decides_nothing_is_recorded_once_and_it_goes_on(workspace: Workspace) -> None:
    curves = flat(100.0, 150.0, 200.0, 300.0, 301.0, 302.0)
    case = a_case(workspace, curves, flat(*FIVE), unfinished=FIRST, plan=LOOKS)
    (found,) = case.settle()
    assert found.line == f"{case.id}: INCONCLUSIVE at the look of 4 seeds, and goes on"
    assert case.settle() == []
    assert (case.state.phase, [look["seeds"] for look in case.state.looks]) == (RUNNING, [4])
    for seed in (4, 5):
        end(case.treatment.trial(seed), "finished")
    data = case.verdict()
    assert [look["seeds"] for look in case.state.looks] == [4, 5]
    assert data["figures"]["alpha"] == pytest.approx(alpha_of_looks((4, 5, 6), 0.05)[6])
    assert len(data["figures"]["treatment"]["seeds"]) == 6


def test_looks_do_not_depend_on_when_anybody_looked(workspace: Workspace, tmp_path: Path) -> None:
    """All six seeds are there: the look at four is still taken at the first four, and still ends it."""
    curves = flat(*[300.0, 301.0, 302.0, 303.0], *[0.0] * 2)
    early = a_case(workspace, curves, flat(*FIVE), unfinished=FIRST, plan=LOOKS)
    other = light_workspace(tmp_path / "other")
    late = a_case(other, curves, flat(*FIVE), plan=LOOKS)
    assert without_ids(early.verdict()) == without_ids(late.verdict())


def test_a_look_at_too_few_seeds_to_decide_anything_is_not_taken(workspace: Workspace) -> None:
    """Four against three seeds: no exact test reaches the .016 that could be spent there."""
    waiting = {4: "queued", 5: "queued"}
    case = a_case(workspace, flat(*[300.0, 301.0, 302.0] * 2), flat(*LOW), unfinished=waiting, plan=LOOKS)
    assert case.settle() == []
    assert (case.state.phase, case.state.looks) == (RUNNING, ())


def without_ids(data: dict[str, Any]) -> dict[str, Any]:
    figures = {
        key: {**value, "run": None} if key in ("treatment", "baseline") else value
        for key, value in data["figures"].items()
    }
    return {**data, "figures": figures, "sources": None}


# -- care -------------------------------------------------------------------------------------------------------------


def test_a_hypothesis_that_cannot_be_judged_holds_up_no_other(workspace: Workspace) -> None:
    broken = a_case(workspace, flat(*HIGH), flat(*LOW))
    whole = a_case(workspace, flat(*HIGH), flat(*LOW))
    broken.treatment.trial(0).evals_path.unlink()
    broken.treatment.trial(0).evals_path.mkdir()
    said: list[str] = []
    assert [one.hypothesis for one in whole.settle(said.append)] == [whole.id]
    assert len(said) == 1
    assert said[0].startswith(f"{broken.id} cannot be judged")


def test_two_at_once_record_each_event_once(workspace: Workspace) -> None:
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    code = (
        "import sys; from pathlib import Path; from dreamerlab.lab.settle import settle; "
        "from dreamerlab.lab.execute import Voice; from dreamerlab.runs.store import Workspace; "
        "settle(Workspace(Path(sys.argv[1])), Voice(print, print))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, workspace.path], cwd=ROOT) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    names = [event.event for event in registry_of(workspace).read(case.id).events]
    assert sorted(names) == sorted([*["trial-finished"] * 3, "proposed", "launched", "judged"])


@pytest.mark.parametrize("commit", [True, False])
def test_the_verdict_is_committed_with_its_record_alone(
    workspace: Workspace, commit: bool, settled: Callable[..., None]
) -> None:
    git(workspace.path, "init", "-q")
    case = a_case(workspace, flat(*HIGH), flat(*LOW))
    settled(workspace, commit=commit)
    log = git(workspace.path, "log", "--all", "--format=%s", "--name-only").splitlines()
    if commit:
        assert log[0] == f"{case.id}: SUPPORTED, strong"
        assert f"protocol/registry/{case.id}.jsonl" in log
        assert not any(line.startswith("runs/") for line in log)
    else:
        assert log == []


@pytest.fixture
def settled() -> Callable[..., None]:
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.settle import settle

    def run(workspace: Workspace, *, commit: bool) -> None:
        settle(workspace, Voice(print, print), commit=commit)

    return run
