"""The preflight: `python -m dreamerlab.envs.check`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.check import check, main

ROOT = Path(__file__).parents[2]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dreamerlab.envs.check", *args]
    return subprocess.run(command, capture_output=True, text=True, env=environ, cwd=ROOT)


def test_one_json_line_says_what_a_run_needs_to_know() -> None:
    done = run("tests.envs.odd_envs:odd/Keys-v0", "--time-limit", "9")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout) == {
        "env": "tests.envs.odd_envs:odd/Keys-v0",
        "observations": {"angle": {"kind": "vector", "shape": [1]}, "speed": {"kind": "vector", "shape": [2]}},
        "action": {"kind": "discrete", "classes": [3]},
        "num_actions": 3,
        "time_limit": 9,
    }


def test_a_mistake_is_an_error_with_a_hint_and_exit_code_2() -> None:
    done = run("tests.envs.odd_envs:odd/FloatPixelsInDict-v0")
    assert (done.returncode, done.stdout) == (2, "")
    error, blank, hint = done.stderr.splitlines()
    assert error.startswith(
        "error: environment 'tests.envs.odd_envs:odd/FloatPixelsInDict-v0' cannot be observed: observation key 'camera'"
    )
    assert blank == ""
    assert hint.startswith("hint: a picture must be uint8")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [""],
        ["CartPole-v1", "--time-limit", "0"],
        ["CartPole-v1", "--time-limit", "x"],
        ["CartPole-v1", "--observe", "words"],
        ["CartPole-v1", "--image-size", "60"],
        ["CartPole-v1", "--random-episodes", "1"],
        ["CartPole-v1", "--bogus"],
    ],
)
def test_no_argument_ends_in_a_traceback(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "\n\nhint: " in err


def test_it_imports_no_torch() -> None:
    code = "import sys, dreamerlab.envs.check; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_random_play_is_repeatable_and_ends_every_episode() -> None:
    first, second = (check(Env(id="MountainCar-v0", time_limit=20), 3)["random"] for _ in range(2))
    assert first == second == {"episodes": 3, "seed": 0, "mean": -20.0, "std": 0.0, "min": -20.0, "max": -20.0}


@pytest.mark.parametrize("name", ["Torque", "Joint", "Nested", "States"])
def test_random_play_knows_actions_of_every_kind(name: str) -> None:
    facts = check(Env(id=f"tests.envs.odd_envs:odd/{name}-v0", time_limit=5), 2)
    assert facts["random"]["mean"] == 5


@pytest.mark.parametrize(
    "name, action",
    [
        ("Torque", {"kind": "continuous", "size": 1}),
        ("Joint", {"kind": "discrete", "classes": [2, 3]}),
    ],
)
def test_the_kind_of_action_is_said(name: str, action: dict[str, object]) -> None:
    facts = check(Env(id=f"tests.envs.odd_envs:odd/{name}-v0"))
    assert facts.keys() == {"env", "observations", "action", "time_limit"}
    assert facts["action"] == action


def test_what_is_observed_is_said() -> None:
    facts = check(Env(id="tests.envs.odd_envs:odd/PainterOfState-v0", observe="both", image_size=32))
    assert facts["observations"] == {
        "image": {"kind": "image", "shape": [32, 32, 3]},
        "vector": {"kind": "vector", "shape": [3]},
    }
    facts = check(Env(id="tests.envs.odd_envs:odd/State-v0"))
    assert facts["observations"] == {"discrete": {"kind": "discrete", "shape": [1], "classes": [7]}}
