"""Reading what the log tells of: runs from their committed text, stories of hypotheses, figures that notes cite.

Everything read here is in git; a trial counts from the moment its summary is written, because until then its files
change by the minute and differ between clones. What cannot be read is a fault inside the value, never an error: a
damaged record must not stop the log. How it looks is `report`, what is rendered again is `log.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from dreamerlab.atomic import number
from dreamerlab.errors import LabError
from dreamerlab.ids import RecordId, matching
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.figures import figure, signed
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.report.citations import CitationFault, Cited
from dreamerlab.report.log_data import RunRecord, SeedRecord
from dreamerlab.report.verdict_words import figures_of, state_words
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.reducers import curve_of, parse_reducer, recorded_reference, score
from dreamerlab.runs.store import Workspace, run_ids
from dreamerlab.runs.summary import read_summary


class Records:
    """The records of one workspace at one moment; asked twice for the same, it reads once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.registry = registry_of(workspace)
        self.run = cache(self._run)
        self._ids = cache(self._ids_of)

    def hypothesis(self, hypothesis_id: str) -> Hypothesis:
        """Return a hypothesis as it stands; LabError when it cannot be understood."""
        return fold(self.registry.read(hypothesis_id))

    def full_id(self, text: str) -> str:
        """Return the full id of a cited run or hypothesis; CitationFault when it is none or several."""
        found = [str(one) for one in matching(self._ids(text[0]), text)]
        if not found:
            raise CitationFault("there is no such record")
        if len(found) > 1:
            raise CitationFault(f"it could be {' or '.join(found)}")
        return found[0]

    def _ids_of(self, letter: str) -> list[RecordId]:
        return run_ids(self.workspace) if letter == "R" else self.registry.ids(letter)

    def _run(self, run_id: str, metric: str | None) -> RunRecord:
        """Return a run with the curves of `metric`, by default of its own score."""
        run = self.workspace.run(run_id)
        try:
            made = read_manifest(run.manifest_path)
        except LabError as error:
            return RunRecord(run_id, fault=without_folder(error.message, self.workspace))
        levels = recorded_reference(run)
        metric = metric or made.score.rpartition(" of ")[2]
        seeds = tuple(self._seed(run.trial(seed), metric) for seed in made.seeds)
        return RunRecord(run_id, made, levels.get("random"), levels.get("solved"), seeds)

    def _seed(self, trial: TrialDirectory, metric: str) -> SeedRecord:
        try:
            summary = read_summary(trial)
        except LabError as error:
            return SeedRecord(trial.seed, fault=without_folder(error.message, self.workspace))
        if summary is None:
            return SeedRecord(trial.seed)
        ended_at = _count(summary, "env_steps")
        curve: Sequence[tuple[int, float]] = ()
        with suppress(OSError):
            curve = tuple(point for point in curve_of(trial, metric) if point[0] <= ended_at)
        return SeedRecord(
            trial.seed,
            str(summary.get("state")),
            None if summary.get("reason") is None else str(summary["reason"]),
            ended_at,
            _count(summary, "updates"),
            number(summary.get("wall_s")) or 0.0,
            _count(summary, "attempts"),
            curve,
        )

    def of_run(self, run: str, seed: int | None, metric: str | None, reducer: str | None, at: int | None) -> Cited:
        """Return the figure of a run that a note cites (`citations.Source`)."""
        run_id = self.full_id(run)
        record = self.run(run_id, None)
        if record.manifest is None:
            raise CitationFault(str(record.fault))
        if seed is not None and seed not in record.manifest.seeds:
            raise CitationFault(f"{run_id} has no seed {seed}")
        seeds = record.manifest.seeds if seed is None else (seed,)
        unfinished = [one.seed for one in record.seeds if one.seed in seeds and one.state != "finished"]
        if unfinished:
            raise CitationFault(f"seed {unfinished[0]} of {run_id} has no finished record")
        how = f"{reducer or ''} of {metric}" if metric is not None else record.manifest.score
        trials = [self.workspace.run(run_id).trial(one) for one in seeds]
        values = [_at(trial, metric or "", at) if at is not None else _score(trial, how, record) for trial in trials]
        mean = math.fsum(values) / len(values)
        what = f"{metric} at {at:,} env steps" if at is not None else how
        of = f"mean of {len(values)} seeds" if seed is None else f"seed {seed}"
        return Cited(figure(mean), run_id, f"{run_id}: {what}, {of}")

    def of_hypothesis(self, hypothesis: str, what: str) -> Cited:
        """Return what a note cites of a hypothesis (`citations.Source`)."""
        hypothesis_id = self.full_id(hypothesis)
        try:
            state = self.hypothesis(hypothesis_id)
        except LabError as error:
            raise CitationFault(without_folder(error.message, self.workspace)) from error
        figures = figures_of(state.verdict)
        if what == "verdict" and state.verdict is not None and state.phase == "judged":
            return Cited(state_words(state), hypothesis_id, f"verdict of {hypothesis_id}")
        if what == "difference" and figures.get("difference") is not None:
            return Cited(signed(figures["difference"]), hypothesis_id, f"difference of means in {hypothesis_id}")
        if what == "interval" and figures.get("low") is not None and figures.get("high") is not None:
            words = f"{signed(figures['low'])} to {signed(figures['high'])}"
            return Cited(words, hypothesis_id, f"interval of the difference in {hypothesis_id}")
        raise CitationFault(f"{hypothesis_id} has no {what}; it is {state.phase}")


def _score(trial: TrialDirectory, how: str, record: RunRecord) -> float:
    made: Manifest | None = record.manifest
    assert made is not None
    budget = made.budget.amount if made.budget.unit == "env_steps" else None
    try:
        found = score(trial, parse_reducer(how), budget_env_steps=budget)
    except LabError as error:
        raise CitationFault(error.message) from error
    if found.value is None:
        raise CitationFault(f"seed {trial.seed}: {found.reason}")
    return found.value


def _at(trial: TrialDirectory, metric: str, env_steps: int) -> float:
    from dreamerlab.metrics import ALIASES

    found = [value for steps, value in curve_of(trial, ALIASES.get(metric, metric)) if steps == env_steps]
    if not found:
        raise CitationFault(f"seed {trial.seed} has no value of {metric} at {env_steps:,} env steps")
    return found[-1]


def _count(summary: Mapping[str, Any], key: str) -> int:
    found = summary.get(key)
    return found if isinstance(found, int) else 0


def without_folder(message: str, workspace: Workspace) -> str:
    """Return a message without this machine's folders, so that every clone renders the same bytes."""
    return message.replace(f"{workspace.path}/", "")
