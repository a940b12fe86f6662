"""`propose` through the real command line: what is stored, on which layers, against which baseline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.ledger import append, registry_of
from dreamerlab.lab.propose import ProposeRequest, build_proposal
from dreamerlab.protocol.hypothesis import Proposal, proposal_from_dict
from dreamerlab.protocol.registry import HYPOTHESIS
from dreamerlab.protocol.state import ADOPTED, JUDGED, LAUNCHED, Hypothesis, fold, hypotheses
from dreamerlab.runs.manifest import Code
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import compute
from tests.lab.arms import flat, make_arm
from tests.lab.judging import end
from tests.lab.workspaces import data, dreamerlab, git, inside, light_workspace

SENTENCE = "change  lr_actor=3e-4  ->  expect eval/return to rise by 20%"
NANO = ("--env", "cartpole", "--experiment", "nano")
# The layers that `make_arm` gives its runs.
ARM = (*NANO, "--set", "budget.amount=1000", "--set", "eval.every=100")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


def propose(workspace: Workspace, *words: str) -> Proposal:
    """Propose through the command line and return what is on record then."""
    made = data(inside(workspace.path, "propose", *words, "--json"))
    if made["id"] is None:
        return proposal_from_dict(made["proposal"])
    stored = fold(registry_of(workspace).read(made["id"])).proposal
    assert json.loads(json.dumps(stored.to_dict())) == made["proposal"]
    return stored


@cache
def present() -> Code:
    """Return the code of now, which no test here changes; hashing it takes a moment."""
    with tempfile.TemporaryDirectory() as folder:
        return Code(compute(light_workspace(Path(folder, "lab"))).identity)


def baseline(workspace: Workspace, name: str, scores: Sequence[float], *overrides: str, **changes: Any) -> str:
    return make_arm(workspace, name, flat(*scores), *overrides, **{"code": present(), **changes}).id


def judged(workspace: Workspace, scores: Sequence[float], *words: str) -> Hypothesis:
    """Propose to change the actor's rate, and pretend that it ran with these scores and has its verdict."""
    made = data(inside(workspace.path, "propose", SENTENCE, *ARM, *words, "--json"))["id"]
    run = baseline(workspace, "winner", scores, "lr_actor=3e-4", kind="treatment", hypothesis=made)
    append(workspace, made, LAUNCHED, {"run": run})
    append(workspace, made, JUDGED, {"outcome": "SUPPORTED", "label": None, "qualifiers": [], "figures": {}})
    return fold(registry_of(workspace).read(made))


def test_the_sentence_is_kept_to_the_letter_beside_its_reading(workspace: Workspace) -> None:
    found = propose(workspace, SENTENCE, *NANO, "--why", "it was too slow", "--name", "faster")
    assert found.sentence == SENTENCE
    assert found.reading == (
        "change optimizer.lr_actor from 0.0001 to 0.0003 -> expect eval/return_mode to rise by 20%"
    )
    assert (found.kind, found.why, found.name) == ("config", "it was too slow", "faster")
    assert [(one.key, one.before, one.after) for one in found.changes] == [("optimizer.lr_actor", 1e-4, 3e-4)]
    assert (found.base.env, found.base.experiment, found.base.run) == ("cartpole", "nano", None)
    assert found.family == found.baseline_family
    assert found.plan.seeds == found.plan.baseline_seeds == (0, 1, 2)
    assert (found.plan.budget_unit, found.plan.budget_amount) == ("env_steps", 4000)
    assert (found.plan.reducer, found.plan.fail_score) == ("final_mean(3)", 0.0)
    assert found.expectation is not None
    assert (found.expectation.amount, found.expectation.percent) == (None, 20)


def test_the_reading_reads_as_the_same_proposal(workspace: Workspace) -> None:
    first = build_proposal(workspace, ProposeRequest(sentence=SENTENCE, env="cartpole", experiment="nano"))
    again = build_proposal(workspace, ProposeRequest(sentence=first.reading, env="cartpole", experiment="nano"))
    assert again.reading == first.reading
    assert {**again.to_dict(), "sentence": ""} == {**first.to_dict(), "sentence": ""}


