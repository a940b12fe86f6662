from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys

import pytest

from dreamerlab.tracking.environment import capture, freeze, package_version


def test_the_record_names_what_decides_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    facts = capture()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["python"] == platform.python_version()
    assert facts["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert facts["packages"].keys() >= {"torch", "gymnasium", "box2d", "pygame"}
    assert facts["variables"]["OMP_NUM_THREADS"] == "3"
    assert facts["cores"] >= facts["cores_usable"] >= 1
    assert facts["memory_bytes"] > 1e8
    assert facts["other_trainers"] >= 0


def test_a_package_that_is_not_there_is_none() -> None:
    assert package_version("no-such-package-for-sure") is None


def test_a_package_is_found_under_any_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "pygame-ce":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.5.5"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert (package_version("pygame"), package_version("box2d")) == ("2.5.5", None)


def test_freeze_lists_every_distribution_once_sorted() -> None:
    lines = freeze().splitlines()
    assert f"numpy=={importlib.metadata.version('numpy')}" in lines
    assert lines == sorted(set(lines), key=str.lower)


def test_capturing_imports_nothing_it_reports() -> None:
    code = (
        "import sys\nfrom dreamerlab.tracking import environment\nenvironment.capture(); environment.freeze()\n"
        "print([m for m in ('torch', 'numpy', 'gymnasium', 'mlflow', 'dvc', 'yaml') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_torch_build_is_read_from_its_own_file() -> None:
    torch_version = package_version("torch")
    if torch_version is None:
        pytest.skip("torch is not installed")
    build = capture()["torch_build"]
    assert len(build["git_version"]) == 40
    assert ("cuda" in build) == ("+cpu" not in torch_version and "hip" not in build)
