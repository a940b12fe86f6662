"""`lint` of what is computed and generated: stored verdicts, LOG.md and pages must be what the records give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.log import write_log
from dreamerlab.protocol import state
from dreamerlab.runs.scores import write_scores
from tests.lab.hypotheses import happened, noted
from tests.lab.told import Told, forge, multiply, tell
from tests.lab.workspaces import git, inside
from tests.runs.records import make_run


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("told") / "lab")


@pytest.fixture
def told(original: Told, tmp_path: Path) -> Told:
    return original.copy(tmp_path / "lab")


def findings(told: Told, rule: str) -> list[dict[str, Any]]:
    found = json.loads(inside(told.workspace.path, "lint", "--json").stdout)["findings"]
    return [one for one in found if one["rule"] == rule]


# Verdicts


def test_a_verdict_that_the_rule_does_not_give_is_named_with_both(told: Told) -> None:
    forge(told.record, 6, outcome="REFUTED", label="reversed", qualifiers=["strong"])
    (found,) = findings(told, "verdict")
    assert (found["file"], found["line"]) == (f"protocol/registry/{told.record.name}", 6)
    assert found["message"].startswith("the stored verdict is REFUTED (reversed), strong; the records give SUPPORTED")


def test_a_figure_of_a_verdict_that_was_improved_is_named(told: Told) -> None:
    figures = json.loads(told.record.read_text().splitlines()[5])["data"]["figures"]
    forge(told.record, 6, figures={**figures, "low": 45.5})
    (found,) = findings(told, "verdict")
    assert found["message"] == "figures low is stored as 45.5; the records give 27.3"


def test_a_verdict_explained_in_other_words_is_the_same_verdict(told: Told) -> None:
    forge(told.record, 6, reasons=["As an earlier release put it."])
    assert findings(told, "verdict") == []


def test_evaluations_edited_after_the_verdict_give_themselves_away(told: Told) -> None:
    path = told.treatment.trial(0).evals_path
    path.write_text(path.read_text().replace('return_mode": 150', 'return_mode": 90'))
    (found,) = findings(told, "verdict")
    assert found["message"].startswith("the stored verdict is SUPPORTED, strong")
    assert f"git log -p -- runs/{told.treatment.id}" in found["hint"]


def test_a_verdict_of_older_rules_is_not_checked_and_no_finding(told: Told) -> None:
    forge(told.record, 6, rule=0)
    assert findings(told, "verdict") == []
    data = json.loads(inside(told.workspace.path, "lint", "--json").stdout)
    assert any(line.startswith(f"the verdict of {told.hypothesis}: version 0") for line in data["not_checked"])


def test_what_has_ended_and_waits_for_its_verdict_is_a_note(told: Told) -> None:
    lines = told.record.read_text().splitlines(keepends=True)
    told.record.write_text("".join(lines[:-1]))
    data = json.loads(inside(told.workspace.path, "lint", "--json").stdout)
    assert data["notes"] == [f"{told.hypothesis} has ended and is not judged yet: dreamerlab doctor --fix"]


# Pages


def test_a_hand_edit_of_the_log_is_found_with_its_line(told: Told) -> None:
    path = told.workspace.protocol / "LOG.md"
    lines = path.read_text().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if "SUPPORTED" in line)
    lines[number] = lines[number].replace("SUPPORTED", "REFUTED")
    path.write_text("".join(lines))
    (found,) = findings(told, "page")
    assert (found["file"], found["line"]) == ("protocol/LOG.md", number + 1)
    assert "the records give: " in found["message"]
    assert "dreamerlab log" in found["hint"]


def test_pages_that_are_missing_foreign_or_out_of_date_are_found_and_rendering_mends_them(told: Told) -> None:
    pages = told.workspace.protocol / "hypotheses"
    (pages / f"{told.hypothesis}.md").unlink()
    (pages / "H0077-abc.md").write_text("a page of nothing\n")
    happened(told.workspace, told.hypothesis, state.ADOPTED, family="f", run=told.treatment.id, why="the best")
    found = {Path(one["file"]).name: one["message"] for one in findings(told, "page")}
    assert found.pop("H0077-abc.md") == "no record gives this page"
    assert found.pop(f"{told.hypothesis}.md") == "it was never rendered, or removed"
    assert set(found) == {"LOG.md"}
    write_log(told.workspace)
    assert [Path(one["file"]).name for one in findings(told, "page")] == ["H0077-abc.md"]


def test_marks_of_a_merge_are_called_by_their_name(told: Told) -> None:
    path = told.workspace.protocol / "LOG.md"
    path.write_text("<<<<<<< HEAD\n" + path.read_text())
    assert [one["message"] for one in findings(told, "page")] == ["a merge left its marks in it"]


def test_the_file_of_all_scores_is_compared_by_value(told: Told) -> None:
    write_scores(told.workspace)
    path = told.workspace.scores_path
    lines = path.read_text().splitlines()
    swapped = [lines[0], lines[2].lstrip(","), f",{lines[1]}", lines[3]]
    path.write_text("\n".join(swapped) + "\n")
    assert findings(told, "page") == []
    path.write_text(path.read_text().replace("160.0", "190.0"))
    (found,) = findings(told, "page")
    assert found["message"] == f"what it says of {told.treatment.id} is not what the trials' summaries give"
    path.write_text("{")
    assert [one["message"][:17] for one in findings(told, "page")] == ["it cannot be read"]


def test_a_run_that_has_not_ended_need_not_be_among_the_scores_yet(told: Told) -> None:
    write_scores(told.workspace)
    run = make_run(told.workspace)
    noted(told.workspace, "observation", "begun and interrupted", run.id)
    write_log(told.workspace)
    assert findings(told, "page") == []
    ended = told.workspace.scores_path
    ended.write_text("{}\n")
    assert len(findings(told, "page")) == 2, "what has ended must be there"


def test_two_branches_that_wrote_the_log_are_rendered_again_after_the_merge(told: Told) -> None:
    folder = told.workspace.path
    git(folder, "checkout", "-q", "-b", "side")
    noted(told.workspace, "observation", "seen on the side", told.hypothesis)
    told.commit("side")
    git(folder, "checkout", "-q", "main")
    noted(told.workspace, "observation", "seen on the main line", told.hypothesis)
    told.commit("main")
    git(folder, "-c", "merge.conflictStyle=merge", "merge", "-q", "-X", "ours", "--no-edit", "side")
    write_log(told.workspace)
    done = inside(folder, "lint")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    assert done.stderr == "nothing found: 4 records, 2 runs checked\n"


def test_many_honest_hypotheses_are_as_good_as_one_and_many_findings_stay_readable(told: Told) -> None:
    multiply(told, 21)
    done = inside(told.workspace.path, "lint")
    assert (done.returncode, done.stderr) == (0, "nothing found: 23 records, 23 runs checked\n"), done.stdout
    for path in (told.workspace.protocol / "hypotheses").glob("*.md"):
        path.unlink()
    done = inside(told.workspace.path, "lint")
    assert done.returncode == 6
    assert len(done.stdout.splitlines()) == 1 + 2 * 20 + 1
    assert done.stdout.splitlines()[-1].strip() == "page  and 2 more; all of them: dreamerlab lint --json"
    assert len(findings(told, "page")) == 22
