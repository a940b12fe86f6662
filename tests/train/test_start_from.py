"""Starting a trial from what another one has learnt: which parts, on record, and never what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dreamerlab.errors import TrialFailed
from dreamerlab.runs.checkpoints import names
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train import attempt, checkpoint
from dreamerlab.train.attempt import execute
from dreamerlab.train.loop import train
from dreamerlab.train.runtime import StopRequest
from dreamerlab.train.session import Session
from dreamerlab.train.start_from import start_from
from tests.train.trials import make_trial, tiny_config

SOURCE = {"budget": {"amount": 40}, "checkpoint": {"every": 20, "keep_every": 20, "keep_replay": True}}

REPLAY = {"init": {"checkpoint": "R1", "parts": ("replay",)}}


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one that is finished: seed 0 alone."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopRequest, "listen", lambda self: None)
        execute(make_trial(folder, tiny_config(**SOURCE), run_id="R0001-abc").path, None, None)
    return folder


def follower(runs: Path, run_id: str, seed: int = 0, **sections: dict[str, Any]) -> TrialDirectory:
    config = tiny_config(**{"budget": {"amount": 20}, **sections})
    return make_trial(runs, config, seed, run_id)


def begun(trial: TrialDirectory, **sections: dict[str, Any]) -> tuple[Session, dict[str, Any] | None]:
    """A session of a trial as it is when training begins."""
    session = Session(tiny_config(**sections), trial.seed)
    return session, start_from(session, trial, [])


def stored(runs: Path, which: str) -> dict[str, torch.Tensor]:
    folder = TrialDirectory(runs / "R0001-abc" / "seed-0").checkpoints
    return checkpoint.load(folder, which).state["session"]["agent"]


def same(agent: torch.nn.Module, given: dict[str, torch.Tensor], part: str) -> bool:
    state = {name: one for name, one in agent.state_dict().items() if name.startswith(part)}
    assert state, part
    return all(torch.equal(one, given[name]) for name, one in state.items())


def test_a_trial_starts_from_a_named_checkpoint_and_says_so_M_PROT_13(runs: Path) -> None:
    """M-CP-31, M-CP-33, M-PROT-13: the parts are taken over, counters begin at 0, the lineage is on record."""
    trial = follower(runs, "R0002-aaa", init={"checkpoint": "R0001-abc@20"})
    execute(trial.path, None, None)
    (record,) = json.loads(trial.attempts_path.read_text())
    origin = TrialDirectory(runs / "R0001-abc" / "seed-0")
    info = json.loads((origin.checkpoints / "kept-000000020.json").read_text())
    assert record["started_from"] == {
        **{key: info[key] for key in ("run", "seed", "file", "sha256", "env_steps", "updates")},
        "parts": ["world", "behavior", "optimizer"],
    }
    assert info["env_steps"] == 20
    assert (record["start_env_steps"], record["checkpoint"]) == (0, None)
    assert record["note"] == "started from kept-000000020.pt of R0001-abc seed 0 (world, behavior, optimizer)"


def test_everything_named_is_taken_and_nothing_else(runs: Path) -> None:
    given = stored(runs, "40")
    whole, _ = begun(follower(runs, "R0003-aaa"), init={"checkpoint": "R1"})
    assert all(same(whole.agent, given, part) for part in ("world", "behavior", "optimizer"))
    assert whole.counters.env_steps == whole.counters.updates == len(whole.replay) == 0

    fresh, nothing = begun(follower(runs, "R0004-aaa"))
    assert nothing is None
    world, origin = begun(follower(runs, "R0005-aaa"), init={"checkpoint": "R1", "parts": ("world", "optimizer")})
    assert origin is not None
    assert origin["parts"] == ["world", "optimizer"]
    assert same(world.agent, given, "world")
    assert same(world.agent, fresh.agent.state_dict(), "behavior"), "drawn anew"
    momentum, elements = world.agent.optimizer.momentum, world.agent.optimizer.elements
    assert torch.equal(momentum[elements["world"]], given["optimizer.momentum"][elements["world"]])
    assert not momentum[elements["actor"]].any(), "moments of what was not taken are not taken either"
    counts = dict(zip(world.agent.optimizer.names, world.agent.optimizer.updates.tolist(), strict=True))
    assert counts == {"world": int(given["optimizer.updates"][0]), "actor": 0, "critic": 0}, "they warm up afresh"
    assert counts["world"] > 0


def test_replay_is_taken_where_it_was_kept(runs: Path) -> None:
    session, _ = begun(follower(runs, "R0006-aaa"), init={"checkpoint": "R1", "parts": ("world", "replay")})
    assert len(session.replay) > 40
    assert session.can_learn
    with pytest.raises(Exception, match=r"best-0000000\d\d\.pt of R0001-abc seed 0 holds no replay"):
        begun(follower(runs, "R0007-aaa"), init={"checkpoint": "R1@best", "parts": ("replay",)})


@pytest.mark.parametrize("there, here", [(100, 400), (400, 100), (400, 400)])
def test_a_replay_of_another_size_gives_its_newest_steps_in_order(tmp_path: Path, there: int, here: int) -> None:
    """M-CP-33: of every environment as many as fit, and how many is on record."""
    streams: dict[str, Any] = {"collect": {"envs": 2}, "eval": {"every": 200}}
    played = {**SOURCE, "budget": {"amount": 130}, "train": {"train_ratio": 0.2}, **streams}
    source = make_trial(tmp_path, tiny_config(**played, replay={"capacity": there}), run_id="R0001-abc")
    execute(source.path, None, None)
    state = checkpoint.load(source.checkpoints).state["session"]["replay"]
    angles, held = state["rows"]["obs/vector"][:, 0], [min(total, there // 2) for total in state["totals"]]
    assert (sum(held) == 100) == (there == 100)
    kept = [min(rows, here // 2) for rows in held]

    sections = {"init": {"checkpoint": "R1", "parts": ("replay",)}, "replay": {"capacity": here}, **streams}
    session, origin = begun(follower(tmp_path, "R0002-aaa", **sections), **sections)
    for stream, rows in enumerate(kept):
        newest = angles[: held[0]] if stream == 0 else angles[held[0] :]
        column = session.replay.read(stream, *session.replay.span(stream))["obs/vector"][:, 0]
        assert column.tolist() == newest[len(newest) - rows :].tolist()
    session.close()
    assert origin is not None
    assert origin["replay_steps"] == sum(kept)

    trial = follower(tmp_path, "R0003-aaa", **sections)
    execute(trial.path, None, None)
    (record,) = json.loads(trial.attempts_path.read_text())
    assert record["note"].endswith(f"of R0001-abc seed 0 (replay of {sum(kept)} steps)")


def test_the_only_seed_stands_in_for_another_one_and_that_is_said(runs: Path) -> None:
    trial = follower(runs, "R0008-aaa", seed=5, init={"checkpoint": "R1@40"})
    execute(trial.path, None, None)
    (record,) = json.loads(trial.attempts_path.read_text())
    assert record["note"].endswith("that run has no seed 5")


@pytest.mark.parametrize(
    "sections, said",
    [
        ({"init": {"checkpoint": "R0009-zzz"}}, "no run is called 'R0009-zzz'"),
        ({"init": {"checkpoint": "R1@77"}}, "no checkpoint of env step 77 in .*; there are some of env step"),
        ({"init": {"checkpoint": "R1"}, "model": {"units": 16}}, "model.units is 8 there and 16 here"),
        ({"init": {"checkpoint": "R1"}, "env": {"time_limit": 50}}, "env.time_limit is null there and 50 here"),
        ({"init": {"checkpoint": "R1"}, "behavior": {"policy_unimix": 0.01}}, "behavior.policy_unimix is 0.0 there"),
        ({"init": {"checkpoint": "R1", "parts": ("optimizer",)}}, "takes over nothing"),
        ({**REPLAY, "collect": {"envs": 2}}, "collect.envs is 1 there and 2 here"),
        ({**REPLAY, "smooth": {"kernel": "ema"}}, "smooth.kernel is none there and ema here"),
        ({**REPLAY, "replay": {"latent_context": False}}, "replay.latent_context is true there and false here"),
        ({**REPLAY, "heads": {"auxiliary": ("binary:reward_within_3",)}}, r"heads.auxiliary is \[\] there"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_refused_before_training(
    runs: Path, tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    (tmp_path / "R0001-abc").symlink_to(runs / "R0001-abc")
    trial = follower(tmp_path, "R0002-bbb", **sections)
    with pytest.raises(TrialFailed, match=said):
        execute(trial.path, None, None)
    assert not trial.metrics_path(1).exists()
    assert names(trial.checkpoints) == []


def test_a_part_that_does_not_differ_may_be_taken(runs: Path) -> None:
    sections = {"init": {"checkpoint": "R1", "parts": ("world",)}, "behavior": {"policy_unimix": 0.01}}
    session, _ = begun(follower(runs, "R0010-aaa"), **sections)
    assert same(session.agent, stored(runs, "40"), "world")


def test_tensors_that_do_not_fit_are_named() -> None:
    """Beyond the config: another version of the code may build other networks for the same leaves."""
    ours = {"a": torch.zeros(2, 3), "b": torch.zeros(1)}
    found = checkpoint.misfits({"a": torch.zeros(3, 3), "c": torch.zeros(1)}, ours, "world.")
    assert found == ["world.a is [3, 3] there and [2, 3] here", "world.b is missing there", "world.c is unknown here"]


def test_a_trial_that_begins_again_begins_from_the_same_file(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first checkpoint; meanwhile the words have come to mean another file."""
    (tmp_path / "R0001-abc").symlink_to(runs / "R0001-abc")
    trial = follower(tmp_path, "R0002-ccc", init={"checkpoint": "R1"})
    with monkeypatch.context() as patch:
        patch.setattr(attempt, "train", lambda *_: False)
        with pytest.raises(Exception, match="interrupted"):
            execute(trial.path, None, None)
    assert attempt.train is train
    record = json.loads(trial.attempts_path.read_text())
    record[0]["started_from"]["sha256"] = "0" * 64
    trial.attempts_path.write_text(json.dumps(record))
    with pytest.raises(TrialFailed, match=r"an earlier attempt of this trial started from ckpt-000000040\.pt"):
        execute(trial.path, None, None)
