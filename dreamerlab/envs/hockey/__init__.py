"""The two-player hockey game: our own, exact to the bit; opponents; and what training and evaluating on it takes.

Import from here what upstream's package has: `HockeyEnv`, `Mode`, `BasicOpponent`, `HockeyEnv_BasicOpponent`. They are
imported at first use, so that asking for the rules, or registering the ids, needs no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dreamerlab.envs.hockey.game import HockeyEnv
    from dreamerlab.envs.hockey.one_against_bot import HockeyEnv_BasicOpponent
    from dreamerlab.envs.hockey.opponents import BasicOpponent
    from dreamerlab.envs.hockey.rules import Mode

__all__ = ["BasicOpponent", "HockeyEnv", "HockeyEnv_BasicOpponent", "Mode"]

_HOMES = {
    "BasicOpponent": "opponents",
    "HockeyEnv": "game",
    "HockeyEnv_BasicOpponent": "one_against_bot",
    "Mode": "rules",
}


def __getattr__(name: str) -> Any:
    """Import one of upstream's names where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
