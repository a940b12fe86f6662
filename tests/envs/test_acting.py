"""Actions of random spaces: whatever an agent may choose is an element of the environment's space."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.acting import actor_for
from dreamerlab.envs.faults import ActionNotFinite
from dreamerlab.envs.make import make_env
from dreamerlab.envs.random_play import random_action

SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (4, 1)])
BOUNDS = st.floats(-1e6, 1e6, width=32) | st.sampled_from([-3e38, 3e38, -0.1, 0.1, 0.0])


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    shape = draw(SHAPES)
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    largest = float(np.finfo(dtype).max) / 4
    ends = [sorted((draw(BOUNDS), draw(BOUNDS))) for _ in range(int(np.prod(shape, dtype=int)))]
    bounds = np.clip(np.array(ends, np.float64).reshape(-1, 2), -largest, largest)
    low, high = bounds.T.astype(dtype)
    for index in range(len(low)):
        half = draw(st.sampled_from(["both", "both", "low", "high", "none"]))
        if half in ("low", "none"):
            low[index] = -np.inf
            high[index] = max(high[index], 0)
        if half in ("high", "none"):
            high[index] = np.inf
            low[index] = min(low[index], 0)
    return Box(low.reshape(shape), high.reshape(shape), shape, dtype)


CHOICES = st.one_of(
    st.builds(Discrete, st.integers(1, 9), start=st.integers(-9, 9)),
    st.builds(Discrete, st.integers(1, 9), dtype=st.just(np.int32)),
    st.builds(lambda n, start: MultiDiscrete([[n], [n + 1]], start=[[start], [-start]]), *[st.integers(1, 9)] * 2),
    SHAPES.filter(len).map(MultiBinary),
)


@given(CHOICES | boxes(), st.integers(0, 99), st.floats(0.1, 1e30))
def test_every_action_is_in_the_space(space: Space, seed: int, reach: float) -> None:
    """FACTS A8: numbers beyond [-1, 1], which a Normal gives, are clipped at the boundary of the environment."""
    actor, rng = actor_for("env", space), np.random.default_rng(seed)
    action = random_action(actor.spec, rng)
    assert (action.shape, action.dtype) == ((actor.spec.components,), actor.spec.dtype)
    if not actor.spec.is_discrete:
        action *= np.float32(reach)
    given_action = actor.act(action)
    assert space.contains(given_action), (given_action, space)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 1e3)), min_size=1, max_size=4))
def test_minus_one_zero_and_one_are_low_middle_and_high(ends: list[tuple[float, float]]) -> None:
    """FACTS A2: normalised per finite dimension."""
    low, high = np.array([end[0] for end in ends]), np.array([end[0] + end[1] for end in ends])
    actor, ones = actor_for("env", Box(low, high, dtype=np.float64)), np.ones(len(ends), np.float32)
    for sign, expected in ((-1, low), (0, (low + high) / 2), (1, high), (-7, low), (9, high)):
        assert actor.act(sign * ones) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_pendulum_gets_twice_the_number() -> None:
    actor = actor_for("env", Box(-2, 2, (1,), np.float32))
    assert [actor.act(np.float32([a])).tolist() for a in (-3, -1, -0.25, 0, 0.5, 1, 2)] == [
        [-2.0], [-2.0], [-0.5], [0.0], [1.0], [2.0], [2.0],
    ]  # fmt: skip


def test_each_dimension_has_its_own_range_and_shape_is_kept() -> None:
    space = Box(np.float32([[0, -1], [-5, 2]]), np.float32([[1, 3], [5, 2]]), (2, 2), np.float32)
    actor = actor_for("env", space)
    assert actor.act(np.float32([-1, 0, 0.5, 1])).tolist() == [[0, 1], [2.5, 2]]


def test_unbounded_dimensions_get_the_number_itself() -> None:
    low, high = np.array([-np.inf, 0, -np.inf, -1]), np.array([np.inf, np.inf, 0.5, 3])
    actor = actor_for("env", Box(low, high, dtype=np.float64))
    assert actor.act(np.float32([0.25] * 4)).tolist() == [0.25, 0.25, 0.25, 1.5]
    assert actor.act(np.float32([-9] * 4)).tolist() == [-1, 0, -1, -1]
    assert actor.act(np.float32([9] * 4)).tolist() == [1, 1, 0.5, 3]


@given(CHOICES)
def test_every_choice_can_be_made(space: Space) -> None:
    actor = actor_for("env", space)
    for component, classes in enumerate(actor.spec.classes):
        action = np.zeros(actor.spec.components, np.int64)
        chosen = set()
        for choice in range(classes):
            action[component] = choice
            chosen.add(int(np.asarray(actor.act(action)).reshape(-1)[component]))
        assert len(chosen) == classes


@pytest.mark.parametrize(
    "space, action",
    [
        (Discrete(3), [3]),
        (Discrete(3), [-1]),
        (MultiDiscrete([2, 3]), [0, 3]),
        (MultiDiscrete([2, 3]), [0]),
        (Box(-1, 1, (2,)), [0.0]),
    ],
)
def test_an_agent_that_offers_no_such_action_is_our_own_mistake(space: Space, action: list[float]) -> None:
    actor = actor_for("env", space)
    with pytest.raises(AssertionError):
        actor.act(np.array(action, actor.spec.dtype))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_an_agent_that_has_diverged_is_named_before_its_environment_is(number: float) -> None:
    env = make_env(Env(id="Pendulum-v1"))
    env.reset(seed=0)
    with pytest.raises(ActionNotFinite, match=r"the agent's action is not finite: \["):
        env.step(np.float32([number]))
