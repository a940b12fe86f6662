"""`eval`: measure the stored agents of a run again, with as many episodes as it takes.

With the run's own number of episodes this repeats an evaluation of the trial to the digit. What is added are the
intervals: of one agent over its episodes, and of the run over its seeds, which are the unit of every claim. Nothing is
written into the run; how agents are opened is `stored_agents.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dreamerlab.atomic import number
from dreamerlab.config.opponents import parse_opponent
from dreamerlab.config.recorded import load_recorded
from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.errors import NotFound, UsageError
from dreamerlab.lab import hockey_results
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.hockey_results import Games, games_of
from dreamerlab.lab.stored_agents import StoredAgents, find_agents, run_program
from dreamerlab.report.wording import figure
from dreamerlab.runs.store import Workspace
from dreamerlab.stats.one_sample import Mean, mean_interval
from dreamerlab.stats.wilson import FEWEST_GAMES
from dreamerlab.tables import Table

_PROGRAM = "eval_checkpoint.py"
_LEVELS = ("random", "solved", "fail")


@dataclass(frozen=True)
class Asked:
    """What is to be measured."""

    seed: int | None = None
    episodes: int | None = None
    policy: str = "both"
    checkpoint: str = "latest"
    fresh: bool = False
    device: str | None = None
    compiled: bool = False
    opponents: tuple[str, ...] = ()
    """Of hockey; none named: those of the run's evaluations."""
    maps: Path | None = None
    """Of hockey: the folder to draw into."""

    def words(self) -> list[str]:
        """Return the options of the program that measures."""
        words = ["--policy", self.policy]
        words += ["--episodes", str(self.episodes)] if self.episodes is not None else []
        words += ["--device", self.device] if self.device else []
        words += ["--compile"] if self.compiled else []
        return [*words, *(["--fresh"] if self.fresh else [])]


@dataclass(frozen=True)
class Measured:
    """The evaluations that were made, one per seed, and what must be known beside them."""

    run: str
    name: str | None
    checkpoint: str
    rows: list[dict[str, Any]]
    """Per seed: checkpoint, env_steps, device, compiled, episodes; values, returns, lengths, intervals per policy."""
    reference: Mapping[str, float]
    """Levels of the task's return: random, solved, fail, where they are known."""
    caveats: list[str]
    games: list[Games] = field(default_factory=list[Games])
    """Of hockey: per seed, opponent and policy."""
    pictures: list[Path] = field(default_factory=list[Path])

    @property
    def policies(self) -> list[str]:
        """The policies that were played."""
        return list(self.rows[0]["returns"])

    def over_seeds(self, policy: str) -> Mean:
        """Return the mean over seeds of the mean returns, with its interval where there are two seeds or more."""
        return mean_interval([_mean(row["returns"][policy]) for row in self.rows])

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            "run": self.run,
            "checkpoint": self.checkpoint,
            "trials": self.rows,
            "seeds": {policy: _interval(self.over_seeds(policy)) for policy in self.policies},
            "reference": dict(self.reference),
            "caveats": self.caveats,
            **self._games_data(),
        }

    def _games_data(self) -> dict[str, Any]:
        if not self.games:
            return {}
        results = [{"seed": one.seed, **one.to_data()} for one in self.games]
        over = hockey_results.over_seeds(self.games)
        return {"results": results, "results_over_seeds": over, "pictures": [str(path) for path in self.pictures]}


