"""Schedules in words and as factors, and what learns in which update (M-CP-30 to 32, M-CP-59, M-SUR-11)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.config.schedule import Schedule, parse_schedule
from dreamerlab.config.schema_experience import Train
from dreamerlab.dreamer.schedules import factor, what_learns


def at(text: str, made: int) -> float:
    return float(factor(parse_schedule(text), torch.tensor(made), torch.float64))


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("linear to 0.1x over 100 updates", {0: 1.0, 50: 0.55, 100: 0.1, 5000: 0.1}),
        ("linear to 3x over 10 updates", {0: 1.0, 5: 2.0, 10: 3.0, 11: 3.0}),
        ("cosine to 0.01x over 5000 updates", {0: 1.0, 2500: 0.505, 5000: 0.01, 9999: 0.01}),
        ("exponential to 0.01x over 100 updates", {0: 1.0, 50: 0.1, 100: 0.01, 200: 0.01}),
        ("cosine to 0x over 4 updates", {0: 1.0, 1: (1 + math.cos(math.pi / 4)) / 2, 4: 0.0}),
    ],
)
def test_factors_by_hand_M_CP_59(text: str, points: dict[int, float]) -> None:
    assert {made: at(text, made) for made in points} == pytest.approx(points)


def test_constant_costs_nothing_and_others_are_tensors_like_their_counter() -> None:
    assert factor(Schedule(), torch.tensor(7), torch.float32) == 1.0
    made = torch.zeros(3, dtype=torch.int64)
    got = factor(parse_schedule("cosine to 0.1x over 5 updates"), made, torch.float32)
    assert isinstance(got, torch.Tensor)
    assert (got.shape, got.dtype) == ((3,), torch.float32)


@given(
    shape=st.sampled_from(["linear", "cosine", "exponential"]),
    target=st.sampled_from(["0.5", "1e-3", "2", "1"]),
    updates=st.integers(1, 10**9),
    made=st.integers(0, 2 * 10**9),
)
def test_factors_move_from_one_to_the_target_and_stay_between(shape: str, target: str, updates: int, made: int) -> None:
    low, high = sorted((1.0, float(target)))
    text = f"{shape} to {target}x over {updates} updates"
    assert low - 1e-9 <= at(text, made) <= high + 1e-9
    assert at(text, 0) == 1.0
    assert at(text, updates) == pytest.approx(float(target))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected 'constant' or"),
        ("linear", "expected 'constant' or"),
        ("linear to 0.1x over 10 env steps", "expected 'constant' or"),
        ("linear to 1.2.3x over 10 updates", "'1.2.3' in"),
        ("exponential to 0x over 10 updates", "never reaches 0"),
        ("linear to -1x over 10 updates", "must be in 0..1e+06"),
        ("linear to 1e9x over 10 updates", "must be in 0..1e+06"),
        ("linear to 0.1x over 0 updates", "must be in 1..10000000000"),
    ],
)
def test_what_is_no_schedule_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace(".", r"\.").replace("+", r"\+")):
        parse_schedule(text)


def story(updates: int, **leaves: object) -> str:
    letters = {"all": "A", "world": "w", "behavior": "b"}
    train = Train.model_validate(leaves)
    return "".join(letters[what_learns(update, train)] for update in range(1, updates + 1))


def test_what_learns_M_CP_30_M_SUR_11() -> None:
    assert story(6) == "AAAAAA"
    assert story(9, actor_every=3) == "wwAwwAwwA"
    assert story(6, model_only_updates=4) == "wwwwAA"
    assert story(9, model_only_updates=4, actor_every=3) == "wwwwwAwwA"
    assert story(4, learn="world") == "wwww"
    assert story(4, learn="behavior", actor_every=3, model_only_updates=2) == "bbbb"
