"""What a trial writes while it trains: metric lines, evaluations, episodes, attempts and its own status.

Every line reaches the kernel before the next env step, so killing the process loses none. Means over updates are
kept as one tensor and read once a line. Does not decide when anything is due; `loop.py` does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from dreamerlab.experience.collector import EpisodeEnd
from dreamerlab.metrics import ALIASES
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import Status, write_status
from dreamerlab.train.evaluate import Episodes, as_metrics, shares_of
from dreamerlab.train.findings import LiveRules
from dreamerlab.train.finite import require_finite
from dreamerlab.train.pictures import prediction_picture, write_picture
from dreamerlab.train.predictions import Foreseen

HEARTBEAT_S = 1.0


@dataclass
class Counters:
    """How far a trial has come, over all attempts."""

    env_steps: int = 0
    updates: int = 0
    actor_updates: int = 0
    """Updates in which actor and critic learnt."""
    episodes: int = 0
    wall_s: float = 0.0
    early_goals: int = 0
    """Episodes before the first update in which the task was over: in hockey, goals (M-ADD-08)."""


@dataclass
class _Means:
    """Running sums since the last metric line."""

    sums: dict[tuple[str, ...], torch.Tensor] = field(default_factory=dict)
    """Of the metrics of updates; an update that teaches only a part has only some of them."""
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    """Of games: win, draw or loss."""
    numbers: dict[str, list[float]] = field(default_factory=dict)
    """Further metrics of episodes that have them."""
    update_s: float = 0.0
    acting_s: float = 0.0
    elapsed_s: float = 0.0
    """Of earlier attempts, since the last line."""
    since: float = field(default_factory=time.monotonic)
    since_env_steps: int = 0

    def of_updates(self) -> dict[str, float]:
        """Return the mean of every metric over the updates that had it, sorted by name."""
        totals: dict[str, float] = {}
        counts: dict[str, int] = {}
        for names, total in self.sums.items():
            for name, value in zip(names, total.tolist(), strict=True):
                totals[name] = totals.get(name, 0.0) + value
                counts[name] = counts.get(name, 0) + self.counts[names]
        return {name: totals[name] / counts[name] for name in sorted(totals)}


class Recorder:
    """The pen of one attempt of one trial."""

    def __init__(self, trial: TrialDirectory, attempt: int, status: Status) -> None:
        self._trial, self.attempt, self._status = trial, attempt, status
        self.rules: LiveRules | None = None
        """What is asked at every evaluation whether something is wrong; set once the config is known."""
        self._means = _Means()
        self._written_at = (0, 0)
        self._last_beat = 0.0

    def start_clock(self) -> None:
        """Count time from now on: what came before, such as building the agent, is no training."""
        self._means.since = time.monotonic()

    # -- collecting -----------------------------------------------------------------------------------------------

    def after_update(self, metrics: dict[str, torch.Tensor], seconds: float) -> None:
        """Add the metrics of one update; nothing is read from the device (`require_finite` does)."""
        names, means = tuple(metrics), self._means
        values = torch.stack(list(metrics.values()))
        # What a checkpoint brought back is not where the agent computes.
        means.sums[names] = means.sums[names].to(values.device) + values if names in means.sums else values
        means.counts[names] = means.counts.get(names, 0) + 1
        means.update_s += seconds

    def require_finite(self) -> None:
        """Raise Diverged, naming the first metric, when one of an update since the last line is not finite.

        Once not finite, a sum stays so: one look after any number of updates is enough. What is found on the CPU before
        it reaches the parameters is found by `finite.py`.
        """
        for names, total in self._means.sums.items():
            require_finite(dict(zip(names, total.unbind(), strict=True)))

    def after_acting(self, seconds: float) -> None:
        """Add the time of one env step with its policy call and replay insert."""
        self._means.acting_s += seconds

    def after_episode(self, end: EpisodeEnd, at: Counters) -> None:
        """Write the line of a finished training episode."""
        self._means.returns.append(end.episode_return)
        self._means.lengths.append(end.length)
        facts = {"seed": end.seed, "return": end.episode_return, "length": end.length, "terminated": end.terminated}
        if end.game is not None:
            self._means.outcomes.append(end.game["outcome"])
            facts |= {"game": dict(end.game)}
        if end.shaping is not None:
            facts |= {"shaping": dict(end.shaping)}
        for name, number in _numbers_of(end).items():
            self._means.numbers.setdefault(name, []).append(number)
        append_line(self._trial.episodes_path, {**self._position(at), "episode": end.episode, **facts})

    def write_decisions(self, at: Counters, decisions: Sequence[Mapping[str, Any]]) -> None:
        """Write what controllers began, ended or did, one line each."""
        for decision in decisions:
            append_line(self._trial.decisions_path, {**self._position(at), **decision})

    # -- writing --------------------------------------------------------------------------------------------------

    def write_metrics(self, at: Counters, extra: dict[str, float]) -> None:
        """Write one metric line: means since the last one, pace, and `extra`; none where one stands already."""
        if (at.env_steps, at.updates) == self._written_at:
            return
        self.require_finite()
        self._written_at = (at.env_steps, at.updates)
        means, now = self._means, time.monotonic()
        values: dict[str, float] = {}
        updates = sum(means.counts.values())
        if updates:
            values |= means.of_updates()
            values["pace/update_ms"] = 1000 * means.update_s / updates
        if means.returns:
            values["train/return"] = sum(means.returns) / len(means.returns)
            values["train/length"] = sum(means.lengths) / len(means.lengths)
        if means.outcomes:
            values |= {f"train/{outcome}_rate": share for outcome, share in shares_of(means.outcomes).items()}
        values |= {name: sum(numbers) / len(numbers) for name, numbers in sorted(means.numbers.items())}
        elapsed = max(means.elapsed_s + now - means.since, 1e-9)
        values["pace/env_steps_per_s"] = (at.env_steps - means.since_env_steps) / elapsed
        values["pace/updates_per_s"] = updates / elapsed
        values["pace/acting_share"] = means.acting_s / elapsed
        values |= extra
        self._write_line(at, values)
        self._means = _Means(since=now, since_env_steps=at.env_steps)

    def write_probes(self, at: Counters, values: dict[str, float]) -> None:
        """Write what probes found where no metric line is due: a line of its own, that ends no means."""
        self._write_line(at, values)

    def _write_line(self, at: Counters, values: dict[str, float]) -> None:
        append_line(self._trial.metrics_path(self.attempt), {**self._position(at), "values": values})
        self._status = replace(self._status, latest={**self._status.latest, **values})
        if self.rules is not None:
            self.rules.add(at.env_steps, values)

    def write_evaluation(self, at: Counters, results: dict[str, Episodes], spent: float = 0.0) -> float:
        """Write one evaluation line, returns of every episode included; return what the best one is chosen by.

        `spent` is how much of the budget is gone, which rules ask for.
        """
        values = as_metrics(results)
        returns = {policy: episodes.returns for policy, episodes in results.items()}
        games = {policy: episodes.outcomes() for policy, episodes in results.items() if episodes.games is not None}
        told = {"values": values, "returns": returns, **({"games": games} if games else {})}
        append_line(self._trial.evals_path, {**self._position(at), **told})
        self._status = replace(self._status, latest={**self._status.latest, **values})
        if self.rules is not None:
            self.rules.add(at.env_steps, values)
            self._status = replace(self._status, findings=self.rules.look(spent))
        return values[ALIASES["eval/return"]]

    def write_predictions(self, at: Counters, foreseen: Mapping[str, Foreseen]) -> None:
        """Draw what the world model expects to see, every image key below the other."""
        drawn = [prediction_picture(one.truth, one.model, one.valid, one.context) for one in foreseen.values()]
        write_picture(self._trial.predictions, at.env_steps, np.concatenate(drawn))

    def note_progress(self, at: Counters, spent: float) -> None:
        """Take over how far the trial has come; the next status says so."""
        self._status = replace(
            self._status,
            env_steps=at.env_steps,
            updates=at.updates,
            actor_updates=at.actor_updates,
            episodes=at.episodes,
            wall_s=round(at.wall_s, 3),
            spent=spent,
        )

    def note_agent(self, sha256: str) -> None:
        """Take over the hash of what was learnt; the next status says it."""
        self._status = replace(self._status, agent_sha256=sha256)

    def heartbeat(self, at: Counters, spent: float) -> None:
        """Refresh status.json, at most once a second."""
        if time.monotonic() - self._last_beat >= HEARTBEAT_S:
            self.note_progress(at, spent)
            self.write_status()

    def write_status(self, **changes: Any) -> None:
        """Write status.json now, with `changes` such as `state` and `reason`."""
        self._last_beat = time.monotonic()
        self._status = replace(self._status, heartbeat_at=time.time(), **changes)
        write_status(self._trial, self._status)

    # -- exact resume ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the sums since the last line, so that a resumed trial writes the same means."""
        means = self._means
        return {
            "sums": [[list(names), total, means.counts[names]] for names, total in means.sums.items()],
            "returns": means.returns,
            "lengths": means.lengths,
            **({"outcomes": means.outcomes} if means.outcomes else {}),
            **({"numbers": means.numbers} if means.numbers else {}),
            "update_s": means.update_s,
            "acting_s": means.acting_s,
            "elapsed_s": means.elapsed_s + time.monotonic() - means.since,
            "since_env_steps": means.since_env_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the sums; the time between the attempts does not count."""
        self._means = _Means(
            sums={tuple(names): total for names, total, _ in state["sums"]},
            counts={tuple(names): count for names, _, count in state["sums"]},
            returns=list(state["returns"]),
            lengths=list(state["lengths"]),
            outcomes=list(state.get("outcomes", ())),
            numbers={name: list(numbers) for name, numbers in state.get("numbers", {}).items()},
            update_s=state["update_s"],
            acting_s=state["acting_s"],
            elapsed_s=state["elapsed_s"],
            since_env_steps=state["since_env_steps"],
        )

    def _position(self, at: Counters) -> dict[str, Any]:
        return {
            "time": round(time.time(), 3),
            "env_steps": at.env_steps,
            "updates": at.updates,
            "actor_updates": at.actor_updates,
            "episodes": at.episodes,
            "wall_s": round(at.wall_s, 3),
            "attempt": self.attempt,
        }


_OF_GAMES = {
    "own_possession": "train/possession_frac",
    "other_possession": "train/other_possession_frac",
    "saturated": "train/action_saturated_frac",
}


def _numbers_of(end: EpisodeEnd) -> dict[str, float]:
    """Return the metrics of an episode beyond its return and length: shaping terms, and what its game tells."""
    shaping = {f"train/shaping_{term}": value for term, value in (end.shaping or {}).items()}
    game = end.game or {}
    return shaping | {name: float(game[key]) for key, name in _OF_GAMES.items() if key in game}