FLAGS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "config": (
        ("--change", "lr_actor=3e-4", "--metric", "wm/loss", "--fall", "20%"),
        "config",
        "change lr_actor=3e-4 -> expect wm/loss to fall by 20%",
    ),
    "bundle": (
        (
            "--change",
            "lr_actor=3e-4",
            "--change",
            "lr_critic=2e-3",
            "--rise",
            "20% of span",
            "--reason",
            "as one",
        ),
        "bundle",
        "change lr_actor=3e-4 and lr_critic=2e-3 -> expect eval/return to rise by 20% of span",
    ),
    "code": (
        ("--code", "clip per element", "--at-most", "400"),
        "code",
        "code: clip per element -> expect eval/return <= 400",
    ),
    "equivalence": (
        ("--change", "lr_actor=3e-4", "--within", "20"),
        "equivalence",
        "change lr_actor=3e-4 -> expect eval/return stays within 20",
    ),
    "baseline": (("--nothing",), "baseline", "nothing"),
    "predicted baseline": (("--nothing", "--at-least", "200"), "baseline", "nothing -> expect eval/return >= 200"),
    "in time": (
        ("--nothing", "--reaches", "400", "--by", "3k"),
        "baseline",
        "nothing -> expect eval/return reaches 400 by 3k env_steps",
    ),
}


@pytest.mark.parametrize("form", ["reaches 300 by 1k env_steps", ">= 300", "<= 300", "stays within 30"])
def test_what_is_expected_of_a_level_or_in_time_is_told_beside_a_measured_baseline_too(
    workspace: Workspace, form: str
) -> None:
    made = baseline(workspace, "measured", (200.0, 210.0, 190.0))
    found = propose(workspace, f"change lr_actor=3e-4 -> expect eval/return {form}", *ARM)
    assert found.base.run == made
    assert found.expectation is not None
    assert found.expectation.amount == (30 if "within" in form else 300)


@pytest.mark.parametrize("name", FLAGS)
def test_flags_say_what_a_sentence_says(workspace: Workspace, name: str) -> None:
    words, kind, sentence = FLAGS[name]
    by_flags = propose(workspace, *words, *NANO, "--dry-run")
    reason = "as one" if "--reason" in words else None
    request = ProposeRequest(sentence=sentence, env="cartpole", experiment="nano", reason=reason)
    by_sentence = build_proposal(workspace, request)
    assert by_flags.kind == by_sentence.kind == kind
    assert by_flags.sentence == sentence
    assert replace(by_flags, forecast={}) == proposal_from_dict(json.loads(json.dumps(by_sentence.to_dict())))


def test_reaching_a_level_is_scored_by_the_time_it_takes(workspace: Workspace) -> None:
    found = propose(workspace, "change lr_actor=3e-4 -> expect eval/return reaches 400 by 3k env_steps", *NANO)
    assert found.expectation is not None
    assert (found.expectation.amount, found.expectation.by_env_steps) == (400, 3000)
    assert (found.plan.reducer, found.plan.fail_score) == ("env_steps_to(400)", 4000.0)


def test_the_whole_plan_can_be_said(workspace: Workspace) -> None:
    words = ("--seeds", "10-14", "--baseline-seeds", "20-22", "--reducer", "final_mean( 5 )", "--looks", "3,5")
    kill = ("--kill", "eval/return < 30 at 2k env_steps", "--fail-score", "-1.5", "--budget", "3k")
    plan = propose(workspace, SENTENCE, *NANO, *words, *kill).plan
    assert (plan.seeds, plan.baseline_seeds, plan.reducer) == ((10, 11, 12, 13, 14), (20, 21, 22), "final_mean(5)")
    assert (plan.looks, plan.fail_score, plan.budget_amount) == ((3, 5), -1.5, 3000)
    (rule,) = plan.kill
    assert (rule.metric, rule.operator, rule.value, rule.env_steps) == ("eval/return_mode", "<", 30.0, 2000)


def test_a_treatment_of_one_seed_still_gets_a_baseline_that_can_carry_a_verdict(workspace: Workspace) -> None:
    assert propose(workspace, SENTENCE, *NANO, "--seeds", "7-7").plan.baseline_seeds == (7, 8, 9)


def test_a_rehearsal_stores_nothing(workspace: Workspace) -> None:
    done = inside(workspace.path, "propose", SENTENCE, *NANO, "--dry-run")
    assert done.returncode == 0
    assert done.stdout.startswith("nothing is stored (--dry-run)\n")
    assert not (workspace.protocol / "registry").exists()


def test_a_queued_hypothesis_waits(workspace: Workspace) -> None:
    inside(workspace.path, "propose", SENTENCE, *NANO, "--queue")
    (state,) = hypotheses(registry_of(workspace))
    assert state.phase == "queued"


def test_the_answer_names_the_id_first_and_the_next_step_on_stderr(workspace: Workspace) -> None:
    done = inside(workspace.path, "propose", SENTENCE, *NANO)
    (record,) = registry_of(workspace).ids(HYPOTHESIS)
    assert done.stdout.splitlines()[0] == str(record)
    assert done.stderr.endswith("next: dreamerlab run H1\n")
    assert "3.07 standard deviations" in done.stdout


