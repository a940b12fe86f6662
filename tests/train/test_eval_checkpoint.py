"""A stored agent measured again: the same figure, as many episodes as wanted, and only of the trial it is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from dreamerlab.errors import Conflict, NotFound, UsageError
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.train.eval_checkpoint import measure, parts
from tests.train.stored import finished_trial
from tests.train.trials import lines, make_trial, tiny_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    return finished_trial(tmp_path_factory.mktemp("lab"), checkpoint={"every": 20, "keep_every": 30})


def test_the_last_evaluation_is_repeated_exactly(finished: TrialDirectory) -> None:
    last, again = lines(finished.evals_path)[-1], measure(finished, None)
    assert (again["env_steps"], again["values"], again["returns"]) == (60, last["values"], last["returns"])


def test_so_is_that_of_an_earlier_checkpoint(finished: TrialDirectory) -> None:
    first, again = lines(finished.evals_path)[0], measure(finished, None, name="30")
    assert (again["env_steps"], again["returns"]) == (30, first["returns"])


def test_more_episodes_begin_with_those_of_the_trial_and_go_on_from_other_starts(finished: TrialDirectory) -> None:
    own = measure(finished, None)["returns"]
    more = measure(finished, 7, policies=("mode",))
    assert (len(more["returns"]["mode"]), more["own_starts"], list(more["returns"])) == (7, 2, ["mode"])
    assert more["returns"]["mode"][:2] == own["mode"]
    fresh = measure(finished, 5, policies=("mode",), fresh=True)
    assert (fresh["own_starts"], fresh["returns"]["mode"]) == (0, more["returns"]["mode"][2:])
    assert measure(finished, 7, policies=("mode",)) == more, "the same again"


def test_parts_are_bounded_and_complete() -> None:
    assert parts(10, 10, fresh=False) == [10]
    assert parts(3, 10, fresh=False) == [3]
    assert parts(120, 10, fresh=False) == [10, 50, 50, 10]
    assert parts(60, 10, fresh=True) == [50, 10]


def test_an_unknown_checkpoint_is_answered_with_those_that_exist(finished: TrialDirectory) -> None:
    with pytest.raises(NotFound, match=r"of env step 7 .*30, 60"):
        measure(finished, None, name="7")


def copy_of(trial: TrialDirectory, folder: Path) -> TrialDirectory:
    shutil.copytree(trial.run.path, folder / trial.run.id)
    return RunDirectory(folder / trial.run.id).trial(trial.seed)


def test_a_network_of_another_size_is_named(finished: TrialDirectory, tmp_path: Path) -> None:
    trial = copy_of(finished, tmp_path)
    path = trial.run.config_path
    path.write_text(path.read_text().replace("  deter: 8\n", "  deter: 16\n"))
    with pytest.raises(Conflict, match="does not fit"):
        measure(trial, None)


def test_the_agent_of_another_trial_is_not_passed_off_as_this_ones(finished: TrialDirectory, tmp_path: Path) -> None:
    trial = copy_of(finished, tmp_path)
    other = make_trial(tmp_path, tiny_config(), seed=1, run_id="R0002-xyz")
    other.artifacts.mkdir(parents=True)
    trial.checkpoints.rename(other.checkpoints)
    with pytest.raises(Conflict, match="belongs to R0001-abc seed 0, not to R0002-xyz seed 1"):
        measure(other, None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named(finished: TrialDirectory) -> None:
    with pytest.raises(UsageError, match="--device cuda, and torch sees no CUDA device here"):
        measure(finished, None, device="cuda")
