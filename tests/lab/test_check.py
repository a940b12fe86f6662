"""What `check` finds before anything is launched: on real files, real git and, where it matters, the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.errors import GateRefused, NotFound
from dreamerlab.lab import machine
from dreamerlab.lab.check import Examination, choose, examine
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.machine import machine_gate
from dreamerlab.protocol import state
from dreamerlab.protocol.gates import base_digest
from dreamerlab.protocol.hypothesis import Base, Change, Expectation, KillRule, Plan, Proposal
from dreamerlab.protocol.state import fold
from dreamerlab.runs.manifest import Budget, Code
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import VERSIONED, compute, snapshot
from dreamerlab.tracking.environment import package_version
from tests.lab.arms import flat, make_arm
from tests.lab.hypotheses import a_proposal, happened, propose
from tests.lab.judging import end
from tests.lab.workspaces import dreamerlab, git, inside, light_workspace

LAYERS = ("budget.amount=1000", "eval.every=100")
HERE = {"packages": {name: package_version(name) for name in VERSIONED}}
PLAN = Plan("env_steps", 1000, (0, 1, 2), (0, 1, 2), fail_score=0.0)
THREE = flat(100, 110, 120, length=3)


def asked(**changes: Any) -> Proposal:
    """A hypothesis whose base is the config of `make_arm`."""
    values: dict[str, Any] = {
        "base": Base("cartpole", "nano", LAYERS),
        "plan": PLAN,
        "changes": (Change("optimizer.lr_actor", 1e-4, 3e-4),),
    }
    return a_proposal(**{**values, **changes})


def of_code(**changes: Any) -> Proposal:
    return asked(kind="code", changes=(), code="another way to add", **changes)


def rules(found: Examination) -> list[str]:
    return [one.rule for one in found.violations]


def present(workspace: Workspace) -> Code:
    return Code(compute(workspace).identity)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


@pytest.fixture
def committed(tmp_path: Path) -> Workspace:
    """A workspace in git, with code of its own, everything committed."""
    made = light_workspace(tmp_path / "lab")
    (made.path / "mine").mkdir()
    (made.path / "mine" / "extra.py").write_text("ONE = 1\n")
    made.marker.write_text("autocommit: true\ncode:\n  paths: [mine]\n")
    (made.path / ".gitignore").write_text(".dreamerlab/\n")
    git(made.path, "init", "--quiet")
    git(made.path, "add", ".")
    git(made.path, "commit", "--quiet", "--message", "all")
    return made


# -- the baseline -------------------------------------------------------------------------------------------------


def test_without_a_fitting_run_the_baseline_is_to_be_measured(workspace: Workspace) -> None:
    make_arm(workspace, "other-code", THREE)
    make_arm(workspace, "two-seeds", flat(100, 110), code=present(workspace))
    make_arm(workspace, "pilot", THREE, code=present(workspace), kind="pilot")
    make_arm(workspace, "other-config", THREE, "behavior.horizon=9", code=present(workspace))
    make_arm(workspace, "other-budget", THREE, code=present(workspace), budget=Budget("env_steps", 2000))
    make_arm(workspace, "treated", THREE, code=present(workspace), kind="treatment")
    found = examine(workspace, asked())
    assert found.baseline_run is None
    assert rules(found) == []
    assert found.treatment.flat["optimizer.lr_actor"] == 3e-4
    assert found.control.flat["optimizer.lr_actor"] == 1e-4
    assert found.treatment.origins["optimizer.lr_actor"] == "this proposal: the declared change"


def test_the_complete_baseline_of_most_seeds_is_taken_whatever_it_was_executed_on(workspace: Workspace) -> None:
    code = present(workspace)
    make_arm(workspace, "three", THREE, code=code)
    many = make_arm(workspace, "five", flat(1, 2, 3, 4, 5, length=3), "execution.threads=2", "log.every=5", code=code)
    make_arm(workspace, "again", flat(1, 2, 3, 4, 5, length=3), code=code)
    make_arm(workspace, "unfinished", flat(*range(9), length=3), code=code, unfinished={1: "interrupted"})
    found = examine(workspace, asked())
    assert (found.baseline_run, rules(found)) == (many.id, [])
    assert any(f"{many.id} was trained with execution.threads=2, now 1" in line for line in found.caveats)
    assert not any("log.every" in line for line in found.caveats)


def test_that_several_runs_measured_the_same_is_said(workspace: Workspace) -> None:
    """Whoever names one of them knew what the others had come to."""
    code = present(workspace)
    runs = [make_arm(workspace, name, THREE, code=code).id for name in ("first", "second", "third")]
    for base in (Base("cartpole", "nano", LAYERS), Base("cartpole", "nano", LAYERS, runs[0])):
        said = examine(workspace, asked(base=base)).caveats
        assert f"{runs[1]} and {runs[2]} measured the same as baseline {runs[0]}: choosing by result flatters" in said


def test_a_baseline_with_a_seed_that_diverged_is_complete(workspace: Workspace) -> None:
    code = present(workspace)
    many = make_arm(workspace, "four", flat(1, 2, 3, 4, length=3), code=code, unfinished={1: "failed"})
    make_arm(workspace, "three", THREE, code=code)
    end(many.trial(1), "failed", diverged=True)
    found = examine(workspace, asked())
    assert found.baseline_run == many.id
    assert not any("not complete" in line for line in found.caveats)


def test_a_baseline_under_other_kill_rules_cannot_serve(workspace: Workspace) -> None:
    rule = KillRule("eval/return_mode", "<", 30.0, 500)
    holder = propose(workspace, kind="baseline", changes=(), expectation=None, plan=replace(PLAN, kill=(rule,)))
    run = make_arm(workspace, "b", THREE, code=present(workspace), hypothesis=holder)
    assert examine(workspace, asked()).baseline_run is None
    found = examine(workspace, asked(base=Base("cartpole", "nano", LAYERS, run.id)))
    assert rules(found) == ["baseline-unusable"]
    assert "under the kill rule eval/return_mode < 30 at 500 env steps, and this hypothesis has none" in (
        found.violations[0].message
    )
    assert examine(workspace, asked(plan=replace(PLAN, kill=(rule,)))).baseline_run == run.id


def test_an_adopted_treatment_serves_as_baseline_with_its_caveat(workspace: Workspace) -> None:
    run = make_arm(workspace, "treated", THREE, code=present(workspace), kind="treatment")
    made = propose(workspace)
    happened(workspace, made, state.LAUNCHED, run=run.id, baseline_run=None, code={}, dirty=False)
    happened(workspace, made, state.JUDGED, outcome="SUPPORTED")
    happened(workspace, made, state.ADOPTED, family="f", run=run.id)
    found = examine(workspace, asked())
    assert found.baseline_run == run.id
    assert any("adopted for its result" in line for line in found.caveats)


def test_a_named_baseline_is_held_to_every_rule_at_once(workspace: Workspace) -> None:
    run = make_arm(workspace, "b", flat(1, 2), "behavior.horizon=9", "eval.episodes=3", kind="pilot")
    found = examine(workspace, asked(base=Base("cartpole", "nano", LAYERS, run.id)))
    assert set(rules(found)) == {
        "undeclared-difference",
        "unequal-evaluation",
        "baseline-seeds",
        "baseline-unusable",
        "undeclared-code",
    }
    horizon = next(one for one in found.violations if one.key == "behavior.horizon")
    assert horizon.values == ("9", "10")
    assert horizon.origins[0] == f"{run.id}: command line: behavior.horizon=9"
    assert horizon.origins[1].startswith("env_configs/experiments/nano.yaml:")
    with pytest.raises(GateRefused, match="5 rules forbid running this proposal"):
        found.refuse()


def test_a_named_baseline_that_is_gone_or_withdrawn_cannot_serve(workspace: Workspace) -> None:
    gone = examine(workspace, asked(base=Base("cartpole", "nano", LAYERS, "R0009-zzz")))
    assert rules(gone) == ["baseline-unusable"]
    holder = propose(workspace, kind="baseline", changes=(), expectation=None)
    run = make_arm(workspace, "b", THREE, code=present(workspace), hypothesis=holder)
    happened(workspace, holder, state.WITHDRAWN, why="the reward was wrong")
    assert examine(workspace, asked()).baseline_run is None
    found = examine(workspace, asked(base=Base("cartpole", "nano", LAYERS, run.id)))
    assert rules(found) == ["baseline-unusable"]
    assert holder in found.violations[0].message


def test_a_baseline_under_other_code_names_the_files_that_differ(committed: Workspace) -> None:
    before = compute(committed)
    snapshot(committed, before)
    run = make_arm(committed, "b", THREE, code=Code(before.identity))
    assert examine(committed, asked()).baseline_run == run.id
    (committed.path / "mine" / "extra.py").write_text("ONE = 2\n")
    git(committed.path, "commit", "--quiet", "--all", "--message", "another one")
    assert examine(committed, asked()).baseline_run is None, "a new baseline is measured"
    found = examine(committed, asked(base=Base("cartpole", "nano", LAYERS, run.id)))
    assert rules(found) == ["undeclared-code"]
    assert "mine/extra.py" in found.violations[0].message
    assert "--prove-inert" in found.violations[0].hint


# -- changes of the code (M-GATE-04) ---------------------------------------------------------------------------------


def test_a_change_of_code_needs_a_baseline_measured_before_it(committed: Workspace) -> None:
    found = examine(committed, of_code())
    assert rules(found) == ["no-baseline"]
    command = f"dreamerlab run --baseline --env cartpole --experiment nano {' '.join(LAYERS)} --seeds 3"
    assert command in found.violations[0].hint
    make_arm(committed, "present", THREE, code=present(committed))
    (still,) = examine(committed, of_code()).violations
    assert "ran the present code" in still.message


def test_a_change_of_code_is_held_against_the_newest_run_under_other_code(committed: Workspace) -> None:
    before = compute(committed)
    snapshot(committed, before)
    make_arm(committed, "older", THREE)
    newer = make_arm(committed, "newer", THREE, code=Code(before.identity), environment=HERE)
    (committed.path / "mine" / "extra.py").write_text("ONE = 2\n")
    git(committed.path, "commit", "--quiet", "--all", "--message", "the change")
    found = examine(committed, of_code())
    assert (found.baseline_run, rules(found)) == (newer.id, [])
    assert any(f"everything since baseline {newer.id}" in line and "mine/extra.py" in line for line in found.caveats)


def test_a_change_of_code_that_was_not_made_is_named(committed: Workspace) -> None:
    run = make_arm(committed, "b", THREE, code=present(committed))
    found = examine(committed, of_code(base=Base("cartpole", "nano", LAYERS, run.id)))
    assert rules(found) == ["same-code"]


def test_a_new_package_beside_a_change_of_code_is_a_second_change(committed: Workspace) -> None:
    for package in ("torch", "pygame"):
        then = {"packages": {**HERE["packages"], package: "1.0.0"}}
        run = make_arm(committed, package, THREE, environment=then)
        found = examine(committed, of_code(base=Base("cartpole", "nano", LAYERS, run.id)))
        (said,) = found.violations
        assert (said.rule, said.key, said.values[0]) == ("undeclared-code", package, "1.0.0")
    del then["packages"]["pygame"]
    run = make_arm(committed, "old", THREE, environment=then)
    assert rules(examine(committed, of_code(base=Base("cartpole", "nano", LAYERS, run.id)))) == []


# -- what is in no commit -------------------------------------------------------------------------------------------


def test_only_code_in_scope_and_env_configs_must_be_committed(committed: Workspace) -> None:
    (committed.path / "notes.txt").write_text("mine\n")
    (committed.path / "protocol" / "registry").mkdir()
    (committed.path / "protocol" / "registry" / "H0001-abc.jsonl").write_text("")
    assert rules(examine(committed, asked())) == []
    (committed.path / "mine" / "extra.py").write_text("ONE = 2\n")
    (committed.env_configs / "new.yaml").write_text("env:\n  id: Acrobot-v1\n")
    git(committed.path, "add", "mine")
    found = examine(committed, asked())
    assert rules(found) == ["uncommitted"]
    assert found.violations[0].origins == ("env_configs/new.yaml", "mine/extra.py")
    assert found.dirty
    allowed = examine(committed, asked(), allow_dirty=True)
    assert (rules(allowed), allowed.dirty) == ([], True)
    assert allowed.passed == ("--allow-dirty: env_configs/new.yaml, mine/extra.py",)


def test_a_deleted_env_config_is_an_uncommitted_change(committed: Workspace) -> None:
    (committed.env_configs / "acrobot.yaml").unlink()
    assert rules(examine(committed, asked())) == ["uncommitted"]


def test_outside_git_it_is_a_caveat_that_no_order_can_be_proven(workspace: Workspace) -> None:
    found = examine(workspace, asked())
    assert any("no order of records can be proven" in line for line in found.caveats)


# -- launches -------------------------------------------------------------------------------------------------------


def test_free_overrides_reach_both_arms_and_others_are_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_logical_cores", lambda: 2)  # enough for two threads, whatever this one has
    words = ("threads=2", "log.every=7", "lr_actor=3e-4", "horizon=9", "budget.amount=500")
    found = examine(workspace, asked(), overrides=words)
    assert [(one.rule, one.key) for one in found.violations] == [
        ("override", "behavior.horizon"),
        ("override", "budget.amount"),
    ]
    for arm in (found.treatment, found.control):
        assert (arm.flat["execution.threads"], arm.flat["log.every"], arm.flat["behavior.horizon"]) == (2, 7, 10)
        assert arm.flat["budget.amount"] == 1000


def test_the_plans_budget_holds_and_an_edited_base_is_noticed(workspace: Workspace) -> None:
    digest = base_digest(examine(workspace, asked()).control.flat)
    frozen = asked(base=Base("cartpole", "nano", LAYERS, digest=digest), plan=replace(PLAN, budget_amount=700))
    found = examine(workspace, frozen)
    assert (rules(found), found.treatment.flat["budget.amount"]) == ([], 700)
    assert found.treatment.origins["budget.amount"] == "this proposal: the plan"
    nano = workspace.env_configs / "experiments" / "nano.yaml"
    nano.write_text(nano.read_text().replace("train_ratio: 128", "train_ratio: 64"))
    assert rules(examine(workspace, frozen)) == ["base-changed"]


def test_another_family_needs_leave_which_is_recorded(workspace: Workspace) -> None:
    """M-PROT-04: a change of architecture or environment is never made in passing."""
    wider = asked(changes=(Change("model.units", 64, 128),))
    assert rules(examine(workspace, wider)) == ["new-family"]
    for found in (examine(workspace, wider, new_family=True), examine(workspace, replace(wider, new_family=True))):
        assert rules(found) == []
        assert found.passed[0].startswith("--new-family: from cartpole/")


def test_a_config_that_does_not_fit_together_is_a_caveat_of_the_arm_it_is_in(workspace: Workspace) -> None:
    narrow = asked(changes=(Change("twohot.support", (-20.0, 20.0), [-2.0, 2.0]),), new_family=True)
    found = examine(workspace, narrow)
    assert found.treatment.flat["twohot.support"] == (-2.0, 2.0)
    assert any(line.startswith("with the change: returns reach") for line in found.caveats)


@pytest.mark.slow
def test_what_has_ended_is_not_run_again_and_gets_no_more_seeds(workspace: Workspace) -> None:
    def phase_of(made: str, **words: Any) -> Examination:
        return examine(workspace, fold(registry_of(workspace).read(made)), **words)

    judged = propose(workspace)
    happened(workspace, judged, state.LAUNCHED, run="R0001-abc", baseline_run="R0002-abc", code={}, caveats=["busy"])
    assert rules(phase_of(judged)) == [], "a launched one is continued"
    assert phase_of(judged).caveats == ("busy",)
    assert rules(phase_of(judged, overrides=["log.every=5"])) == ["override"]
    assert rules(phase_of(judged, seeds=(0, 1, 2, 3))) == ["frozen-seeds"]
    happened(workspace, judged, state.JUDGED, outcome="REFUTED")
    assert rules(phase_of(judged)) == ["not-open"]
    assert "REFUTED" in phase_of(judged).violations[0].message
    assert rules(phase_of(judged, seeds=(0, 1, 2, 3))) == ["seeds-after-verdict"]
    withdrawn = propose(workspace)
    happened(workspace, withdrawn, state.WITHDRAWN, why="a slip")
    assert rules(phase_of(withdrawn)) == ["not-open"]


def test_a_replication_on_the_same_seeds_is_refused(workspace: Workspace) -> None:
    first = propose(workspace)
    again = asked(replicates=first, plan=replace(PLAN, seeds=(2, 3, 4)))
    assert rules(examine(workspace, again)) == ["repeated-seeds"]
    assert rules(examine(workspace, replace(again, plan=replace(PLAN, seeds=(3, 4, 5))))) == []


@pytest.mark.parametrize("kind", ["treatment", "pilot"])
def test_seeds_that_were_trained_already_are_no_prediction(workspace: Workspace, kind: str) -> None:
    """Of ten known seeds, the three best would support anything."""
    change, code = "optimizer.lr_actor=3e-4", present(workspace)
    seen = make_arm(
        workspace, "seen", flat(*range(5), length=3), change, code=code, kind=kind, unfinished={3: "interrupted"}
    )
    write_status(seen.trial(4), Status("queued", 4))
    again = asked(plan=replace(PLAN, seeds=(1, 3, 4, 9)))
    (said,) = examine(workspace, again).violations
    assert said.rule == "known-seeds"
    assert said.message.startswith(f"seeds 1,3 were trained in {seen.id} with exactly this config and code")
    assert said.hint == "propose it with --seeds 10-13"
    assert rules(examine(workspace, asked(plan=replace(PLAN, seeds=(4, 5, 6))))) == [], "nobody saw a queued one"
    other = (Change("optimizer.lr_actor", 1e-4, 2e-4),)
    assert rules(examine(workspace, replace(again, changes=other))) == []
    shorter = make_arm(workspace, "short", THREE, change, code=code, kind="pilot", budget=Budget("env_steps", 100))
    assert shorter.id not in str(examine(workspace, again).violations)


def test_a_level_of_seeds_that_were_measured_already_is_no_prediction(workspace: Workspace) -> None:
    measured = make_arm(workspace, "base", THREE, code=present(workspace))
    nothing = asked(kind="baseline", changes=(), expectation=None)
    assert rules(examine(workspace, nothing)) == [], "measuring again predicts nothing"
    level = replace(nothing, expectation=Expectation("eval/return_mode", "at_least", 100.0))
    (said,) = examine(workspace, level).violations
    assert (said.rule, said.origins[0]) == ("known-seeds", measured.id)


def test_the_only_open_hypothesis_needs_no_id(workspace: Workspace) -> None:
    with pytest.raises(GateRefused, match="no hypothesis is open"):
        choose(workspace, None)
    made = propose(workspace, name="slow")
    linked = propose(workspace, kind="baseline", changes=(), follows=made)
    propose(workspace, queued=True)
    assert choose(workspace, None).id == choose(workspace, "slow").id == choose(workspace, "H1").id == made
    assert choose(workspace, linked).id == linked
    other = propose(workspace)
    with pytest.raises(GateRefused, match="2 hypotheses are open") as refused:
        choose(workspace, None)
    assert made in refused.value.message
    assert other in refused.value.message
    with pytest.raises(NotFound):
        choose(workspace, "H99")


# -- the machine (M-PROT-21) ------------------------------------------------------------------------------------------


@contextmanager
def lone_trainer(workspace: Workspace, supervisor: str) -> Iterator[int]:
    """A process that looks like a trainer of this workspace, started by whoever `supervisor` names."""
    looks_like = ["-m", "dreamerlab.train", str(workspace.runs / "R0001-abc" / "seed-0")]
    command = [sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(60)", *looks_like]
    environment = {**os.environ, "DREAMERLAB_SUPERVISOR": supervisor}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_an_orphan_trainer_of_ours_forbids_a_start_and_a_supervised_one_is_a_caveat(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_GRACE_S", 0.0)
    with lone_trainer(workspace, "999999:1") as pid:
        violations, _ = machine_gate(workspace, 1, 1)
        (orphans,) = [one for one in violations if one.rule == "orphan-trainers"]
        assert f"pid {pid}" in orphans.message
        assert "dreamerlab doctor --fix" in orphans.hint or str(pid) in orphans.hint
    with lone_trainer(workspace, f"{os.getpid()}:0") as pid:
        violations, caveats = machine_gate(workspace, 1, 1)
        assert not any(f"pid {pid}" in one.message for one in violations)
        assert any("alive" in line and str(pid) in line for line in caveats)


def test_more_threads_than_cores_are_refused_with_what_fits(workspace: Workspace) -> None:
    cores = len(os.sched_getaffinity(0))
    assert not [one for one in machine_gate(workspace, cores, 1)[0] if one.rule == "oversubscribed"]
    (found,) = [one for one in machine_gate(workspace, cores + 1, 1)[0] if one.rule == "oversubscribed"]
    assert (found.values, f"--jobs {cores}" in found.hint) == ((str(cores), str(cores + 1)), True)
    (wide,) = [one for one in machine_gate(workspace, 1, 2 * cores)[0] if one.rule == "oversubscribed"]
    assert f"execution.threads={cores} --jobs 1" in wide.hint


# -- the command ----------------------------------------------------------------------------------------------------


def test_the_command_names_all_violations_and_creates_nothing(workspace: Workspace) -> None:
    run = make_arm(workspace, "b", flat(1, 2), code=present(workspace))
    made = propose(
        workspace,
        base=Base("cartpole", "nano", LAYERS, run.id),
        plan=PLAN,
        changes=(Change("model.units", 64, 128),),
    )
    before = sorted(str(path) for path in workspace.path.rglob("*"))
    done = dreamerlab(workspace.path, "check")
    assert done.returncode == 3, done.stderr
    for piece in (made, "model.units 64 -> 128", "forbidden: ", f"dreamerlab run {made} --new-family", "has 2 seeds"):
        assert piece in done.stdout
    assert "Traceback" not in done.stderr
    assert sorted(str(path) for path in workspace.path.rglob("*")) == before
    again = inside(workspace.path, "check", "H1", "--new-family", "--json")
    assert again.returncode == 3
    answer = json.loads(again.stdout)
    assert [one["rule"] for one in answer["violations"]] == ["baseline-seeds"]
    assert answer["passed"][0].startswith("--new-family")
    assert answer["baseline_run"] == run.id


def test_the_command_says_how_to_go_on_when_nothing_forbids_it(workspace: Workspace) -> None:
    made = propose(workspace, base=Base("cartpole", "nano", LAYERS), plan=PLAN, changes=asked().changes)
    done = inside(workspace.path, "check")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"nothing forbids it: dreamerlab run {made}")
    assert "optimizer.lr_actor 0.0001 -> 0.0003" in done.stdout
    assert inside(workspace.path, "check", "--updates", "5").returncode == 2
    assert inside(workspace.path, "check", "H7").returncode == 4


def test_a_run_that_is_forbidden_names_every_reason_and_creates_nothing(workspace: Workspace) -> None:
    propose(workspace, base=Base("cartpole", "nano", LAYERS), plan=PLAN, changes=asked().changes)
    before = {path: path.read_bytes() for path in workspace.path.rglob("*") if path.is_file()}
    jobs = str(len(os.sched_getaffinity(0)) + 1)
    done = inside(workspace.path, "run", "lr_actor=1e-3", "horizon=9", "--jobs", jobs, "--seeds", "7")
    assert done.returncode == 3, done.stderr
    for piece in ("4 rules forbid", "optimizer.lr_actor=0.001", "behavior.horizon=9", "trials at once", "0-2"):
        assert piece in done.stderr
    kept = {path: path.read_bytes() for path in workspace.path.rglob("*") if path.is_file() and path.name != "lock"}
    assert {path: kept[path] for path in before} == before
    assert not list(workspace.path.rglob("R0*"))
