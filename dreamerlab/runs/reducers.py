"""Reducers: how the curve of one metric becomes one score per seed, frozen with the metric before anything is trained.

    final_mean(k)           mean of the last k evaluations
    auc                     mean height of the curve: the area under it over the env steps it spans
    min_after_first_solve   lowest evaluation from the first one on that solves the task
    env_steps_to(475)       env steps at the first evaluation at or beyond a level; nothing is interpolated (M-PROT-19)
    peak                    best evaluation: optimistic, because it is picked by looking

A seed that never solves, or never reaches the level, is no gap: it takes the fail score, which for a time is the
budget (and the time is then known to be longer: censored). Where lower is better, "beyond" is below and the lowest
is the highest. Everything is computed from the committed text of a trial: `evals.jsonl`, or `curves.jsonl` for what is
not measured by evaluations. What a trial that diverged or was stopped scores is not asked here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from dreamerlab.errors import UsageError, did_you_mean
from dreamerlab.metrics import ALIASES, CATALOGUE
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import DEFAULT_SCORE
from dreamerlab.runs.series import line_values, read_evals, reduce_final_mean

Curve = Sequence[tuple[int, float]]
"""(env steps, value) of one metric, oldest first."""
_TEXT = re.compile(r"([a-z_]+)(?:\(([^()]+)\))? of (\S+)")
_RETURN = re.compile(r"return")


class Reducer(NamedTuple):
    """One reducer applied to one metric; `argument` is k or the level, None for those without."""

    name: str
    argument: float | None
    metric: str

    @property
    def text(self) -> str:
        """The reducer without its metric, as a plan spells it."""
        return self.name if self.argument is None else f"{self.name}({self.argument:.15g})"

    @property
    def is_time(self) -> bool:
        """Whether the score is a time in env steps, so that lower is better whatever the metric."""
        return self.name == "env_steps_to"

    @property
    def is_optimistic(self) -> bool:
        """Whether the score was picked by looking at the whole curve."""
        return self.name == "peak"


class Scale(NamedTuple):
    """What a reducer must know beside the curve; None where it is not known."""

    random: float | None = None
    solved: float | None = None
    fail: float | None = None
    """Score of a seed that never got there."""
    budget_env_steps: int | None = None
    """Env steps after which a time is cut off."""


class Score(NamedTuple):
    """The score of one curve, or why there is none."""

    value: float | None
    reason: str | None = None
    """Why there is no score."""
    used: Curve = ()
    """The evaluations it was read from; of an area the first and the last."""
    failed: str | None = None
    """Why the value is the fail score."""
    censored: bool = False
    """Whether the value is a time that the budget cut off."""
    not_finite: bool = False
    """Whether there is no score because a number in the curve is not finite."""


def parse_reducer(text: str) -> Reducer:
    """Return the reducer written as `final_mean(3) of eval/return_mode`; UsageError for anything else."""
    match = _TEXT.fullmatch(text.strip())
    refusal = UsageError(f"'{text}' is no reducer", hint=f"write it like '{DEFAULT_SCORE}'")
    if match is None:
        raise refusal
    name, inner, metric = match[1], match[2], ALIASES.get(match[3], match[3])
    if name not in _REDUCE:
        refusal.message += did_you_mean(name, _REDUCE)
        raise refusal
    argument = None
    if inner is not None:
        with suppress(ValueError):
            argument = float(inner)
    wanted = name in ("final_mean", "env_steps_to")
    whole = name != "final_mean" or (argument is not None and argument >= 1 and argument == int(argument))
    if (argument is not None) != wanted or (inner is not None and argument is None) or not whole:
        raise refusal
    if argument is not None and not math.isfinite(argument):
        raise refusal
    return Reducer(name, argument, metric)


def reduce(curve: Curve, reducer: Reducer, scale: Scale) -> Score:
    """Return the score of a curve; a reason instead when there are too few evaluations, or one is not finite."""
    return _REDUCE[reducer.name](curve, reducer, scale)


def score(
    trial: TrialDirectory, reducer: Reducer, *, fail: float | None = None, budget_env_steps: int | None = None
) -> Score:
    """Return the score of a trial that has spent its budget, from its committed text alone.

    `fail` defaults to the task's fail score where the metric is a return; the levels are those of the recorded config.
    """
    levels = recorded_reference(trial.run)
    if fail is None and not reducer.is_time and _RETURN.search(reducer.metric):
        fail = levels.get("fail")
    scale = Scale(levels.get("random"), levels.get("solved"), fail, budget_env_steps)
    return reduce(curve_of(trial, reducer.metric), reducer, scale)


def curve_of(trial: TrialDirectory, metric: str) -> list[tuple[int, float]]:
    """Return the curve of a metric from the committed text: of evaluations all points, of the rest the thinned ones."""
    if not metric.startswith("eval/"):
        return [(point.env_steps, point.value) for point in read_curves(trial).get(metric, [])]
    lines, _ = read_evals(trial)
    found = ((line.get("env_steps"), line_values(line).get(metric)) for line in lines)
    return [(steps, value) for steps, value in found if isinstance(steps, int) and value is not None]


def recorded_reference(run: RunDirectory) -> dict[str, float]:
    """Return random, solved and fail of the recorded config, those that are numbers.

    Read line by line, as our own writer spells a config: what a record means must not need a YAML library.
    """
    try:
        text = run.config_path.read_text()
    except OSError:
        return {}
    section = re.search(r"^reference:\n((?:[ \t]+.*\n?)*)", text, re.MULTILINE)
    found: dict[str, float] = {}
    for name, value in re.findall(r"^\s+(random|solved|fail):\s*(\S+)\s*$", section[1] if section else "", re.M):
        with suppress(ValueError):
            found[name] = float(value)
    return found


def _final_mean(curve: Curve, reducer: Reducer, scale: Scale) -> Score:
    k = int(reducer.argument or 0)
    used = curve[-k:]
    if len(curve) < k:
        return Score(None, f"{len(curve)} of the {k} evaluations of {reducer.metric} it needs", used)
    value = reduce_final_mean([value for _, value in curve], k)
    if value is None:
        return Score(None, f"{reducer.metric} is not finite in the last {k} evaluations", used, not_finite=True)
    return Score(value, used=used)


def _auc(curve: Curve, reducer: Reducer, scale: Scale) -> Score:
    if missing := _unusable(curve, reducer):
        return missing
    span = curve[-1][0] - curve[0][0]
    if span <= 0:
        return Score(curve[-1][1], used=curve[-1:])
    area = math.fsum((b[0] - a[0]) * (b[1] + a[1]) / 2 for a, b in pairwise(curve))
    return Score(area / span, used=(curve[0], curve[-1]))


def _min_after_first_solve(curve: Curve, reducer: Reducer, scale: Scale) -> Score:
    if scale.solved is None:
        return Score(None, "the task has no level at which it counts as solved (reference.solved)")
    if missing := _unusable(curve, reducer):
        return missing
    falling = _falls(reducer, scale)
    first = _first_beyond(curve, scale.solved, falling=falling)
    if first is None:
        why = f"never solved (best {_best(curve, falling=falling):.4g}, solved is {scale.solved:g})"
        return Score(scale.fail, None if scale.fail is not None else f"{why}, and no fail score is declared", (), why)
    lowest = max(curve[first:], key=lambda point: point[1] if falling else -point[1])
    return Score(lowest[1], used=(lowest,))


def _env_steps_to(curve: Curve, reducer: Reducer, scale: Scale) -> Score:
    assert reducer.argument is not None, reducer
    if missing := _unusable(curve, reducer):
        return missing
    first = _first_beyond(curve, reducer.argument, falling=_falls(reducer, scale))
    if first is not None:
        return Score(float(curve[first][0]), used=curve[first : first + 1])
    end = scale.fail if scale.fail is not None else scale.budget_env_steps
    if end is None:
        return Score(None, f"{reducer.argument:g} is never reached, and no budget is known to count it by")
    return Score(float(end), used=curve[-1:], censored=True)


def _peak(curve: Curve, reducer: Reducer, scale: Scale) -> Score:
    if missing := _unusable(curve, reducer):
        return missing
    best = _best(curve, falling=_falls(reducer, scale))
    return Score(best, used=[point for point in curve if point[1] == best][:1])


_REDUCE: dict[str, Callable[[Curve, Reducer, Scale], Score]] = {
    "final_mean": _final_mean,
    "auc": _auc,
    "min_after_first_solve": _min_after_first_solve,
    "env_steps_to": _env_steps_to,
    "peak": _peak,
}


def _unusable(curve: Curve, reducer: Reducer) -> Score | None:
    if not curve:
        return Score(None, f"{reducer.metric} was never evaluated")
    if not all(math.isfinite(value) for _, value in curve):
        return Score(None, f"{reducer.metric} is not finite in every evaluation", not_finite=True)
    return None


def _falls(reducer: Reducer, scale: Scale) -> bool:
    """Tell whether lower is better: by the metric's direction; of a task's return by its levels, which know better."""
    known = CATALOGUE.get(reducer.metric)
    if scale.random is not None and scale.solved is not None and _RETURN.search(reducer.metric):
        return scale.solved < scale.random
    return known is not None and known.direction == "lower"


def _first_beyond(curve: Curve, level: float, *, falling: bool) -> int | None:
    return next((i for i, (_, value) in enumerate(curve) if (value <= level if falling else value >= level)), None)


def _best(curve: Curve, *, falling: bool) -> float:
    return min(value for _, value in curve) if falling else max(value for _, value in curve)
