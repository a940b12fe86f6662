"""The queue: hypotheses and ideas in one order, a file of experiments loaded whole or not at all, one taker each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.queue import Item, _ranks
from dreamerlab.lab.queue_files import read_items
from dreamerlab.protocol import state
from dreamerlab.protocol.entries import entries
from dreamerlab.protocol.registry import HYPOTHESIS
from dreamerlab.runs.store import Workspace
from tests.lab.hypotheses import happened, noted, propose
from tests.lab.workspaces import data, git, inside, light_workspace

SHIPPED = Path(__file__).parent.parent.parent / "dreamerlab/protocol/queue_examples.yaml"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """Two hypotheses and two ideas, in this order: H1 E1 H2 E2."""
    made = [
        propose(workspace, queued=True, name="first"),
        noted(workspace, "idea", "pixels"),
        propose(workspace, queued=True),
        noted(workspace, "idea", "sweep"),
    ]
    for rank, item in enumerate(made):
        happened(workspace, item, state.MOVED, rank=rank)
    return workspace


def order(workspace: Workspace) -> str:
    return " ".join(item["id"][0] + item["id"][4] for item in data(inside(workspace.path, "queue", "--json")))


def phases(workspace: Workspace) -> list[str]:
    return [one.phase for one in state.hypotheses(registry_of(workspace))]


def test_an_empty_queue_says_how_to_fill_it(workspace: Workspace) -> None:
    done = inside(workspace.path, "queue")
    assert (done.returncode, done.stdout) == (0, "")
    assert "--queue" in done.stderr
    done = inside(workspace.path, "queue", "next")
    assert done.returncode == 4
    assert "queue load examples" in done.stderr


def test_items_stand_in_one_order_with_what_they_say_and_need(filled: Workspace) -> None:
    """M-PROT-12: each item is a change with its expectation, or an idea that says why it cannot be run."""
    assert order(filled) == "H1 E1 H2 E2"
    lines = inside(filled.path, "queue", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert lines[0].endswith("(first)  change optimizer.lr_actor=2e-5 -> expect eval/return to rise by 20")
    assert lines[1].endswith("  idea: pixels")
    propose(filled)
    assert order(filled) == "H1 E1 H2 E2", "an open hypothesis waits no longer"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["E2"], "E2 H1 E1 H2"),
        (["4", "--first"], "E2 H1 E1 H2"),
        (["first", "--last"], "E1 H2 E2 H1"),
        (["H2", "--before", "E1"], "H1 H2 E1 E2"),
        (["1", "--after", "2"], "E1 H1 H2 E2"),
        (["H1", "--first"], "H1 E1 H2 E2"),
        (["E2", "--after", "H2"], "H1 E1 H2 E2"),
    ],
)
def test_an_item_is_moved(filled: Workspace, words: list[str], expected: str) -> None:
    assert inside(filled.path, "queue", "move", *words).returncode == 0
    assert order(filled) == expected


@given(moves=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=120))
def test_any_number_of_moves_gives_the_order_that_was_asked_for(moves: list[tuple[int, int]]) -> None:
    ranks = dict.fromkeys("abcd", 1.7e9)  # all written in the same second
    model = list("abcd")
    for source, place in moves:
        name = model.pop(source)
        model.insert(place, name)
        items = [Item(one, True, "", None, None, None, ranks[one]) for one in ranks]
        others = sorted((item for item in items if item.id != name), key=lambda item: (item.rank, item.id))
        ranks |= _ranks(others, items["abcd".index(name)], place)
        assert sorted(ranks, key=lambda one: (ranks[one], one)) == model


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["move", "9"], 4, "the queue has 4 items, no number 9"),
        (["move", "H7"], 4, "nothing called 'H7' waits"),
        (["move", "fist"], 4, "did you mean 'first'"),
        (["move", "H1", "--first", "--last"], 2, "one place at a time"),
        (["move", "H1", "--before", "H1"], 2, "cannot stand beside itself"),
        (["move", "H1", "--before", "E1", "--last"], 2, "one place at a time"),
        (["drop", "H1"], 2, "needs a reason"),
        (["drop", "E1"], 2, "needs a reason, or the hypothesis it became"),
        (["drop", "E1", "--became", "H9"], 4, "no hypothesis is called 'H9'"),
        (["drop", "H1", "--became", "H2"], 2, "is a hypothesis already"),
        (["nxt"], 2, "did you mean 'next'"),
    ],
)
def test_what_cannot_be_done_is_answered(filled: Workspace, words: list[str], code: int, message: str) -> None:
    done = inside(filled.path, "queue", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert order(filled) == "H1 E1 H2 E2"


def test_dropping_keeps_the_reason_and_filing_names_what_an_idea_became(filled: Workspace) -> None:
    assert inside(filled.path, "queue", "drop", "H1", "--why", "too slow").returncode == 0
    assert inside(filled.path, "queue", "drop", "E1", "--became", "H2").returncode == 0
    assert inside(filled.path, "queue", "drop", "2", "--why", "no sweeps here").returncode == 0
    assert order(filled) == "H2"
    first, second = state.hypotheses(registry_of(filled))
    assert (first.phase, first.withdrawn) == (state.DONE_WITHDRAWN, "too slow")
    pixels, sweep = entries(registry_of(filled))
    assert (pixels.filed, sweep.dropped) == (second.id, "no sweeps here")


def test_next_takes_the_first_that_can_be_run_and_ideas_are_left(filled: Workspace) -> None:
    inside(filled.path, "queue", "move", "E1", "--first")
    taken = data(inside(filled.path, "queue", "next", "--json"))
    assert taken["id"][:5] == "H0001"
    assert phases(filled) == [state.OPEN, state.QUEUED]
    done = inside(filled.path, "queue", "next")
    assert done.stdout.startswith("H0002-")
    assert "next: dreamerlab run H0002-" in done.stderr
    done = inside(filled.path, "queue", "next")
    assert done.returncode == 4
    assert "2 ideas wait, and none of them can be run as it stands" in done.stderr


def test_two_that_take_at_the_same_moment_get_two_different_ones(filled: Workspace) -> None:
    command = [sys.executable, "-m", "dreamerlab", "queue", "next", "--json"]
    both = [subprocess.Popen(command, cwd=filled.path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    taken = {yaml.safe_load(process.communicate()[0])["id"][:5] for process in both}
    assert taken == {"H0001", "H0002"}
    for record in registry_of(filled).all(HYPOTHESIS):
        assert [event.event for event in record.events].count(state.OPENED) == 1


def test_the_examples_that_are_shipped_can_be_loaded(workspace: Workspace) -> None:
    """M-Q-01 M-Q-02 M-Q-03 M-Q-04 M-Q-05 M-Q-06 M-Q-07 M-Q-08 M-Q-09 M-Q-10: what runs today, and what others need."""
    git(workspace.path, "init", "--quiet")
    loaded = data(inside(workspace.path, "queue", "load", "examples", "--json"))
    items = data(inside(workspace.path, "queue", "--json"))
    assert [item["source"] for item in items] == [f"M-Q-{number:02d}" for number in range(1, 11)]
    assert [item["id"] for item in items if item["runnable"]] == loaded["hypotheses"]
    assert [item["id"] for item in items if not item["runnable"]] == loaded["ideas"]
    assert {item["source"] for item in items if item["runnable"]} == {
        f"M-Q-{number:02d}" for number in (1, 2, 3, 4, 5, 6, 7, 9)
    }
    assert all(item["needs"] for item in items if not item["runnable"])
    kinds = {one.proposal.name: one.proposal.kind for one in state.hypotheses(registry_of(workspace))}
    assert sorted(kinds.values()) == ["bundle", "code", *["config"] * 6]
    assert git(workspace.path, "log", "--format=%s").splitlines() == ["Queue 10 experiments from the examples"]
    again = data(inside(workspace.path, "queue", "load", "examples", "--json"))
    assert (again["hypotheses"], again["ideas"], len(again["present"])) == ([], [], 10)
    inside(workspace.path, "queue", "drop", "2", "--why", "not now")
    assert "eight-to-one" in data(inside(workspace.path, "queue", "load", "examples", "--json"))["present"]


def test_the_hockey_experiments_that_are_shipped_can_be_loaded(workspace: Workspace) -> None:
    loaded = data(inside(workspace.path, "queue", "load", "hockey", "--json"))
    assert len(loaded["hypotheses"]) == 2
    assert loaded["ideas"] == []
    first, second = (one.proposal for one in state.hypotheses(registry_of(workspace)))
    assert (first.changes[0].key, second.changes[0].key) == ("replay.event_share", "behavior.horizon")
    assert {first.base.env, second.base.env} == {"hockey"}


@pytest.mark.slow
def test_the_disputes_that_are_shipped_can_be_loaded(workspace: Workspace) -> None:
    loaded = data(inside(workspace.path, "queue", "load", "disputes", "--json"))
    made = [one.proposal for one in state.hypotheses(registry_of(workspace))]
    assert len(made) == len(loaded["hypotheses"]) == 12
    assert len({(*(change.key for change in one.changes), one.reading) for one in made}) == 12
    assert {one.kind for one in made} == {"config"}
    assert sum(one.family != one.baseline_family for one in made) == 2, "M-GATE-01: bins are architecture"


def test_the_examples_are_plain_yaml_and_so_is_a_file_of_ones_own(workspace: Workspace) -> None:
    parsed: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    assert [item.name for item in read_items("examples")[1]] == list(parsed)
    own = workspace.path / "mine.yaml"
    own.write_text(
        'wide: {sentence: "change train.batch_size=64 -> expect eval/return >= 200", env: cartpole, seeds: [5, 6, 7]}\n'
        "later: {idea: try pixels}\n"
    )
    loaded = data(inside(workspace.path, "queue", "load", "mine.yaml", "--json"))
    (made,) = state.hypotheses(registry_of(workspace))
    assert (made.id, made.proposal.name, made.proposal.plan.seeds) == (loaded["hypotheses"][0], "wide", (5, 6, 7))
    assert made.phase == state.QUEUED
    assert made.proposal.forecast["gates"]["allowed"] in (True, False)


GOOD = 'good: {sentence: "change train.batch_size=64 -> expect eval/return >= 200", env: cartpole}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {sentence: x, idea: y}", "line 2, a has both a sentence and an idea"),
        ("a: {why: x}", "line 2, a has neither a sentence nor an idea"),
        ("a: {idea: x, seeds: 3}", "'seeds' says nothing here"),
        ("a: {sentence: x, sedes: 3}", "'sedes' says nothing here (did you mean 'seeds'?)"),
        ("a: {idea: ''}", "line 2: idea is empty"),
        ("a: {sentence: make it better, env: cartpole}", "line 2, a: the sentence cannot be read"),
        ('a: {sentence: "change lr=1 -> expect eval/return >= 2", env: cartpole}', "line 2, a: "),
        ('a: {sentence: "nothing -> expect eval/return >= 2", env: nowhere}', "line 2, a: "),
        ("a: {sentence: x, new-family: maybe}", "neither true nor false"),
        ("word", "mine.yaml: line 3"),
        ("good: {idea: twice}", "line 2"),
        ("a: &x {idea: y}", "line 2"),
    ],
)
def test_a_file_with_one_fault_is_refused_whole_with_its_line(workspace: Workspace, text: str, message: str) -> None:
    (workspace.path / "mine.yaml").write_text(f"{GOOD}{text}\n")
    done = inside(workspace.path, "queue", "load", "mine.yaml")
    assert (done.returncode, done.stdout) in ((2, ""), (4, ""), (3, ""))
    assert message in done.stderr
    assert order(workspace) == ""


def test_a_file_that_is_not_there_is_named(workspace: Workspace) -> None:
    done = inside(workspace.path, "queue", "load", "nowhere.yaml")
    assert done.returncode == 4
    assert done.stderr.startswith("error: there is no file nowhere.yaml\n")
    assert "NAME: {sentence:" in done.stderr
    assert "queue load examples" not in done.stderr, "that would queue them"
    near = inside(workspace.path, "queue", "load", "exampels")
    assert "did you mean 'examples'?" in near.stderr
    (workspace.path / "empty.yaml").write_text("# nothing\n")
    assert "empty.yaml holds no items" in inside(workspace.path, "queue", "load", "empty.yaml").stderr
