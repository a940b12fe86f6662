"""`eval`: measure the stored agents of a run again, with as many episodes as it takes.

With the run's own number of episodes this repeats an evaluation of the trial to the digit. What is added are the
intervals: of one agent over its episodes, and of the run over its seeds, which are the unit of every claim. Nothing is
written into the run; how agents are opened is `stored_agents.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dreamerlab.atomic import number
from dreamerlab.config.recorded import load_recorded
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.stored_agents import StoredAgents, find_agents, run_program
from dreamerlab.report.wording import figure
from dreamerlab.runs.store import Workspace
from dreamerlab.stats.one_sample import Mean, mean_interval
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
        }


def measure(workspace: Workspace, text: str, asked: Asked, voice: Voice) -> Measured:
    """Evaluate a checkpoint of every seed (or of one) of the run meant by `text`.

    UsageError or NotFound when no such run, seed or checkpoint is here; TrialFailed with the reason when an evaluation
    breaks down.
    """
    agents = find_agents(workspace, text, asked.seed, asked.checkpoint)
    rows: list[dict[str, Any]] = []
    caveats = list(agents.caveats)
    for trial in agents.trials:
        voice.say(f"evaluating {agents.run.id} seed {trial.seed}")
        row = cast("dict[str, Any]", run_program(agents, trial, _PROGRAM, asked.words(), voice))
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
    return Measured(agents.run.id, agents.manifest.name, asked.checkpoint, rows, _reference(agents), caveats)


def to_tables(measured: Measured) -> list[Table]:
    """Return the evaluations as a table of seeds and, of several seeds, one of the run."""
    span = _span(measured.reference)
    columns = (
        "seed",
        "policy",
        "env steps",
        "mean",
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


def _reference(agents: StoredAgents) -> dict[str, float]:
    recorded = load_recorded(agents.run.config_path)
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
