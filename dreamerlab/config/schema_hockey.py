"""The game of hockey as a task: what is played, against whom, for which reward (M-HK-01, M-HK-02).

Acts where `env.id` is `dreamerlab/HockeyOne-v0`. How an opponent and a stage of a curriculum are written is
`opponents.py`.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from dreamerlab.config.opponents import parse_curriculum, parse_opponents, parse_shaping
from dreamerlab.config.section import MANY, Section
from dreamerlab.config.zones import Condition, Zone, leaf

HOCKEY_ID = "dreamerlab/HockeyOne-v0"
"""One player against an opponent: the task."""
TWO_PLAYERS_ID = "dreamerlab/Hockey-v0"
"""Both players' actions in one: upstream's interface."""
_ON: tuple[Condition, ...] = (("env.id", "==", HOCKEY_ID),)


def _task(default: Any, **bounds: Any) -> Any:
    return leaf(default, Zone.ENVIRONMENT, absent_means=default, active_when=_ON, **bounds)


def _training(default: Any, **bounds: Any) -> Any:
    return leaf(default, Zone.DYNAMICS, absent_means=default, active_when=_ON, **bounds)


class Hockey(Section):
    """The game and who plays it."""

    mode: Literal["normal", "shooting", "defense"] = _task("normal")
    """A whole game of 251 steps, or 81 steps in front of either goal; a curriculum's stage has its own."""
    opponent: tuple[str, ...] = _task(("weak",))
    """Who plays against the agent in training, one drawn for each game: `weak`, `strong`, `random`, `self` (a pool of
    the agent's own past) or a run's agent (`R12`, `R12@best`, `R12@20000`), each with a weight if need be: `weak:3`."""
    curriculum: tuple[str, ...] = _task(())
    """Stages in place of mode and opponent, each `FROM MODE OPPONENT[+OPPONENT...]`: from which env step on, what is
    played, against whom; the first from 0. `0 shooting weak`, `50k normal weak:3+strong:1`."""
    starts: Literal["alternate", "random", "own", "other"] = _task("alternate")
    """On whose side the puck lies at the beginning of a game."""
    side: Literal["one", "two", "both"] = _task("one")
    """Which player the agent is; `both` plays them in turn. It always sees the field from its own side."""
    reward: Literal["env", "sparse"] = _task("env")
    """`env`: +-10 at a goal, and the game's own punishment for leaving a puck that comes into the own half; `sparse`:
    +-10 at a goal and nothing else (M-HK-01)."""
    shaping: tuple[str, ...] = _training(())
    """Terms added to the reward in training only, each `NAME:WEIGHT`: `closeness`, `touch` and `direction`, as the
    game's info tells them. Episode returns and evaluation never contain them; smoothing (`smooth.kernel`) acts on
    reward and terms together."""
    scaling: Literal["none", "divisors"] = _task("none")
    """Divide observations by fixed numbers, about the size of each (the symlog of the encoder comes after it)."""
    pool_every: int = _training(20_000, unit="env steps", ge=1, le=MANY)
    """Env steps between two agents that go into the pool of `self`; the first goes in at once."""
    pool_size: int = _training(10, unit="agents", ge=1, le=1000)
    """Agents in the pool; the first and the newest stay, of the others the oldest goes."""
    pool_sampling: Literal["uniform", "pfsp"] = _training("pfsp")
    """Who of the pool plays: anyone, or rather those the agent loses to: in proportion to the square of its share of
    points lost in their last 20 games (prioritised fictitious self-play)."""
    eval_opponents: tuple[str, ...] = leaf(("weak",), Zone.EVALUATION, absent_means=("weak",), active_when=_ON)
    """Who the agent is measured against; each plays `eval.episodes` games under each policy, both starts equally often
    and every side that `hockey.side` names."""

    @field_validator("opponent", "curriculum", "shaping", "eval_opponents", mode="before")
    @classmethod
    def _one_needs_no_brackets(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _written_well(self) -> Self:
        for key, parse in (
            ("opponent", parse_opponents),
            ("eval_opponents", parse_opponents),
            ("curriculum", parse_curriculum),
            ("shaping", parse_shaping),
        ):
            try:
                parse(getattr(self, key))
            except ValueError as error:
                raise ValueError(f"hockey.{key}: {error}") from None
        if any(opponent.kind == "self" for opponent in parse_opponents(self.eval_opponents)):
            raise ValueError(
                "hockey.eval_opponents: 'self' is another opponent in every run; measure against a fixed one"
            )
        return self
