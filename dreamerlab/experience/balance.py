"""Which of many games of hockey begins with whom on which side, so that four in a row are both starts on both sides."""

from __future__ import annotations

from typing import Any

CELLS = 4
"""Both starts on both sides: as many kinds of whole games there are."""


def cell(number: int) -> tuple[bool, int]:
    """Return whether a player starts in a game, and which player it is: starts alternate, sides every second one."""
    return number % 2 == 0, 1 + (number // 2) % 2


def balanced_game(mode: str, opponent: str, number: int, side: str = "both") -> dict[str, Any]:
    """Return the reset options of one of many games, balanced by its number; `side` as `hockey.side` has it."""
    game: dict[str, Any] = {"opponent": opponent, "mode": mode}
    if mode != "normal":
        return game
    starts, turn = cell(number)
    return game | {"own_start": starts, "side": {"one": 1, "two": 2}.get(side, turn)}
