"""Probes on toys whose answers are known, and that looking changes nothing (M-QC-03, M-QC-04, M-QC-05, M-QC-07)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.world_model import WorldModel
from dreamerlab.metrics import CATALOGUE
from dreamerlab.train import checkpoint
from dreamerlab.train.attempt import execute
from dreamerlab.train.probes import Probes, probes_of_trial
from dreamerlab.train.runtime import StopRequest
from dreamerlab.train.session import Session
from tests.train.test_exact import flat
from tests.train.trials import lines, make_trial, timeless, tiny_config, without_probes

CERTAIN = 1e3
# gamma is 1/2 and the largest bin 2, which is what a reward of 1 at every step is worth for ever.
HALF = {"behavior": {"discount_horizon": 2.0}, "twohot": {"bins": 11, "support": (-math.log(3.0), math.log(3.0))}}


def played(env: str, steps: int, **sections: dict[str, Any]) -> Session:
    session = Session(tiny_config(env={"id": f"tests.toy_envs:{env}-v0"}, **sections), 0)
    for _ in range(steps):
        session.collector.step(session.policy)
    return session


def look(session: Session) -> dict[str, float]:
    probes = probes_of_trial(session)
    assert probes is not None
    found = probes.look()
    assert found.keys() <= CATALOGUE.keys()
    return {name.removeprefix("probe/"): value for name, value in found.items()}


def always(net: nn.Module, *columns: int) -> None:
    """Make a head say the same of every state: certain of one bin, or evenly of some."""
    with torch.no_grad():
        *_, weight, bias = net.parameters()
        weight.zero_()
        bias.zero_()
        bias[list(columns)] = CERTAIN


def knowing(session: Session) -> Session:
    """Teach an agent the toys that pay 1 at every step, for ever: rewards of 1, no end, values of 2."""
    world = world_of(session)
    always(session.agent.behavior.critic, 10)
    always(world.reward, 5, 10)  # half 0, half 2
    always(world.cont)  # an even chance, which is gamma
    return session


def world_of(session: Session) -> WorldModel:
    world = session.agent.world
    assert isinstance(world, WorldModel)
    return world


def test_right_values_have_no_bias_where_time_limits_end_episodes_M_QC_07() -> None:
    """What value and imagined return hold to lie beyond the time limit is taken off: nothing is held against itself."""
    found = look(knowing(played("Endless", 100, **HALF)))
    assert found["tail_frac"] == 1.0
    assert 1.0 <= found["return_mean"] < 2.0
    assert found["value_bias"] == pytest.approx(0.0, abs=1e-5)
    assert found["value_explained_variance"] == pytest.approx(1.0, abs=1e-5)
    assert found["imagined_return_gap"] == pytest.approx(0.0, abs=1e-5)


def test_values_that_foresee_no_death_are_too_large_M_DIAG_28() -> None:
    found = look(knowing(played("Constant", 100, **HALF)))
    assert found["tail_frac"] == 0.0
    assert found["value_mean"] == pytest.approx(2.0)
    assert found["value_bias"] == pytest.approx(2.0 - found["return_mean"], abs=1e-6)
    assert found["imagined_return_gap"] == pytest.approx(found["value_bias"], abs=1e-5)
    assert found["value_explained_variance"] == pytest.approx(0.0, abs=1e-5), "a constant explains nothing"


def test_heads_by_hand_M_QC_04_M_QC_05() -> None:
    """Ten of the eleven rows of an episode go on; the reward is 1 on all but its first."""
    session = knowing(played("Constant", 110, **HALF))
    found = look(session)
    assert found["reward_mae"] == pytest.approx(0.0, abs=1e-5)
    assert found["reward_std"] == 0.0
    assert "reward_correlation" not in found
    assert (found["termination_count"], found["termination_recall"]) == (11.0, 0.0)
    assert "termination_precision" not in found
    assert found["continue_accuracy"] == pytest.approx(10.0 / 11.0, abs=0.01)
    with torch.no_grad():
        list(world_of(session).cont.parameters())[-1].fill_(-CERTAIN)  # now every state is an end
    found = look(session)
    assert found["termination_recall"] == 1.0
    assert found["termination_precision"] == pytest.approx(1.0 / 11.0, abs=0.01)


def test_the_error_of_foreseeing_by_hand_M_QC_03() -> None:
    """Endless shows (1, 0) at all times: a decoder that says 0 is wrong by ln 2 in one of two numbers, the mean right.

    Episodes of 20 steps are too short for 50.
    """
    session = played("Endless", 100, **HALF)
    for output in session.agent.world.decoder.outputs:
        always(output)
    found = look(session)
    for ahead in (5, 15):
        assert found[f"open_loop_error_{ahead}"] == pytest.approx(math.log(2.0) ** 2 / 2.0, rel=1e-5)
        assert found[f"open_loop_baseline_{ahead}"] == pytest.approx(0.0, abs=1e-12)
    assert "open_loop_error_50" not in found


def test_what_is_foreseen_follows_from_the_recorded_actions_M_QC_03() -> None:
    session = played("Move", 60)
    found, replay = look(session), session.replay
    rows = np.arange(*replay.span())
    replay.write(0, rows, {"action": -replay.pick(0, rows, ["action"])["action"]})
    changed = look(session)
    assert changed["open_loop_error_5"] != found["open_loop_error_5"]
    assert changed["open_loop_baseline_5"] == found["open_loop_baseline_5"]


def test_pictures_are_foreseen_in_brightness_M_QC_03() -> None:
    session = played("Square", 40)
    found = look(session)
    assert 0.0 < found["open_loop_error_5"] < 1.0
    # One of 64 cells is bright: the mean of everywhere is wrong there by about 1, elsewhere by next to nothing.
    assert found["open_loop_baseline_5"] == pytest.approx(1.0 / 64.0, rel=0.3)


@pytest.mark.parametrize("sections", [{}, {"collect": {"envs": 2}}, {"replay": {"latent_context": False}}])
def test_looking_changes_nothing_and_repeats(sections: dict[str, Any]) -> None:
    session = played("Move", 40, replay={"event_share": 0.5, **sections.pop("replay", {})}, **sections)
    session.update()
    before = flat(session.state_dict())
    found = look(session)
    assert found == look(session)
    assert flat(session.state_dict()) == before
    assert all(parameter.grad is None for parameter in session.agent.parameters())


def test_batches_are_of_one_size_however_little_is_played_M_QC_07(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every new shape costs memory that no one gives back: over a long trial the lengths of episodes bring hundreds."""
    sizes: list[int] = []

    def observe(world: WorldModel, batch: Batch, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(batch.reward))
        return whole(world, batch, *args, **kwargs)

    whole = WorldModel.observe
    monkeypatch.setattr(WorldModel, "observe", observe)
    seen: list[list[int]] = []
    for steps in (25, 60, 110, 2000):
        assert look(played("Constant", steps)).keys() >= {"value_mean", "open_loop_error_5", "termination_count"}
        seen.append(sizes.copy())
        sizes.clear()
    assert seen[0] == seen[1] == seen[2] == seen[3] == [120, 80, 40]


