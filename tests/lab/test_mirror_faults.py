"""What happens to MLflow's database while a run is followed: the mirror comes back by itself, and says so meanwhile."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.lab.mirror import prepare, sync
from dreamerlab.lab.status import view_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import Status, read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_state import prepared_with, standing, trouble
from tests.lab.mirrors import MIRROR, artifacts, is_whole, make_trained_run, mirror, said, statuses, tags, wait_until
from tests.runs.records import a_line, make_run, make_workspace

pytestmark = pytest.mark.slow
HOSTILE = 'it\'s "q" 100% ?#x;\nnew line'


def begin(run: RunDirectory) -> None:
    """Let seed 1 be at work: this process is its trainer."""
    me = own_identity()
    write_status(run.trial(1), Status("running", 1, 1, me.pid, me.start_ticks, me.boot_id, me.host, heartbeat_at=2e9))


def end(run: RunDirectory) -> None:
    write_status(run.trial(1), replace(read_status(run.trial(1)), state="finished"))


@contextmanager
def followed(workspace: Workspace, run: RunDirectory) -> Generator[subprocess.Popen[str]]:
    """A mirror that follows a run at work, and has caught up."""
    begin(run)
    process = subprocess.Popen([*MIRROR, str(workspace.path), run.id, "--follow"], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: standing(workspace, run) is not None and stored(workspace, run))
        yield process
    finally:
        process.kill()
        process.communicate()


def stored(workspace: Workspace, run: RunDirectory) -> bool:
    try:
        return is_whole(workspace, run)
    except sqlite3.Error:
        return False


def test_a_database_deleted_under_a_mirror_that_follows_is_made_anew_and_filled(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    with followed(mirrored, run) as process:
        mirrored.mlflow_db.unlink()
        append_line(run.trial(1).evals_path, a_line(1001, eval__return_mode=8.0))
        wait_until(lambda: stored(mirrored, run))
        end(run)
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert "the MLflow database was deleted or replaced" in errors
    assert statuses(mirrored)[run.id] == "FINISHED"
    assert trouble(mirrored, run.id) is None
    assert standing(mirrored, run) == "up to date"
    assert artifacts(mirrored).keys() >= {"config.yaml"}


def test_garbage_instead_of_a_database_is_set_aside_and_a_new_one_filled(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    with followed(mirrored, run) as process:
        mirrored.mlflow_db.write_bytes(b"no database at all " * 1000)
        append_line(run.trial(1).evals_path, a_line(1001, eval__return_mode=8.0))
        wait_until(lambda: stored(mirrored, run))
        end(run)
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    [aside] = mirrored.hidden.glob("mlflow.db.damaged-*")
    assert aside.read_bytes().startswith(b"no database at all")
    assert statuses(mirrored)[run.id] == "FINISHED"


def test_a_database_with_garbage_in_its_middle_is_set_aside_by_sync(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    assert [one.state for one in sync(mirrored, [run])] == ["sent"]
    data = bytearray(mirrored.mlflow_db.read_bytes())
    data[8192 : len(data) - 8192] = b"\xa5" * (len(data) - 16384)
    mirrored.mlflow_db.write_bytes(data)
    append_line(run.trial(1).evals_path, a_line(1001, eval__return_mode=8.0))
    assert [one.state for one in sync(mirrored, [run])] == ["sent"]
    assert is_whole(mirrored, run)
    assert len(list(mirrored.hidden.glob("mlflow.db.damaged-*"))) == 1


def test_a_database_locked_for_half_a_minute_is_waited_for(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    with followed(mirrored, run) as process:
        with closing(sqlite3.connect(mirrored.mlflow_db, isolation_level=None)) as database:
            database.execute("begin exclusive")
            append_line(run.trial(1).evals_path, a_line(1001, eval__return_mode=8.0))
            end(run)
            time.sleep(30)
            database.execute("rollback")
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert is_whole(mirrored, run)


def test_a_lock_that_stays_is_said_in_status_and_show_while_training_goes_on(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    with followed(mirrored, run) as process:
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with closing(sqlite3.connect(mirrored.mlflow_db, isolation_level=None)) as database:
                database.execute("begin exclusive")
                held.set()
                done.wait()
                database.execute("rollback")

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            held.wait()
            append_line(run.trial(1).evals_path, a_line(1001, eval__return_mode=8.0))
            wait_until(lambda: trouble(mirrored, run.id) is not None, limit_s=260)
            view = view_run(run)
            assert "database is locked" in str(view.mlflow)
            assert view.active
            assert str(standing(mirrored, run)).startswith("fails: MLflow could not ")
        finally:
            done.set()
            holder.join()
        wait_until(lambda: trouble(mirrored, run.id) is None)
        end(run)
        assert process.wait(timeout=200) == 0
    assert view_run(run).mlflow is None
    assert is_whole(mirrored, run)


def older(path: Path, revision: str) -> None:
    """Make a database as an MLflow of that revision left it, by MLflow's own migrations."""
    code = (
        "import sys, sqlalchemy; from alembic import command;"
        "from mlflow.store.db.utils import _get_alembic_config as c;"
        "from mlflow.store.tracking.dbmodels.initial_models import Base;"
        "e = sqlalchemy.create_engine('sqlite:///' + sys.argv[1]); Base.metadata.create_all(e);"
        "g = c(str(e.url)); b = e.connect(); g.attributes['connection'] = b;"
        "command.upgrade(g, sys.argv[2]); b.commit()"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path), revision], check=True, capture_output=True)


