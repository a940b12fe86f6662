"""Upstream's quirks, one by one: kept as they are by default, and better where that is asked for (M-HK-01).

Numbers Q1 to Q15 are those of the game's specification, section 14.
"""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dreamerlab.config.schema_hockey import TWO_PLAYERS_ID
from dreamerlab.envs.hockey import BasicOpponent, HockeyEnv, HockeyEnv_BasicOpponent, Mode
from dreamerlab.envs.hockey.opponents import BotOpponent
from dreamerlab.envs.hockey.registration import register
from dreamerlab.envs.hockey.rules import BadInput

STILL = np.zeros(8, np.float32)
PUCK_AT_PLAYER_ONE = np.array((-3, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, -2.2, 0, -10, 0, 0, 0), float)


def _hold(game: HockeyEnv) -> None:
    """Let player one catch the puck."""
    game.set_state(PUCK_AT_PLAYER_ONE)
    for _ in range(10):
        game.step(STILL)
        if game.player1_has_puck:
            return
    raise AssertionError("nobody caught the puck")


def test_q1_keep_timers_survive_a_reset_unless_it_is_to_be_clean() -> None:
    game = HockeyEnv()
    _hold(game)
    timer = game.player1_has_puck
    seen, _ = game.reset(seed=1)
    assert timer > 1
    assert seen[16] == timer
    before = seen[12:14]
    seen, *_ = game.step(STILL)
    assert np.abs(seen[12:14] - before).max() > 0.5, "the puck is fetched"
    better = HockeyEnv(clean_reset=True)
    _hold(better)
    assert (better.reset(seed=1)[0][16:] == 0).all()


def test_q2_a_reset_without_seed_is_seeded_by_the_system_unless_it_is_to_be_clean() -> None:
    game = HockeyEnv()
    seconds = [(game.reset(seed=1), game.reset())[1][0][12:14].tolist() for _ in range(3)]
    assert len({*map(tuple, seconds)}) == 3
    better = HockeyEnv(clean_reset=True)
    seconds = [(better.reset(True, seed=1), better.reset(True))[1][0][12:14].tolist() for _ in range(3)]
    assert len({*map(tuple, seconds)}) == 1
    firsts = {better.reset(seed=5)[0].tobytes() for _ in range(4)}
    assert len(firsts) == 1, "with a seed, whose turn it is follows from the seed"
    assert len({bool(better.reset(seed=seed)[0][12] > 0) for seed in range(8)}) == 2


def test_q3_a_reset_switches_the_mode() -> None:
    """Upstream means to, and raises TypeError."""
    game = HockeyEnv()
    game.reset(mode="TRAIN_DEFENSE")
    assert game.mode is Mode.TRAIN_DEFENSE
    assert game.max_timesteps == 80
    game.reset(options={"mode": 0})
    assert game.max_timesteps == 250


def test_q4_the_ids_are_our_own() -> None:
    register()
    made = gym.make(TWO_PLAYERS_ID).unwrapped
    assert isinstance(made, HockeyEnv)
    assert (made.clean_reset, made.truncate, made.tidy) == (True, True, True)
    assert "Hockey-v0" not in gym.registry


@pytest.mark.parametrize(("mode", "steps"), [(Mode.NORMAL, 251), (Mode.TRAIN_SHOOTING, 81), (Mode.TRAIN_DEFENSE, 81)])
def test_q5_q6_time_running_out_is_a_termination_one_step_late(mode: Mode, steps: int) -> None:
    for truncate in (False, True):
        game = HockeyEnv(mode=mode, truncate=truncate)
        game.reset(one_starting=True, seed=0)
        for step in range(1, steps + 1):
            game.puck.position = (5.0, 4.0)  # nobody scores
            game.puck.linearVelocity = (0.0, 0.0)
            _, _, terminated, truncated, info = game.step(STILL)
            assert (terminated or truncated) == (step == steps)
        assert (terminated, truncated, info["winner"]) == (not truncate, truncate, 0)
        assert game.step(STILL)[2 + truncate], "stepping on is allowed, and the game stays over"


def test_q5_a_goal_stays_a_termination_and_is_paid_again_and_again() -> None:
    for truncate in (False, True):
        game = HockeyEnv(truncate=truncate)
        game.reset(seed=0)
        game.set_state((-3, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3.5, 0, 20, 0, 0, 0))
        outcomes = [game.step(STILL) for _ in range(12)]
        ended = [step for step, outcome in enumerate(outcomes) if outcome[2]]
        assert ended == list(range(ended[0], 12))
        assert all(outcomes[step][1] == 10 and not outcomes[step][3] for step in ended)


def test_q7_what_is_promised_of_an_observation_is_kept_when_tidy() -> None:
    for keep in (True, False):
        plain, tidy = HockeyEnv(keep), HockeyEnv(keep, tidy=True)
        assert plain.observation_space.shape == (18,)
        seen = plain.reset(seed=0)[0]
        assert (seen.dtype, seen.shape) == (np.float64, (18 if keep else 16,))
        seen = tidy.reset(seed=0)[0]
        assert seen in tidy.observation_space
        assert tidy.obs_agent_two() in tidy.observation_space
        assert tidy.action_space.shape == (8 if keep else 6,)


def test_q8_shooting_is_a_discrete_action_that_is_not_counted() -> None:
    assert (HockeyEnv().discrete_action_space.n, HockeyEnv(tidy=True).discrete_action_space.n) == (7, 8)
    assert HockeyEnv(False, tidy=True).discrete_action_space.n == 7
    assert HockeyEnv().discrete_to_continous_action(7) == [0, 0, 0, 1]
    table = [HockeyEnv(False).discrete_to_continous_action(number) for number in range(7)]
    assert table == [[0, 0, 0], [-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]]


