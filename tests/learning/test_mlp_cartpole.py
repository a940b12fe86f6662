"""The modular learner learns CartPole: far above the 22 of random play within 6,000 env steps (M-ML-06, M-QC-03)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamerlab.config.layers import resolve, shipped_env_configs
from dreamerlab.train.session import Session
from tests.learning.toys import returns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

RANDOM = 22.47
"""Mean return of random play (`env_configs/cartpole.yaml`)."""


@pytest.mark.parametrize("seed", [0, 1])
def test_cartpole_is_learnt_far_above_random(seed: int, tmp_path: Path) -> None:
    """Five times the return of random play, mean over the last three evaluations of a curve with one every 1,000."""
    config = resolve(shipped_env_configs().parent, "cartpole", "mlp_small", []).config
    session = Session(config, seed)
    curve: list[float] = []
    metrics: dict[str, float] = {}
    while session.counters.env_steps < config.budget.amount:
        session.collector.step(session.policy)
        session.counters.env_steps = session.collector.env_steps
        for _ in range(session.updates_due()):
            metrics = {name: float(value) for name, value in session.update().items()}
        if session.counters.env_steps % config.eval.every == 0:
            curve.append(returns(session)["mode"])
    session.close()
    assert len(curve) == 6, curve
    assert np.mean(curve[-3:]) > 5 * RANDOM, curve
    assert metrics["wm/dynamics_mse"] < 0.1
