"""The preset of the modular learner has the values that its sources give (M-ML-04, M-ML-06, M-ML-08, M-ML-20 to 24)."""

from __future__ import annotations

from pathlib import Path

import yaml

from dreamerlab.config.schema import Config

PRESET = Path(__file__).parents[2] / "env_configs/experiments/mlp.yaml"


def test_the_preset_of_the_modular_learner_has_its_sources_values_M_ML_08() -> None:
    """M-ML-24: a thousand updates of the world model alone are 4,000 env steps, between 1,000 and 10,000."""
    config = Config.model_validate(yaml.safe_load(PRESET.read_text(encoding="utf-8")))
    assert config.world_model.family == "mlp"
    assert config.mlp.state == 64
    behavior, optimizer, train = config.behavior, config.optimizer, config.train
    assert (behavior.horizon, behavior.lam, 1 - 1 / behavior.discount_horizon) == (15, 0.95, 0.99)
    assert (behavior.entropy_scale, behavior.entropy_schedule) == (0.01, "constant")
    assert (optimizer.lr_world, optimizer.lr_actor, optimizer.lr_critic) == (1e-4, 3e-5, 3e-5)
    assert (optimizer.name, optimizer.max_norm) == ("adam_clip", 1.0)
    assert (config.mlp.world_updates, config.mlp.actor_updates, config.mlp.critic_updates) == (1, 1, 1)
    assert train.model_only_updates * train.batch_size * train.batch_length / train.train_ratio == 4000
