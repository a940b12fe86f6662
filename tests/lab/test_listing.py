"""`list` and the words that stand for records."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dreamerlab.errors import Conflict, LabError, NotFound
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.listing import select, shortened
from dreamerlab.lab.lookup import find_record
from dreamerlab.protocol import state
from dreamerlab.protocol.hypothesis import Base
from dreamerlab.runs.store import Workspace
from tests.lab.hypotheses import an_event, happened, launched, noted, propose
from tests.lab.workspaces import data, inside, light_workspace
from tests.runs.records import make_run

FIGURES = {"treatment": {"mean": 120.0}, "difference": 20.0, "low": 5.0, "high": 35.0}
VERDICT = {"outcome": "REFUTED", "label": "too small", "qualifiers": ["bundle", "dirty"], "figures": FIGURES}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return light_workspace(tmp_path / "lab")


def rows(workspace: Workspace, *words: str) -> list[list[str]]:
    """The lines of the listing, each split at the gaps between columns."""
    lines = inside(workspace.path, "list", *words).stdout.splitlines()
    return [[cell for cell in line.split("  ") if cell] for line in lines]


def test_hypotheses_stand_above_runs_newest_first_with_where_they_stand(workspace: Workspace) -> None:
    judged = launched(workspace, "R0001-abc", None, kind="bundle", name="both")
    happened(workspace, judged, state.JUDGED, **VERDICT)
    happened(workspace, judged, state.ADOPTED, family="f", run="R0001-abc", why="it holds")
    waiting = propose(workspace, queued=True)
    given_up = propose(workspace)
    happened(workspace, given_up, state.WITHDRAWN, why="asked already")
    run = make_run(workspace, hypothesis=judged)
    lines = inside(workspace.path, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines if line] == ["hypothesis", given_up, waiting, judged, "run", run.id]
    assert "withdrawn" in lines[1]
    assert "waits in the queue" in lines[2]
    assert "both  bundle  cartpole" in lines[3]
    assert "REFUTED (too small), bundle, dirty, adopted  +20.0 [+5.00, +35.0]" in lines[3]
    assert lines[1].endswith("optimizer.lr_actor 4e-5 -> 2e-5  eval/return_mode rises by at least 20")
    assert judged in lines[-1]


def test_one_kind_or_one_environment_can_be_asked_for(workspace: Workspace) -> None:
    first, other = propose(workspace), propose(workspace, base=Base("acrobot"))
    run = make_run(workspace, env="acrobot")
    assert data(inside(workspace.path, "list", "--runs", "--json")).keys() == {"runs"}
    assert data(inside(workspace.path, "list", "--hypotheses", "--json")).keys() == {"hypotheses"}
    found = data(inside(workspace.path, "list", "--env", "acrobot", "--json"))
    assert [row["hypothesis"] for row in found["hypotheses"]] == [other]
    assert [row["run"] for row in found["runs"]] == [run.id]
    found = data(inside(workspace.path, "list", "--hypotheses", "--runs", "--json"))
    assert [row["hypothesis"] for row in found["hypotheses"]] == [other, first]
    assert found["hypotheses"][1]["reading"].startswith("change optimizer.lr_actor from")


def test_older_ones_are_counted_and_not_read(workspace: Workspace) -> None:
    for _ in range(32):
        propose(workspace)
    make_run(workspace)
    listing = select(workspace, env=None)
    assert (len(listing.hypotheses or ()), listing.older_hypotheses, listing.older_runs) == (30, 2, 0)
    assert select(workspace, env="cartpole").older_hypotheses == 2
    assert inside(workspace.path, "list").stderr == "2 older hypotheses are not shown; --all shows them\n"
    assert len(rows(workspace, "--all", "--hypotheses")) == 33


def test_an_empty_workspace_says_what_comes_first(workspace: Workspace) -> None:
    done = inside(workspace.path, "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no hypothesis yet: dreamerlab propose --help" in done.stderr
    assert "no run yet: dreamerlab run --baseline --env cartpole --experiment nano --seeds 3" in done.stderr
    assert data(inside(workspace.path, "list", "--json")) == {"hypotheses": [], "runs": []}


def test_where_something_is_proposed_and_nothing_has_run_the_next_step_is_its_run(workspace: Workspace) -> None:
    propose(workspace)
    for words in (("list",), ("show",)):
        assert "dreamerlab run H1\n" in inside(workspace.path, *words).stderr


def test_a_hypothesis_that_was_replaced_as_champion_no_longer_reads_as_one(workspace: Workspace) -> None:
    for day in ("03", "04"):
        made = launched(workspace, make_run(workspace).id, None)
        happened(workspace, made, state.JUDGED, outcome="SUPPORTED", qualifiers=[], reasons=[], figures={})
        registry_of(workspace).append(made, an_event(state.ADOPTED, {"run": "R1"}, f"2026-01-{day}T03:04:05+00:00"))
    listed = inside(workspace.path, "list", "--hypotheses").stdout.splitlines()
    assert [("adopted" in line, "adopted once" in line) for line in listed[1:]] == [(True, False), (True, True)]


def test_what_was_launched_and_has_no_verdict_is_not_said_to_run(workspace: Workspace) -> None:
    """Whether its trials are at work is theirs to say."""
    launched(workspace, make_run(workspace).id, None)
    assert "launched, not complete" in inside(workspace.path, "list", "--hypotheses").stdout


def test_a_damaged_record_is_a_row_that_says_so(workspace: Workspace) -> None:
    altered, cut = propose(workspace), propose(workspace)
    happened(workspace, altered, state.WITHDRAWN, why="asked already")
    path = registry_of(workspace).path(altered)
    path.write_text(path.read_text().replace("asked already", "never asked at all"))
    registry_of(workspace).path(cut).write_text("{}\n")
    lines = inside(workspace.path, "list").stdout.splitlines()
    assert "unreadable" in lines[1]
    assert "RECORD DAMAGED" in lines[2]
    found = data(inside(workspace.path, "list", "--hypotheses", "--json"))["hypotheses"]
    assert found[0]["fault"]
    assert found[1]["faults"]


def test_a_long_reading_is_cut_on_one_line() -> None:
    assert shortened("a\nb") == "a b"
    assert len(shortened("word " * 40)) <= 52
    assert shortened("word " * 40).endswith("...")


def test_a_word_stands_for_one_record(workspace: Workspace) -> None:
    run = make_run(workspace, name="slow")
    hypothesis = launched(workspace, run.id, None, name="slow")
    entry = noted(workspace, "observation", "it learns late", hypothesis)
    meant = {"H1": hypothesis, hypothesis: hypothesis, "slow": hypothesis, "R1": run.id, "e1": entry}
    assert {text: find_record(workspace, text) for text in meant} == meant
    make_run(workspace, name="fast")
    propose(workspace, name="fast")
    with pytest.raises(Conflict, match=r"'fast' is the name of H0002-\w+ and of R0002-"):
        find_record(workspace, "fast")
    with pytest.raises(NotFound, match=r"no hypothesis and no run is called 'slov' \(did you mean 'slow'"):
        find_record(workspace, "slov")
    for text in ("H9", "R9", "E9", "../x"):
        with pytest.raises(LabError):
            find_record(workspace, text)
