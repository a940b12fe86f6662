"""The examples for CI and pre-commit are what they claim to be: they parse, and their commands work and can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dreamerlab.lab.lint_findings import RULES
from tests.lab.told import Told, tell
from tests.lab.workspaces import git

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/continuous-integration.md").read_text()
WORKFLOW, HOOKS = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
GENERIC, ANNOTATE = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("told") / "lab")


@pytest.fixture
def told(original: Told, tmp_path: Path) -> Told:
    return original.copy(tmp_path / "lab")


def shell(folder: Path, tools: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner does, with our own `dreamerlab` and a `pip` that installs nothing."""
    tools.mkdir(exist_ok=True)
    lines = {"dreamerlab": f'exec {sys.executable} -m dreamerlab "$@"', "python": f'exec {sys.executable} "$@"'}
    for name, line in {**lines, "pip": "true"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "DREAMERLAB": "."}
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def steps() -> list[dict[str, Any]]:
    return WORKFLOW["jobs"]["lint"]["steps"]


def test_the_workflow_fetches_all_commits_and_fails_on_findings(told: Told, tmp_path: Path) -> None:
    assert WORKFLOW[True] == ["push", "pull_request"]  # YAML reads the key `on` as true
    (checkout,) = (step for step in steps() if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["fetch-depth"] == 0
    script = "\n".join(step["run"] for step in steps() if "run" in step and "if" not in step)
    done = shell(told.workspace.path, tmp_path / "bin", script)
    assert (done.returncode, done.stderr) == (0, "nothing found: 2 records, 2 runs checked\n")
    told.record.write_bytes(told.record.read_bytes().replace(b"half the step", b"twice the step"))
    assert shell(told.workspace.path, tmp_path / "bin", script).returncode == 6
    (keep,) = (step["run"] for step in steps() if step.get("if") == "failure()" and "run" in step)
    assert shell(told.workspace.path, tmp_path / "bin", keep).returncode == 0
    assert '"rule": "chain"' in (told.workspace.path / "findings.json").read_text()


def test_the_lines_for_any_other_system_work_also_in_a_shallow_clone(told: Told, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", told.workspace.path.as_uri(), "shallow")
    done = shell(tmp_path / "shallow", tmp_path / "bin", GENERIC)
    assert (done.returncode, done.stderr) == (0, "nothing found: 2 records, 2 runs checked\n")


def test_the_hook_is_called_for_records_and_stops_a_commit_by_hand(told: Told, tmp_path: Path) -> None:
    ((hook,),) = (repo["hooks"] for repo in HOOKS["repos"])
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    pattern = re.compile(hook["files"])
    touched = [told.record.relative_to(told.workspace.path).as_posix(), "protocol/LOG.md", "runs/R0001-abc/config.yaml"]
    assert all(pattern.search(name) for name in touched)
    assert not pattern.search("dreamerlab/protocol/chain.py")
    (told.workspace.path / ".git/hooks").mkdir(exist_ok=True)
    path = told.workspace.path / ".git/hooks/pre-commit"
    path.write_text(f"#!/bin/sh\nexec {hook['entry']}\n")
    path.chmod(0o755)
    told.record.write_bytes(told.record.read_bytes().replace(b"half the step", b"twice the step"))
    done = shell(told.workspace.path, tmp_path / "bin", "git commit -am 'a better reason'")
    assert done.returncode != 0
    assert "chain" in done.stdout + done.stderr
    assert git(told.workspace.path, "log", "-1", "--format=%s").strip() == "records"


def test_findings_become_annotations(told: Told, tmp_path: Path) -> None:
    told.record.write_bytes(told.record.read_bytes().replace(b"half the step", b"twice the step"))
    done = shell(told.workspace.path, tmp_path / "bin", f"set +o pipefail\n{ANNOTATE}")
    assert done.returncode == 0, done.stderr
    name = told.record.relative_to(told.workspace.path).as_posix()
    assert f"::error file={name},line=1::chain: line 1 was edited" in done.stdout


def test_the_rules_for_people_name_every_rule_of_lint_with_its_grade() -> None:
    page = (ROOT / "protocol/PROTOCOL.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (error|warning) \|", page, re.MULTILINE))
    assert rows == {rule: severity for rule, (severity, _) in RULES.items()}


def test_the_rules_for_people_are_shipped_with_every_installation() -> None:
    import tomllib

    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert built["force-include"]["protocol/PROTOCOL.md"] == "dreamerlab/_protocol/PROTOCOL.md"
