"""`note`: every kind and field that people's logs hold, checked before anything is written, and kept as it was said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.cli.app import build
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.notes import Note, write_note
from dreamerlab.protocol.entries import FIELDS, KINDS, STATUSES, entries
from dreamerlab.runs.store import Workspace
from tests.lab.hypotheses import propose
from tests.lab.workspaces import data, git, inside, light_workspace
from tests.runs.records import make_run


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return light_workspace(tmp_path / "lab")


def note(workspace: Workspace, *words: str) -> dict[str, Any]:
    return data(inside(workspace.path, "note", "--json", *words))


def test_a_note_says_what_it_is_about_and_who_wrote_it_when(workspace: Workspace) -> None:
    hypothesis, run = propose(workspace, name="first"), make_run(workspace, name="other").id
    made = note(workspace, "H1", "R1", "first", "other", "it collapsed at 17k", "--kind", "cause")
    assert made["about"] == [hypothesis, run]
    assert (made["kind"], made["text"], made["fields"]) == ("cause", "it collapsed at 17k", {})
    again = note(workspace, made["id"], "an answer")
    assert (again["id"][:5], again["about"], again["kind"]) == ("E0002", [made["id"]], "observation")
    (entry, _) = entries(registry_of(workspace))
    assert (entry.time, entry.author) == (made["time"], made["author"])
    done = inside(workspace.path, "note", "E1", "words", "--kind", "bug")
    assert done.stdout.endswith(f"  bug about {made['id']}\n")


def test_every_kind_of_entry_can_be_written(workspace: Workspace) -> None:
    """Kinds that logs were found to hold (M-PROT-08), a caution that stays one (M-PROT-11), trade-offs (M-PROT-18)."""
    needed = {"profiling", "implementation", "bug", "fix", "sweep", "analysis", "audit", "failure", "continuation"}
    needed |= {"observation", "cause", "decision", "conclusion", "pilot", "idea", "caution", "tradeoff"}
    assert needed == set(KINDS)
    written = [write_note(workspace, Note(f"about {kind}", kind=kind), pytest.fail).kind for kind in KINDS]
    assert written == list(KINDS) == [entry.kind for entry in entries(registry_of(workspace))]


def test_every_field_of_a_log_entry_has_its_option_and_is_kept(workspace: Workspace) -> None:
    """M-PROT-06; where it was started from (M-PROT-13) and what it is held against, at which steps (M-PROT-14)."""
    said = {name: f"words for {name}" for name in FIELDS} | {"status": "open", "dated": "2025-12-31"}
    options = {option for parameter in build().commands["note"].params for option in parameter.opts}
    assert {f"--{name}" for name in FIELDS} <= options
    made = note(workspace, "the text", *(word for name, text in said.items() for word in (f"--{name}", text)))
    assert made["fields"] == said
    (entry,) = entries(registry_of(workspace))
    assert entry.fields == said


def test_a_field_alone_is_a_note_of_its_kind(workspace: Workspace) -> None:
    propose(workspace)
    made = note(workspace, "H1", "--conclusion", "too small to matter")
    assert (made["kind"], made["text"], made["about"][0][:5]) == ("conclusion", "", "H0001")
    assert note(workspace, "--next", "try 5 seeds", "--status", "waiting")["kind"] == "observation"


def test_where_a_matter_stands_is_never_a_verdict(workspace: Workspace) -> None:
    """M-PROT-09: unfinished has words of its own, none of them reads as a result; what is put away can be reopened."""
    assert not {"supported", "refuted", "inconclusive"} & set(STATUSES)
    assert {"waiting", "incomplete", "killed", "no-results", "archived", "reopened"} <= set(STATUSES)
    for status in STATUSES:
        assert write_note(workspace, Note("x", fields={"status": status}), pytest.fail).fields == {"status": status}
    done = inside(workspace.path, "note", "x", "--status", "Partly supported")
    assert done.returncode == 2
    assert "verdicts are computed, never typed" in done.stderr


REFUSED: dict[str, tuple[list[str], int, str, str]] = {
    "no words": ([], 2, "a note needs words", 'dreamerlab note H7 "what you saw"'),
    "an id alone": (["H1"], 2, "'H1' names a record, and the note has no words", 'dreamerlab note H1 "what you saw"'),
    "blank": (["  "], 2, "a note needs words", 'dreamerlab note H7 "what you saw"'),
    "no quotes": (["H1", "it", "fell"], 4, "is called 'it'", "in quotes"),
    "unknown hypothesis": (["H7", "x"], 4, "no hypothesis is called 'H7'", "dreamerlab list"),
    "unknown run": (["R7", "x"], 4, "no run is called 'R7'", "dreamerlab list"),
    "unknown entry": (["E7", "x"], 4, "no entry is called 'E7'", "dreamerlab log"),
    "a path": (["../x", "x"], 2, "'../x' is not an id", "H7"),
    "unknown kind": (["x", "--kind", "casue"], 2, "did you mean 'cause'", "one of: observation, "),
    "unknown status": (["x", "--status", "kiled"], 2, "did you mean 'killed'", "one of: open, "),
    "no date": (["x", "--dated", "yesterday"], 2, "'yesterday' is no date", "2026-01-31"),
    "too long": (["x" * 20_001], 2, "20001 characters", "--files PATH"),
    "cites nothing": (["see {R7 eval/return}"], 4, "the citation {R7 eval/return}: no run is called 'R7'", "list"),
    "cites no metric": (["see {H1 eval/retrun}"], 4, "did you mean 'eval/return'", "metrics.md"),
    "cites no figure": (["see {H1 luck}"], 2, "of a hypothesis one can cite verdict, difference", "or {H7 verdict}"),
    "no such day": (["x", "--dated", "2026-02-30"], 2, "'2026-02-30' is no date", "2026-01-31"),
    "a day to come": (["x", "--dated", "2999-01-01"], 2, "'2999-01-01' is still to come", "--next"),
    "corrects nothing": (["x", "--corrects", "E9"], 4, "no entry is called 'E9'", "dreamerlab log"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_noted_is_answered_and_leaves_nothing(workspace: Workspace, name: str) -> None:
    propose(workspace)
    words, code, message, hint = REFUSED[name]
    done = inside(workspace.path, "note", *words)
    assert (done.returncode, done.stdout) == (code, "")
    said, _, hinted = done.stderr.partition("\n\nhint: ")
    assert message in said
    assert hint in hinted
    assert list(entries(registry_of(workspace))) == []


@pytest.mark.parametrize(
    ("cited", "said"),
    [
        ("{R1 eval/return}", "it does not say how eval/return becomes one figure, for example final_mean(3)"),
        ("{R1 seed 1 eval/return final_men(3)}", "'final_men(3) of eval/return' is no reducer (did you mean"),
        ("{R1 eval/return at noon}", "'noon' is no env step"),
    ],
)
def test_a_citation_that_no_record_could_ever_fill_is_refused_with_the_form_it_takes(
    workspace: Workspace, cited: str, said: str
) -> None:
    """What the records do not hold yet may be cited: a run that goes on will have its score."""
    make_run(workspace)
    done = inside(workspace.path, "note", f"it was {cited}")
    assert (done.returncode, list(entries(registry_of(workspace)))) == (2, [])
    assert said in done.stderr
    assert "{R12 eval/return final_mean(5)}" in done.stderr
    assert note(workspace, "{R1 score}, {R1 eval/return at 10k}, {R1 seed 1 eval/return auc}, `{R1 eval/return}`")


def test_ids_in_citations_are_written_out_so_that_a_merge_cannot_change_what_is_meant(workspace: Workspace) -> None:
    run, hypothesis = make_run(workspace).id, propose(workspace)
    text = "{R1 eval/return final_mean(3)} beside {h1}, {R1}; {not a citation} {x} {A1}"
    made = note(workspace, text, "--cause", "see {H1 verdict}")
    expected = (
        f"{{{run} eval/return final_mean(3)}} beside {{{hypothesis}}}, {{{run}}}; {{not a citation}} {{x}} {{A1}}"
    )
    assert made["text"] == expected
    assert made["fields"] == {"cause": f"see {{{hypothesis} verdict}}"}


def test_a_correction_keeps_what_it_does_not_say_and_the_words_before(workspace: Workspace) -> None:
    propose(workspace)
    first = note(workspace, "H1", "at 17k", "--kind", "cause", "--tool", "plot", "--next", "look")
    made = note(workspace, "--corrects", "E1", "at 21k", "--next", "")
    assert made["id"] == first["id"]
    assert (made["kind"], made["about"], made["text"]) == ("cause", first["about"], "at 21k")
    assert made["fields"] == {"tool": "plot"}, "an empty field is taken away"
    note(workspace, "E1", "--corrects", "E1", "--kind", "analysis")
    (entry,) = entries(registry_of(workspace))
    assert (entry.kind, entry.text) == ("analysis", "at 21k")
    assert [event.data["text"] for event in entry.earlier] == ["at 17k", "at 21k"]
    assert (entry.time, made["corrected"]) == (first["time"], 1)


def test_a_long_text_comes_from_stdin_byte_for_byte_or_not_at_all(workspace: Workspace) -> None:
    command = [sys.executable, "-m", "dreamerlab", "note", "-", "--json"]
    text = "first line\n\n| a | b |\nnaïve “quotes” 統"
    done = subprocess.run(command, cwd=workspace.path, input=text.encode(), capture_output=True)
    assert json.loads(done.stdout)["text"] == text
    done = subprocess.run(command, cwd=workspace.path, input=b"\xff\xfe", capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: the text is not UTF-8 text")


def test_a_note_is_committed_alone_and_only_where_that_is_wanted(workspace: Workspace) -> None:
    folder = workspace.path
    git(folder, "init", "--quiet")
    (folder / "mine.txt").write_text("staged by the user")
    git(folder, "add", "mine.txt")
    note(workspace, "one")
    assert git(folder, "show", "--name-only", "--format=%s").split("\n")[0][:10] == "Note E0001"
    committed = git(folder, "ls-tree", "-r", "--name-only", "HEAD").split()
    assert "mine.txt" not in committed
    assert next(name for name in committed if name.startswith("protocol/registry/")).endswith(".jsonl")
    note(workspace, "two", "--no-commit")
    assert "E0002" not in git(folder, "ls-tree", "-r", "--name-only", "HEAD")
    workspace.marker.write_text("autocommit: false\n")
    note(workspace, "three")
    assert "E0003" not in git(folder, "ls-tree", "-r", "--name-only", "HEAD")


def test_the_shell_is_offered_kinds_and_statuses() -> None:
    from dreamerlab.cli import noting

    assert noting._kinds("ca") == ["cause", "caution"]
    assert noting._statuses("re") == ["retry", "reopened"]
