"""INVALID: every way in which the protocol can be broken, each made on disk, and what is no fault."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.faults import setup_digest
from dreamerlab.lab.inert_proofs import PROOF
from dreamerlab.lab.judge import verdict_now
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.hypothesis import Change, Expectation
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.protocol.state import LAUNCHED, NOTED, TRIAL_FINISHED
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.summary import write_summary
from tests.lab.arms import flat
from tests.lab.hypotheses import an_event, happened, propose
from tests.lab.judging import Case, a_case
from tests.lab.workspaces import light_workspace

LOW, HIGH = (100.0, 105.0, 110.0), (200.0, 205.0, 210.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return a_case(light_workspace(tmp_path_factory.mktemp("made") / "lab"), flat(*HIGH), flat(*LOW))


@pytest.fixture
def case(made: Case, tmp_path: Path) -> Case:
    """A copy of one case, to be broken in one way."""
    return made.copy(tmp_path / "lab")


def reasons(case: Case) -> list[str]:
    """Return the faults that make the case INVALID; none when it is not."""
    found = verdict_now(case.workspace, case.state)
    assert found is not None
    return list(found.reasons) if found.outcome == "INVALID" else []


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def edit_config(run: RunDirectory, before: str, after: str) -> None:
    text = run.config_path.read_text()
    assert before in text
    run.config_path.write_text(text.replace(before, after))


def test_a_protocol_that_was_kept_has_no_fault(case: Case) -> None:
    assert reasons(case) == []
    assert case.verdict()["outcome"] == "SUPPORTED"


# -- the run is not the one declared ----------------------------------------------------------------------------------


def test_an_undeclared_difference_of_the_recorded_configs(case: Case) -> None:
    edit_config(case.treatment, "entropy_scale: 0.0003", "entropy_scale: 0.003")
    (said,) = reasons(case)
    assert "behavior.entropy_scale" in said
    assert "is not part of the declared change" in said
    assert case.verdict()["outcome"] == "INVALID"


def test_the_declared_change_that_was_not_made(case: Case) -> None:
    edit_config(case.treatment, "lr_actor: 2.0e-05", "lr_actor: 0.0001")
    assert any("does nothing: optimizer.lr_actor is 0.0001" in line for line in reasons(case))


def test_a_baseline_that_is_not_what_the_proposal_froze(case: Case) -> None:
    assert case.baseline is not None
    edit_config(case.baseline, "lr_actor: 0.0001", "lr_actor: 0.0004")
    assert any("was 0.0001 in the base when this was proposed" in line for line in reasons(case))


@pytest.mark.parametrize(("before", "after"), [("amount: 1000", "amount: 2000"), ("episodes: 10", "episodes: 5")])
def test_unequal_budget_or_evaluation(case: Case, before: str, after: str) -> None:
    edit_config(case.treatment, before, after)
    assert len(reasons(case)) == 1


def test_other_seeds_budget_or_hypothesis_than_declared(case: Case) -> None:
    path = case.treatment.manifest_path
    edit(path, lambda made: {**made, "budget": {"unit": "updates", "amount": 7}, "hypothesis": "H0009-abc"})
    assert f"{case.treatment.id} was made for H0009-abc, not for {case.id}." in reasons(case)
    assert any("had a budget of 7 updates, not of 1,000 env_steps" in line for line in reasons(case))
    edit(path, lambda made: {**made, "seeds": [0, 1, 2, 3]})
    assert any("has the seeds 0, 1, 2, 3, and declared were 0, 1, 2" in line for line in reasons(case))


def test_an_execution_setting_may_differ(case: Case) -> None:
    edit_config(case.treatment, "threads: 1", "threads: 2")
    assert reasons(case) == []


def test_code_that_differs_without_being_declared_unless_proven_inert(case: Case) -> None:
    edit(case.treatment.manifest_path, lambda made: {**made, "code": {**made["code"], "identity": "ef" * 32}})
    (said,) = reasons(case)
    assert said.startswith("The code differs, and was not declared to")
    proof = {"before": "ab" * 32, "now": "ef" * 32}
    data = {"kind": "audit", "text": "the same to the bit", "about": [], "fields": {}, PROOF: proof}
    registry_of(case.workspace).create(ENTRY, an_event(NOTED, data))
    assert reasons(case) == []


def test_a_change_of_the_code_that_changed_nothing(tmp_path: Path) -> None:
    case = a_case(
        light_workspace(tmp_path / "lab"), flat(*HIGH), flat(*LOW), kind="code", code="symlog twice", changes=()
    )
    (said,) = reasons(case)
    assert said.startswith("The code did not change")


# -- the change did nothing -------------------------------------------------------------------------------------------


def test_a_leaf_that_is_inert_in_both_arms(tmp_path: Path) -> None:
    inert = (Change("behavior.slow_rate", 0.02, 0.1),)
    off = ["behavior.bootstrap=fast", "behavior.slow_regularizer=0"]
    case = a_case(light_workspace(tmp_path / "lab"), flat(*HIGH), flat(*LOW), *off, changes=inert)
    assert any("behavior.slow_rate does nothing here" in line for line in reasons(case))


def train(trial: TrialDirectory, loss: float) -> None:
    """Add a line of training metrics to the committed curves."""
    clocks = {"env_steps": [100], "updates": [50], "wall_s": [1.0 + loss], "time": [2.0], "attempt": [1]}
    with trial.curves_path.open("a") as file:
        for name, value in (("wm/loss", loss), ("pace/update_ms", trial.seed + loss)):
            file.write(json.dumps({"metric": name, "of": 1, **clocks, "values": [value]}) + "\n")
    digest = hashlib.sha256(trial.curves_path.read_bytes()).hexdigest()
    edit(trial.summary_path, lambda made: {**made, "records": {**made["records"], "curves.jsonl": digest}})


def test_training_that_is_the_same_to_the_last_bit_with_and_without_the_change(case: Case) -> None:
    assert case.baseline is not None
    for seed in (0, 1, 2):
        train(case.treatment.trial(seed), 0.5)
        train(case.baseline.trial(seed), 0.5)
    assert reasons(case) == [
        "The change did nothing: seeds 0, 1, 2 trained alike to the last bit with it and without it."
    ]
    train(case.treatment.trial(2), 0.25)
    assert reasons(case) == []


def test_changed_code_that_no_trial_took_notice_of(tmp_path: Path) -> None:
    """Another hash of the code is no change of the run: a file may have been edited that nothing imports."""
    told = {"kind": "code", "code": "rewards are clipped", "changes": ()}
    case = a_case(light_workspace(tmp_path / "lab"), flat(*LOW), flat(*LOW), **told)
    assert case.baseline is not None
    edit(case.treatment.manifest_path, lambda made: {**made, "code": {**made["code"], "identity": "ef" * 32}})
    assert reasons(case) == []
    for run in (case.treatment, case.baseline):
        for trial in run.trials():
            train(trial, 0.5)
    assert reasons(case) == [
        "The change did nothing: seeds 0, 1, 2 trained alike to the last bit with it and without it."
    ]


def test_what_is_expected_to_be_faster_may_train_the_same(tmp_path: Path) -> None:
    told = {"kind": "code", "code": "weights are kept", "changes": ()}
    said = "The change did nothing: seeds 0, 1, 2 trained alike to the last bit with it and without it."
    for metric, faults in (("pace/acting_share", []), ("wm/loss", [said])):
        expected = Expectation(metric, "fall", 0.01)
        workspace = light_workspace(tmp_path / metric.partition("/")[0])
        case = a_case(workspace, flat(*LOW), flat(*LOW), **told, expectation=expected)
        assert case.baseline is not None
        edit(case.treatment.manifest_path, lambda made: {**made, "code": {**made["code"], "identity": "ef" * 32}})
        for run in (case.treatment, case.baseline):
            for trial in run.trials():
                train(trial, 0.5)
        assert [one for one in reasons(case) if "did nothing" in one] == faults


def test_code_that_changes_the_evaluation_alone_did_something(tmp_path: Path) -> None:
    told = {"kind": "code", "code": "episodes are longer", "changes": ()}
    case = a_case(light_workspace(tmp_path / "lab"), flat(*HIGH), flat(*LOW), **told)
    assert case.baseline is not None
    edit(case.treatment.manifest_path, lambda made: {**made, "code": {**made["code"], "identity": "ef" * 32}})
    for run in (case.treatment, case.baseline):
        for trial in run.trials():
            train(trial, 0.5)
    assert reasons(case) == []


def test_equal_evaluations_alone_prove_nothing(tmp_path: Path) -> None:
    same = a_case(light_workspace(tmp_path / "lab"), flat(500.0, 500.0, 500.0), flat(500.0, 500.0, 500.0))
    assert reasons(same) == []
    assert same.verdict()["outcome"] == "INCONCLUSIVE"


def test_that_nothing_changed_is_what_an_equivalence_says(tmp_path: Path) -> None:
    within = Expectation("eval/return_mode", "within", 5.0)
    case = a_case(light_workspace(tmp_path / "lab"), flat(*LOW), flat(*LOW), expectation=within, kind="equivalence")
    assert case.baseline is not None
    for run in (case.treatment, case.baseline):
        train(run.trial(0), 0.5)
    assert reasons(case) == []


# -- what was trained is not the record -------------------------------------------------------------------------------


def retell(trial: TrialDirectory, **changes: Any) -> None:
    """Change what the trial's only attempt recorded."""
    edit(trial.attempts_path, lambda attempts: [{**attempts[0], **changes}])


