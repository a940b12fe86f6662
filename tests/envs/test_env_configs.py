"""The shipped environment files: they resolve, and their reference figures are true."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dreamerlab.config.schema import Config
from dreamerlab.envs.check import check
from dreamerlab.envs.make import describe, make_env

FOLDER = Path(__file__).parents[2] / "env_configs"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_environment_file_names_a_task_that_can_be_made(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# "), "the first line says what the task is"
    config = Config.model_validate(yaml.safe_load(text))
    assert describe(make_env(config.env)).action.num_actions > 1
    reference = config.reference
    assert None not in (reference.fail, reference.random, reference.solved)
    assert reference.fail <= reference.random < reference.solved
    assert config.budget.amount % config.eval.every == 0


@pytest.mark.parametrize("name, tolerance", [("cartpole", 6.0), ("acrobot", 12.0), ("mountaincar", 0.0)])
def test_the_random_reference_is_what_random_play_gives(name: str, tolerance: float) -> None:
    """Tolerance: about four standard errors of 60 (cartpole) and 12 (the others) episodes."""
    config = Config.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))
    episodes = 60 if name == "cartpole" else 12
    measured = check(config.env.id, config.env.time_limit, random_episodes=episodes)["random"]["mean"]
    assert config.reference.random == pytest.approx(measured, abs=tolerance)
