"""`python -m dreamerlab.train.league SPEC.json`: everybody plays everybody at hockey; prints one JSON line.

The spec has `players`, each with a `label` and either `bot` or, of an agent, `trial`, `folder`, `checkpoint` and
`policy`; the number of `games` of each pair, a `seed` and, for agents, a `device` or null. Every pair begins its games
from the same places; what players draw follows from the two labels. How games are played is `seats.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from dreamerlab.errors import LabError
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.agent_seat import AgentSeat
from dreamerlab.train.runtime import prepare_process, stream_seed
from dreamerlab.train.seats import BotSeat, Seat, play
from dreamerlab.train.stored import open_agent


def main() -> int:
    """Play and print; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m dreamerlab.train.league", description=__doc__)
    parser.add_argument("spec", type=Path)
    spec = json.loads(parser.parse_args().spec.read_text(encoding="utf-8"))
    try:
        print(json.dumps(play_all(spec)))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def play_all(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the games of each pair: players `a` and `b` by number, outcomes as `a` sees them, steps of each game."""
    seed, games, players = int(spec["seed"]), int(spec["games"]), spec["players"]
    prepare_process(seed, 1)
    seats = [_seat(player, spec.get("device")) for player in players]
    pairs = list(combinations(range(len(players)), 2))
    found: list[dict[str, Any]] = []
    for number, (a, b) in enumerate(pairs):
        # Not from their numbers: a pair plays the same games in any league.
        draws = stream_seed(seed, f"{players[a]['label']} against {players[b]['label']}")
        played = play(seats[a], seats[b], games, seed, draws=draws)
        found.append({"a": a, "b": b, "outcomes": played.outcomes, "steps": played.steps})
        if number + 1 < len(pairs):
            print(f"progress: {number + 1} of {len(pairs)} pairs", file=sys.stderr, flush=True)
    return found


def _seat(player: Mapping[str, Any], device: str | None) -> Seat:
    if "bot" in player:
        return BotSeat(player["bot"])
    trial = TrialDirectory(Path(player["trial"]))
    stored = open_agent(trial, player["checkpoint"], device=device, folder=Path(player["folder"]))
    return AgentSeat(stored.agent, mode=player["policy"] == "mode")


if __name__ == "__main__":
    sys.exit(main())
