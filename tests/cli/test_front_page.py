"""The face of the tool: which commands there are, what starting costs, how every failure is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.cli.app import build
from dreamerlab.cli.main import main
from dreamerlab.runs.store import Workspace
from tests.lab.hypotheses import launched
from tests.lab.workspaces import inside, light_workspace
from tests.runs.records import make_run

FRONT_PAGE = {
    "Every day": [
        "init",
        "propose",
        "check",
        "run",
        "resume",
        "status",
        "show",
        "list",
        "compare",
        "note",
        "log",
        "lint",
    ],
    "Further": [
        "adopt",
        "withdraw",
        "amend",
        "eval",
        "watch",
        "diagnose",
        "reproduce",
        "report",
        "export",
        "doctor",
        "ui",
        "queue",
    ],
    "Groups": ["config", "data", "hockey"],
}
SUBCOMMANDS = {
    "queue": ["list", "next", "load", "move", "drop"],
    "config": ["explain", "diff", "audit"],
    "data": ["status", "push", "pull", "sync", "remote", "archive", "showcase"],
    "hockey": ["verify"],
}
HEAVY = ("numpy", "pandas", "torch", "scipy", "dvc", "mlflow", "pydantic", "matplotlib", "gymnasium", "rich", "yaml")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = light_workspace(tmp_path / "lab")
    run = make_run(made, name="first")
    launched(made, run.id, None, name="idea")
    return made


def commands(group: Any) -> dict[str, Any]:
    """Every command with its full name."""
    found = {}
    for name, command in group.commands.items():
        found[name] = command
        found |= {f"{name} {inner}": one for inner, one in getattr(command, "commands", {}).items()}
    return found


def test_the_front_page_lists_what_is_built_and_nothing_else(tmp_path: Path) -> None:
    page = inside(tmp_path, "--help").stdout
    sections: dict[str, list[str]] = {}
    for line in page.partition("\n  Exit codes: 0 ok")[0].splitlines():
        if line.endswith(":") and not line.startswith(" "):
            sections[line[:-1]] = []
        elif line.startswith("  ") and line[2].islower() and sections:
            sections[next(reversed(sections))].append(line.split()[0])
    assert {name: sections[name] for name in FRONT_PAGE} == FRONT_PAGE
    assert {name: list(build().commands[name].commands) for name in SUBCOMMANDS} == SUBCOMMANDS
    assert "..." not in page.partition("\n\n")[2], "a summary that is cut off helps nobody"
    assert inside(tmp_path).stdout == page


def test_every_command_option_and_argument_explains_itself(tmp_path: Path) -> None:
    for name, command in commands(build()).items():
        done = inside(tmp_path, *name.split(), "--help")
        assert (done.returncode, done.stderr) == (0, ""), name
        assert command.help, name
        undocumented = [parameter.name for parameter in command.params if not getattr(parameter, "help", "")]
        assert undocumented == [], name


@pytest.mark.parametrize("name", ["--episodes", "--device", "--compile"])
def test_an_option_of_several_commands_is_spelled_once(name: str) -> None:
    folder = Path(__file__).parents[2] / "dreamerlab" / "cli"
    assert [path.name for path in sorted(folder.glob("*.py")) if f'"{name}"' in path.read_text()] == ["options.py"]


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list"],
        ["status"],
        ["status", "first"],
        ["list", "--json"],
        ["list", "--all"],
        ["show"],
        ["show", "H1"],
        ["show", "idea", "--json"],
        ["queue"],
        ["note", "x", "--no-commit"],
    ],
)
def test_looking_imports_nothing_heavy(workspace: Workspace, words: list[str]) -> None:
    code = "import sys; from dreamerlab.cli.main import main; code = main({words!r});"
    code = code.format(words=words) + f"print(code, [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace.path, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "0 []"


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert inside(tmp_path, "--version").stdout == f"dreamerlab {version('dreamerlab')}\n"


def test_a_bug_of_ours_is_one_line_and_its_traceback_a_file(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero\nand a second line")

    monkeypatch.setattr("dreamerlab.lab.listing.select", broken)
    done = inside(workspace.path, "list", "--all")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: dreamerlab has a bug: ZeroDivisionError: division by zero\n\nhint: ")
    (saved,) = (workspace.hidden / "bugs").iterdir()
    assert str(saved) in done.stderr
    assert saved.read_text().startswith("dreamerlab ['list', '--all']\n\nTraceback")


def test_a_refusal_of_the_system_is_no_bug(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr("dreamerlab.lab.listing.select", full)
    done = inside(workspace.path, "list")
    assert done.returncode == 5
    assert done.stderr.startswith("error: the system refused: '/somewhere': No space left on device\n\nhint: ")


def test_ctrl_c_is_130_and_no_traceback(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dreamerlab.lab.listing.select", interrupted)
    done = inside(workspace.path, "list")
    assert (done.returncode, done.stderr) == (130, "\ninterrupted\n")


def test_a_reader_that_has_seen_enough_is_no_failure(workspace: Workspace) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "dreamerlab", "list"]
    done = subprocess.run(command, cwd=workspace.path, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dreamerlab show fir", ["first"]),
        ("dreamerlab run --env cart", ["cartpole", "cartpole_pixels"]),
        ("dreamerlab run --experiment n", ["nano"]),
        ("dreamerlab res", ["resume"]),
    ],
)
def test_the_shell_is_offered_runs_and_environments(workspace: Workspace, typed: str, offered: list[str]) -> None:
    asked = {"_DREAMERLAB_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "dreamerlab"],
        cwd=workspace.path,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == offered
    assert done.stderr == ""


def test_completion_outside_a_workspace_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dreamerlab.cli import completion

    monkeypatch.chdir(tmp_path)
    assert completion.run_ids("") == completion.envs("") == completion.experiments("") == []


def test_json_is_strict_also_where_a_value_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    from dreamerlab.cli.output import emit_json

    emit_json({"a": float("nan"), "b": [float("-inf"), 1.5], "c": (None, True)})
    out = capsys.readouterr().out
    assert json.loads(out, parse_constant=lambda name: pytest.fail(name)) == {
        "a": "nan",
        "b": ["-inf", 1.5],
        "c": [None, True],
    }


def test_a_listing_of_many_shows_the_newest_and_says_how_many_are_left_out(workspace: Workspace) -> None:
    for _ in range(31):
        make_run(workspace)
    done = inside(workspace.path, "list", "--runs")
    assert done.stdout.splitlines()[1].startswith("R0032-")
    assert len(done.stdout.splitlines()) == 31
    assert done.stderr == "2 older runs are not shown; --all shows them\n"
    assert len(json.loads(inside(workspace.path, "list", "--all", "--json").stdout)["runs"]) == 32


def test_main_takes_its_words_from_the_process_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dreamerlab", "list"])
    assert main() == 4
    assert "no dreamerlab workspace" in capsys.readouterr().err


def test_a_command_is_built_alone_and_everything_for_whatever_is_none() -> None:
    every = list(build().commands)
    assert list(build(["list", "--all"]).commands) == ["list"]
    assert list(build(["config", "diff"]).commands["config"].commands) == SUBCOMMANDS["config"]
    for words in ([], ["--help"], ["lisst"], ["--version", "list"]):
        assert list(build(words).commands) == every
