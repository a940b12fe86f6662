"""Toy environments with known answers, which a correct agent solves in a minute (FACTS F22, F23; STYLE: toys).

Thresholds say what a correct agent must reach, from the answers of `tests/toy_envs.py`: a policy nine tenths of the way
from random play to the best, values close to the sums that define them. Each test is one seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamerlab.envs.make import make_env
from dreamerlab.train.session import Session
from tests.learning.toys import learn, mean_metric, returns, toy_config, values_along

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(autouse=True)
def _toys_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))


def answers(name: str) -> tuple[float, float]:
    import toy_envs  # type: ignore[import-not-found]  # the module that the configs name

    return toy_envs.ANSWERS[name]


def of_span(name: str, score: float) -> float:
    """Give how far a return is from random play, 0, to the best policy, 1."""
    random, best = answers(name)
    return (score - random) / (best - random)


def walk(session: Session, action: Any, steps: int) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    """Play one action over and over; give the observations (one more) and the actions."""
    env = make_env(session.config.env)
    observations, actions = [env.reset(seed=0)[0]], []
    for _ in range(steps):
        actions.append(np.asarray(action))
        observations.append(env.step(actions[-1])[0])
    env.close()
    return observations, actions


POLICIES: dict[str, tuple[int, float, dict[str, dict[str, Any]]]] = {
    "Bandit-v0": (600, 0.9, {}),
    "TwoBandits-v0": (800, 0.9, {}),
    "Chain-v0": (800, 0.9, {}),
    "Echo-v0": (1200, 0.9, {}),
    "Aim-v0": (1000, 0.9, {}),
    "Move-v0": (2500, 0.8, {"behavior": {"horizon": 8}}),
}
"""Env steps, and the share of the span that both policies must reach."""


@pytest.mark.parametrize("name", POLICIES)
def test_the_best_policy_is_found_F22(name: str) -> None:
    env_steps, share, sections = POLICIES[name]
    session, _ = learn(toy_config(f"toy_envs:{name}", eval={"episodes": 50}, **sections), 0, env_steps)
    scores = returns(session)
    session.close()
    assert of_span(name, scores["mode"]) >= share, scores
    assert of_span(name, scores["sample"]) >= share - 0.1, scores


def test_a_cue_is_remembered_for_ten_steps_F22() -> None:
    """Without memory the best is 0.5, with it 0.75: what is reached lies beyond what luck in 200 episodes explains."""
    sizes = dict.fromkeys(("deter", "hidden", "units"), 64)
    config = toy_config(
        "tests.learning.wager:Wager-v0", model=sizes, behavior={"horizon": 3, "entropy_scale": 0.03},
        train={"batch_length": 16, "train_ratio": 256.0, "imagination_starts": 4}, eval={"episodes": 200},
    )  # fmt: skip
    session, _ = learn(config, 0, 3000)
    scores = returns(session)
    session.close()
    assert scores["mode"] > 0.68, scores


def test_the_value_of_a_bandit_is_its_reward_F22() -> None:
    """A small replay, so that the critic is not also taught what worse policies used to get."""
    config = toy_config("toy_envs:Bandit-v0", replay={"capacity": 400})
    session, _ = learn(config, 0, 1000)
    observations, actions = walk(session, [2], 1)
    start, _ = values_along(session.agent, observations, actions)
    session.close()
    assert start == pytest.approx(1.0, abs=0.05)


def test_values_are_discounted_back_from_a_delayed_reward_F22() -> None:
    """One reward of 1 at the end of a chain: the value is 1 a step before it, gamma two steps before, and so on."""
    config = toy_config("toy_envs:Chain-v0", behavior={"discount_horizon": 4.0}, replay={"capacity": 400})
    session, _ = learn(config, 0, 1000)
    observations, actions = walk(session, [1], 4)
    values = values_along(session.agent, observations, actions)
    session.close()
    assert values[:4] == pytest.approx([0.75**3, 0.75**2, 0.75, 1.0], rel=0.05)


def test_a_reward_without_end_is_worth_one_over_one_minus_gamma_F22_F23() -> None:
    """Time limits are no ends: with gamma 0.9 a reward of 1 per step is worth 10 everywhere, and 0.9 goes on."""
    session, seen = learn(toy_config("toy_envs:Endless-v0", behavior={"discount_horizon": 10.0}), 0, 1200)
    observations, actions = walk(session, [0], 10)
    values = values_along(session.agent, observations, actions)
    session.close()
    assert values == pytest.approx([10.0] * 11, rel=0.05)
    assert mean_metric(seen, "behavior/imagined_continue") == pytest.approx(0.9, abs=0.005)
    assert mean_metric(seen, "wm/continue_excess") < 1e-3


def test_a_reward_with_an_end_is_worth_what_is_left_F22() -> None:
    """Ten rewards of 1, then a death: values fall from 9.9 to 1, less than half a step off (a shift would be one)."""
    session, seen = learn(toy_config("toy_envs:Constant-v0"), 0, 1500)
    observations, actions = walk(session, [0], 10)
    values = values_along(session.agent, observations, actions)
    session.close()
    discount = 1 - 1 / 333
    left = [sum(discount**k for k in range(10 - t)) for t in range(10)]
    assert np.abs(np.array(values[:10]) - left).mean() < 0.5, values
    assert mean_metric(seen, "wm/reward_excess") < 0.02


def test_one_batch_is_learnt_by_heart_F22() -> None:
    """With nothing new to see, reconstruction goes to 0, reward and continue to their floors.

    Latents are free to say whatever they like, without noise of their own: what stays is their being classes.
    """
    sections = {"train": {"learning_starts": 100_000}, "model": {"unimix": 0.0}, "free_bits": {"nats": 20.0}}
    session, none = learn(toy_config("toy_envs:Walk-v0", **sections), 0, 400)
    assert not none
    train = session.config.train
    sample = session.replay.sample(train.batch_size, train.batch_length, np.random.default_rng(0))
    session.replay.sample = lambda *_, **__: sample  # type: ignore[method-assign]
    seen = [session.update() for _ in range(600)]
    session.close()
    first, last = seen[0], seen[-50:]
    assert mean_metric(last, "wm/recon_loss") < 0.05 * float(first["wm/recon_loss"])
    assert mean_metric(last, "wm/reward_excess") < 0.02 * float(first["wm/reward_excess"])
    assert mean_metric(last, "wm/continue_excess") < 0.05
    assert torch.isfinite(torch.stack([metrics["wm/loss"] for metrics in last])).all()
