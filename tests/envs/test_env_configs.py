"""The shipped environment files: they resolve, and their reference figures are true."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.config.layers import resolve
from dreamerlab.envs.check import check
from dreamerlab.envs.make import describe, make_env

FOLDER = Path(__file__).parents[2] / "env_configs"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_environment_file_names_a_task_that_can_be_made(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# "), "the first line says what the task is"
    config = resolve(FOLDER.parent, path.stem, None, []).config
    spec = describe(make_env(config.env, hockey=config.hockey))
    assert spec.observations.keys() == ({"image"} if path.stem.endswith("_pixels") else {"vector"})
    assert spec.action.is_discrete != (path.stem in ("pendulum", "hockey") or path.stem.endswith("_continuous"))
    reference = config.reference
    assert None not in (reference.fail, reference.random, reference.solved)
    assert reference.fail <= reference.random < reference.solved
    assert config.budget.amount % config.eval.every == 0


@pytest.mark.parametrize(
    "name, episodes, tolerance",
    [
        ("cartpole", 60, 6.0),
        ("cartpole_pixels", 60, 6.0),
        ("acrobot", 12, 12.0),
        ("mountaincar", 12, 0.0),
        ("lunarlander", 40, 80.0),
        ("lunarlander_continuous", 40, 90.0),
        ("pendulum", 20, 280.0),
        ("mountaincar_continuous", 4, 2.5),
        ("hockey", 100, 4.5),
    ],
)
def test_the_random_reference_is_what_random_play_gives(name: str, episodes: int, tolerance: float) -> None:
    """DIS-10. Tolerance: about four standard errors."""
    config = resolve(FOLDER.parent, name, None, []).config
    measured = check(config.env.model_copy(update={"observe": "state"}), episodes)["random"]["mean"]
    assert config.reference.random == pytest.approx(measured, abs=tolerance)
