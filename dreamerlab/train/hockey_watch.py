"""Games of hockey for a film: against whom, from which start on which side, and which of them ended as is wanted.

Every game that may be filmed has a number, and everything in it follows from that and the trial's seed: a game that was
found without drawing anything is played again, and filmed, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dreamerlab.errors import NotFound
from dreamerlab.experience.balance import balanced_game
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.hockey_games import company_of, names_of, require_hockey
from dreamerlab.train.opponents import maker
from dreamerlab.train.stored import StoredAgent

MOST_TRIED = 400
"""Games that are played in search of an outcome."""
_PLURAL = {"win": "wins", "draw": "draws", "loss": "losses"}


def task(
    stored: StoredAgent, trial: TrialDirectory, opponents: Sequence[str], games: int
) -> tuple[Callable[..., Any], list[dict[str, Any]]]:
    """Return what builds the agent's environment, and the reset options of so many games: opponents in turn.

    UsageError for an agent of another task, and as `company_of` says.
    """
    config = stored.config
    require_hockey(trial, config, "--opponent and --outcome")
    company = company_of(trial, stored, opponents)
    names = names_of(stored, company, opponents)
    turns = [
        balanced_game(config.hockey.mode, names[number % len(names)], number // len(names)) for number in range(games)
    ]
    return maker(config, company, watched=False), turns


def find(
    outcome: str,
    wanted: int,
    games: Sequence[dict[str, Any]],
    result: Callable[[int], str],
    said: Callable[[str], None],
) -> list[int]:
    """Return the numbers of the first `wanted` games with an outcome, `result` playing one; NotFound without any."""
    found: list[int] = []
    for number in range(len(games)):
        if result(number) == outcome:
            found.append(number)
            if len(found) == wanted:
                break
        if (number + 1) % 20 == 0:
            said(f"{len(found)} {_PLURAL[outcome]} in {number + 1} games")
    if not found:
        against = ", ".join(dict.fromkeys(game["opponent"] for game in games))
        raise NotFound(
            f"no {outcome} in {len(games)} games against {against}",
            hint="another --outcome, --opponent, --checkpoint or --policy",
        )
    return found


def announce(env: Any, agent: str, game: dict[str, Any], score: tuple[int, int]) -> None:
    """Let the picture say who plays, and the goals of the games before; `score` is the agent's and the others'."""
    field = env.unwrapped.game
    second = game.get("side") == 2
    names = (agent, game["opponent"])
    field.names, field.score = (names[::-1], score[::-1]) if second else (names, score)