def test_a_config_that_was_edited_after_the_training(case: Case) -> None:
    retell(case.treatment.trial(1), config_sha256="00" * 32)
    assert reasons(case) == [
        f"Seed 1 of {case.treatment.id}, attempt 1: it was trained with another config than the one on record."
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_env_steps": 300}, "it began at env step 300 without a checkpoint"),
        (
            {"start_env_steps": 0, "checkpoint": "ckpt-000000300.pt"},
            "it began at env step 0, and its checkpoint ckpt-000000300.pt stands elsewhere",
        ),
    ],
)
def test_a_wrong_or_reset_checkpoint(case: Case, changes: dict[str, Any], said: str) -> None:
    retell(case.treatment.trial(0), **changes)
    assert reasons(case) == [f"Seed 0 of {case.treatment.id}, attempt 1: {said}."]


def test_resuming_where_the_checkpoint_stood_and_starting_again_are_no_faults(case: Case) -> None:
    trial = case.treatment.trial(0)
    first = read_attempts(trial)[0]
    again = {**first, "attempt": 2, "note": "started again from env step 0: no checkpoint"}
    resumed = {**first, "attempt": 3, "start_env_steps": 300, "checkpoint": "ckpt-000000300.pt"}
    lines = [json.loads(line) for line in trial.evals_path.read_text().splitlines()]
    told = [{**line, "attempt": 2 if line["env_steps"] <= 300 else 3} for line in lines]
    trial.evals_path.write_text("".join(json.dumps(line) + "\n" for line in [lines[0], *told]))
    trial.attempts_path.write_text(json.dumps([first, again, resumed]))
    write_summary(trial)
    assert reasons(case) == []


