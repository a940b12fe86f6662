"""`eval --league`: everybody plays everybody at hockey, and what that says: a matrix of points, and ratings.

Bots need no run, so that the table of the built-in opponents is a league as well. Agents are opened by today's code, on
which alone all of them can meet; where that is not the code that trained one, it is said. Nothing is written.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.config.lineage import unfit_opponent
from dreamerlab.config.opponents import BOTS
from dreamerlab.config.recorded import load_recorded
from dreamerlab.errors import Conflict, NotFound, UsageError, did_you_mean
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.lab.programs import run_json
from dreamerlab.lab.stored_agents import PROGRAMS, steps_of
from dreamerlab.launch.trainer import code_environment, installed_code
from dreamerlab.runs.checkpoints import choose
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.showcase import agents_folder, as_asked
from dreamerlab.runs.store import Workspace, aliases, find_run
from dreamerlab.stats.ratings import Rating, rate
from dreamerlab.stats.wilson import FEWEST_GAMES, Share, share_interval

USUAL_GAMES = 100
MOST_PLAYERS = 40
STEPS_A_MINUTE = 3000
"""Of the game: 50 a second."""
_RUN = re.compile(r"R[0-9]+(-[a-z0-9]*)?", re.IGNORECASE)
_OUTCOMES = {"win": "w", "draw": "d", "loss": "l"}


@dataclass(frozen=True)
class Entry:
    """Who plays, and how the program that plays is told."""

    label: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """The games of two players, as the first of them sees them."""

    a: int
    b: int
    outcomes: str
    steps: list[int]

    @property
    def points(self) -> float:
        """Points of the first: 1 a win, a half a draw."""
        return self.outcomes.count("w") + self.outcomes.count("d") / 2

    def shares(self) -> dict[str, Share]:
        """Return wins, draws and losses of the first with their intervals."""
        games = len(self.outcomes)
        return {name: share_interval(self.outcomes.count(letter), games) for name, letter in _OUTCOMES.items()}

    def goals_per_minute(self) -> tuple[float, float]:
        """Return goals of the first and of the second in a minute of play."""
        minutes = sum(self.steps) / STEPS_A_MINUTE
        return self.outcomes.count("w") / minutes, self.outcomes.count("l") / minutes


@dataclass(frozen=True)
class League:
    """All games that were played."""

    players: list[str]
    pairs: list[Pair]
    games: int
    """Of each pair."""
    seed: int
    caveats: list[str]

    def points(self) -> list[list[float]]:
        """Return the points each player (row) made against each other."""
        table = [[0.0] * len(self.players) for _ in self.players]
        for pair in self.pairs:
            table[pair.a][pair.b] = pair.points
            table[pair.b][pair.a] = len(pair.outcomes) - pair.points
        return table

    def ratings(self) -> list[Rating]:
        """Return the rating of each player, in their order."""
        return rate(self.points())

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            "players": self.players,
            "games_per_pair": self.games,
            "called": self.games >= FEWEST_GAMES,
            "seed": self.seed,
            "points": self.points(),
            "ratings": [
                {"player": name, "elo": one.elo, "low": one.low, "high": one.high, "n": one.games, "points": one.points}
                for name, one in zip(self.players, self.ratings(), strict=True)
            ],
            "pairs": [
                {
                    "a": self.players[pair.a],
                    "b": self.players[pair.b],
                    **{name: share.to_data() for name, share in pair.shares().items()},
                    "goals_per_minute": dict(zip(("a", "b"), pair.goals_per_minute(), strict=True)),
                    "outcomes": pair.outcomes,
                    "steps": pair.steps,
                }
                for pair in self.pairs
            ],
            "caveats": self.caveats,
        }


def hold(
    workspace: Workspace,
    texts: Sequence[str],
    voice: Voice,
    *,
    games: int = USUAL_GAMES,
    policies: Sequence[str] = ("mode",),
    only_seed: int | None = None,
    seed: int = 0,
    device: str | None = None,
) -> League:
    """Let everybody named by `texts` play `games` games against everybody else, rounded up to whole fours.

    A text is a bot, or a run's agents: `R12`, `R12@best`, `R12@20000`, `R12@all`; of every seed, or of `only_seed`. A
    bot may be named twice, and then meets itself. UsageError for fewer than two players, too many, or a name that is
    none; NotFound and Conflict for runs as everywhere; whatever the program says.
    """
    require_training_parts(workspace)
    caveats: list[str] = []
    entries = entered(workspace, texts, policies, only_seed, caveats)
    rounded = -(-games // 4) * 4
    if rounded != games:
        caveats.append(f"{rounded} games of each pair, not {games}: both starts on both sides, equally often")
    spec = {"players": [entry.spec for entry in entries], "games": rounded, "seed": seed, "device": device}
    count = len(entries)
    voice.say(f"{count} players, {count * (count - 1) // 2} pairs, {rounded} games each")
    with tempfile.TemporaryDirectory(prefix="dreamerlab-league-") as folder:
        path = Path(folder, "spec.json")
        path.write_text(json.dumps(spec), encoding="utf-8")
        found = run_json(
            [sys.executable, "-P", str(PROGRAMS / "league.py"), str(path)],
            workspace.path,
            code_environment([*installed_code(), workspace.path]),
            voice,
            whose="the league",
            broken="the league broke off",
        )
    return League([entry.label for entry in entries], [Pair(**pair) for pair in found], rounded, seed, caveats)


def entered(
    workspace: Workspace, texts: Sequence[str], policies: Sequence[str], only_seed: int | None, caveats: list[str]
) -> list[Entry]:
    """Return everybody who plays; what must be known of the agents is added to `caveats`."""
    entries: list[Entry] = []
    checked: set[str] = set()
    for text in texts:
        if text in BOTS:
            entries.append(Entry(text, {"bot": text}))
            continue
        run = _run_of(workspace, text)
        if run.id not in checked:
            checked.add(run.id)
            _require_player(workspace, run, caveats)
        entries += _agents(run, text.partition("@")[2] or "latest", policies, only_seed)
    if len(entries) < 2:
        raise UsageError(
            f"a league needs two players; {' '.join(texts)} is {len(entries)}",
            hint="name some opponents: dreamerlab eval --league R12@all weak strong",
        )
    if len(entries) > MOST_PLAYERS:
        pairs = len(entries) * (len(entries) - 1) // 2
        raise UsageError(
            f"{len(entries)} players would be {pairs} pairs; at most {MOST_PLAYERS} play",
            hint="name checkpoints by their env steps (R12@20000), or one --seed",
        )
    labels = [entry.label for entry in entries]
    for agent in (entry.label for entry in entries if "bot" not in entry.spec):
        if labels.count(agent) > 1:
            raise UsageError(f"{agent} is named twice", hint="leave one out; only bots play against themselves")
    times = [labels[:place].count(label) + 1 for place, label in enumerate(labels)]
    names = [label if time == 1 else f"{label} ({time})" for label, time in zip(labels, times, strict=True)]
    return [Entry(name, {**entry.spec, "label": name}) for name, entry in zip(names, entries, strict=True)]


def _run_of(workspace: Workspace, text: str) -> RunDirectory:
    name = text.partition("@")[0]
    if not _RUN.fullmatch(name) and name not in aliases(workspace):
        near = did_you_mean(name, (*BOTS, *aliases(workspace)))
        raise UsageError(
            f"nobody is called '{text}'{near}",
            hint=f"players are {', '.join(BOTS)}, and agents such as R12@best, R12@all",
        )
    return find_run(workspace, name)


def _require_player(workspace: Workspace, run: RunDirectory, caveats: list[str]) -> None:
    """Refuse a run whose agents cannot play, and note one that was trained by other code."""
    from dreamerlab.tracking.code_identity import compute

    problem = unfit_opponent(load_recorded(run.config_path))
    if problem is not None:
        raise UsageError(f"{run.id} cannot play: {problem}", hint="name a run that was trained on hockey")
    now, then = compute(workspace).identity, read_manifest(run.manifest_path).code.identity
    if now != then:
        caveats.append(f"{run.id} is opened by today's code ({now[:16]}), trained by {then[:16]}")


def _agents(run: RunDirectory, which: str, policies: Sequence[str], only_seed: int | None) -> list[Entry]:
    """Return the agents that `run@which` means, of every seed that has them."""
    seeds = read_manifest(run.manifest_path).seeds
    if only_seed is not None and only_seed not in seeds:
        raise NotFound(f"{run.id} has no seed {only_seed}; it has {', '.join(map(str, seeds))}")
    if which not in ("all", "latest", "best") and not which.isdecimal():
        near = did_you_mean(which, ("all", "latest", "best"))
        raise UsageError(f"no checkpoint is called '{which}'{near}", hint="all, latest, best, or env steps: R12@20000")
    entries: list[Entry] = []
    failed: NotFound | None = None
    for trial in (run.trial(seed) for seed in seeds if only_seed in (None, seed)):
        folder = agents_folder(trial)
        try:
            steps = steps_of(trial)
            if which != "all":
                steps = [int(choose(folder, as_asked(folder, which)).partition("-")[2])]
        except NotFound as error:
            failed = error
            continue
        for step in steps:
            for policy in policies:
                label = f"{run.id}@{step}"
                label += f" seed {trial.seed}" if len(seeds) > 1 else ""
                label += f" {policy}" if len(policies) > 1 else ""
                told = {"trial": str(trial.path), "folder": str(folder), "checkpoint": str(step), "policy": policy}
                entries.append(Entry(label, told))
    if not entries:
        if failed is not None and any(steps_of(run.trial(seed)) for seed in seeds):
            raise failed
        raise Conflict(
            f"{run.id} has no checkpoint here that could play",
            hint=f"dreamerlab status {run.id}, or dreamerlab data pull {run.id}",
        )
    return entries
