"""Opponents, stages of a curriculum and shaping terms as they are written in a config (`hockey.*`).

    weak                        one of the bots; random moves are `random`
    strong:2                    with a weight, among several
    self                        a pool of the agent's own past
    R0012-9qd@best:0.5          a run's agent: its latest checkpoint, its best one, or one by env steps
    20k normal weak:3+strong    from env step 20,000 on, whole games, against either

Which runs and checkpoints exist is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dreamerlab.errors import did_you_mean

BOTS = ("random", "weak", "strong")
MODES = ("normal", "shooting", "defense")
TERMS = ("closeness", "touch", "direction")
_RUN = re.compile(r"R[0-9]+(-[a-z0-9]{1,3})?(@(latest|best|[0-9]+))?", re.IGNORECASE)
_MOST = 1e6


@dataclass(frozen=True)
class OpponentSpec:
    """Who plays on the other side, and how often beside the others."""

    name: str
    kind: Literal["bot", "self", "run"]
    weight: float = 1.0


@dataclass(frozen=True)
class Stage:
    """What a curriculum plays from an env step on."""

    start: int
    mode: Literal["normal", "shooting", "defense"]
    opponents: tuple[OpponentSpec, ...]


def parse_opponent(text: str) -> OpponentSpec:
    """Return the opponent that `text` names; raise ValueError in plain words when it names none."""
    name, colon, weight_text = text.strip().partition(":")
    weight = _number(weight_text, text) if colon else 1.0
    if weight <= 0:
        raise ValueError(f"{text!r} has weight {weight:g}; leave an opponent out rather than weigh it with nothing")
    if name in BOTS:
        return OpponentSpec(name, "bot", weight)
    if name == "self":
        return OpponentSpec(name, "self", weight)
    if _RUN.fullmatch(name):
        return OpponentSpec(name, "run", weight)
    known = ", ".join((*BOTS, "self"))
    raise ValueError(
        f"no opponent is called {name!r}{did_you_mean(name, (*BOTS, 'self'))}; it is one of {known}, "
        "or a run's agent such as R12@best"
    )


def parse_opponents(texts: Sequence[str]) -> tuple[OpponentSpec, ...]:
    """Return all of them; raise ValueError for none at all, or for one who is named twice."""
    opponents = tuple(parse_opponent(text) for text in texts)
    if not opponents:
        raise ValueError("somebody has to play on the other side; 'weak' is the simplest opponent")
    names = [opponent.name for opponent in opponents]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is named twice; give it one weight")
    return opponents


def drawn(opponents: Sequence[OpponentSpec], chance: float) -> OpponentSpec:
    """Return the opponent that `chance`, a number of [0, 1), falls on: each takes a share by its weight."""
    left = chance * sum(opponent.weight for opponent in opponents)
    for opponent in opponents[:-1]:
        left -= opponent.weight
        if left < 0:
            return opponent
    return opponents[-1]


def runs_among(opponent: Sequence[str], curriculum: Sequence[str], measured: Sequence[str]) -> dict[str, str]:
    """Return the run's agents that the leaves of hockey name, each with the first leaf that does."""
    stages = parse_curriculum(curriculum)
    # A curriculum stands in place of the opponents.
    trained = [one for stage in stages for one in stage.opponents] or [parse_opponent(text) for text in opponent]
    places = {
        "hockey.curriculum" if stages else "hockey.opponent": trained,
        "hockey.eval_opponents": parse_opponents(measured),
    }
    found: dict[str, str] = {}
    for key, some in places.items():
        for one in some:
            if one.kind == "run":
                found.setdefault(one.name, key)
    return found


def parse_curriculum(texts: Sequence[str]) -> tuple[Stage, ...]:
    """Return the stages in order; raise ValueError when they are not in order or do not begin at 0."""
    stages = tuple(_stage(text) for text in texts)
    if stages and stages[0].start != 0:
        raise ValueError(f"the first stage is {texts[0]!r}; it has to begin at env step 0")
    for before, after, text in zip(stages, stages[1:], texts[1:], strict=False):
        if after.start <= before.start:
            raise ValueError(
                f"stage {text!r} begins at {after.start}, not after {before.start}, where the one before it does"
            )
    return stages


def parse_shaping(texts: Sequence[str]) -> dict[str, float]:
    """Return the weight of each shaping term that is named; raise ValueError."""
    weights: dict[str, float] = {}
    for text in texts:
        name, colon, weight = text.partition(":")
        if name not in TERMS:
            raise ValueError(f"no term is called {name!r}{did_you_mean(name, TERMS)}; it is one of {', '.join(TERMS)}")
        if not colon:
            raise ValueError(f"{text!r} lacks a weight, such as {name}:0.1")
        if name in weights:
            raise ValueError(f"{name!r} is named twice; give it one weight")
        weights[name] = _number(weight, text)
    return weights


def _stage(text: str) -> Stage:
    words = text.split()
    if len(words) != 3:
        raise ValueError(f"{text!r} is no stage; write FROM MODE OPPONENTS, such as '20k normal weak:3+strong'")
    start, mode, opponents = words
    match = re.fullmatch(r"([0-9]{1,12})(k|M)?", start)
    if match is None:
        raise ValueError(f"{text!r} begins at {start!r}; write env steps, such as 20000 or 20k")
    if mode not in MODES:
        raise ValueError(
            f"{text!r}: no mode is called {mode!r}{did_you_mean(mode, MODES)}; it is one of {', '.join(MODES)}"
        )
    factor = {"k": 1_000, "M": 1_000_000}.get(match[2], 1)
    known: Literal["normal", "shooting", "defense"] = mode  # type: ignore[assignment]
    return Stage(int(match[1]) * factor, known, parse_opponents(opponents.split("+")))


def _number(text: str, whole: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{whole!r}: {text!r} is no number") from None
    if not abs(number) <= _MOST:  # true for nan as well
        raise ValueError(f"{whole!r}: {text} is no weight; it must be within {_MOST:g} of 0")
    return number