def revisions() -> list[str]:
    """MLflow's revisions, newest first."""
    code = (
        "from alembic.script import ScriptDirectory as S; from mlflow.store.db.utils import _get_alembic_config as c;"
        "print(*[r.revision for r in S.from_config(c('')).walk_revisions()])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("back", [1, 30])
def test_a_database_of_an_older_mlflow_is_brought_up_to_date(tmp_path: Path, back: int) -> None:
    workspace = make_workspace(tmp_path / "lab")
    workspace.hidden.mkdir()
    older(workspace.mlflow_db, revisions()[back])
    run = make_trained_run(workspace, lines=5)
    assert prepare(workspace) is None
    assert prepared_with(workspace) is not None
    assert [one.state for one in sync(workspace, [run])] == ["sent"]
    assert is_whole(workspace, run)


def test_an_older_database_of_the_users_that_mlflow_refuses_is_left_alone_and_the_command_is_named(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow itself migrates, unasked, whatever lacks a table; the rest it leaves to its owner, and so do we."""
    workspace = make_workspace(tmp_path / "lab")
    shutil.copy(prepared, tmp_path / "theirs.db")
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as database, database:
        database.execute(f"update alembic_version set version_num = '{revisions()[1]}'")
    before = (tmp_path / "theirs.db").read_bytes()
    run = make_trained_run(workspace, lines=5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'theirs.db'}")
    [done] = sync(workspace, [run])
    assert (done.state, done.message) == ("failed", "the MLflow database is of an older version")
    assert done.hint == f"keep a copy of it, then: mlflow db upgrade sqlite:///{tmp_path / 'theirs.db'}"
    assert (tmp_path / "theirs.db").read_bytes() == before
    assert standing(workspace, run) == f"fails: {trouble(workspace, run.id).line}"  # pyright: ignore


def test_a_database_of_a_newer_mlflow_is_refused_with_both_ways_out(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored, lines=5)
    with closing(sqlite3.connect(mirrored.mlflow_db)) as database, database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
    [done] = sync(mirrored, [run])
    assert done.state == "failed"
    assert done.message == "the MLflow database was made by a newer MLflow than the one installed"
    assert "dreamerlab data sync --all" in str(done.hint)


def test_a_workspace_whose_path_is_no_uri(tmp_path: Path) -> None:
    """Spaces, quotes, a question mark and a newline: nothing is written anywhere but in the workspace."""
    workspace = make_workspace(tmp_path / HOSTILE)
    run = make_trained_run(workspace)
    assert prepare(workspace) is None
    assert [one.state for one in sync(workspace, [run])] == ["sent"]
    assert is_whole(workspace, run)
    assert artifacts(workspace)["config.yaml"].read_bytes() == run.config_path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [HOSTILE]
    assert [one.state for one in sync(workspace, [run])] == ["up to date"]


def test_a_workspace_that_has_moved_goes_on_where_it_was(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    assert mirror(mirrored, run.id).returncode == 0
    moved = Workspace(mirrored.path.rename(mirrored.path.with_name("elsewhere")))
    append_line(moved.run(run.id).trial(1).evals_path, a_line(1001, eval__return_mode=8.0))
    assert said(mirror(moved, run.id))["points"] == 1
    assert len(tags(moved)) == 3


def test_killed_while_it_follows_it_is_behind_and_sync_sends_the_rest(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    with followed(mirrored, run) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        append_line(run.trial(1).evals_path, a_line(1001, eval__return_mode=8.0))
        end(run)
    assert standing(mirrored, run) == "behind: the process that copied it is gone"
    assert [(one.state, one.points) for one in sync(mirrored, [run])] == [("sent", 1)]
    assert standing(mirrored, run) == "up to date"
    assert statuses(mirrored)[run.id] == "FINISHED"


def test_a_run_without_a_single_line_is_no_trouble(mirrored: Workspace) -> None:
    run = make_run(mirrored, seeds=(1,))
    assert [(one.state, one.words) for one in sync(mirrored, [run])] == [("up to date", "up to date")]
