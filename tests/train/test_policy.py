"""A stored agent in somebody else's code: raw observations in, raw actions out, nothing else touched."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import dreamerlab
from dreamerlab import load_policy
from dreamerlab.errors import LabError, NotFound, UsageError
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train import policy as policy_module
from dreamerlab.train.policy import Policy
from tests.train.stored import finished_trial


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    return finished_trial(tmp_path_factory.mktemp("lab"), checkpoint={"every": 20, "keep_every": 20})


def workspace_of(trial: TrialDirectory) -> Path:
    return trial.path.parents[2]


def actions(policy: Policy, steps: int = 12) -> list[Any]:
    """Play CartPole from one start; the observation sequence follows from the actions."""
    env = gymnasium.make(policy.env_id)
    obs, _ = env.reset(seed=3)
    policy.reset()
    chosen: list[Any] = []
    for _ in range(steps):
        chosen.append(policy(obs))
        obs, _, terminated, _, _ = env.step(chosen[-1])
        if terminated:
            break
    return chosen


def test_the_example_of_the_docstring_runs(trial: TrialDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop of the README and the docstring, with the run and the seed of the test in their place."""
    monkeypatch.chdir(workspace_of(trial))
    assert policy_module.__doc__ is not None
    indented = re.search(r"\n\n((?:    .*\n|\n)+)\n", policy_module.__doc__)
    assert indented is not None
    example = textwrap.dedent(indented[1])
    assert example in (Path(__file__).parents[2] / "README.md").read_text(), "the README shows the same"
    played: dict[str, Any] = {}
    exec(re.sub(r'load_policy\("R12", seed=3\)', 'load_policy("R1", seed=0)', example), played)
    assert played["over"] is True


def test_equal_seeds_give_equal_actions_and_the_process_keeps_its_generators(trial: TrialDirectory) -> None:
    # Python's own is left out: the type checks of the tests draw from it.
    before = (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    threads = torch.get_num_threads()
    one, again = (load_policy("R1", workspace=workspace_of(trial), policy="sample") for _ in range(2))
    assert actions(one) == actions(again)
    others = [load_policy("R1", workspace=workspace_of(trial), policy="sample", random_seed=n) for n in range(1, 6)]
    assert any(actions(other) != actions(one) for other in others)
    assert before == (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert torch.get_num_threads() == threads


def test_actions_are_the_environments_own(trial: TrialDirectory) -> None:
    policy = load_policy("R1", workspace=str(workspace_of(trial)))
    env = gymnasium.make(policy.env_id)
    assert (policy.env_id, policy.time_limit, policy.action_repeat) == ("CartPole-v1", 500, 1)
    assert all(env.action_space.contains(action) for action in actions(policy))
    assert policy.facts["env_steps"] == 60
    assert load_policy("R1", checkpoint="40", workspace=workspace_of(trial)).facts["env_steps"] == 40
    assert load_policy("R1", checkpoint="best", workspace=workspace_of(trial)).facts["checkpoint"].startswith("best-")


def test_a_reset_forgets_the_episode(trial: TrialDirectory) -> None:
    """The memory after a reset is that of a policy that has seen nothing."""
    fresh, used = (load_policy("R1", workspace=workspace_of(trial)) for _ in range(2))
    other = np.array([2.0, -1.0, 0.1, 0.5], np.float32)
    for _ in range(5):
        used(other)
    used.reset()
    obs = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
    memories = []
    for policy in (fresh, used):
        policy._batch._generator.manual_seed(0)
        policy(obs)
        memories.append(policy._batch._carry.deter)
    assert torch.equal(*memories)


def test_several_environments_at_once_get_what_each_would_get_alone(trial: TrialDirectory) -> None:
    policy = load_policy("R1", workspace=workspace_of(trial))
    batch = policy.batch(3)
    obs = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    chosen = batch(obs, np.ones(3, bool))
    assert len(chosen) == 3
    assert batch._carry.deter.shape[0] == 3
    with pytest.raises(UsageError, match="this batch is of 3 environments, and got 2 observations"):
        batch(obs[:2], np.ones(2, bool))


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"run": "R9"}, NotFound, "no run is called 'R9'"),
        ({"run": "R1", "seed": 7}, NotFound, "R0001-abc has no seed 7; it has 0"),
        ({"run": "R1", "checkpoint": "99"}, NotFound, "env step 99"),
        ({"run": "R1", "policy": "best"}, UsageError, "policy is 'best'"),
        ({"run": "R1", "device": "tpu"}, UsageError, "no device is called 'tpu'"),
    ],
)
def test_what_is_not_there_is_named(
    trial: TrialDirectory, given: dict[str, Any], kind: type[LabError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        load_policy(workspace=workspace_of(trial), **given)


def test_importing_dreamerlab_imports_nothing_heavy_and_unknown_names_are_errors() -> None:
    code = "import sys, dreamerlab; print(dir(dreamerlab).count('load_policy'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
    with pytest.raises(AttributeError, match="has no attribute 'load_police'"):
        _ = dreamerlab.load_police
