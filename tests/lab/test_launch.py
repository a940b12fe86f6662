"""`run` of a hypothesis, by the real command line: both arms, their order, what is committed when, and how it ends.

The trainers are stand-ins that follow a recipe (`standin.py`); everything else is real.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.faults import setup_digest
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.state import Hypothesis, hypotheses
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace, half_made, run_ids
from tests.lab.standin import BASE, BASE_WORDS, SENTENCE, lab, proposed, start, write_recipe
from tests.lab.workspaces import data, git, inside


def states(workspace: Workspace) -> list[Hypothesis]:
    return list(hypotheses(registry_of(workspace)))


def trial_states(workspace: Workspace, run: str | None) -> dict[int, str]:
    return {trial.seed: read_status(trial).state for trial in workspace.run(str(run)).trials()}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Any]]:
    workspace = proposed(tmp_path_factory.mktemp("judged") / "lab")
    return workspace, data(lab(workspace.path, "run", "--jobs", "1", "--json"))


def test_both_arms_are_trained_in_turn_and_judged(judged: tuple[Workspace, dict[str, Any]]) -> None:
    workspace, result = judged
    main, beside = states(workspace)
    assert (main.phase, beside.phase, beside.proposal.follows) == ("judged", "measured", main.id)
    order = (workspace.path / "order.txt").read_text().splitlines()
    assert order == [f"{kind} {seed}" for seed in range(3) for kind in ("treatment", "baseline")]
    assert (result["hypothesis"], result["kind"], result["mean_score"]) == (main.id, "treatment", 202.0)
    assert (result["baseline"]["id"], result["baseline"]["mean_score"]) == (main.baseline_run, 102.0)
    assert result["judgement"]["phase"] == "judged"
    assert result["judgement"]["verdict"]["outcome"] == "SUPPORTED"
    made = [read_manifest(workspace.run(str(run)).manifest_path) for run in (main.run, main.baseline_run)]
    assert [(one.kind, one.hypothesis) for one in made] == [("treatment", main.id), ("baseline", beside.id)]
    assert len({one.code.identity for one in made}) == 1
    sealed = {str(run): setup_digest(workspace.run(str(run))) for run in (main.run, main.baseline_run)}
    assert (main.launch["sealed"], None in sealed.values()) == (sealed, False), "what was launched stays as it was"


def test_the_proposal_is_committed_before_anything_is_created(judged: tuple[Workspace, dict[str, Any]]) -> None:
    workspace, _ = judged
    main, beside = states(workspace)
    subjects = git(workspace.path, "log", "--reverse", "--format=%s").splitlines()
    assert subjects[1].startswith(f"Propose {main.id}: ")
    assert subjects[2:4] == [f"Propose {beside.id} and {main.id}", f"Launch {beside.id} and {main.id}"]
    for state in (main, beside):
        held = git(workspace.path, "show", f"{state.launch['proposal_commit']}:protocol/registry/{state.id}.jsonl")
        assert [json.loads(line)["event"] for line in held.splitlines()] == ["proposed"]
        assert "runs/R" not in git(workspace.path, "ls-tree", "-r", "--name-only", state.launch["proposal_commit"])
    assert git(workspace.path, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "words, code, said, hint",
    [
        (("run", "H1"), 3, "is judged (SUPPORTED), and a hypothesis runs once", "propose --replicates H0001-"),
        (("run", "H1", "--seeds", "5"), 3, "seeds added now would be chosen knowing it", "--replicates H0001-"),
        (("run",), 3, "no hypothesis is open", "dreamerlab propose"),
        (("run", "R1"), 2, "R1 is a run", "dreamerlab resume R1"),
        (("run", "H1", "H2"), 2, "one hypothesis, not 2: H1, H2", "one by one"),
        (("run", "--baseline", "H1"), 2, "--baseline opens a hypothesis of its own", "dreamerlab run H1"),
        (("run", "H1", "--env", "acrobot"), 3, "--env cannot be chosen now", "dreamerlab run H1"),
        (("run", "--baseline", "--pilot"), 2, "exclude each other", "never evidence"),
        (("run", "H1", "--name", "x"), 2, "--name names a baseline or a pilot", "propose"),
        (("run", "H9"), 4, "no hypothesis is called 'H9'", "dreamerlab list"),
        (("run", "H1", "--pilot"), 3, "is judged: a pilot comes before the launch", "dreamerlab show H0001-"),
    ],
)
def test_what_may_not_be_run_is_answered(
    judged: tuple[Workspace, dict[str, Any]], words: tuple[str, ...], code: int, said: str, hint: str
) -> None:
    workspace, _ = judged
    before = sorted(path for path in workspace.path.rglob("*") if ".dreamerlab" not in path.parts)
    done = inside(workspace.path, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    message, _, hinted = done.stderr.partition("\n\nhint: ")
    assert said in message
    assert hint in hinted
    assert sorted(path for path in workspace.path.rglob("*") if ".dreamerlab" not in path.parts) == before


def test_an_override_outside_the_declared_change_is_refused_and_nothing_is_created(tmp_path: Path) -> None:
    workspace = proposed(tmp_path / "lab")
    assert inside(workspace.path, "propose", SENTENCE, *BASE).returncode == 0
    several = inside(workspace.path, "run")
    assert several.returncode == 3
    assert "2 hypotheses are open, and which one is meant is not said" in several.stderr
    refused = inside(workspace.path, "run", "H1", "optimizer.lr_critic=1", "train.batch_size=4", "log.every=7")
    assert refused.returncode == 3
    assert "optimizer.lr_critic=1" in refused.stderr
    assert "train.batch_size=4" in refused.stderr
    assert "log.every" not in refused.stderr, "bookkeeping may be changed"
    assert not workspace.runs.exists()
    assert {state.phase for state in states(workspace)} == {"open"}


@pytest.mark.slow
def test_a_look_that_decides_spares_the_seeds_that_are_left(tmp_path: Path) -> None:
    levels = {"treatment": [200.0 + seed for seed in range(7)], "baseline": [100.0 + seed for seed in range(5)]}
    workspace = proposed(tmp_path / "lab", "--seeds", "7", "--looks", "5,7", "--baseline-seeds", "5", **levels)
    done = lab(workspace.path, "run")
    assert done.returncode == 0, done.stderr
    main = states(workspace)[0]
    assert main.phase == "judged"
    assert "the look of 5 seeds has decided: 2 are spared" in done.stderr
    assert trial_states(workspace, main.run) == {**dict.fromkeys(range(5), "finished"), 5: "stopped", 6: "stopped"}
    trained = (workspace.path / "order.txt").read_text().splitlines()
    assert sorted(trained) == sorted(f"{kind} {seed}" for kind in ("treatment", "baseline") for seed in range(5))
    assert git(workspace.path, "status", "--porcelain") == ""
    resumed = inside(workspace.path, "resume")
    assert (resumed.returncode, "nothing to resume" in resumed.stderr) == (4, True)


def test_kill_rules_and_divergence_are_outcomes_that_nobody_trains_again(tmp_path: Path) -> None:
    recipe = {"treatment": [200.0, 90.0, None], "baseline": [100.0, 101.0, 102.0], "pace": 0.2}
    workspace = proposed(tmp_path / "lab", "--kill", "eval/return < 95 at 20 env_steps", **recipe)
    done = lab(workspace.path, "run", "--json")
    result = data(done)
    main = states(workspace)[0]
    assert trial_states(workspace, main.run) == {0: "finished", 1: "stopped", 2: "failed"}
    (killed,) = [event for event in main.trials if event["event"] == "trial-killed"]
    assert (killed["run"], killed["seed"], killed["env_steps"], killed["value"]) == (main.run, 1, 20, 90.0)
    assert killed["rule"] == "eval/return_mode < 95 at 20 env steps"
    assert "seed 1 is stopped: kill rule eval/return_mode < 95 at 20 env steps: it was 90 at 20" in done.stderr
    verdict = result["judgement"]["verdict"]
    assert verdict["figures"]["treatment"]["seeds"] == {"0": 200.0, "1": 0.0, "2": 0.0}
    assert inside(workspace.path, "resume", str(main.run)).returncode == 0
    assert trial_states(workspace, main.run) == {0: "finished", 1: "stopped", 2: "failed"}


@pytest.mark.slow
def test_of_two_at_the_same_moment_one_runs_and_the_other_is_told(tmp_path: Path) -> None:
    workspace = proposed(tmp_path / "lab", pace=0.3)
    both = [start(workspace.path, "run", "H1", "--json") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 4], said
    main = states(workspace)[0]
    told = said[codes.index(4)][1]
    assert f"error: {main.id} is being run by another process: seed 0 of {main.run} is " in told
    assert (main.phase, len(run_ids(workspace)), len(states(workspace))) == ("judged", 2, 2)


@pytest.mark.slow
def test_what_was_interrupted_goes_on_and_is_then_judged(tmp_path: Path) -> None:
    workspace = proposed(tmp_path / "lab", pace=20)
    process = start(workspace.path, "run", "--jobs", "2")
    wait_for(lambda: (workspace.path / "order.txt").exists(), process)
    wait_for(lambda: len((workspace.path / "order.txt").read_text().splitlines()) == 2, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    main = states(workspace)[0]
    assert process.returncode == 130, err
    assert f"error: {main.id} is interrupted ({main.run} seed 0, 1, 2; {main.baseline_run} seed 0, 1, 2)" in err
    assert err.endswith(f"hint: dreamerlab run {main.id}\n")
    assert "no verdict yet" in out
    clone = workspace.path.parent / "clone"
    git(clone.parent, "clone", "--quiet", str(workspace.path), str(clone))
    for folder, words in ((workspace.path, ("resume",)), (clone, ("run",))):
        write_recipe(Workspace(folder))
        done = lab(folder, *words, "--json")
        assert data(done)["judgement"]["verdict"]["outcome"] == "SUPPORTED"
        assert [len(read_attempts(trial)) for trial in Workspace(folder).run(str(main.run)).trials()] != []


@pytest.mark.slow
def test_the_words_of_an_interrupted_baseline_go_on_with_it(tmp_path: Path) -> None:
    workspace = proposed(tmp_path / "lab", pace=20)
    words = ("run", "--baseline", *BASE_WORDS, "--seeds", "3", "--name", "reference")
    process = start(workspace.path, *words)
    wait_for(lambda: (workspace.path / "order.txt").exists(), process)
    process.kill()
    process.communicate()
    write_recipe(workspace)
    again = lab(workspace.path, *words, "--json")
    assert data(again)["complete"] is True
    assert len(run_ids(workspace)) == 1
    taken = lab(workspace.path, *words)
    assert (taken.returncode, "the name 'reference' belongs to R0001" in taken.stderr) == (4, True)
    assert len(states(workspace)) == 2


@pytest.mark.slow
def test_an_existing_baseline_serves_and_only_the_treatment_is_trained(tmp_path: Path) -> None:
    workspace = proposed(tmp_path / "lab")
    assert lab(workspace.path, "run", "--baseline", *BASE_WORDS, "--seeds", "3").returncode == 0
    (workspace.path / "order.txt").unlink()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(workspace.path), str(clone))
    write_recipe(Workspace(clone))
    result = data(lab(clone, "run", "H1", "--json"))
    # Two begin at once, and either may be the first to say so.
    assert sorted((clone / "order.txt").read_text().splitlines()) == [f"treatment {seed}" for seed in range(3)]
    assert result["judgement"]["verdict"]["outcome"] == "SUPPORTED"
    assert [state.phase for state in states(Workspace(clone))] == ["judged", "measured"]


def test_a_pilot_is_an_entry_and_never_evidence(tmp_path: Path) -> None:
    workspace = proposed(tmp_path / "lab")
    result = data(lab(workspace.path, "run", "H1", "--pilot", "--json"))
    assert (result["kind"], result["hypothesis"], result["budget"]["amount"]) == ("pilot", None, 6)
    (main,) = states(workspace)
    assert main.phase == "open"
    registry = registry_of(workspace)
    (entry,) = registry.all("E")
    assert entry.events[0].data["kind"] == "pilot"
    assert entry.events[0].data["about"] == [result["id"], main.id]
    assert git(workspace.path, "status", "--porcelain") == ""
    assert "--baseline" in inside(workspace.path, "run", "--env", "cartpole").stderr


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def killed_and_repeated(workspace: Workspace, step: int) -> bool:
    """Kill `run` at its n-th lasting step, repeat it, and check that all is as if it had not been killed."""
    first = lab(workspace.path, "run", "H1", KILL_AT=str(step))
    if first.returncode == 0:
        return False
    assert first.returncode == -signal.SIGKILL, first.stderr
    again = lab(workspace.path, "run", "H1")
    assert again.returncode == 0 or "is judged (SUPPORTED)" in again.stderr, again.stderr
    main, beside = states(workspace)
    assert (main.phase, beside.phase, main.faults, beside.faults) == ("judged", "measured", (), ())
    assert main.verdict is not None
    assert main.verdict["outcome"] == "SUPPORTED"
    for state in (main, beside):
        events = Counter(event.event for event in registry_of(workspace).read(state.id).events)
        assert (events["launched"], events["trial-finished"]) == (1, 3), events
        assert state.launch["proposal_commit"] is not None
    assert sorted(map(str, run_ids(workspace))) == sorted([str(main.run), str(main.baseline_run)])
    assert half_made(workspace) == []
    assert git(workspace.path, "status", "--porcelain") == ""
    return True


@pytest.mark.parametrize("step", [55])
def test_a_kill_in_the_middle_of_a_launch_is_healed_by_the_same_command(tmp_path: Path, step: int) -> None:
    assert killed_and_repeated(proposed(tmp_path / "lab"), step)


def test_doctor_completes_a_launch_that_was_cut_short_and_judges_what_nobody_judged(
    judged: tuple[Workspace, dict[str, Any]], tmp_path: Path
) -> None:
    workspace = Workspace(shutil.copytree(judged[0].path, tmp_path / "lab"))
    main = states(workspace)[0]
    record = registry_of(workspace).path(main.id)
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:2]))  # as it was right after the launch: the verdict of its whole seeds is lost
    run = workspace.run(str(main.run))
    run.path.rename(workspace.runs / f".new-{run.id}")
    found = data_of_findings(inside(workspace.path, "doctor", "--json"))
    assert [(one["kind"], one["remedy"]) for one in found] == [("half-made run", "complete it")]
    assert inside(workspace.path, "doctor", "--fix", "--yes").returncode == 0
    assert run.path.is_dir()
    found = data_of_findings(inside(workspace.path, "doctor", "--json"))
    assert [(one["kind"], one["where"]) for one in found] == [("not judged", main.id)]
    assert inside(workspace.path, "doctor", "--fix", "--yes").returncode == 0
    assert states(workspace)[0].verdict == main.verdict


def data_of_findings(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 6, done.stderr
    return json.loads(done.stdout)["findings"]


@pytest.mark.slow
def test_a_kill_at_any_step_is_healed_by_the_same_command(tmp_path: Path) -> None:
    step, first = 1, proposed(tmp_path / "first")
    while True:
        copy = Workspace(shutil.copytree(first.path, tmp_path / f"at-{step}"))
        if not killed_and_repeated(copy, step):
            break
        shutil.rmtree(copy.path)
        step += 5
    assert step > 150
