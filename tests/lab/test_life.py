"""What a person may decide about a hypothesis: amend it before its launch, give it up, make its run the champion."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.proposal_base import champion_runs
from dreamerlab.protocol import state
from dreamerlab.protocol.hypothesis import Plan
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace
from tests.lab.hypotheses import happened, launched, propose
from tests.lab.workspaces import data, git, inside, light_workspace
from tests.runs.records import make_run

FAMILY = "cartpole-state/3f2a"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


def hypothesis(workspace: Workspace, text: str = "H1") -> state.Hypothesis:
    registry = registry_of(workspace)
    return state.fold(registry.read(registry.find(text)))


def judged(workspace: Workspace, outcome: str = "SUPPORTED", **changes: Any) -> str:
    """Add a hypothesis with a verdict and return its run."""
    run = make_run(workspace, kind="treatment").id
    made = launched(workspace, run, None, **changes)
    verdict = {"outcome": outcome, "label": None, "qualifiers": ["fragile"], "reasons": [], "figures": {}}
    happened(workspace, made, state.JUDGED, **verdict)
    return run


# -- adopt


def test_the_run_of_a_judged_hypothesis_becomes_the_champion_of_its_family(workspace: Workspace) -> None:
    git(workspace.path, "init", "--quiet")
    first, second = judged(workspace, name="first"), judged(workspace)
    assert data(inside(workspace.path, "adopt", "first", "--json"))["before"] is None
    assert champion_runs(workspace) == {FAMILY: first}
    done = inside(workspace.path, "adopt", "R2", "--why", "it holds")
    assert done.stdout == f"{second} is the champion of {FAMILY} ({hypothesis(workspace, 'H2').id})\n"
    assert done.stderr == f"until now it was {first}\n"
    assert champion_runs(workspace) == {FAMILY: second}
    subject = git(workspace.path, "log", "-1", "--format=%s").strip()
    assert subject == f"Adopt {second} as champion of {FAMILY} ({hypothesis(workspace, 'H2').id})"
    again = inside(workspace.path, "adopt", "H2")
    assert (again.returncode, again.stdout) == (4, "")
    assert "is the champion of" in again.stderr


def test_a_measured_baseline_can_be_adopted(workspace: Workspace) -> None:
    run = make_run(workspace).id
    made = launched(workspace, run, None, kind="baseline", changes=(), expectation=None)
    happened(workspace, made, state.MEASURED, figures={})
    assert data(inside(workspace.path, "adopt", "H1", "--json"))["run"] == run


@pytest.mark.parametrize("outcome", ["REFUTED", "INCONCLUSIVE"])
def test_adopting_what_was_not_supported_needs_a_reason(workspace: Workspace, outcome: str) -> None:
    judged(workspace, outcome)
    done = inside(workspace.path, "adopt", "H1")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"is {outcome}, fragile: adopting it all the same needs a reason" in done.stderr
    assert inside(workspace.path, "adopt", "H1", "--why", "it is cheaper").returncode == 0


@pytest.mark.parametrize("outcome", ["INVALID", "INCOMPLETE", "UNREPLICATED"])
def test_what_says_nothing_is_never_a_champion(workspace: Workspace, outcome: str) -> None:
    judged(workspace, outcome)
    done = inside(workspace.path, "adopt", "H1", "--why", "I like it")
    assert done.returncode == 3
    assert "--replicates H0001-" in done.stderr


def test_too_few_seeds_are_no_reference(workspace: Workspace) -> None:
    judged(workspace, plan=Plan("env_steps", 1000, (0, 1), (0, 1, 2)))
    done = inside(workspace.path, "adopt", "H1", "--why", "x")
    assert done.returncode == 3
    assert "has 2 seeds: a champion needs at least 3" in done.stderr


@pytest.mark.parametrize("phase", [state.QUEUED, state.OPEN, state.RUNNING, state.DONE_WITHDRAWN])
def test_a_champion_must_have_been_judged(workspace: Workspace, phase: str) -> None:
    made = propose(workspace, queued=phase == state.QUEUED)
    if phase == state.RUNNING:
        happened(workspace, made, state.LAUNCHED, run=make_run(workspace).id)
    if phase == state.DONE_WITHDRAWN:
        happened(workspace, made, state.WITHDRAWN, why="x")
    done = inside(workspace.path, "adopt", "H1", "--why", "x")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {made} is {phase}: a champion must have been judged\n\nhint: ")


def test_a_run_without_a_hypothesis_is_no_champion(workspace: Workspace) -> None:
    make_run(workspace, kind="pilot")
    done = inside(workspace.path, "adopt", "R1")
    assert done.returncode == 3
    assert "belongs to no hypothesis" in done.stderr


# -- withdraw


@pytest.mark.parametrize("queued", [False, True])
def test_what_was_never_launched_is_given_up_with_its_reason(workspace: Workspace, queued: bool) -> None:
    made = propose(workspace, queued=queued)
    refused = inside(workspace.path, "withdraw", "H1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f'dreamerlab withdraw {made} --why "..."' in refused.stderr
    done = inside(workspace.path, "withdraw", "H1", "--why", "no time")
    assert (done.stdout, done.stderr) == (f"{made}  withdrawn\n", "")
    assert (hypothesis(workspace).phase, hypothesis(workspace).withdrawn) == (state.DONE_WITHDRAWN, "no time")
    again = inside(workspace.path, "withdraw", "H1", "--why", "x")
    assert again.returncode == 4
    assert "was withdrawn already: no time" in again.stderr


def test_what_was_launched_is_given_up_and_still_counts(workspace: Workspace) -> None:
    launched(workspace, make_run(workspace, kind="treatment").id, None)
    done = inside(workspace.path, "withdraw", "H1", "--why", "it looks bad")
    assert done.stderr == f"it was launched, so it stays in the tally of {FAMILY}\n"
    given_up = hypothesis(workspace)
    assert (given_up.phase, given_up.launched_at is not None) == (state.DONE_WITHDRAWN, True)


def test_what_is_at_work_must_be_stopped_first(workspace: Workspace) -> None:
    run = make_run(workspace, kind="treatment", seeds=(1,))
    me = own_identity()
    busy = Status("running", 1, pid=me.pid, pid_start=me.start_ticks, boot_id=me.boot_id, host=me.host)
    write_status(run.trial(1), busy)
    launched(workspace, run.id, None)
    done = inside(workspace.path, "withdraw", "H1", "--why", "x")
    assert done.returncode == 4
    assert f"1 trials of {hypothesis(workspace).id} are at work (process {os.getpid()})" in done.stderr
    assert hypothesis(workspace).phase == state.RUNNING


def test_a_verdict_stays(workspace: Workspace) -> None:
    judged(workspace, "REFUTED")
    done = inside(workspace.path, "withdraw", "H1", "--why", "I do not like it")
    assert done.returncode == 3
    assert "what was found stays" in done.stderr
    assert "--conclusion" in done.stderr


# -- amend


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = light_workspace(tmp_path_factory.mktemp("proposed") / "lab")
    words = ["change train.batch_size=8 -> expect eval/return to rise by 20", "--env", "cartpole", "--why", "smaller"]
    made = data(inside(workspace.path, "propose", *words, "--name", "small", "--seeds", "5,7,9", "--json"))
    assert made["id"] == hypothesis(workspace).id
    return workspace


@pytest.fixture
def proposed(original: Workspace, tmp_path: Path) -> Workspace:
    return Workspace(shutil.copytree(original.path, tmp_path / "copy"))


def amend(workspace: Workspace, *words: str) -> dict[str, Any]:
    return data(inside(workspace.path, "amend", "small", "--why", "on second thoughts", "--json", *words))


def test_what_is_not_said_again_stays(proposed: Workspace) -> None:
    before = hypothesis(proposed).proposal
    assert set(amend(proposed, "--seeds", "4")["changes"]) - {"forecast"} == {"plan"}
    after = hypothesis(proposed)
    assert after.proposal.plan.seeds == (0, 1, 2, 3)
    assert (after.proposal.changes, after.proposal.expectation) == (before.changes, before.expectation)
    assert (after.proposal.why, after.proposal.name, after.phase) == ("smaller", "small", state.OPEN)
    (event,) = after.amendments
    assert event.data["why"] == "on second thoughts"
    first = registry_of(proposed).read(after.id).events[0]
    assert first.data["plan"]["seeds"] == [5, 7, 9], "the first wording stays readable"


def test_the_sentence_is_read_anew_with_all_that_follows_from_it(proposed: Workspace) -> None:
    amend(proposed, "change train.batch_size=8 -> expect eval/return reaches 475 by 9k env_steps")
    now = hypothesis(proposed).proposal
    assert (now.plan.reducer, now.plan.seeds) == ("env_steps_to(475)", (5, 7, 9))
    amend(proposed, "--budget", "9k", "--set", "eval.every=1000")
    now = hypothesis(proposed).proposal
    assert (now.plan.budget_amount, sorted(now.base.overrides)) == (9000, ["budget.amount=9000", "eval.every=1000"])
    assert now.plan.fail_score == 9000
    amend(proposed, "change train.batch_size=8 -> expect eval/return to rise by 20")
    assert hypothesis(proposed).proposal.plan.reducer == "final_mean(3)"
    assert len(hypothesis(proposed).amendments) == 3


def test_a_rule_and_a_reducer_that_were_chosen_are_kept(workspace: Workspace) -> None:
    words = ["nothing -> expect eval/return >= 100", "--env", "cartpole", "--name", "small"]
    chosen = ["--reducer", "auc", "--kill", "eval/return < 9.5 at 5k env_steps", "--fail-score", "3", "--seeds", "9-9"]
    data(inside(workspace.path, "propose", *words, *chosen, "--json"))
    before = hypothesis(workspace).proposal.plan
    amend(workspace, "nothing -> expect eval/return >= 120")
    now = hypothesis(workspace).proposal.plan
    assert (now.reducer, now.kill, now.seeds) == ("auc", before.kill, (9,))
    assert now.kill[0].value == 9.5


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--seeds", "5,7,9", "--why", "x"], 2, "says that already"),
        (["--seeds", "4"], 2, "needs a reason: both wordings stay in the log"),
        (["--why", "x", "make it better"], 2, "the sentence cannot be read"),
        (["--why", "x", "--name", "other"], 4, "the name 'other' belongs to"),
        (["--why", "x", "--set", "train.batch_sise=3"], 2, "did you mean"),
        (["--why", "x", "--env", "nowhere"], 4, "nowhere"),
    ],
)
def test_what_is_no_amendment_is_answered(proposed: Workspace, words: list[str], code: int, message: str) -> None:
    propose(proposed, name="other")
    done = inside(proposed.path, "amend", "small", *words)
    assert done.stdout == ""
    assert message in done.stderr
    assert done.returncode == code
    assert hypothesis(proposed).amendments == ()


def test_from_the_launch_on_nothing_is_amended(workspace: Workspace) -> None:
    made = launched(workspace, make_run(workspace).id, None)
    done = inside(workspace.path, "amend", "H1", "--seeds", "9", "--why", "more power")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{made} is running: what was launched stays as it was said" in done.stderr
    assert f"--follows {made}" in done.stderr
