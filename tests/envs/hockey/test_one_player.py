"""The game for one player: what a seed and options say, both sides, rewards, what the info tells."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the engine's binding crashes where they are errors
    import Box2D  # noqa: F401

from dreamerlab.config.schema_hockey import HOCKEY_ID, Hockey
from dreamerlab.config.schema_task import Env
from dreamerlab.envs.faults import EnvironmentFault
from dreamerlab.envs.hockey.game import HockeyEnv
from dreamerlab.envs.hockey.one_player import HockeyOne
from dreamerlab.envs.hockey.rules import DIVISORS
from dreamerlab.envs.make import describe, make_env

NOTHING = np.zeros(4, np.float32)


def game_of(env: HockeyOne, seed: int, rng: np.random.Generator | None = None, **options: Any) -> dict[str, Any]:
    """Play a game with random actions, or none; return everything that was seen."""
    obs, info = env.reset(seed=seed, options=options)
    seen, rewards, infos, over = [obs], [], [info], False
    while not over:
        action = NOTHING if rng is None else rng.uniform(-1, 1, 4).astype(np.float32)
        obs, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        seen.append(obs)
        rewards.append(reward)
        infos.append(info)
    return {"obs": np.array(seen), "rewards": rewards, "infos": infos, "terminated": terminated, **info["game"]}


@pytest.mark.filterwarnings("ignore:.*observation space (min|max)imum value")
def test_gymnasium_finds_nothing_wrong_with_it() -> None:
    env = make_env(Env(id=HOCKEY_ID))
    assert describe(env).observations["vector"].shape == (18,)
    assert describe(env).action.size == 4
    check_env(gym.make(HOCKEY_ID).unwrapped, skip_render_check=True)


def test_a_seed_says_everything_and_options_only_what_they_say_M_HK_02() -> None:
    """M-HK-02: opponent, starter and side follow from the seed; the opponent's draws as well, in a used env too."""
    settings = Hockey(opponent=("weak", "strong:2", "random"), starts="alternate", side="both")
    used, fresh = HockeyOne(settings), HockeyOne(settings)
    for seed in (5, 6, 7):
        game_of(used, seed)
    seen: set[tuple[Any, ...]] = set()
    for seed in range(12):
        first = game_of(used, seed, np.random.default_rng(1))
        again = game_of(HockeyOne(settings) if seed == 3 else fresh, seed, np.random.default_rng(1))
        assert np.array_equal(first["obs"], again["obs"])
        assert first["infos"] == again["infos"]
        seen.add((first["opponent"], first["side"], first["own_start"]))
    assert len(seen) > 5
    free, told = game_of(fresh, 0), game_of(fresh, 0, own_start=False, side=2, opponent="strong", mode="normal")
    assert (told["own_start"], told["side"], told["opponent"]) == (False, 2, "strong")
    same = {name: free[name] for name in ("opponent", "side", "own_start")}
    assert np.array_equal(free["obs"], game_of(fresh, 0, **same)["obs"])


def test_either_player_sees_and_scores_from_the_own_side_M_HK_01() -> None:
    """M-HK-01: the puck that starts is on the own half for either side; goals, rewards and infos are the agent's."""
    env = HockeyOne(Hockey(opponent=("strong",)))
    outcomes: set[tuple[int, str]] = set()
    for seed in range(30):
        for side in (1, 2):
            game = game_of(env, seed, side=side, own_start=seed % 2 == 0)
            assert (game["obs"][0, 12] < 0) == game["own_start"]
            outcomes.add((side, game["outcome"]))
            assert {"win": 1, "draw": 0, "loss": -1}[game["outcome"]] == game["infos"][-1]["winner"]
            goal = 10.0 * game["infos"][-1]["winner"]
            closeness = [info["reward_closeness_to_puck"] for info in game["infos"][1:]]
            assert sum(game["rewards"]) == pytest.approx(goal + sum(closeness))
            assert game["terminated"] == (game["goal_step"] is not None) == (game["outcome"] != "draw")
            assert len(game["rewards"]) == (game["goal_step"] or 251)
            last, puck = game["infos"][-1], game["obs"][-1, 12:14]
            assert last["goal_distance"] == pytest.approx(np.hypot(5 - puck[0], puck[1]), abs=1e-5)
            held = game["obs"][-1, 16:18] > 0
            assert last["possession"] == (1.0 if held[0] else -1.0 if held[1] else 0.0)
    assert {(1, "loss"), (2, "loss")} <= outcomes


