"""The experiments for hockey that are shipped: what they say, and that an agent can be trained by each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreamerlab.config.layers import resolve, shipped_env_configs
from dreamerlab.config.schema import Config
from dreamerlab.train.opponents import Company
from dreamerlab.train.session import Session

BELONGS = {"run": "R0001-abc", "seed": 0, "family": "hockey/0000"}
SHORT = ("train.learning_starts=24", "train.batch_size=2", "train.batch_length=8", "collect.random_steps=0")


def resolved(name: str, *overrides: str) -> Config:
    return resolve(shipped_env_configs().parent, "hockey", name, list(overrides)).config


def test_s2_is_the_teams_final_configuration_with_its_units_put_right_M_CFG_06_DIS_05() -> None:
    config = resolved("hockey_s2")
    behavior, train, rates = config.behavior, config.train, config.optimizer
    assert (behavior.entropy_scale, behavior.lam, behavior.horizon, behavior.slow_rate) == (3e-4, 0.95, 15, 0.02)
    assert 1 - 1 / behavior.discount_horizon == pytest.approx(0.997, abs=1e-5)
    assert (rates.lr_world, rates.lr_actor, rates.lr_critic, rates.max_norm) == (3e-4, 1e-4, 1e-4, 100.0)
    assert (config.model.deter, config.model.stoch, config.model.classes, config.model.unimix) == (256, 16, 16, 0.01)
    assert (train.batch_size, train.batch_length, config.replay.capacity) == (32, 32, 250_000)
    assert (config.free_bits.nats, config.twohot.bins, config.twohot.support) == (1.0, 255, (-20.0, 20.0))
    assert (config.smooth.kernel, config.smooth.used_width, config.hockey.reward) == ("backward_sum", 0.5, "sparse")
    log_std = torch.tensor(config.policy.std).log()
    assert torch.allclose(log_std, torch.tensor([-0.5, 2.0]), atol=1e-4)
    # 32 updates an episode, measured as 0.28 an env step; 32 replayed steps an env step would be 0.03.
    assert train.train_ratio / (train.batch_size * train.batch_length) == pytest.approx(0.28, abs=0.001)


@pytest.mark.parametrize("name", ["hockey_s2", "hockey_selfplay", "hockey_shooting"])
def test_an_agent_is_trained_by_each_of_them(name: str, tmp_path: Path) -> None:
    config = resolved(name, *SHORT)
    session = Session(config, 0, company=Company(pool=tmp_path / "pool", belongs=BELONGS))
    before = [parameter.clone() for parameter in session.agent.behavior.policy.parameters()]
    while not session.can_learn:
        session.collector.step(session.policy)
    for _ in range(2):
        metrics = session.update()
    session.close()
    assert all(torch.isfinite(value) for value in metrics.values())
    after = list(session.agent.behavior.policy.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
