"""What beside goals is told of a game: shaping terms, shot quality, possession, and the other side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dreamerlab.config.schema_hockey import Hockey
from dreamerlab.envs.hockey.one_player import HockeyOne
from dreamerlab.envs.hockey.shaping import GOAL_LINE, Shaping, shot_quality

INFO = {"reward_closeness_to_puck": -0.02, "reward_touch_puck": 1.0, "reward_puck_direction": 0.001}


def test_terms_are_the_games_own_figures_times_their_weights() -> None:
    shaping = Shaping.of(Hockey(shaping=("touch:2", "closeness:0.5", "direction:-10")))
    assert shaping is not None
    assert shaping(INFO) == {"touch": 2.0, "closeness": -0.01, "direction": -0.01}
    assert Shaping.of(Hockey()) is None


@pytest.mark.parametrize(
    ("puck", "quality"),
    [
        ((0.0, 0.0, 10.0, 0.0), 1.0),
        ((0.0, 0.625, 10.0, 0.0), 0.5),
        ((0.0, -1.25, 10.0, 0.0), 0.0),
        ((0.0, 1.0, 10.0, -1.0 * 10 / GOAL_LINE), 1.0),
        ((GOAL_LINE - 1.0, 0.0, 2.0, 2.0), 0.2),
        ((0.0, 0.0, 10.0, 10.0), 0.0),
        ((0.0, 0.0, -10.0, 0.0), 0.0),
        ((0.0, 0.0, 0.99, 0.0), 0.0),
        ((GOAL_LINE + 0.3, 0.25, 20.0, 5.0), 0.8),
    ],
)
def test_shot_quality_by_hand_M_HK_15(puck: tuple[float, float, float, float], quality: float) -> None:
    """M-HK-15: 1 for the middle of the goal, 0 at the posts, past the goal, backwards, or too slow."""
    assert shot_quality(*puck) == pytest.approx(quality)


def play(env: HockeyOne, seed: int, **options: Any) -> list[tuple[np.ndarray, float, dict[str, Any]]]:
    """A game of random actions: (observation, reward, info) of every state."""
    obs, info = env.reset(seed=seed, options=options)
    rng, seen, over = np.random.default_rng(seed), [(obs, 0.0, info)], False
    while not over:
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        obs, reward, terminated, truncated, info = env.step(action)
        seen.append((obs, reward, info))
        over = terminated or truncated
    return seen


@pytest.mark.parametrize("settings", [Hockey(opponent=("strong",)), Hockey(reward="sparse", scaling="divisors")])
def test_the_other_side_is_what_the_opponent_would_have_seen_and_got(settings: Hockey) -> None:
    """M-HK-01: the same game with sides exchanged, observation, reward and every figure of the info, to the bit."""
    env, plain = HockeyOne(settings), HockeyOne(settings)
    env.tells_other = True
    goals = 0
    for seed in range(8):
        for side in (1, 2):
            told, untold = play(env, seed, side=side), play(plain, seed, side=side)
            assert all("other" not in info for _, _, info in untold)
            scale = 2.0 if settings.scaling == "divisors" else 1.0
            for (obs, reward, info), (same, equal, _) in zip(told, untold, strict=True):
                assert np.array_equal(obs, same)
                assert reward == equal
                other = info["other"]
                view = other["obs"]
                assert view.dtype == obs.dtype == np.float32
                # the field turned by 180 degrees: either player is where the other sees its opponent, mirrored
                assert np.allclose(view[[0, 1, 12, 13]], -obs[[6, 7, 12, 13]], atol=1e-6)
                assert np.array_equal(view[[2, 16, 17]], obs[[8, 17, 16]])
                assert other["winner"] == -info["winner"]
                assert other["possession"] in (-info["possession"], 1.0, -1.0)
                x, y = -obs[12:14] * scale
                assert other["goal_distance"] == pytest.approx(np.hypot(5.0 - x, y), abs=1e-5)
            goals += told[-1][2]["winner"] != 0
            last, other = told[-1][2], told[-1][2]["other"]
            expected = 10.0 * other["winner"]
            if settings.reward == "env":
                expected += other["reward_closeness_to_puck"]
            assert other["reward"] == pytest.approx(expected)
            assert last["game"]["outcome"] == {1: "win", 0: "draw", -1: "loss"}[last["winner"]]
    assert goals


def test_a_game_tells_possession_and_saturation() -> None:
    """M-ENT-05: the share of action numbers near the ends, beside who had the puck for how long."""
    env = HockeyOne(Hockey(opponent=("strong",), mode="defense"))
    env.reset(seed=1)
    info, over, held = {}, False, []
    actions = [[1.0, 0.96, 0.95, 0.0], [-1.0, -0.951, 0.0, -0.2]]
    while not over:
        _, _, terminated, truncated, info = env.step(np.array(actions[len(held) % 2], np.float32))
        held.append(info["possession"])
        over = terminated or truncated
    assert info["game"]["saturated"] == pytest.approx(0.5)
    assert info["game"]["own_possession"] == pytest.approx(np.mean(np.array(held) > 0))
    assert info["game"]["other_possession"] == pytest.approx(np.mean(np.array(held) < 0))