# -- records that cannot be right -------------------------------------------------------------------------------------


def test_a_finished_trial_that_spent_too_little(case: Case) -> None:
    edit(case.treatment.trial(2).summary_path, lambda summary: {**summary, "spent": 700.0})
    assert reasons(case) == [f"Seed 2 of {case.treatment.id} is finished with 700 of 1,000 env_steps."]


def test_an_evaluation_that_is_missing(case: Case) -> None:
    path = case.treatment.trial(2).evals_path
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3] + lines[4:]))
    said = reasons(case)
    assert f"Seed 2 of {case.treatment.id}: the evaluation at env step 400 is missing from its record." in said
    assert any("its summary counts 10 evaluations, and 9 are on record" in line for line in said)


def test_an_evaluation_that_was_edited(case: Case) -> None:
    path = case.treatment.trial(2).evals_path
    path.write_text(path.read_text().replace("210.0", "310.0"))
    assert any("its last evaluation is not the one its summary holds" in line for line in reasons(case))


@pytest.mark.parametrize("arm", ["treatment", "baseline"])
def test_evaluations_that_were_edited_where_nobody_looks_twice(case: Case, arm: str) -> None:
    """All but the last, before anything was put on record: the mean of the last three is another."""
    trial = getattr(case, arm).trial(2)
    *lines, last = trial.evals_path.read_text().splitlines(keepends=True)
    trial.evals_path.write_text("".join([*(line.replace("10.0}", "40.0}") for line in lines), last]))
    assert reasons(case) == [f"Seed 2 of {trial.run.id}: its evals.jsonl was changed after its summary was written."]


def test_a_metric_that_is_missing_from_an_evaluation(case: Case) -> None:
    """A bad evaluation that lost its value would make room for a better one in the mean of the last three."""
    trial = case.treatment.trial(0)
    lines = [json.loads(line) for line in trial.evals_path.read_text().splitlines()]
    lines[-2]["values"] = {}
    trial.evals_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_summary(trial)
    assert reasons(case) == [
        f"Seed 0 of {trial.run.id}: eval/return_mode is missing from the evaluation at env step 900."
    ]


