"""`export`: tables for other programs, and citations that their formats accept."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
import yaml

from dreamerlab.lab.export import bibtex, cff, export
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import inside, light_workspace
from tests.report.notebooks import Notebook, a_run, rising

SENTENCE = "change optimizer.lr_actor=1e-4 -> expect eval/return to rise by 50"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One judged hypothesis against a baseline run, and an open one."""
    workspace = light_workspace(tmp_path_factory.mktemp("export") / "lab")
    book = Notebook(workspace)
    base = a_run(workspace, "base", rising(210, seeds=3))
    first = book.propose(SENTENCE, seeds=(0, 1, 2))
    run = a_run(workspace, "first", rising(300, seeds=3, seed=2), kind="treatment", hypothesis=first)
    book.launch(first, run, base)
    book.finish(first, run)
    book.judge(first, run, base)
    book.propose("50 % & $more$ {x} ~ ^ \\ #1")
    return workspace


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_scores_have_a_row_for_every_run_and_seed(lab: Workspace) -> None:
    found = rows(export(lab).to_csv("scores"))
    assert [(row["run"][:5], row["seed"], row["state"]) for row in found] == [
        (run, seed, "finished") for run in ("R0001", "R0002") for seed in "012"
    ]
    assert all(float(row["score"]) > 0 and row["commit"] == "cd" * 20 for row in found)


def test_one_hypothesis_brings_its_own_runs_only(lab: Workspace) -> None:
    a_run(lab, "unrelated", rising(100, seeds=3))
    done = inside(lab.path, "export", "H1", "--json")
    tables = json.loads(done.stdout)
    assert [len(tables[name]) for name in ("hypotheses", "runs", "scores")] == [1, 2, 6]
    assert tables["hypotheses"][0]["sentence"] == SENTENCE
    assert tables["hypotheses"][0]["outcome"] == "SUPPORTED"


def test_bibtex_escapes_what_tex_acts_on_and_balances_its_braces(lab: Workspace) -> None:
    text = bibtex(lab)
    first, second = text.split("\n\n")
    assert first.startswith("@misc{H0001-")
    assert "author = {Ada}" in first
    assert "Verdict: SUPPORTED" in first
    assert "Proposed in commit c0ffeec0ffee. Trained on commit cdcdcdcdcdcd." in first
    assert r"50 \% \& \$more\$ \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \#1" in second
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")


def test_a_citation_file_has_what_the_format_requires(lab: Workspace) -> None:
    hypothesis = json.loads(inside(lab.path, "export", "H1", "--json").stdout)["hypotheses"][0]["hypothesis"]
    found = yaml.safe_load(cff(lab, hypothesis))
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
    assert found["cff-version"] == "1.2.0"
    assert found["authors"] == [{"name": "Ada"}]
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", found["date-released"])
    assert found["commit"] == "cd" * 20
    assert "SUPPORTED" in found["abstract"]


def test_a_file_is_written_whole_and_bad_requests_are_answered(lab: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    assert inside(lab.path, "export", "--csv", "-o", str(out)).returncode == 0
    assert rows(out.read_text())
    for words, code, said in (
        ([], 2, "say in which form"),
        (["--csv", "--json"], 2, "say in which form"),
        (["--cff"], 2, "cites one hypothesis"),
        (["R1", "--bibtex"], 2, "is no hypothesis"),
        (["H99", "--csv"], 4, "H99"),
        (["--csv", "-o", str(tmp_path)], 2, "is a folder"),
    ):
        done = inside(lab.path, "export", *words)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    empty = light_workspace(tmp_path / "empty")
    assert inside(empty.path, "export", "--bibtex").returncode == 4
    assert json.loads(inside(empty.path, "export", "--json").stdout) == {"hypotheses": [], "runs": [], "scores": []}