def test_player_one_in_its_own_game_is_the_same_game() -> None:
    """The two-player game with the same seeds and both actions gives the same observations."""
    env = HockeyOne(Hockey(opponent=("weak",)))
    rng, plain = np.random.default_rng(0), HockeyEnv(clean_reset=True, truncate=True, tidy=True)
    obs, _ = env.reset(seed=3)
    seed = env.game._np_random_seed
    other, _ = plain.reset(one_starting=env.game.one_starts, seed=seed)
    assert np.array_equal(obs, other)
    for _ in range(50):
        own = rng.uniform(-1, 1, 4).astype(np.float32)
        obs, *_ = env.step(own)
        other, *_ = plain.step(np.frombuffer(env.game._deeds[-1], np.float32))
        assert np.array_equal(obs, other)


def test_sparse_reward_is_the_goal_alone_M_HK_01() -> None:
    """M-HK-01."""
    env = HockeyOne(Hockey(reward="sparse", opponent=("strong",)))
    games = [game_of(env, seed) for seed in range(10)]
    assert all(set(game["rewards"][:-1]) <= {0.0} for game in games)
    assert {game["rewards"][-1] for game in games} >= {-10.0}


def test_exercises_are_player_ones_and_no_timer_outlives_a_game() -> None:
    env = HockeyOne(Hockey(mode="defense", side="two", starts="own"))
    game = game_of(env, 0)
    assert (game["mode"], game["side"], game["own_start"]) == ("defense", 1, False)
    assert len(game["rewards"]) <= 81
    assert game_of(env, 0, mode="shooting")["own_start"] is True
    for seed in range(20):
        assert not game_of(env, seed, np.random.default_rng(seed), mode="shooting")["obs"][0, 16:].any()


def test_scaled_observations_are_the_same_ones_divided() -> None:
    plain, scaled = HockeyOne(), HockeyOne(Hockey(scaling="divisors"))
    divided = game_of(plain, 0)["obs"] / np.array(DIVISORS, np.float32)
    assert np.array_equal(game_of(scaled, 0)["obs"], divided)
    assert divided.dtype == np.float32


def test_a_shorter_limit_ends_the_game_with_its_record() -> None:
    env = make_env(Env(id=HOCKEY_ID, time_limit=7))
    env.reset(seed=0)
    for _ in range(7):
        _, _, terminated, truncated, info = env.step(NOTHING)
    assert (terminated, truncated, info["game"]["outcome"]) == (False, True, "draw")


def test_bad_input_is_named() -> None:
    env = HockeyOne()
    env.reset(seed=0)
    for action in (np.zeros(3), np.zeros(8), np.zeros((1, 4))):
        with pytest.raises(ValueError, match="an action of one player is"):
            env.step(action)
    with pytest.raises(ValueError, match="nan"):
        env.step(np.full(4, np.nan))
    for options, said in (({"sid": 1}, "no option 'sid'"), ({"side": 3}, "player 1 or 2"), ({"mode": "x"}, "no mode")):
        with pytest.raises(ValueError, match=said):
            env.reset(seed=0, options=options)
    guarded = make_env(Env(id=HOCKEY_ID), hockey=Hockey(opponent=("R12",)))
    with pytest.raises(EnvironmentFault, match="no built-in opponent is called 'R12'"):
        guarded.reset(seed=0)