def test_exactly_the_proposal_is_committed(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    git(workspace.path, "init", "--quiet")
    git(workspace.path, "add", ".")
    git(workspace.path, "commit", "--quiet", "-m", "start")
    (workspace.path / "mine.txt").write_text("staged by the user\n")
    git(workspace.path, "add", "mine.txt")
    done = inside(workspace.path, "propose", SENTENCE, *NANO)
    assert done.returncode == 0, done.stderr
    record = done.stdout.split()[0]
    assert git(workspace.path, "log", "-1", "--format=%s").startswith(f"Propose {record}: change lr_actor=3e-4")
    committed = git(workspace.path, "show", "--name-only", "--format=").split()
    assert f"protocol/registry/{record}.jsonl" in committed
    assert all(name.startswith("protocol/") for name in committed)
    assert git(workspace.path, "diff", "--cached", "--name-only").split() == ["mine.txt"]
    before = git(workspace.path, "rev-parse", "HEAD")
    assert inside(workspace.path, "propose", SENTENCE, *NANO, "--no-commit").returncode == 0
    assert git(workspace.path, "rev-parse", "HEAD") == before


def test_the_first_matching_baseline_is_found_and_its_mean_freezes_the_percentage(workspace: Workspace) -> None:
    """Measuring it once more until it comes out low is of no use: neither the newest is taken nor the worst."""
    first = baseline(workspace, "first", (190, 200, 210))
    baseline(workspace, "again", (100, 110, 120))
    baseline(workspace, "two-seeds", (1, 2))
    baseline(workspace, "other-config", (1, 2, 3), "behavior.horizon=5")
    baseline(workspace, "other-evaluation", (1, 2, 3), "eval.episodes=3")
    baseline(workspace, "not-finished", (1, 2, 3), unfinished={2: "interrupted"})
    baseline(workspace, "other-code", (1, 2, 3), code=Code("cd" * 32))
    baseline(workspace, "pilot", (1, 2, 3), kind="pilot")
    found = propose(workspace, SENTENCE, *ARM)
    assert found.base.run == first
    assert found.expectation is not None
    assert found.expectation.amount == pytest.approx(40)
    assert found.expectation.said == f"20% of 200 (mean of {first}, 3 seeds) = 40"


def test_of_matching_baselines_the_one_of_most_seeds_is_taken_also_when_a_seed_of_it_diverged(
    workspace: Workspace,
) -> None:
    baseline(workspace, "three", (190, 200, 210))
    most = baseline(workspace, "four", (190, 200, 210, 220), unfinished={3: "failed"})
    trial = workspace.run(most).trial(3)
    end(trial, "failed", diverged=True, reason="wm/loss is nan")
    assert propose(workspace, "change lr_actor=3e-4 -> expect eval/return to rise by 20", *ARM).base.run == most
    refused = inside(workspace.path, "propose", SENTENCE, *ARM)
    assert f"the mean of {most} is 150" in refused.stderr, "a seed that diverged scores 0, and is part of the mean"


def test_a_baseline_that_was_trained_under_other_kill_rules_is_not_taken(workspace: Workspace) -> None:
    """Its seeds would have been ended, or not, by another rule than the treatment's."""
    run = baseline(workspace, "base", (190, 200, 210))
    rule = ("--kill", "eval/return < 30 at 500 env_steps")
    sentence = "change lr_actor=3e-4 -> expect eval/return to rise by 20"
    assert propose(workspace, sentence, *ARM, *rule).base.run is None
    refused = inside(workspace.path, "propose", sentence, *ARM, *rule, "--baseline", run, "--dry-run")
    assert (
        f"baseline {run} was trained under no kill rule, and this hypothesis has the kill rule eval/return_mode < 30"
        in (refused.stdout + refused.stderr)
    )


def test_what_cannot_change_a_result_does_not_unmatch_a_baseline(workspace: Workspace) -> None:
    run = baseline(workspace, "base", (190, 200, 210))
    assert propose(workspace, SENTENCE, *ARM, "--set", "execution.threads=2", "--set", "log.every=7").base.run == run


def test_a_baseline_without_a_score_of_the_metric_is_refused(workspace: Workspace) -> None:
    run = baseline(workspace, "base", (190, 200, 210))
    words = ("change lr_actor=3e-4 -> expect wm/loss to fall by 10%", *ARM)
    refused = inside(workspace.path, "propose", *words)
    assert refused.returncode == 3
    assert f"baseline {run} has no score by final_mean(3) of wm/loss: seed 0: 0 of the 3" in refused.stderr


def test_a_percentage_follows_the_declared_reducer(workspace: Workspace) -> None:
    curves = [[100.0, 100.0, *([200.0 + more] * 8)] for more in (-1, 0, 1)]
    run = make_arm(workspace, "base", curves, code=present()).id
    found = propose(workspace, SENTENCE, *ARM, "--reducer", "auc")
    assert found.expectation is not None
    assert found.expectation.said.startswith("20% of 183.3")
    in_time = "change lr_actor=3e-4 -> expect eval/return to fall by 10%"
    found = propose(workspace, in_time, *ARM, "--reducer", "env_steps_to(150)")
    assert found.expectation is not None
    assert found.expectation.said == f"10% of 300 (mean of {run}, 3 seeds) = 30"


def test_a_baseline_that_would_do_but_for_one_thing_is_named(workspace: Workspace) -> None:
    run = baseline(workspace, "other-code", (1, 2, 3), code=Code("cd" * 32))
    done = inside(workspace.path, "propose", SENTENCE, *ARM)
    assert f"no baseline yet: {run} would do, but ran other code (dreamerlab check --prove-inert)" in done.stderr
    run = baseline(workspace, "unfinished", (1, 2, 3), unfinished={2: "interrupted"})
    done = inside(workspace.path, "propose", SENTENCE, *ARM)
    assert f"{run} would do, but not every seed of it has a score" in done.stderr


def test_a_change_of_the_code_is_set_against_a_baseline_of_any_code(workspace: Workspace) -> None:
    run = baseline(workspace, "before", (190, 200, 210), code=Code("cd" * 32))
    assert propose(workspace, "code: clip -> expect eval/return to rise by 20%", *ARM).base.run == run


def test_a_named_baseline_brings_its_layers(workspace: Workspace) -> None:
    run = baseline(workspace, "base", (190, 200, 210), "behavior.horizon=7")
    baseline(workspace, "newer", (1, 2, 3), "behavior.horizon=7")
    found = propose(workspace, "change lr_actor=3e-4 -> expect eval/return to rise by 20%", "--baseline", "base")
    assert (found.base.run, found.base.env, found.base.experiment) == (run, "cartpole", "nano")
    assert set(found.base.overrides) == {"budget.amount=1000", "eval.every=100", "behavior.horizon=7"}
    refused = inside(workspace.path, "propose", SENTENCE, "--baseline", "base", *ARM)
    assert refused.returncode == 3
    assert "differs in behavior.horizon" in refused.stderr


def test_a_pilot_and_a_treatment_are_no_baselines(workspace: Workspace) -> None:
    for kind in ("pilot", "treatment"):
        baseline(workspace, kind, (1, 2, 3), kind=kind)
        refused = inside(workspace.path, "propose", SENTENCE, "--baseline", kind)
        assert refused.returncode == 3
        assert f"is a {kind} run" in refused.stderr


def test_without_an_environment_the_only_one_that_was_measured_is_meant(workspace: Workspace) -> None:
    baseline(workspace, "base", (190, 200, 210))
    done = inside(workspace.path, "propose", SENTENCE)
    assert done.returncode == 0, done.stderr
    assert "no --env: on cartpole + nano + " in done.stderr
    baseline(workspace, "elsewhere", (-400, -390, -380), env="acrobot")
    done = inside(workspace.path, "propose", SENTENCE)
    assert done.returncode == 2
    assert "do not single one out" in done.stderr


def test_an_adopted_run_is_built_upon(workspace: Workspace) -> None:
    base = baseline(workspace, "base", (190, 200, 210))
    state = judged(workspace, (290, 300, 310))
    run = state.run
    assert state.proposal.base.run == base
    append(workspace, state.id, ADOPTED, {"family": state.proposal.family, "run": run, "why": "it leads"})
    next_one = propose(workspace, "change horizon=5 -> expect eval/return to rise by 10%")
    assert next_one.base.run == run
    assert "optimizer.lr_actor=0.0003" in next_one.base.overrides
    assert next_one.expectation is not None
    assert next_one.expectation.amount == pytest.approx(30)


def test_a_repetition_takes_the_prediction_and_fresh_seeds(workspace: Workspace) -> None:
    baseline(workspace, "base", (190, 200, 210))
    first = judged(workspace, (290, 300, 310), "--kill", "eval/return < 3 at 500 env_steps", "--why", "hope")
    again = propose(workspace, "--replicates", first.id[:5], "--seeds", "4")
    assert (again.replicates, again.why) == (first.id, None)
    assert (again.expectation, again.changes) == (first.proposal.expectation, first.proposal.changes)
    assert again.plan.seeds == (3, 4, 5, 6)
    assert again.plan.kill == first.proposal.plan.kill
    assert propose(workspace, "--replicates", first.id).plan.seeds == (7, 8, 9)
    assert propose(workspace, first.proposal.sentence, "--replicates", first.id).plan.seeds == (10, 11, 12)
    for more, piece in (
        (("--seeds", "2-4"), "seed 2 was used"),
        (("--env", "acrobot"), "--env would change it"),
        (("nothing",), "another one is given"),
    ):
        refused = inside(workspace.path, "propose", "--replicates", first.id, *more)
        assert refused.returncode in (2, 3)
        assert piece in refused.stderr, refused.stderr


def test_what_has_no_verdict_yet_cannot_be_repeated(workspace: Workspace) -> None:
    propose(workspace, SENTENCE, *NANO, "--name", "first")
    refused = inside(workspace.path, "propose", "--replicates", "first")
    assert refused.returncode == 3
    assert "is open; only what has its verdict can be repeated" in refused.stderr


def test_what_was_withdrawn_is_proposed_anew_not_repeated(workspace: Workspace) -> None:
    propose(workspace, SENTENCE, *NANO, "--name", "first")
    assert inside(workspace.path, "withdraw", "first", "--why", "too dear").returncode == 0
    refused = inside(workspace.path, "propose", "--replicates", "first")
    assert refused.returncode == 3
    assert "was withdrawn; only what has its verdict can be repeated" in refused.stderr
    assert f'dreamerlab propose "{SENTENCE}" --follows H0001-' in refused.stderr


def test_lineage_is_kept_by_full_id_and_a_name_is_unique(workspace: Workspace) -> None:
    propose(workspace, SENTENCE, *NANO, "--name", "first")
    (first,) = registry_of(workspace).ids(HYPOTHESIS)
    assert propose(workspace, SENTENCE, *NANO, "--follows", "first").follows == str(first)
    refused = inside(workspace.path, "propose", SENTENCE, *NANO, "--name", "first")
    assert refused.returncode == 4
    assert f"'first' belongs to {first}" in refused.stderr


def test_a_family_is_left_only_with_a_word_on_it(workspace: Workspace) -> None:
    sentence = "change model.units=32 -> expect eval/return to rise by 20%"
    found = propose(workspace, sentence, *NANO)
    assert found.family != found.baseline_family
    assert not found.forecast["gates"]["allowed"]
    allowed = propose(workspace, sentence, *NANO, "--new-family")
    assert allowed.new_family
    assert not any("family" in line for line in allowed.forecast["gates"]["violations"])


def test_several_processes_propose_at_once_and_each_gets_its_own(tmp_path: Path) -> None:
    folder = light_workspace(tmp_path / "lab").path
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "start")
    command = [sys.executable, "-m", "dreamerlab", "propose", SENTENCE, *NANO, "--json"]
    started = [
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(3)
    ]
    ended = [(*one.communicate(timeout=120), one.returncode) for one in started]
    assert [code for *_, code in ended] == [0, 0, 0], ended
    ids = sorted(json.loads(out)["id"] for out, *_ in ended)
    assert [one[:5] for one in ids] == ["H0001", "H0002", "H0003"]
    assert sorted(map(str, registry_of(Workspace(folder)).ids(HYPOTHESIS))) == ids
    assert git(folder, "status", "--porcelain", "protocol/registry") == ""


@pytest.mark.slow
def test_two_processes_cannot_take_the_same_name(tmp_path: Path) -> None:
    folder = light_workspace(tmp_path / "lab").path
    command = [sys.executable, "-m", "dreamerlab", "propose", SENTENCE, *NANO, "--name", "mine"]
    started = [subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in "ab"]
    for one in started:
        one.communicate(timeout=120)
    assert sorted(one.returncode for one in started) == [0, 4]


def test_a_real_shell_that_takes_the_arrow_is_told(tmp_path: Path) -> None:
    folder = light_workspace(tmp_path / "lab").path
    words = "propose change lr_actor=3e-4 -> expect eval/return to rise by 20%"
    line = f"{sys.executable} -m dreamerlab {words} --env cartpole"
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "without quotes the shell takes '> expect' for itself" in done.stderr
    assert (folder / "expect").exists()
    quoted = dreamerlab(folder, "propose", "change lr_actor=3e-4 -> expect eval/return to rise by 20%", *NANO)
    assert quoted.returncode == 0, quoted.stderr
