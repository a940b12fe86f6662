"""What pages that tell of much else say of findings: `show`, bounded, in every state a run can be in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.lab import run_findings
from dreamerlab.lab.run_findings import findings_of, roots_said
from dreamerlab.runs.curves import write_curves
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.status import Status, read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.diagnostics.stories import RANDOM
from tests.lab.diagnosed import a_run, a_workspace
from tests.lab.workspaces import data, dreamerlab, inside

TOO_MUCH = {**RANDOM, "behavior/entropy_contribution": 0.21}
SAID = "critical: The policy is pinned at the widest spread its head allows (pinned-at-ceiling)"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """R1: an entropy bonus that outweighs the advantages; R2: the same without it."""
    made = a_workspace(tmp_path / "lab")
    a_run(made, TOO_MUCH)
    a_run(made)
    return made


def trains(workspace: Workspace, run: str, seed: int, *findings: str) -> None:
    """Make a seed one that this process trains."""
    trial = next(workspace.runs.glob(f"{run}-*"))
    directory = workspace.run(trial.name).trial(seed)
    me = own_identity()
    facts = {"pid": me.pid, "pid_start": me.start_ticks, "boot_id": me.boot_id, "host": me.host}
    write_status(directory, replace(read_status(directory), state="running", findings=findings, **facts))


def test_show_names_the_cause_with_its_seeds_and_the_command_that_says_more(workspace: Workspace) -> None:
    done = dreamerlab(workspace.path, "show", "R1")
    assert done.returncode == 0, done.stderr
    run = next(workspace.runs.glob("R0001-*")).name
    block = done.stdout[done.stdout.index("findings, ") :].split("\n\n")[0].splitlines()
    assert block == [
        f"findings, of which dreamerlab diagnose {run} shows evidence and what to try",
        "  CRITICAL: The entropy bonus outweighs the advantages: the policy is paid for being random "
        "(entropy-scale-too-high, in 3 of 3 seeds)",
    ]
    assert "findings" not in dreamerlab(workspace.path, "show", "R2").stdout


def test_show_says_the_same_as_json_and_as_diagnose(workspace: Workspace) -> None:
    (one,) = data(inside(workspace.path, "show", "R1", "--json"))["findings"]
    assert one["rule"] == "entropy-scale-too-high"
    assert one["seeds"] == [0, 1, 2]
    assert one["seeds_judged"] == 3
    assert one["while_training"] is False
    assert data(inside(workspace.path, "show", "R2", "--json"))["findings"] == []


def test_a_seed_that_trains_is_believed_and_not_read(workspace: Workspace) -> None:
    trains(workspace, "R0001", 1, SAID)
    trains(workspace, "R0001", 2)
    done = inside(workspace.path, "show", "R1")
    assert "(pinned-at-ceiling, in 1 of 2 seeds, while it trains)" in done.stdout
    assert "(entropy-scale-too-high, in 1 of 3 seeds)" in done.stdout
    assert done.stdout.index("entropy-scale-too-high") < done.stdout.index("pinned-at-ceiling")


def test_lines_of_several_seeds_are_put_together_and_a_strange_one_is_shown_as_it_is() -> None:
    critical, strange = roots_said({3: [SAID, "something new"], 5: [SAID]})
    assert (critical.key, list(critical.seeds), critical.judged) == ("pinned-at-ceiling", [3, 5], 2)
    assert strange.symptom == "something new"


def test_long_metric_files_are_left_to_the_committed_curves(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = workspace.run(next(workspace.runs.glob("R0001-*")).name)
    whole = findings_of(run, (0, 1, 2), {})
    assert not whole.remarks
    monkeypatch.setattr(run_findings, "MOST_BYTES", 10)
    unread = findings_of(run, (0, 1, 2), {})
    assert not unread.roots, "a symptom alone would be taken for the cause"
    assert unread.remarks == [f"seeds 0-2 not looked at, so long are the records: dreamerlab diagnose {run.id}"]
    assert f"findings\n  {unread.remarks[0]}" in inside(workspace.path, "show", "R1").stdout
    for trial in run.trials():
        write_curves(trial)
    lean = findings_of(run, (0, 1, 2), {})
    assert lean.remarks == ["read from the committed curves in seeds 0-2"]
    assert [one.key for one in lean.roots] == [one.key for one in whole.roots]


def test_what_cannot_be_read_is_no_error(workspace: Workspace) -> None:
    run = workspace.run(next(workspace.runs.glob("R0001-*")).name)
    trial = run.trial(0)
    for path in (trial.metrics_path(1), trial.evals_path):
        path.unlink()
    trial.curves_path.write_bytes(b'{"metric": "wm/loss", "values": 3}\n')
    write_status(trial, Status("finished", 0))
    assert "seed 0 cannot be read" in findings_of(run, (0, 1, 2), {}).remarks
    assert "entropy-scale-too-high, in 2 of 2 seeds" in inside(workspace.path, "show", "R1").stdout
