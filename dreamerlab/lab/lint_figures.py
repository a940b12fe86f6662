"""Figures typed by hand beside a run, held against everything its records hold (M-TOOL-06).

A claim passes when any recorded figure of a run in its sentence rounds to it: a score, an evaluation, a mean, an
extreme, a clock, a setting, a figure of a verdict. Words such as `final`, `peak` or `lowest` beside it narrow that
down. So a copied figure goes stale visibly, and a remark that is no measurement is left alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import mean, median, stdev
from typing import Any, cast

from dreamerlab.atomic import number, read_object
from dreamerlab.errors import LabError
from dreamerlab.lab.lint_claims import Claim, claims
from dreamerlab.lab.lint_findings import Books, Finding
from dreamerlab.lab.lint_passages import Passage, passages, sentences
from dreamerlab.metrics import is_return
from dreamerlab.protocol.entries import COMPARISON
from dreamerlab.protocol.state import Hypothesis
from dreamerlab.report.wording import figure
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.reducers import recorded_reference
from dreamerlab.runs.series import line_values, read_evals
from dreamerlab.runs.status import read_status

_LONGEST_MEAN = 10
"""`final` may also mean the mean of this many last evaluations, or of fewer."""
_CITATION = re.compile(r"final_mean\((\d+)\)")
_ANY_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Recorded:
    """One figure in the records, and what it is."""

    value: float
    name: str


@dataclass
class _Run:
    """What one run recorded, read when the first claim asks for it."""

    run: RunDirectory
    evaluations: Mapping[int, Mapping[str, list[float]]]
    """Seed -> metric of its evaluations -> values, oldest first."""
    counts: list[Recorded] = field(default_factory=list[Recorded])
    """Scores, clocks and everything else that is no curve."""
    others: dict[int, Mapping[str, list[float]]] | None = None
    """The same of all other metrics: large, and read only when one of them is named."""

    def curves(self, metric: str) -> dict[int, list[float]]:
        """Return seed -> values of one metric, of the seeds that have any."""
        found = {seed: curves[metric] for seed, curves in self.evaluations.items() if metric in curves}
        if found:
            return found
        if self.others is None:
            self.others = {trial.seed: _thinned(trial) for trial in self.run.trials()}
        return {seed: curves[metric] for seed, curves in self.others.items() if metric in curves}


def check_figures(books: Books) -> Iterator[Finding]:
    """Yield the figures in people's words that no record holds."""
    known = _Known(books)
    for passage in passages(books):
        for sentence in sentences(books, passage):
            about = [one for one in sentence.about if known.has_records(one)]
            for claim in claims(sentence.text, is_row=sentence.is_row, context=passage.text) if about else ():
                nearest = known.nearest(about, claim)
                if nearest is None or not _agrees(nearest.value, claim):
                    yield _finding(books, passage, sentence.line, about, claim, nearest)