def test_before_anything_is_played_there_is_nothing_to_tell() -> None:
    assert look(played("Move", 0)) == {}
    assert not {"value_mean", "value_bias"} & look(played("Move", 7)).keys(), "no episode is finished yet"


def test_the_modular_family_is_looked_at_too_M_ML_25() -> None:
    session = played("Move", 60, world_model={"family": "mlp"})
    found = look(session)
    assert found.keys() >= {"value_mean", "imagined_return_gap", "open_loop_error_5", "reward_mae", "continue_accuracy"}
    assert found == look(session)


def test_double_precision_is_looked_at_in_double_precision() -> None:
    session = played("Move", 40, execution={"dtype": "float64"})
    assert session.agent.optimizer.momentum.dtype == torch.float64
    assert look(session).keys() >= {"value_mean", "open_loop_error_5", "reward_mae"}


def test_a_trial_with_probes_is_the_trial_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit: parameters, moments, replay, generators, evaluations, episodes; what was found is in the lines."""
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)
    left: dict[bool, list[Any]] = {}
    names: dict[bool, set[str]] = {}
    for probes in (True, False):
        leaves = {"log": {"every": 10, "probes": probes}, "checkpoint": {"every": 20, "keep_replay": True}}
        trial = make_trial(tmp_path / str(probes), tiny_config(eval={"every": 30, "episodes": 1}, **leaves))
        execute(trial.path, None, None)
        state = checkpoint.load(trial.checkpoints).state["session"]
        state["counters"].pop("wall_s")
        metrics = timeless(lines(trial.metrics_path(1)))
        names[probes] = {
            f"{line['env_steps']} {name}" for line in metrics for name in line["values"] if "probe/" in name
        }
        for line in metrics:
            line["values"] = {name: value for name, value in line["values"].items() if "probe/" not in name}
        left[probes] = [flat(state), metrics, timeless(lines(trial.evals_path)), timeless(lines(trial.episodes_path))]
    assert left[True] == left[False]
    assert not names[False]
    assert {name.split()[0] for name in names[True]} == {"30", "60"}
    assert {"60 probe/reward_mae", "60 probe/value_bias", "60 probe/open_loop_error_5"} <= names[True]


def test_what_is_found_between_two_lines_has_a_line_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines beside it are those of a trial that is not evaluated there: no mean ends early."""
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)
    written: dict[int, list[dict[str, Any]]] = {}
    for every in (25, 40):
        leaves = {"eval": {"every": every, "episodes": 1}, "log": {"every": 20}, "budget": {"amount": 40}}
        trial = make_trial(tmp_path / str(every), tiny_config(**leaves))
        execute(trial.path, None, None)
        written[every] = lines(trial.metrics_path(1))
    at = {line["env_steps"]: line["values"].keys() for line in written[25]}
    assert list(at) == [20, 25, 40]
    assert all(name.startswith("probe/") for name in at[25])
    assert {"probe/reward_mae", "wm/loss"} <= at[40]
    assert without_probes(written[25]) == without_probes(written[40])


def test_rows_that_an_opponent_played_are_left_out() -> None:
    """M-HK-02: with the other side kept too, only the agent's own streams are looked through."""
    session = Session(tiny_config(env={"id": "dreamerlab/HockeyOne-v0"}, train={"augment": ("swap",)}), 0)
    session.collector.step(session.policy)
    assert session.replay.streams == 2
    probes = probes_of_trial(session)
    assert isinstance(probes, Probes)
    assert probes.streams == 1
