"""Agents as opponents: of other runs, decided on once, and of the trial's own past (M-HK-02); what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.dreamer.agent import Agent
from dreamerlab.envs.hockey.rules import DIVISORS
from dreamerlab.errors import Conflict, LabError, NotFound, UsageError
from dreamerlab.runs.checkpoints import BEST, KEPT, LATEST
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from dreamerlab.train import checkpoint
from dreamerlab.train.opponents import (
    AgentOpponent,
    Company,
    Roster,
    find_company,
    maker,
    network_of,
    require_the_same,
)
from dreamerlab.train.pool import LEFT_OUT, Pool
from tests.train.trials import make_trial, tiny_config

SPEC = EnvSpec({"vector": ObsSpec.vector(18)}, ActionSpec.continuous(4))


def hockey(env: dict[str, Any] | None = None, **settings: Any) -> Config:
    return tiny_config(env={"id": HOCKEY_ID, **(env or {})}, hockey=settings)


def agent_of(config: Config, seed: int = 0) -> Agent:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Agent(SPEC, config)


def stored(folder: Path, run_id: str, config: Config, kind: str = LATEST, **changes: Any) -> TrialDirectory:
    """A run with one checkpoint, as if it had been trained."""
    trial = make_trial(folder, config, run_id=run_id)
    facts = {"run": run_id, "seed": 0, "family": "f", "env_steps": 40, "updates": 1, "episodes": 1, "wall_s": 1.0}
    state = {"session": {"agent": agent_of(config).state_dict()}}
    checkpoint.save(trial.checkpoints, state, None, kind=kind, has_replay=False, **{**facts, **changes})
    return trial


def actions_of(opponent: AgentOpponent, seed: int, steps: int = 5) -> np.ndarray:
    opponent.reset(np.random.default_rng(seed))
    seen = np.random.default_rng(7).normal(size=(steps, 18))
    return np.array([opponent.act(obs) for obs in seen])


def test_an_agent_plays_by_the_seed_of_the_game_as_it_was_trained_to_M_HK_02() -> None:
    """M-HK-02: sampled, repeatable; its own scaling and action repeat."""
    plain = AgentOpponent(agent_of(hockey()))
    first = actions_of(plain, 0)
    assert first.shape == (5, 4)
    assert np.array_equal(first, actions_of(plain, 0))
    assert not np.array_equal(first, actions_of(plain, 1))
    scaled = AgentOpponent(agent_of(hockey(scaling="divisors")))
    scaled.reset(np.random.default_rng(0))
    seen = np.random.default_rng(7).normal(size=(5, 18)) * np.array(DIVISORS)
    again = np.array([scaled.act(obs) for obs in seen])
    np.testing.assert_allclose(again, first, atol=1e-5)
    slow = actions_of(AgentOpponent(agent_of(hockey(env={"action_repeat": 2}))), 0)
    assert np.array_equal(slow[0::2][:2], slow[1::2])
    assert not np.array_equal(slow[0], slow[2])


def test_a_runs_agent_is_found_once_by_all_its_names_and_recorded(tmp_path: Path) -> None:
    stored(tmp_path, "R0001-abc", hockey(), BEST, score=1.0)
    config = hockey(opponent=("weak", "R0001@best"), eval_opponents=("R0001@40",))
    trial = make_trial(tmp_path, config, run_id="R0002-xyz")
    company = find_company(trial, config)
    assert company.resolved == {"R0001@best": "R0001-abc@40", "R0001@40": "R0001-abc@40"}
    opponent = Roster(config, company)("R0001-abc@40")
    assert isinstance(opponent, AgentOpponent)
    assert np.array_equal(actions_of(opponent, 0), actions_of(AgentOpponent(agent_of(config)), 0))
    assert find_company(trial, config, training=False).resolved == {"R0001@40": "R0001-abc@40"}
    records = [{"opponents": json.loads(json.dumps([guest.facts() for guest in company.guests]))}]
    require_the_same(company, records)
    records[0]["opponents"][0]["sha256"] = "0"
    with pytest.raises(Conflict, match=r"R0001@best is best-000000040\.pt of R0001-abc now"):
        require_the_same(company, records)


@pytest.mark.parametrize(
    ("theirs", "text", "said"),
    [
        (None, "R9", "no run is called 'R9'"),
        (hockey(), "R0001@77", "no checkpoint of env step 77"),
        (hockey(), "R0001@best", "no checkpoint 'best'"),
        (tiny_config(), "R0001", "cannot play: it was trained on CartPole-v1"),
        (hockey(env={"observe": "both"}), "R0001", "cannot play: it sees pictures"),
    ],
)
def test_who_cannot_play_is_refused_by_name(tmp_path: Path, theirs: Config | None, text: str, said: str) -> None:
    if theirs is not None:
        stored(tmp_path, "R0001-abc", theirs)
    config = hockey(curriculum=(f"0 normal weak+{text}",))
    trial = make_trial(tmp_path, config, run_id="R0002-xyz")
    with pytest.raises(LabError, match=said) as caught:
        find_company(trial, config)
    assert f"hockey.curriculum={text}" in caught.value.message


def test_runs_without_agents_strangers_files_and_pictures_are_refused(tmp_path: Path) -> None:
    make_trial(tmp_path, hockey(), run_id="R0001-abc")
    config = hockey(opponent=("R0001",))
    trial = make_trial(tmp_path, config, run_id="R0002-xyz")
    with pytest.raises(NotFound, match="no checkpoint 'latest'"):
        find_company(trial, config)
    stored(tmp_path, "R0003-abc", hockey(), run="R0007-qqq")
    with pytest.raises(Conflict, match="belongs to R0007-qqq seed 0"):
        find_company(trial, hockey(opponent=("R0003",)))
    with pytest.raises(UsageError, match="is the trial itself"):
        find_company(stored(tmp_path, "R0004-abc", config), hockey(opponent=("R0004",)))
    with pytest.raises(UsageError, match="an opponent is shown no pictures"):
        find_company(trial, hockey(env={"observe": "pixels"}, opponent=("self",)))
    with pytest.raises(UsageError, match="no opponent is called 'R0009' here"):
        Roster(config, Company())("R0009")
    damaged = stored(tmp_path, "R0005-abc", hockey())
    (damaged.checkpoints / "ckpt-000000040.pt").write_bytes(b"no tensors")
    company = find_company(trial, hockey(opponent=("R0005",)))
    with pytest.raises(Conflict, match=r"ckpt-000000040\.pt cannot be used"):
        maker(hockey(opponent=("R0005",)), company)
    other = {**hockey().model_dump(), "model": {**hockey().model.model_dump(), "units": 16}}
    with pytest.raises(Conflict, match="does not fit this agent"):
        network_of(Config.model_validate(other), {"agent": agent_of(hockey()).state_dict()}, "a file")


def pool_of(folder: Path, agent: Agent, **settings: Any) -> Pool:
    belongs = {"run": "R0001-abc", "seed": 0, "family": "f", "updates": 3, "episodes": 2}
    return Pool(hockey(opponent=("self",), **settings).hockey, folder, agent, lambda: belongs)


def files(folder: Path) -> list[int]:
    return sorted(int(path.stem.partition("-")[2]) for path in folder.glob(f"{KEPT}-*.pt"))


def test_the_pool_keeps_the_first_and_the_newest_M_HK_02(tmp_path: Path) -> None:
    """M-HK-02: members join when due, are what the agent was, and stay on disk while a checkpoint knows of them."""
    config = hockey(opponent=("self",))
    agent = agent_of(config)
    pool = pool_of(tmp_path, agent, pool_every=10, pool_size=3)
    assert pool.names(4) == ["self@4"]
    before = actions_of(AgentOpponent(agent), 0)
    assert pool.names(13) == ["self@4"], "due at 14"
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.1)
    assert pool.names(14) == ["self@4", "self@14"]
    roster = Roster(config, Company(pool=tmp_path))
    first, second = roster("self@4"), roster("self@14")
    assert isinstance(first, AgentOpponent)
    assert isinstance(second, AgentOpponent)
    assert np.array_equal(actions_of(first, 0), before)
    assert np.array_equal(actions_of(second, 0), actions_of(AgentOpponent(agent), 0))
    saved = checkpoint.open_exactly(tmp_path, "kept-000000004")["session"]["agent"]
    assert not [name for name in saved if name.startswith(LEFT_OUT)]

    pool.sweep(["ckpt-000000020"])
    for at in (24, 34, 44):
        pool.names(at)
    assert pool.names(45) == ["self@4", "self@34", "self@44"]
    assert files(tmp_path) == [4, 14, 24, 34, 44]
    pool.sweep(["ckpt-000000020", "ckpt-000000050"])
    assert files(tmp_path) == [4, 14, 34, 44], "14 is known to the older checkpoint, 24 to none"
    pool.sweep(["ckpt-000000050"])
    assert files(tmp_path) == [4, 34, 44]


def test_a_restored_pool_is_the_same_and_misses_no_file(tmp_path: Path) -> None:
    agent = agent_of(hockey())
    pool = pool_of(tmp_path, agent, pool_every=10, pool_size=2)
    for at in (0, 10, 20):
        pool.names(at)
    state = pool.state_dict()
    restored = pool_of(tmp_path, agent, pool_every=10, pool_size=2)
    restored.sweep([])
    assert files(tmp_path) == [0, 10, 20], "who was never restored knows nothing, and removes nothing"
    restored.load_state_dict(state)
    assert restored.names(29) == pool.names(29) == ["self@0", "self@20"]
    restored.sweep(["ckpt-000000020", "ckpt-000000029"])
    assert 10 in files(tmp_path), "a checkpoint of an earlier process may know of it"
    (tmp_path / "kept-000000020.pt").unlink()
    with pytest.raises(Conflict, match=r"self@20 of the pool cannot be played: .*: the tensor file is missing"):
        pool_of(tmp_path, agent).load_state_dict(state)
