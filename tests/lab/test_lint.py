"""`lint`: an honest workspace passes, and whatever is edited, removed, forged or missing is named with its line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol import state
from tests.lab.hypotheses import happened, noted
from tests.lab.told import Told, commit_all, forge, tell
from tests.lab.workspaces import git, inside


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("told") / "a lab")


@pytest.fixture
def told(original: Told, tmp_path: Path) -> Told:
    return original.copy(tmp_path / "lab")


def report(folder: Path, *words: str) -> dict[str, Any]:
    """Return what lint prints, without what it says of pages: tests here change records and render nothing."""
    done = inside(folder, "lint", "--json", *words)
    data: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (6 if data["findings"] else 0), done.stderr
    data["findings"] = [one for one in data["findings"] if one["rule"] != "page"]
    return data


def found(folder: Path, *words: str) -> list[tuple[str, str, int | None]]:
    return [(one["rule"], Path(one["file"]).name, one["line"]) for one in report(folder, *words)["findings"]]


def test_an_honest_workspace_has_nothing_to_find_and_says_what_was_checked(original: Told) -> None:
    done = inside(original.workspace.path, "lint")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing found: 2 records, 2 runs checked\n"


def test_a_finding_is_a_line_of_a_table_with_its_remedy_below(told: Told) -> None:
    noted(told.workspace, "observation", "The score was 999.0.", told.treatment.id)
    told.commit()
    with told.record.open("a") as file:
        file.write("{}\n")
    done = inside(told.workspace.path, "lint")
    assert done.returncode == 6
    first, *others = done.stdout.splitlines()
    assert first.split() == ["where", "rule", "what", "is", "wrong"]
    at = next(i for i, line in enumerate(others) if line.startswith(f"protocol/registry/{told.record.name}:7  chain  "))
    assert others[at + 1].strip().startswith("mend: see what changed: git log -p -- protocol/registry/H0001")
    assert any(" figure " in line for line in others)
    assert done.stderr.splitlines()[-1] == "1 error, 3 warnings: 3 records, 2 runs checked"


def edited(lines: list[str]) -> str:
    return "".join([lines[0], lines[1].replace('"dirty": false', '"dirty": true'), *lines[2:]])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (edited, 2),
        (lambda lines: "".join([lines[0], *lines[2:]]), 2),
        (lambda lines: "".join([*lines[:2], lines[3], lines[2], *lines[4:]]), 3),
        (lambda lines: "".join([*lines[:3], "{not json\n", *lines[4:]]), 4),
        (lambda lines: "".join([*lines[:3], lines[2], *lines[3:]]), 3),
    ],
    ids=["edited", "deleted", "reordered", "unreadable", "repeated"],
)
def test_a_line_that_was_tampered_with_is_named(told: Told, change: Callable[[list[str]], str], line: int) -> None:
    told.record.write_text(change(told.record.read_text().splitlines(keepends=True)))
    assert ("chain", told.record.name, line) in found(told.workspace.path)


def test_an_unfinished_last_line_is_a_warning_and_set_aside_it_is_a_note(told: Told) -> None:
    with told.record.open("a") as file:
        file.write('{"schema": 1, "li')
    assert found(told.workspace.path) == [("torn", told.record.name, 7)]
    happened(told.workspace, told.hypothesis, state.ADOPTED, family="f", run=told.treatment.id, why="the best so far")
    data = report(told.workspace.path)
    assert data["findings"] == []
    assert data["notes"][0] == (
        f"{told.hypothesis}.torn keeps an unfinished line that a crash left behind; no event was lost by it"
    )


def test_a_forged_chain_holds_and_is_given_away_by_git(told: Told) -> None:
    forge(told.record, 1, sentence="change optimizer.lr_actor=2e-5 -> expect eval/return to fall by 20")
    assert found(told.workspace.path) == [("rewritten", told.record.name, 1), ("order", told.record.name, 2)]
    told.commit("forged, and committed")
    assert ("rewritten", told.record.name, 1) in found(told.workspace.path)


def test_a_line_that_was_committed_and_cut_off_is_missed(told: Told) -> None:
    lines = told.record.read_text().splitlines(keepends=True)
    told.record.write_text("".join(lines[:-1]))
    assert found(told.workspace.path) == [("rewritten", told.record.name, 6)]


def test_an_event_that_cannot_have_happened_is_named(told: Told) -> None:
    happened(told.workspace, told.hypothesis, state.AMENDED, changes={"why": "because it went well"}, why="hindsight")
    happened(told.workspace, told.hypothesis, state.WITHDRAWN, why="it did not go well")
    findings = [one for one in report(told.workspace.path)["findings"] if one["rule"] == "sequence"]
    assert [(one["line"], one["message"]) for one in findings] == [
        (7, "'amended-before-launch' cannot happen to a hypothesis that is judged"),
        (8, "'withdrawn' cannot happen to a hypothesis that is judged"),
    ]


def test_a_trial_older_than_its_proposal_and_a_clock_that_went_back_are_worth_a_look(told: Told) -> None:
    path = told.treatment.trial(1).attempts_path
    attempts = json.loads(path.read_text())
    path.write_text(json.dumps([{**attempts[0], "started_at": "2026-01-01T00:00:00+00:00"}]))
    happened(told.workspace, told.hypothesis, state.ADOPTED, family="f", run=told.treatment.id, why="the best so far")
    notes = report(told.workspace.path)["notes"]
    assert any("line 7 is dated 2026-01-03T03:04:05+00:00, before line 6" in note for note in notes)
    assert any(
        note.startswith(f"{told.treatment.id} seed 1 began at 2026-01-01T00:00:00+00:00, before") for note in notes
    )


def test_what_is_no_record_is_a_stray(told: Told) -> None:
    shutil.copy(told.record, told.record.with_name("copy of a record.jsonl"))
    assert found(told.workspace.path) == [("stray", "copy of a record.jsonl", None)]


# The order that git shows


def test_proposal_and_trials_in_one_commit_prove_nothing(tmp_path: Path) -> None:
    told = tell(tmp_path / "lab", proposed_first=False)
    forge(told.record, 2, proposal_commit="ab" * 20)
    commit_all(told.workspace.path, "claims a commit")
    findings = report(told.workspace.path)["findings"]
    assert ("order", 2) in [(one["rule"], one["line"]) for one in findings]
    assert "nothing shows that the prediction came first" in " ".join(one["message"] for one in findings)


def test_a_proposal_after_its_trials_is_out_of_order(tmp_path: Path) -> None:
    told = tell(tmp_path / "lab", proposed_first=False)
    git(told.workspace.path, "rm", "-q", "--cached", str(told.record))
    git(told.workspace.path, "commit", "-q", "--amend", "-m", "trials alone")
    forge(told.record, 2, proposal_commit="ab" * 20)
    commit_all(told.workspace.path, "the prediction, afterwards")
    assert ("order", told.record.name, 2) in found(told.workspace.path)


def test_a_launch_outside_git_is_no_finding_while_its_verdict_says_so(tmp_path: Path) -> None:
    told = tell(tmp_path / "lab", proposed_first=False, proposal_commit=False)
    data = report(told.workspace.path)
    assert data["findings"] == []
    assert data["not_checked"] == [
        f"git order: {told.hypothesis} was launched before its proposal was in git, and its verdict says so"
    ]


def test_branches_and_merges_keep_the_proof_and_squashing_loses_it(told: Told) -> None:
    folder = told.workspace.path
    git(folder, "branch", "copy", "HEAD~2")
    git(folder, "checkout", "-q", "-b", "side", "HEAD~2")
    (folder / "notes.txt").write_text("unrelated\n")
    commit_all(folder, "unrelated")
    git(folder, "merge", "-q", "--no-ff", "--no-edit", "main")
    assert found(folder) == []
    git(folder, "checkout", "-q", "copy")
    git(folder, "merge", "-q", "--squash", "main")
    git(folder, "commit", "-q", "-m", "squashed")
    (only,) = report(folder)["findings"]
    assert (only["rule"], only["line"]) == ("order", 2)
    assert "without squashing" in only["hint"]


def test_what_was_committed_and_is_gone_is_missed_also_when_it_was_renamed(told: Told) -> None:
    folder, name = told.workspace.path, told.record.name
    git(folder, "mv", str(told.record), str(told.record.with_name("H0009-zzz.jsonl")))
    rules = found(folder)
    assert ("gone", name, None) in rules
    assert ("chain", "H0009-zzz.jsonl", 1) in rules
    git(folder, "commit", "-qm", "renamed")
    assert ("gone", name, None) in found(folder)
    shutil.rmtree(told.baseline.path)
    assert ("gone", "manifest.json", None) in found(folder)
    hint = next(one["hint"] for one in report(folder)["findings"] if one["rule"] == "gone" and name in one["file"])
    git(folder, *hint.partition(": git ")[2].split())
    assert ("gone", name, None) not in found(folder)


def test_a_shallow_clone_and_a_folder_outside_git_are_not_checked(told: Told, tmp_path: Path) -> None:
    folder = told.workspace.path
    git(tmp_path, "clone", "-q", "--depth", "1", folder.as_uri(), "shallow")
    data = report(tmp_path / "shallow")
    assert (data["findings"], data["not_checked"]) == (
        [],
        ["git order: this clone lacks older commits (git fetch --unshallow; in CI: fetch-depth: 0)"],
    )
    shutil.rmtree(folder / ".git")
    assert report(folder)["not_checked"] == ["git order: this workspace is not in a git repository"]


def test_a_workspace_inside_a_larger_repository_is_checked_like_any_other(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    told = tell(tmp_path / "deep er" / "läb")
    assert found(told.workspace.path) == []
    told.record.unlink()
    assert ("gone", told.record.name, None) in found(told.workspace.path)


def test_git_is_asked_a_few_times_however_many_records_there_are(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        noted(told.workspace, "observation", f"note {number}", told.hypothesis)
        commit_all(told.workspace.path, f"note {number}")
    asked, real = tmp_path / "asked", shutil.which("git")
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:/usr/bin:/bin")
    assert found(told.workspace.path) == []
    calls = asked.read_text().splitlines()
    assert len(calls) <= 6, calls
    assert sum(" log " in call for call in calls) == 1


# Runs


def test_what_the_records_speak_of_and_is_not_there_is_missing(told: Told) -> None:
    folder, treatment = told.workspace.path, told.treatment
    treatment.config_path.unlink()
    treatment.trial(0).status_path.unlink()
    treatment.trial(1).summary_path.unlink()
    (treatment.trial(2).evals_path).unlink()
    missing = {(name, line) for rule, name, line in found(folder) if rule == "missing"}
    assert missing == {("config.yaml", None), ("status.json", None), ("summary.json", None), ("evals.jsonl", None)} | {
        (told.record.name, 4)
    }
    shutil.rmtree(treatment.path)
    assert ("missing", told.record.name, 2) in found(folder)


def test_a_summary_that_was_changed_after_the_fact_is_a_mismatch(told: Told) -> None:
    path = told.treatment.trial(1).summary_path
    path.write_text(path.read_text().replace("160.0", "190.0"))
    assert ("mismatch", told.record.name, 4) in found(told.workspace.path)


def test_a_run_unlike_its_frozen_plan_is_a_mismatch(told: Told) -> None:
    path = told.treatment.manifest_path
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "seeds": [0, 1], "budget": {"unit": "updates", "amount": 10}}))
    messages = [one["message"] for one in report(told.workspace.path)["findings"] if one["rule"] == "mismatch"]
    assert sorted(messages) == [
        f"{told.treatment.id} has the budget 10 updates, planned were 1000 env_steps",
        f"{told.treatment.id} has the seeds 0-1, planned were 0-2",
    ]


def test_a_run_that_nobody_speaks_of_and_an_entry_about_nothing_are_found(told: Told) -> None:
    shutil.copytree(told.baseline.path, told.workspace.runs / "R0009-zzz")
    note = noted(told.workspace, "observation", "about what is gone", "R0077-abc")
    assert sorted(found(told.workspace.path)) == [
        ("missing", f"{note}.jsonl", 1),
        ("unclaimed", "manifest.json", None),
    ]
    noted(told.workspace, "observation", "a copy, made by mistake", "R0009-zzz")
    assert [rule for rule, *_ in found(told.workspace.path)] == ["missing"]


def test_sizes_of_artifacts_are_compared_always_and_hashes_when_asked(told: Told) -> None:
    trial = told.treatment.trial(0)
    trial.attempt_dir(1).mkdir(parents=True)
    trial.metrics_path(1).write_text('{"a": 1}\n')
    from dreamerlab.runs.summary import write_summary

    write_summary(trial)
    assert report(told.workspace.path)["not_checked"] == []
    trial.metrics_path(1).write_text('{"a": 2}\n')
    assert "artifact" not in [rule for rule, *_ in found(told.workspace.path)]
    assert ("artifact", "metrics.jsonl", None) in found(told.workspace.path, "--deep")
    trial.metrics_path(1).write_text('{"a"')
    assert ("artifact", "metrics.jsonl", None) in found(told.workspace.path)
    shutil.rmtree(told.treatment.artifacts)
    data = report(told.workspace.path, "--deep")
    assert data["not_checked"] == ["artifacts of 1 of 6 trials: not here (dreamerlab data pull)"]


def test_lint_changes_nothing(told: Told) -> None:
    before = git(told.workspace.path, "status", "--porcelain")
    inside(told.workspace.path, "lint", "--deep")
    assert git(told.workspace.path, "status", "--porcelain") == before == ""
    assert registry_of(told.workspace).read(told.hypothesis).faults == ()


def test_outside_a_workspace_there_is_nothing_to_lint(tmp_path: Path) -> None:
    done: subprocess.CompletedProcess[str] = inside(tmp_path, "lint")
    assert done.returncode == 4
    assert "dreamerlab init" in done.stderr
