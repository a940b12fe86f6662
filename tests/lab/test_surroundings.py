"""Where runs were trained, read back: older records compare, every difference has a row, damage is no traceback."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.surroundings import cautions, differences, of_records, unrecorded
from dreamerlab.report.facts import NOT_RECORDED
from dreamerlab.runs.manifest import Kept
from dreamerlab.runs.store import Workspace
from tests.lab.arms import CODE, MACHINE, flat, make_arm
from tests.lab.workspaces import data, inside, light_workspace
from tests.runs.records import a_manifest

SEEN: dict[str, Any] = {
    "numpy": "2.4.0",
    "cpu": "EPYC",
    "libraries": {"blas": "mkl", "mkl": "2024.2", "mkldnn": "3.12.0"},
    "interop_threads": 1,
    "variables": {"OMP_NUM_THREADS": "1", "LANG": "C"},
    "start": {"load": [0.5, 0.4, 0.3], "other_trainers": 0, "siblings": 1},
    "end": {"load": [0.6, 0.4, 0.3], "other_trainers": 0, "siblings": 1},
}
# What differs in the second run -> (name of its row, section, whether it can change numbers).
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str, bool]]] = {
    "branch": ({}, {"code": replace(CODE, branch="try")}, ("branch", "code", False)),
    "patch": ({}, {"code": replace(CODE, patch_sha256="1" * 64)}, ("patch", "code", False)),
    "numpy": ({"numpy": "2.5.0"}, {}, ("numpy", "software", True)),
    "BLAS": ({"libraries": {"blas": "open"}}, {}, ("BLAS of torch", "software", True)),
    "host": ({}, {"environment": {**MACHINE, "host": "beta"}}, ("host", "machine", False)),
    "threads": ({"interop_threads": 2}, {}, ("interop threads", "threads", False)),
    "set": ({"variables": {**SEEN["variables"], "MKL_CBWR": "AVX2"}}, {}, ("$MKL_CBWR", "variables", True)),
    "harmless": ({"variables": {"OMP_NUM_THREADS": "1", "LANG": "de"}}, {}, ("$LANG", "variables", False)),
    "others": ({"end": {**SEEN["end"], "other_trainers": 4}}, {}, ("other trainers at the end", "load", False)),
    "load": ({"end": {**SEEN["end"], "load": [40.0, 9.0, 1.0]}}, {}, ("load at the end", "load", False)),
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return light_workspace(tmp_path / "lab")


@pytest.mark.parametrize("name", ROWS)
def test_every_difference_of_the_surroundings_is_a_row_of_compare(name: str, workspace: Workspace) -> None:
    attempt, changes, (row, section, bits) = ROWS[name]
    if name == "patch":
        make_arm(workspace, "a", flat(1.0, 2.0, 3.0), attempt=SEEN, code=replace(CODE, patch_sha256="2" * 64))
    else:
        make_arm(workspace, "a", flat(1.0, 2.0, 3.0), attempt=SEEN)
    make_arm(workspace, "b", flat(1.0, 2.0, 4.0), attempt={**SEEN, **attempt}, **changes)
    found = data(inside(workspace.path, "compare", "a", "b", "--json"))
    (fact,) = found["differences"]["code_and_machine"]
    assert (fact["name"], fact["section"], fact["bits"]) == (row, section, bits)
    warned = "the same seed need not give the same training" in "\n".join(found["caveats"])
    assert warned == bits
    page = inside(workspace.path, "compare", "a", "b").stdout
    (line,) = [
        line for line in page.splitlines() if line.strip().startswith((row, f"{section}: {row}")) and "  " in line
    ]
    assert ("yes" in line.split()) == bits


def test_trainers_alive_at_either_end_are_a_caveat_of_show_and_compare(workspace: Workspace) -> None:
    """M-PROT-21: a run beside other trainers is flagged wherever its times are read."""
    busy = {**SEEN, "end": {**SEEN["end"], "other_trainers": 11}}
    run = make_arm(workspace, "a", flat(1.0, 2.0, 3.0), attempt=busy)
    make_arm(workspace, "b", flat(1.0, 2.0, 4.0), attempt=SEEN)
    said = "up to 11 other trainers were alive beside seeds 0-2: times by the clock are not to be believed"
    assert said in inside(workspace.path, "show", "a").stdout
    caveats = "\n".join(data(inside(workspace.path, "compare", "a", "b", "--json"))["caveats"])
    assert f"{run.id}: {said}" in caveats
    assert "taken under different other trainers at the end: not comparable" in caveats
    assert "other trainers" not in "\n".join(data(inside(workspace.path, "show", "b", "--json"))["caveats"])


def test_an_older_record_compares_and_what_it_lacks_is_said_not_guessed(workspace: Workspace) -> None:
    old = make_arm(workspace, "old", flat(1.0, 2.0, 3.0))
    make_arm(workspace, "new", flat(1.0, 2.0, 4.0), attempt=SEEN)
    found = data(inside(workspace.path, "compare", "old", "new", "--json"))
    assert found["differences"]["code_and_machine"] == []
    lacks = found["runs"][0]["not_recorded"]
    assert {"BLAS of torch", "load at the end", "environment variables"} <= set(lacks)
    assert found["runs"][1]["not_recorded"] == []
    page = inside(workspace.path, "compare", "old", "new").stdout
    assert f"{NOT_RECORDED} in {old.id}: " in page
    third = make_arm(workspace, "third", flat(1.0, 2.0, 5.0), attempt={**SEEN, "libraries": {"blas": "open"}})
    found = data(inside(workspace.path, "compare", "old", "new", "third", "--json"))
    (fact,) = found["differences"]["code_and_machine"]
    assert fact["values"] == [NOT_RECORDED, "mkl 2024.2; mkldnn 3.12.0", "open"]
    shown = inside(workspace.path, "show", third.id, "--provenance")
    assert "BLAS of torch *  open" in shown.stdout
    assert NOT_RECORDED in inside(workspace.path, "show", "old", "--provenance").stdout


def test_packages_that_change_no_number_are_told_in_one_line(workspace: Workspace) -> None:
    for name, lines in (("a", "attrs==1.0\nsix==1\n"), ("b", "attrs==2.0\nsix==1\n")):
        make_arm(workspace, name, flat(1.0, 2.0, 3.0)).freeze_path.write_text(lines)
    done = inside(workspace.path, "compare", "a", "b")
    assert "other packages: attrs (1.0 | 2.0)" in done.stdout
    assert "six" not in done.stdout


def test_attempts_of_one_seed_that_were_made_elsewhere_are_a_caveat() -> None:
    first, second = {**SEEN, "torch": "2.1", "host": "a"}, {**SEEN, "torch": "2.2", "host": "b"}
    (line,) = cautions(a_manifest(), [(0, [first, first]), (3, [first, second])])
    assert line == "seed 3: its attempts differ in torch: not one training to the bit"
    side = of_records(a_manifest(), [first, second])
    assert (side.value("host"), side.value("torch"), side.value("no such fact")) == ("a, b", "2.1, 2.2", NOT_RECORDED)


def test_records_of_the_wrong_kind_are_read_for_what_they_are_worth() -> None:
    odd: dict[str, Any] = dict.fromkeys(("packages", "threads", "variables", "gpus", "cpu_flags", "load"), 7)
    odd |= {"cpu": ["x"], "other_trainers": "many", "cores_usable": "two", "torch_build": []}
    attempt = {
        "variables": "x",
        "start": 3,
        "end": {"load": "high", "other_trainers": None},
        "libraries": [1],
        "gpu": 1,
    }
    side = of_records(replace(a_manifest(), environment=odd), [attempt])
    assert side.value("cpu") == "x"
    assert unrecorded([side, side]) == [[], []]
    assert differences([side, side]) == []


def test_files_in_no_commit_are_held_against_each_other_by_what_is_in_them() -> None:
    kept = Kept("a" * 64, 10, "artifacts/untracked/x.py")
    codes = [replace(CODE, kept={"x.py": kept}), replace(CODE, kept={"x.py": replace(kept, sha256="b" * 64)})]
    (fact,) = differences([of_records(replace(a_manifest(), code=code), []) for code in codes])
    assert fact.name == "files in no commit"
