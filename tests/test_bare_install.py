"""The light wing in a real bare environment: installed without extras, no torch, no gymnasium, no trackers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.workspaces import TINY, dreamerlab, light_workspace

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the python of an environment with the wheel of this checkout and its base dependencies."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", ROOT]
    subprocess.run(install, check=True, timeout=600)
    return python


def ask(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-m", "dreamerlab", *words], cwd=folder, capture_output=True, text=True, timeout=120)


def test_nothing_heavy_is_installed(bare: Path) -> None:
    listed = subprocess.run([bare, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True)
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert {"dreamerlab", "typer", "pydantic"} <= names
    assert not names & {"torch", "gymnasium", "dvc", "mlflow", "pandas", "matplotlib"}


def test_a_workspace_is_made_from_the_wheels_own_task_files(bare: Path, tmp_path: Path) -> None:
    made = ask(bare, tmp_path, "init", "lab")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "lab" / "env_configs" / "cartpole.yaml").is_file()
    told = ask(bare, tmp_path / "lab", "config", "explain", "lr_actor", "--env", "cartpole", "--experiment", "nano")
    assert "env_configs/experiments/nano.yaml" in told.stdout


def test_runs_made_elsewhere_can_be_read(bare: Path, tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    done = dreamerlab(workspace.path, "run", "--baseline", "--env", "cartpole", "--seeds", "1", *TINY)
    assert done.returncode == 0, done.stderr
    for words in (("list",), ("status",), ("show",), ("show", "--json"), ("doctor",)):
        read = ask(bare, workspace.path, *words)
        assert read.returncode == 0, f"{words}: {read.stdout}{read.stderr}"
    assert "R0001" in ask(bare, workspace.path, "list").stdout


def test_training_is_refused_with_the_command_that_installs_it(bare: Path, tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    refused = ask(bare, workspace.path, "run", "--baseline", "--env", "cartpole")
    assert refused.returncode == 5
    assert "pip install 'dreamerlab[train]'" in refused.stderr
    assert not list(workspace.runs.glob("R*"))