def measure(workspace: Workspace, text: str, asked: Asked, voice: Voice) -> Measured:
    """Evaluate a checkpoint of every seed (or of one) of the run meant by `text`.

    UsageError or NotFound when no such run, seed or checkpoint is here; TrialFailed with the reason when an evaluation
    breaks down.
    """
    if asked.maps is not None and not asked.maps.is_dir():
        raise NotFound(f"there is no folder {asked.maps}", hint=f"mkdir -p '{asked.maps}'")
    require_opponents(asked.opponents)
    agents = find_agents(workspace, text, asked.seed, asked.checkpoint)
    recorded = load_recorded(agents.run.config_path)
    rows: list[dict[str, Any]] = []
    caveats = list(agents.caveats)
    words = [*asked.words(), *_games_asked(agents, asked, recorded.get("env.id") == HOCKEY_ID, caveats)]
    for trial in agents.trials:
        voice.say(f"evaluating {agents.run.id} seed {trial.seed}")
        row = cast("dict[str, Any]", run_program(agents, trial, _PROGRAM, words, voice))
        caveats += [f"seed {trial.seed}: passed over {line}" for line in row.get("passed_over", [])]
        row["intervals"] = {policy: _interval(mean_interval(found)) for policy, found in row["returns"].items()}
        rows.append(row)
    if asked.compiled:
        caveats.append("acting was compiled: the same random numbers, but sums are rounded otherwise than in the run")
    if asked.checkpoint == "best" and rows[0].get("own_starts"):
        caveats.append(
            f"best was chosen by its first {rows[0]['own_starts']} episodes, so their mean is too high; "
            "--fresh measures it on others"
        )
    repeat = recorded.get("env.action_repeat", 1)
    games = [one for row in rows for one in games_of(row, repeat if isinstance(repeat, int) else 1)]
    pictures = _maps(agents.run.id, rows, asked.maps) if asked.maps is not None else []
    return Measured(
        agents.run.id,
        agents.manifest.name,
        asked.checkpoint,
        rows,
        _reference(recorded),
        [*caveats, *hockey_results.warnings(games)],
        games,
        pictures,
    )


def require_opponents(names: Sequence[str]) -> None:
    """Raise UsageError for a name that is no opponent, one that means somebody else every time, a weight, or a double.

    Whether a run and its checkpoint are there is asked where they are opened.
    """
    for name in names:
        try:
            one = parse_opponent(name)
        except ValueError as error:
            raise UsageError(f"--opponent {name}: {error}") from None
        if one.kind == "self":
            raise UsageError(
                "--opponent self would be another one at every moment",
                hint="name one of its checkpoints: --opponent R12@20000",
            )
        if ":" in name:
            raise UsageError(
                f"--opponent {name}: everybody plays as many games as the others", hint=f"--opponent {one.name}"
            )
        if names.count(name) > 1:
            raise UsageError(f"--opponent {name} is named twice", hint="name everybody once")


def require_hockey(agents: StoredAgents, *options: str) -> None:
    """Raise UsageError when options that are for hockey are given for a run of another task."""
    trained_on = load_recorded(agents.run.config_path).get("env.id")
    if options and trained_on != HOCKEY_ID:
        raise UsageError(
            f"{options[0]} is for hockey, and {agents.run.id} was trained on {trained_on}", hint="leave it out"
        )


