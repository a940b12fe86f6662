"""Copies and pickles of a game go on exactly as it does (M-HK-01)."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreamerlab.config.schema_hockey import TWO_PLAYERS_ID
from dreamerlab.envs.hockey import HockeyEnv, HockeyEnv_BasicOpponent
from dreamerlab.envs.hockey.registration import register

_COPIES = {"copy": copy.deepcopy, "pickle": lambda game: pickle.loads(pickle.dumps(game))}
_DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["step", "steps", "steps", "many", "reset", "seed", "state", "copy"]), st.integers(0, 99)
    ),
    max_size=8,
)


def _act(game: HockeyEnv, deed: str, number: int) -> HockeyEnv:
    rng = np.random.default_rng(number)
    if deed == "copy":
        return copy.deepcopy(game)
    if deed == "reset":
        game.reset()
    elif deed == "seed":
        game.reset(seed=number, mode=number % 3, one_starting=(None, True, False)[number % 3])
    elif deed == "state":
        low = np.array((-4, -3, -1, -9, -9, -3, 0, -3, -1, -9, -9, -3, -4, -3, -30, -30, 0, 0))
        state = rng.uniform(low, np.abs(low))
        state[16:] = rng.integers(0, 15, 2)
        game.set_state(state[: 18 if game.keep_mode else 16])
    else:
        for _ in range({"step": 1, "steps": 20, "many": 90}[deed]):
            game.step(rng.uniform(-1.5, 1.5, game.action_space.shape))
    return game


def _future(game: HockeyEnv, number: int) -> list[Any]:
    """Return what becomes of a game, over its end and into the next one."""
    rng = np.random.default_rng(number)
    told: list[Any] = [game.obs_agent_two().tobytes(), game.time, game.winner, game.done, game.one_starts]
    for _ in range(40):
        seen, *rest = game.step(rng.uniform(-1, 1, game.action_space.shape))
        told.append((seen.tobytes(), game.obs_agent_two().tobytes(), repr(rest), repr(game.get_info_agent_two())))
    if game.clean_reset:
        told.append(game.reset()[0].tobytes())
    told.append(game.reset(seed=number)[0].tobytes())
    told += [game.step(rng.uniform(-1, 1, game.action_space.shape))[0].tobytes() for _ in range(20)]
    return [*told, game.action_space.sample().tobytes(), game.closest_to_goal_dist, game.mode, game.max_timesteps]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    keep=st.booleans(), clean=st.booleans(), tidy=st.booleans(), mode=st.integers(0, 2), deeds=_DEEDS,
    how=st.sampled_from(sorted(_COPIES)),
)  # fmt: skip
def test_a_copy_goes_on_to_the_bit(keep: bool, clean: bool, tidy: bool, mode: int, deeds: Any, how: str) -> None:
    """Whatever was done before, goals, catches and states that were set included."""
    game = HockeyEnv(keep, mode, clean_reset=clean, truncate=clean, tidy=tidy)
    game.action_space.seed(0)
    for deed, number in deeds:
        game = _act(game, deed, number)
    other = _COPIES[how](game)
    assert type(other) is HockeyEnv
    assert other.time == game.time
    assert _future(other, 5) == _future(game, 5)


def test_a_copy_is_apart() -> None:
    game = HockeyEnv()
    game.reset(seed=0)
    other = copy.deepcopy(game)
    for _ in range(10):
        other.step(np.ones(8))
    assert game.time == 0
    assert (game.player1.position.x, game.player2.position.x) == (2, 8)


@pytest.mark.parametrize("how", sorted(_COPIES))
def test_the_bots_phase_is_copied_and_its_actions_are_not_played_anew(how: str) -> None:
    game = HockeyEnv_BasicOpponent(weak_opponent=True)
    game.reset(seed=0)
    for _ in range(30):
        game.step(np.zeros(4))
    before = np.random.get_state()
    other = _COPIES[how](game)
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert other.opponent.phase == game.opponent.phase
    one = [game.step(np.ones(4))[0].tobytes() for _ in range(20)]
    np.random.set_state(before)
    assert [other.step(np.ones(4))[0].tobytes() for _ in range(20)] == one


@pytest.mark.parametrize("how", sorted(_COPIES))
def test_what_gymnasium_makes_can_be_copied(how: str) -> None:
    register()
    env = gym.make(TWO_PLAYERS_ID)
    env.reset(seed=1)
    env.step(env.action_space.sample())
    other = _COPIES[how](env)
    action = env.action_space.sample()
    assert np.array_equal(env.step(action)[0], other.step(action)[0])
    assert other.spec is not None