def test_q9_players_turn_freely_at_first_and_the_puck_keeps_its_spin() -> None:
    game = HockeyEnv()
    assert game.player1.angularDamping == 0
    game.puck.angularVelocity = 3.0
    game.step(STILL)
    assert game.player1.angularDamping == 2
    assert game.puck.angularVelocity == 3.0
    assert game.puck.angularDamping == 0


def test_q10_pushing_outwards_at_the_wall_stops_a_player_at_once() -> None:
    game = HockeyEnv()
    game.set_state((-3.6, 0, 0, -3, 0, 0, 3, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0))
    gliding, *_ = copy.deepcopy(game).step(STILL)
    pushing, *_ = game.step(np.array((-1, 0, 0, 0, 0, 0, 0, 0)))
    assert gliding[3] < -2
    assert pushing[3] == 0


def test_q11_25_metres_a_second_is_no_limit() -> None:
    game = HockeyEnv()
    game.set_state((-3, 2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, -3, -1, 50, 0, 0, 0))
    speeds = [float(game.step(STILL)[0][14]) for _ in range(3)]
    assert speeds == pytest.approx([40, 32, 25.6], rel=1e-5)
    for _ in range(20):
        speeds.append(float(np.hypot(*game.step(STILL)[0][14:16])))
    assert max(speeds[3:]) < 25 < speeds[2], "and below it, it slows down little"
    assert speeds[-1] > 15
    _hold(game)
    game.step(STILL)
    assert np.hypot(*game.step((0, 0, 0, 1, 0, 0, 0, 0))[0][14:16]) > 40


def test_q12_a_copy_is_in_the_same_game() -> None:
    """Upstream's begins another one with default arguments; more in test_copies.py."""
    game = HockeyEnv(keep_mode=False, mode=Mode.TRAIN_SHOOTING)
    game.reset(seed=4)
    game.step(np.ones(6))
    other = copy.deepcopy(game)
    assert (other.keep_mode, other.mode, other.time) == (False, Mode.TRAIN_SHOOTING, 1)
    assert np.array_equal(game.step(np.ones(6))[0], other.step(np.ones(6))[0])


def test_q13_bots_draw_from_global_state_or_from_their_own() -> None:
    seen = HockeyEnv().reset(seed=0)[0]
    np.random.seed(3)
    basic = BasicOpponent()
    first = [basic.act(seen).tolist() for _ in range(3)]
    np.random.seed(3)
    assert [BasicOpponent().act(seen).tolist()] == first[:1]
    state: Any = np.random.get_state()[1]
    before = state.copy()
    own = BotOpponent(weak=True)
    for seed in (1, 1, 2):
        own.reset(np.random.default_rng(seed))
        first.append([own.act(seen).tolist() for _ in range(3)])
    state = np.random.get_state()[1]
    assert (state == before).all()
    assert first[3] == first[4]
    assert first[3] != first[5]
    phases = []
    for seed in range(2000):
        own.reset(np.random.default_rng(seed))
        phases.append(own.phase)
        own.act(seen)
        phases[-1] = (phases[-1], own.phase - phases[-1])
    starts, strides = np.array(phases).T
    assert 0 <= starts.min() < 0.02 < np.pi - 0.02 < starts.max() <= np.pi
    assert starts.mean() == pytest.approx(np.pi / 2, abs=0.06)
    assert 0 <= strides.min() < 0.002 < 0.198 < strides.max() <= 0.2


def test_q14_the_puck_of_a_defense_rests_at_the_reset_and_flies_after_a_step() -> None:
    game = HockeyEnv(mode=Mode.TRAIN_DEFENSE)
    seen, _ = game.reset(seed=0)
    assert (seen[14:16] == 0).all()
    seen, *_ = game.step(STILL)
    assert np.hypot(*seen[14:16]) == pytest.approx(60, abs=2)
    assert seen[14] < 0


def test_q15_the_nearest_the_puck_came_to_the_goal_is_kept() -> None:
    game = HockeyEnv()
    game.reset(seed=0)
    assert game.closest_to_goal_dist == 1000
    game.set_state((-3, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 3, 0, -5, 0, 0, 0))
    game.step(STILL)
    nearest = game.closest_to_goal_dist
    assert nearest == pytest.approx(2.1, abs=0.01)
    game.step(STILL)
    assert game.closest_to_goal_dist == nearest


def test_one_player_against_a_bot_has_upstreams_interface() -> None:
    """M-HK-02: keep mode, four numbers, and a bot that sees the state before the step."""
    game = HockeyEnv_BasicOpponent(mode="NORMAL", weak_opponent=True)
    assert game.action_space.shape == (4,)
    assert game.opponent.weak
    assert not HockeyEnv_BasicOpponent().opponent.weak
    game.reset(seed=1)
    np.random.seed(5)
    other, bot = HockeyEnv(), BasicOpponent(weak=True)
    bot.phase = game.opponent.phase
    other.reset(one_starting=game.one_starts, seed=1)
    for own in np.random.default_rng(0).uniform(-1, 1, (40, 4)):
        state = np.random.get_state()
        one = game.step(own)
        np.random.set_state(state)
        two = other.step(np.concatenate([own, bot.act(other.obs_agent_two())]))
        assert np.array_equal(one[0], two[0])
        assert one[1:] == two[1:]
    with pytest.raises(BadInput, match=r"\(4,\)"):
        game.step(STILL)