def _games_asked(agents: StoredAgents, asked: Asked, hockey: bool, caveats: list[str]) -> list[str]:
    """Return the further words for games of hockey that are not the run's own; none for other evaluations."""
    given = {"--opponent": bool(asked.opponents), "--maps": asked.maps is not None}
    require_hockey(agents, *(name for name, is_given in given.items() if is_given))
    if not hockey or not (asked.opponents or asked.episodes or asked.fresh or asked.maps is not None):
        return []
    wanted = asked.episodes or FEWEST_GAMES
    rounded = -(-wanted // 4) * 4
    if rounded != wanted:
        caveats.append(f"{rounded} games each, not {wanted}: both starts on both sides, equally often")
    words = ["--games", "--episodes", str(rounded)]  # the last --episodes counts
    for name in asked.opponents:
        words += ["--opponent", name]
    return [*words, *(["--maps"] if asked.maps is not None else [])]


def _maps(run: str, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Draw a picture for each seed and policy; return where they are."""
    from dreamerlab.report.hockey_maps import draw_maps

    pictures: list[Path] = []
    for row in rows:
        for policy, shots in row["shots"].items():
            path = folder / f"{run}-seed-{row['seed']}-{row['env_steps']}-{policy}.png"
            games = len(row["games"][policy]) // len(row["opponents"])
            title = (
                f"{run} seed {row['seed']} after {row['env_steps']:,} env steps, policy {policy}, {games} games each"
            )
            draw_maps(path, title, shots, row["heat"][policy])
            pictures.append(path)
    return pictures


def to_tables(measured: Measured) -> list[Table]:
    """Return the evaluations as a table of seeds and, of several seeds, one of the run; hockey's results come first."""
    results = hockey_results.to_tables(measured.games) if measured.games else []
    return [*results, *_returns(measured)]


def _returns(measured: Measured) -> list[Table]:
    span = _span(measured.reference)
    columns = (
        "seed",
        "policy",
        "env steps",
        "mean return" if measured.games else "mean",
        "95 % interval",
        "lowest",
        "highest",
        *(["of span"] if span else []),
    )
    table = Table(columns, frozenset(columns) - {"policy"})
    for row in measured.rows:
        for policy in measured.policies:
            returns = row["returns"][policy]
            cells = (_between(mean_interval(returns)), figure(min(returns)), figure(max(returns)))
            share = [_share(_mean(returns), span)] if span else []
            table.add(row["seed"], policy, f"{row['env_steps']:,}", figure(_mean(returns)), *cells, *share)
    if len(measured.rows) < 2:
        return [table]
    columns = ("all seeds", "n", "mean", "95 % interval", "lowest", "highest", *(["of span"] if span else []))
    whole = Table(columns, frozenset(columns) - {"all seeds"})
    for policy in measured.policies:
        over, means = measured.over_seeds(policy), [_mean(row["returns"][policy]) for row in measured.rows]
        share = [_share(over.mean, span)] if span else []
        whole.add(policy, over.num, figure(over.mean), _between(over), figure(min(means)), figure(max(means)), *share)
    return [table, whole]


def headline(measured: Measured) -> str:
    """Return what the tables are about, in one line."""
    row = measured.rows[0]
    title = f"{measured.run} {measured.name}" if measured.name else measured.run
    if "opponents" in row:
        whole = all(game["mode"] == "normal" for one in measured.games for game in one.games)
        turns = ", both starts on both sides" if whole else ""
        new = f"{row['episodes']} new games per opponent, seed and policy{turns}"
        return f"{title}: checkpoint {measured.checkpoint}, {new}"
    fresh = row["episodes"] - row.get("own_starts", row["episodes"])
    some = (
        ""
        if not fresh
        else f", {fresh} of them from new starts"
        if fresh < row["episodes"]
        else ", all from new starts"
    )
    plural = "s" if row["episodes"] != 1 else ""
    return f"{title}: checkpoint {measured.checkpoint}, {row['episodes']} episode{plural} per seed and policy{some}"


def levels(measured: Measured) -> str | None:
    """Return the reference levels in one line; None when there are none."""
    known = [f"{name} {figure(measured.reference[name])}" for name in _LEVELS if name in measured.reference]
    return f"reference: {', '.join(known)}" if known else None


def _reference(recorded: Mapping[str, object]) -> dict[str, float]:
    found = {name: number(recorded.get(f"reference.{name}")) for name in _LEVELS}
    return {name: value for name, value in found.items() if value is not None}


def _span(reference: Mapping[str, float]) -> tuple[float, float] | None:
    """Return (random, solved) where both are known and differ."""
    low, high = reference.get("random"), reference.get("solved")
    return (low, high) if low is not None and high is not None and low != high else None


def _share(value: float, span: tuple[float, float]) -> str:
    return f"{100 * (value - span[0]) / (span[1] - span[0]):.0f} %"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _interval(mean: Mean) -> dict[str, float | int | None]:
    return {"n": mean.num, "mean": mean.mean, "sd": mean.sd, "low": mean.low, "high": mean.high}


def _between(mean: Mean) -> str:
    return (
        f"{figure(mean.low)} to {figure(mean.high)}" if mean.low is not None else "no spread" if mean.sd == 0 else "-"
    )
