"""One small real run, made once and shared by every test that only looks at it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace
from tests.lab.mirrors import mirror
from tests.lab.workspaces import TINY, dreamerlab, git, the_run, without
from tests.runs.records import make_workspace


@dataclass(frozen=True)
class Ran:
    """A workspace in git with one finished run of two seeds, and what the command printed."""

    workspace: Workspace
    run: RunDirectory
    done: subprocess.CompletedProcess[str]

    def copy(self, path: Path) -> Ran:
        """Return the same in another folder, for tests that change something."""
        shutil.copytree(self.workspace.path, path, symlinks=True)
        workspace = Workspace(path)
        return Ran(workspace, workspace.run(self.run.id), self.done)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its migrations run, as `init` leaves it."""
    pytest.importorskip("mlflow.version", reason="MLflow is not installed")
    workspace = make_workspace(tmp_path_factory.mktemp("mlflow") / "lab")
    done = mirror(workspace, "--prepare")
    assert (done.returncode, done.stderr) == (0, "")
    return workspace.mlflow_db


@pytest.fixture
def mirrored(prepared: Path, tmp_path: Path) -> Workspace:
    """A workspace with a database of its own."""
    found = make_workspace(tmp_path / "my lab")
    found.hidden.mkdir()
    shutil.copy(prepared, found.mlflow_db)
    return found


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("ran") / "lab"
    bare = without(folder.parent / "blocked", "dvc", "mlflow")
    assert dreamerlab(folder.parent, "init", "lab", **bare).returncode == 0
    (folder / "staged.txt").write_text("the user's own\n")
    git(folder, "add", "staged.txt")
    words = ("run", "--baseline", "--env", "cartpole", "--seeds", "2", "--name", "first", "--json", *TINY)
    done = dreamerlab(folder, *words, **bare)
    assert done.returncode == 0, done.stderr
    workspace = Workspace(folder)
    return Ran(workspace, RunDirectory(the_run(workspace)), done)
