"""Where the mirror of a run stands, from small files alone, and what is told of it; MLflow is never asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.errors import ToolFailed
from dreamerlab.lab.mirror_story import Teller
from dreamerlab.lab.status import view_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_lines import Taken
from dreamerlab.tracking.mirror_state import (
    Place,
    TrialPlace,
    load_place,
    lock_path,
    note_trouble,
    place_path,
    save_place,
    standing,
    standing_and_cure,
    store_key,
    store_uri,
    trouble,
)
from tests.runs.records import a_line, make_run, make_workspace, write_metrics


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = make_workspace(tmp_path / "it's a lab?")
    found.hidden.mkdir()
    found.mlflow_db.touch()
    return found


@pytest.fixture
def run(workspace: Workspace) -> RunDirectory:
    found = make_run(workspace, seeds=(1,))
    write_metrics(found.trial(1), 1, [a_line(100, wm__loss=1.0)])
    write_status(found.trial(1), replace(read_status(found.trial(1)), state="finished", attempt=1))
    return found


def mirrored_up_to(workspace: Workspace, run: RunDirectory, size: int) -> None:
    name = run.trial(1).metrics_path(1).relative_to(run.path).as_posix()
    trial = TrialPlace(run="abc", files={name: size}, cells={"wm/loss": Taken(3, 100, 1)})
    save_place(workspace, run.id, Place(store_key(workspace), parent="def", trials={"1": trial}))


def test_where_it_stands_follows_from_the_bytes_that_were_taken(workspace: Workspace, run: RunDirectory) -> None:
    assert standing(workspace, run) == "not there yet"
    path = run.trial(1).metrics_path(1)
    mirrored_up_to(workspace, run, path.stat().st_size)
    assert standing(workspace, run) == standing_and_cure(workspace, run) == "up to date"
    append_line(path, a_line(200, wm__loss=1.0))
    assert standing_and_cure(workspace, run) == (
        f"behind: the process that copied it is gone; dreamerlab data sync {run.id}"
    )
    with owned_lock(lock_path(workspace, run.id)):
        assert str(standing(workspace, run)).startswith("follows (process ")
    workspace.mlflow_db.unlink()
    assert standing(workspace, run) is None, "nobody wants a mirror"


def test_a_failure_is_shown_until_it_works_again(workspace: Workspace, run: RunDirectory) -> None:
    note_trouble(workspace, run.id, ToolFailed("MLflow could not log metrics: locked", hint="wait"))
    first = trouble(workspace, run.id)
    note_trouble(workspace, run.id, ToolFailed("MLflow could not set tags: locked"))
    second = trouble(workspace, run.id)
    assert first is not None
    assert second is not None
    assert (second.since, second.message, first.hint) == (first.since, "MLflow could not set tags: locked", "wait")
    assert standing(workspace, run) == f"fails: {second.line}"
    assert view_run(run).mlflow == second.line
    note_trouble(workspace, run.id, None)
    assert (trouble(workspace, run.id), view_run(run).mlflow) == (None, None)


def test_a_place_is_read_back_and_belongs_to_one_store(
    workspace: Workspace, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored_up_to(workspace, run, 7)
    place = load_place(workspace, run.id)
    assert place is not None
    assert place.trials["1"].cells == {"wm/loss": Taken(3, 100, 1)}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:5000")
    assert load_place(workspace, run.id) is None
    mirrored_up_to(workspace, run, 7)
    assert "secret" not in place_path(workspace, run.id).read_text()
    place_path(workspace, run.id).write_text('{"store": 1, "trials": {"1": {"cells": 3}}}')
    assert load_place(workspace, run.id) is None


def test_the_address_of_the_store_holds_no_path_that_could_spoil_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_uri(workspace) == "sqlite:///mlflow.db", "relative to .dreamerlab"
    for theirs, meant in (
        ("sqlite:///mine.db", f"sqlite:///{workspace.path}/mine.db"),
        ("sqlite:////abs/mine.db", "sqlite:////abs/mine.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", theirs)
        assert store_uri(workspace) == meant


def test_films_and_the_newest_prediction_are_attached_and_nothing_of_the_users(
    workspace: Workspace, run: RunDirectory
) -> None:
    for name in (f"{run.id}-seed-1.gif", "holiday.gif", f"{run.id}-notes.txt"):
        (workspace.path / name).touch()
    videos = run.trial(1).artifacts / "videos"
    for folder, name in ((videos, f"{run.id}-best.mp4"), (run.trial(1).predictions, "000100.png")):
        folder.mkdir()
        (folder / name).touch()
    (run.trial(1).predictions / "000200.png").touch()
    files = Teller(workspace, run).story().files
    assert files.keys() == {
        f"videos/{run.id}-seed-1.gif",
        f"videos/{run.id}-best.mp4",
        "predictions/seed-1.png",
    }
    assert files["predictions/seed-1.png"].path.name == "000200.png"
