"""The curve behind each run's score as one small file, equal bytes for equal records."""

from __future__ import annotations

from pathlib import Path

from dreamerlab.atomic import append_line, atomic_write_json
from dreamerlab.runs.curve_files import HEADER, write_curve_files
from tests.runs.records import a_line, make_run, make_workspace


def test_every_seed_is_in_it_and_a_run_that_lacks_its_file_gets_it_later(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "lab")
    first, second = (make_run(workspace, seeds=(3, 4)) for _ in range(2))
    for run in (first, second):
        for trial in run.trials():
            append_line(trial.evals_path, a_line(100, eval__return_mode=0.1 * trial.seed))
            append_line(trial.evals_path, a_line(200, eval__return_mode=float("nan")))
    write_curve_files(workspace, first)
    assert not workspace.curve_file(second.id).exists(), "it has not ended"
    text = workspace.curve_file(first.id).read_text()
    assert text.splitlines()[:3] == [
        HEADER,
        "3,100,eval/return_mode,0.30000000000000004",
        "3,200,eval/return_mode,nan",
    ]
    assert len(text.splitlines()) == 5
    for trial in second.trials():
        atomic_write_json(trial.summary_path, {"score": 1.0})
    second.trial(3).path.touch()
    before = workspace.curve_file(first.id).stat().st_mtime_ns
    write_curve_files(workspace, first)
    assert workspace.curve_file(second.id).read_text() == text
    assert workspace.curve_file(first.id).stat().st_mtime_ns == before, "written only when it changes"


def test_a_damaged_manifest_leaves_no_file(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "lab")
    run = make_run(workspace)
    run.manifest_path.write_text("{")
    write_curve_files(workspace, run)
    assert not workspace.curve_files.exists()
