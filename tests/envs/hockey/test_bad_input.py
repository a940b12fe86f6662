"""What the game refuses, and in which words; and that gymnasium finds nothing to complain about (M-HK-01)."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv

from dreamerlab.config.schema_hockey import HOCKEY_ID, TWO_PLAYERS_ID
from dreamerlab.config.schema_task import Env
from dreamerlab.envs.hockey import HockeyEnv, Mode
from dreamerlab.envs.hockey.opponents import bot_action, make_bot
from dreamerlab.envs.hockey.registration import register
from dreamerlab.envs.hockey.rules import BadInput, BadType
from dreamerlab.envs.make import make_env
from dreamerlab.errors import UsageError


@pytest.mark.parametrize(
    ("keep", "action", "says"),
    [
        (True, np.zeros(4), r"shape \(8,\); got \(4,\)"),
        (True, np.zeros((1, 8)), r"shape \(8,\); got \(1, 8\)"),
        (True, 0.0, r"got \(\)"),
        (False, np.zeros(8), r"shape \(6,\); got \(8,\)"),
        (True, [0, 0, float("nan"), 0, 0, 0, 0, 0], "holds nan"),
    ],
)
def test_an_action_that_cannot_be_played(keep: bool, action: Any, says: str) -> None:
    game = HockeyEnv(keep)
    with pytest.raises(BadInput, match=says) as caught:
        game.step(action)
    assert caught.value.hint
    assert isinstance(caught.value, ValueError)
    assert game.time == 0, "nothing was played"


def test_numbers_beyond_1_are_cut() -> None:
    one, two = HockeyEnv(), HockeyEnv()
    for game in (one, two):
        game.reset(True, seed=0)
    wild = np.array((3, -7, 1e30, np.inf, -np.inf, 1.0001, -2, 5))
    for _ in range(30):
        assert np.array_equal(one.step(wild)[0], two.step(np.sign(wild))[0])


@pytest.mark.parametrize(
    ("mode", "error", "says"),
    [
        ("NORMLA", ValueError, "did you mean 'NORMAL'"),
        (3, ValueError, "no mode has the number 3"),
        (-1, ValueError, "no mode has the number -1"),
        (1.0, TypeError, "mode is 1.0 of type float"),
        (True, TypeError, "mode is True of type bool"),
        (None, TypeError, "mode is None"),
    ],
)
def test_a_mode_that_is_none(mode: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        HockeyEnv(mode=mode)
    assert isinstance(caught.value, BadInput | BadType)
    assert "TRAIN_SHOOTING (1)" in str(caught.value.hint)


def test_modes_by_member_name_and_number() -> None:
    for given in (Mode.TRAIN_DEFENSE, "TRAIN_DEFENSE", 2, np.int64(2)):
        assert HockeyEnv(mode=given).mode is Mode.TRAIN_DEFENSE


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (np.zeros(16), r"shape \(18,\); got \(16,\)"),
        (np.zeros((2, 18)), r"got \(2, 18\)"),
        (np.full(18, np.nan), "numbers that are none"),
        (np.full(18, np.inf), "numbers that are none"),
    ],
)
def test_a_state_that_cannot_be_set(state: np.ndarray, says: str) -> None:
    game = HockeyEnv()
    before = game.obs_agent_two()
    with pytest.raises(BadInput, match=says):
        game.set_state(state)
    assert np.array_equal(game.obs_agent_two(), before)


@pytest.mark.parametrize("number", [8, -1, 1.5, "up", True, None])
def test_a_discrete_action_that_is_none(number: Any) -> None:
    with pytest.raises(BadInput, match="whole number from 0 to 7"):
        HockeyEnv().discrete_to_continous_action(number)
    with pytest.raises(BadInput, match="from 0 to 6; got 7"):
        HockeyEnv(False).discrete_to_continous_action(7)


def test_other_words_that_are_none() -> None:
    with pytest.raises(BadInput, match=r"'one_startin'.*did you mean 'one_starting'"):
        HockeyEnv().reset(options={"one_startin": True})
    with pytest.raises(BadInput, match="render_mode is 'ansi'"):
        HockeyEnv(render_mode="ansi")
    with pytest.raises(BadInput, match="render_mode is 'ansi'"):
        HockeyEnv().render("ansi")
    with pytest.raises(BadInput, match=r"style is 'moderm'.*did you mean 'modern'"):
        HockeyEnv(style="moderm")
    with pytest.raises(UsageError, match=r"'stong'.*did you mean 'strong'"):
        make_bot("stong")
    with pytest.raises(BadInput, match="sees 18 numbers; got 16"):
        bot_action(np.zeros(16), 0.0, weak=True)


@pytest.mark.parametrize("env_id", [TWO_PLAYERS_ID, HOCKEY_ID])
@pytest.mark.filterwarnings("ignore:.*(infinity|not used the `seed`|render_mode|not within the obs).*:UserWarning")
def test_gymnasiums_checker_passes(env_id: str) -> None:
    """M-HK-01: spaces, seeding, determinism and pictures; one infinite space is what the game has."""
    register()
    pytest.importorskip("pygame")
    made = gym.make(env_id, render_mode="rgb_array", disable_env_checker=True)
    check_env(made.unwrapped, skip_render_check=False)


def test_other_environments_do_not_import_the_engine() -> None:
    code = (
        "import sys; from dreamerlab.config.schema_task import Env; from dreamerlab.envs.make import make_env; "
        "make_env(Env(id='CartPole-v1')).close(); sys.exit('Box2D' in sys.modules or 'pygame' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_trainer_finds_the_game_of_two() -> None:
    env = make_env(Env(id=TWO_PLAYERS_ID))
    rows, _ = env.reset(seed=0)
    assert {key: row.shape for key, row in rows.items()} == {"state": (18,)} or len(rows) == 1
    env.close()


def test_games_in_worker_processes_are_the_same_games() -> None:
    """Parallel games by gymnasium's own means."""
    register()
    envs = AsyncVectorEnv([lambda: HockeyEnv(clean_reset=True, truncate=True, tidy=True) for _ in range(2)])
    try:
        seen, _ = envs.reset(seed=[3, 4])
        actions = np.random.default_rng(0).uniform(-1, 1, (30, 2, 8)).astype(np.float32)
        apart = [HockeyEnv(clean_reset=True, truncate=True, tidy=True) for _ in range(2)]
        firsts = [game.reset(seed=seed)[0] for game, seed in zip(apart, (3, 4), strict=True)]
        assert np.array_equal(seen, firsts)
        for action in actions:
            seen, *_ = envs.step(action)
            assert np.array_equal(seen, [game.step(one)[0] for game, one in zip(apart, action, strict=True)])
    finally:
        envs.close()
