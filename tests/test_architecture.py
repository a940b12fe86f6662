"""The house rules of DESIGN section 4 and STYLE section 2, held by tests beside the import contracts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dreamerlab"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("numpy", "pandas", "torch", "scipy", "dvc", "mlflow", "pydantic", "matplotlib", "gymnasium")


def test_no_module_is_longer_than_the_ceiling() -> None:
    too_long = {str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 400}
    assert not too_long


def test_no_module_has_a_name_that_means_nothing() -> None:
    banned = {"utils", "util", "common", "helpers", "misc", "tools"}
    assert not [p for p in [*MODULES, *(ROOT / "tests").rglob("*.py")] if p.stem in banned]


def test_packages_hold_a_docstring_only() -> None:
    names_of_the_original = PACKAGE / "envs" / "hockey" / "__init__.py"  # where people look for them, opened when asked
    for path in {*PACKAGE.rglob("*/__init__.py")} - {names_of_the_original}:
        body = ast.parse(path.read_text()).body
        assert len(body) == 1, f"{path} holds more than its docstring"
        assert isinstance(body[0], ast.Expr), f"{path} has no docstring"


def test_every_module_opens_with_a_docstring() -> None:
    assert not [p for p in MODULES if not ast.get_docstring(ast.parse(p.read_text()))]


def test_data_folders_are_at_the_top() -> None:
    for name in ("pyproject.toml", "README.md", "dreamerlab", "protocol", "env_configs", "runs", "dvc.yaml", "tests"):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("command", ["--help", "list", "status", "run --help"])
def test_light_commands_import_nothing_heavy(command: str, tmp_path: Path) -> None:
    (tmp_path / "protocol").mkdir()
    (tmp_path / "protocol" / "workspace.yaml").touch()
    traced = [sys.executable, "-X", "importtime", "-m", "dreamerlab", *command.split()]
    done = subprocess.run(traced, capture_output=True, text=True, check=True, cwd=tmp_path)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported, "the trace does not show what was imported"
    assert not imported & set(HEAVY)


def test_modules_stay_out_of_each_others_rooms() -> None:
    """Only runs/directory.py spells a path inside a run."""
    names = r"status\.json|summary\.json|evals\.jsonl|curves\.jsonl|manifest\.json"
    spelled = re.compile(rf"""["'](seed-|attempt-|({names})["'])""")
    offenders = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if path != PACKAGE / "runs" / "directory.py" and spelled.search(path.read_text())
    ]
    assert not offenders