class _Known:
    """Everything the records hold, by run and hypothesis, read once."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._runs: dict[str, _Run] = {}
        self._settings: dict[str, list[Recorded]] = {}
        self._verdicts: dict[str, list[Hypothesis]] = {}
        """Hypothesis or run -> the judged hypotheses it is part of."""
        for one in books.folded.values():
            for key in {one.id, one.run, one.baseline_run} - {None} if one.verdict is not None else ():
                self._verdicts.setdefault(str(key), []).append(one)

    def has_records(self, one: str) -> bool:
        """Tell whether anything was measured in a run, or in a run of a hypothesis."""
        return any(run.evaluations for run in self._runs_of([one]))

    def nearest(self, about: list[str], claim: Claim) -> Recorded | None:
        """Return the recorded figure nearest to a claim; the settings are asked only where the results do not agree."""
        best: Recorded | None = None
        for found in (self._measured(about, claim), self._set(about) if claim.quality is None else ()):
            near = min(found, key=lambda one: abs(one.value - claim.value), default=None)
            if near is not None and (best is None or _agrees(near.value, claim)):
                best = near
            if best is not None and _agrees(best.value, claim):
                break
        return best

    def _measured(self, about: list[str], claim: Claim) -> Iterator[Recorded]:
        for run in self._runs_of(about):
            yield from _curve_figures(run, claim)
            if not claim.metrics and claim.quality is None:
                yield from run.counts
            elif claim.quality != "highest":
                yield from (one for one in run.counts if one.name.startswith("score"))
        for hypothesis in {found.id: found for one in about for found in self._verdicts.get(one, ())}.values():
            yield from _of_verdict(hypothesis, about)
        for entry in self._books.notes.values():
            if entry.kind == COMPARISON and set(entry.about) & set(about):
                for text in _ANY_NUMBER.findall(str(entry.data.get("markdown"))):
                    yield Recorded(float(text), f"comparison {entry.id}")

    def _set(self, about: list[str]) -> Iterator[Recorded]:
        for one in about:
            if one in self._books.folded:
                yield from _numbers(self._books.folded[one].proposal.to_dict(), f"proposal of {one}")
        for run in self._runs_of(about):
            if run.run.id not in self._settings:
                self._settings[run.run.id] = list(_settings(run.run))
            yield from self._settings[run.run.id]

    def _runs_of(self, about: Iterable[str]) -> list[_Run]:
        ids: list[str] = []
        for one in about:
            hypothesis = self._books.folded.get(one)
            ids += [one] if hypothesis is None else [run for run in (hypothesis.run, hypothesis.baseline_run) if run]
        return [self._run(run_id) for run_id in dict.fromkeys(ids) if self._books.runs.get(run_id) is not None]

    def _run(self, run_id: str) -> _Run:
        if run_id not in self._runs:
            self._runs[run_id] = _read(self._books, run_id)
        return self._runs[run_id]


def _read(books: Books, run_id: str) -> _Run:
    manifest, run = books.runs[run_id], books.workspace.run(run_id)
    assert manifest is not None, run_id
    evaluations: dict[int, Mapping[str, list[float]]] = {}
    scores: list[float] = []
    counts = [Recorded(float(manifest.budget.amount), f"budget of {run_id}")]
    for trial in run.trials():
        where = f"{run_id} seed {trial.seed}"
        curves, steps = _evaluated(trial)
        if curves:
            evaluations[trial.seed] = curves
        status = read_status(trial)
        clocks = ("env_steps", "updates", "episodes", "wall_s")
        counts += [Recorded(float(getattr(status, name)), f"{name} of {where}") for name in clocks]
        counts += [Recorded(float(step), f"env_steps of an evaluation of {where}") for step in steps]
        summary = _summary(trial)
        counts += _numbers({"training_return_mean": summary.get("training_return_mean")}, where)
        score = number(summary.get("score"))
        if score is not None and math.isfinite(score):
            scores.append(score)
            counts.append(Recorded(score, f"score of {where}"))
    counts += _of_scores(scores, run_id)
    counts += [Recorded(value, name) for name, value in recorded_reference(run).items()]
    return _Run(run, evaluations, counts)


def _of_scores(scores: list[float], run_id: str) -> Iterator[Recorded]:
    if scores:
        yield Recorded(mean(scores), f"score of {run_id}, mean over its seeds")
        yield Recorded(median(scores), f"median of the scores of {run_id}")
    if len(scores) > 1:
        yield Recorded(stdev(scores), f"standard deviation of the scores of {run_id}")
        yield Recorded(max(scores) - min(scores), f"range of the scores of {run_id}")


def _evaluated(trial: TrialDirectory) -> tuple[dict[str, list[float]], list[int]]:
    """Return metric -> values of the evaluations of a trial, and the env steps at which they were made."""
    lines, _ = read_evals(trial)
    found: dict[str, list[float]] = {}
    for line in lines:
        for name, value in line_values(line).items():
            if math.isfinite(value):
                found.setdefault(name, []).append(value)
    return found, [line["env_steps"] for line in lines if isinstance(line.get("env_steps"), int)]


def _thinned(trial: TrialDirectory) -> dict[str, list[float]]:
    curves = {
        name: [point.value for point in points if math.isfinite(point.value)]
        for name, points in read_curves(trial).items()
    }
    return {name: values for name, values in curves.items() if values}


def _curve_figures(run: _Run, claim: Claim) -> Iterator[Recorded]:
    """Yield what a claim may mean of the curves: of the metrics it names, or of evaluations where it names none."""
    evaluated = {metric for curves in run.evaluations.values() for metric in curves}
    meant = [metric for metric in sorted(evaluated) if not claim.is_return or is_return(metric)]
    for metric in claim.metrics or meant:
        curves = run.curves(metric)
        picked: dict[str, list[float]] = {}
        for seed, values in curves.items():
            where = f"{metric} of {run.run.id} seed {seed}"
            for name, value in _of_curve(values, claim):
                picked.setdefault(name, []).append(value)
                yield Recorded(value, f"{name} {where}")
            if claim.quality is None:
                yield from (Recorded(value, where) for value in values)
        for name, values in picked.items():
            if len(values) == len(curves) > 1:
                yield Recorded(mean(values), f"{name} {metric}, mean over the seeds of {run.run.id}")


def _of_curve(values: list[float], claim: Claim) -> Iterator[tuple[str, float]]:
    if claim.quality in (None, "last"):
        yield "last", values[-1]
        for k in range(2, min(_LONGEST_MEAN, len(values)) + 1):
            yield f"final_mean({k}) of", math.fsum(values[-k:]) / k
    if claim.quality in (None, "highest"):
        yield "highest", max(values)
    if claim.quality in (None, "lowest"):
        yield "lowest", min(values)
        yield "lowest after the peak of", min(values[values.index(max(values)) :])
    if claim.quality is None:
        yield "mean", mean(values)
        yield "first", values[0]


def _of_verdict(hypothesis: Hypothesis, about: list[str]) -> Iterator[Recorded]:
    """Yield the figures of a verdict; those of one arm alone only where that arm, or the whole, is spoken of."""
    verdict = hypothesis.verdict or {}
    figures = cast("Mapping[str, Any]", verdict.get("figures") or {})
    for key, value in figures.items():
        arm = value.get("run") if key in ("treatment", "baseline") and value is not None else None
        if arm is None or arm in about or hypothesis.id in about:
            yield from _numbers(value, f"{key}, verdict of {hypothesis.id}")
    yield from _numbers(verdict.get("needs_seeds"), f"seeds it would take, verdict of {hypothesis.id}")


def _settings(run: RunDirectory) -> Iterator[Recorded]:
    from dreamerlab.config.recorded import load_recorded

    try:
        yield from _numbers(load_recorded(run.config_path), f"setting of {run.id}")
    except LabError:
        return


def _summary(trial: TrialDirectory) -> dict[str, Any]:
    try:
        return read_object(str(trial.summary_path))
    except (OSError, ValueError):
        return {}


def _numbers(value: object, name: str) -> Iterator[Recorded]:
    """Yield every number inside nested values, as what it is called there."""
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[str, object]", value).items():
            yield from _numbers(item, f"{key}, {name}")
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            yield from _numbers(item, name)
    else:
        found = number(value)
        if found is not None and math.isfinite(found):
            yield Recorded(found, name)


def _agrees(value: float, claim: Claim) -> bool:
    """Tell whether a recorded value rounds to what was typed; a fall may be told without its sign."""
    return min(abs(value - claim.value), abs(-value - claim.value)) <= claim.tolerance


def _finding(
    books: Books, passage: Passage, line: int, about: list[str], claim: Claim, nearest: Recorded | None
) -> Finding:
    which = {"last": "final figure", "highest": "highest figure", "lowest": "lowest figure", None: "figure"}
    of = f" of {' or '.join(claim.metrics)}" if claim.metrics else ""
    near = "" if nearest is None else f"; nearest is {figure(nearest.value)} ({nearest.name})"
    beside = " and ".join(about)
    message = f"'{claim.text}' stands beside {beside}, whose records hold no such {which[claim.quality]}{of}{near}"
    run = books.folded[about[0]].run if about[0] in books.folded else about[0]
    cited = _CITATION.search(nearest.name) if nearest is not None else None
    reducer = cited[0] if cited else "final_mean(3)"
    metric = claim.metrics[0] if claim.metrics else "eval/return"
    hint = f"cite it, so that it is filled from the records: {{{run} {metric} {reducer}}}; {passage.mend}"
    return Finding("figure", passage.file, line, message, hint)