def owned_by(case: Case) -> Case:
    """Let a baseline hypothesis have made the baseline run, and be measured."""
    assert case.baseline is not None
    owner = a_case(case.workspace, flat(*LOW), None, expectation=None, kind="baseline")
    edit(case.baseline.manifest_path, lambda made: {**made, "hypothesis": owner.id})
    for seed in (0, 1, 2):
        digest = hashlib.sha256(case.baseline.trial(seed).summary_path.read_bytes()).hexdigest()
        data = {"run": case.baseline.id, "seed": seed, "state": "finished", "score": 1.0, "summary_sha256": digest}
        happened(case.workspace, owner.id, TRIAL_FINISHED, **data)
    return owner


def test_a_baseline_that_was_made_worse_after_it_was_measured(case: Case) -> None:
    assert case.baseline is not None
    owned_by(case)
    assert reasons(case) == []
    trial = case.baseline.trial(1)
    trial.evals_path.write_text(trial.evals_path.read_text().replace("105.0", "55.0"))
    write_summary(trial)
    assert reasons(case) == [f"The summary of seed 1 of {case.baseline.id} was changed after it was recorded."]


def test_a_baseline_that_lost_a_seed(case: Case) -> None:
    assert case.baseline is not None
    owned_by(case)
    edit(case.baseline.manifest_path, lambda made: {**made, "seeds": [0, 1]})
    assert reasons(case) == [f"{case.baseline.id} has the seeds 0, 1, and declared were 0, 1, 2."]


@pytest.mark.parametrize("arm", ["treatment", "baseline"])
@pytest.mark.parametrize("name", ["manifest_path", "config_path"])
def test_a_manifest_or_config_that_changed_after_the_launch(made: Case, tmp_path: Path, arm: str, name: str) -> None:
    case = made.copy(tmp_path / "lab")
    runs = {one.id: setup_digest(one) for one in (case.treatment, case.baseline) if one is not None}
    launched = {"run": case.treatment.id, "baseline_run": getattr(case.baseline, "id", None), "sealed": runs}
    again = propose(case.workspace, **{**vars(case.state.proposal)})
    happened(case.workspace, again, LAUNCHED, **launched, code={}, proposal_commit="ab" * 20, dirty=False)
    edit(case.treatment.manifest_path, lambda made: {**made, "hypothesis": None})
    sealed = Case(case.workspace, again, case.treatment, case.baseline)
    said = f"The manifest or the config of {case.treatment.id} was changed after {again} was launched."
    assert reasons(sealed) == [said]
    if arm == "baseline" and case.baseline is not None:
        path = getattr(case.baseline, name)
        path.write_text(path.read_text() + "\n")
        assert reasons(sealed) == [said, said.replace(case.treatment.id, case.baseline.id)]


def test_a_summary_that_changed_after_it_was_recorded(case: Case) -> None:
    case.settle()
    edit(case.treatment.trial(1).summary_path, lambda summary: {**summary, "wall_s": 1.0})
    assert reasons(case) == [f"The summary of seed 1 of {case.treatment.id} was changed after it was recorded."]


def test_a_summary_written_by_a_later_attempt_is_no_fault(tmp_path: Path) -> None:
    waiting = {2: "queued"}
    case = a_case(light_workspace(tmp_path / "lab"), flat(*HIGH), flat(*LOW), unfinished=waiting)
    case.settle()
    trial = case.treatment.trial(0)
    trial.attempts_path.write_text(json.dumps([*read_attempts(trial), {"attempt": 2}]))
    write_summary(trial)
    case.settle()
    assert [event["attempts"] for event in case.state.trials if event["seed"] == 0] == [1, 2]
    assert reasons(case) == []


@pytest.mark.parametrize("name", ["manifest_path", "config_path"])
def test_a_record_that_cannot_be_read(case: Case, name: str) -> None:
    getattr(case.treatment, name).write_text("{half: [\n")
    (said,) = reasons(case)
    assert "cannot be read" in said


def test_a_damaged_summary(case: Case) -> None:
    case.treatment.trial(0).summary_path.write_text("{half")
    assert any("is damaged" in line for line in reasons(case))


def test_collapse_and_bad_scores_are_outcomes_and_no_faults(tmp_path: Path) -> None:
    case = a_case(light_workspace(tmp_path / "lab"), flat(8.0, 9.0, 9.5), flat(*LOW))
    data = case.verdict()
    assert (data["outcome"], data["label"]) == ("REFUTED", "reversed")
    assert "3 of 3 seeds" in data["reasons"][1]
