"""Which pictures a comparison has, and what each one shows of its evidence: `compare --plot FILE --plot-kind KIND`.

    curves      learning curves, against env steps, updates or training time
    intervals   every score, means with their intervals, differences with theirs
    profile     the share of seeds beyond every score (Agarwal et al. 2021)
    tradeoff    speed against score, stability against convergence (M-PROT-18)

Runs of different tasks share an axis where a return can be placed between random play and solved, and nowhere else.
Drawing is `plots.py` and `score_plots.py`; the picture of a lagged correlation is `lag_plots.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dreamerlab.errors import UsageError, did_you_mean
from dreamerlab.metrics import is_return
from dreamerlab.report.course_tables import NOT_DECISIVE, PACE
from dreamerlab.report.evidence import Evidence, RunEvidence, SeedEvidence
from dreamerlab.report.plots import Arm, Curve, Picture, draw_curves
from dreamerlab.report.score_plots import (
    Axis,
    ScoreArm,
    ScorePicture,
    SeedMark,
    Trade,
    draw_intervals,
    draw_profile,
    draw_tradeoff,
)
from dreamerlab.report.tradeoffs import (
    FEWEST,
    differing_pace,
    fall_after_peak,
    last_level,
    time_to,
)
from dreamerlab.runs.series import Point

KINDS = ("curves", "intervals", "profile", "tradeoff")
LAG = "lag"
"""A kind of its own: it needs a metric to correlate (`lag_plots.py`)."""
CLOCKS = ("env_steps", "updates", "wall_clock")
_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))


def draw(evidence: Evidence, path: Path, kind: str = "curves", clock: str = "env_steps") -> None:
    """Write one picture of a comparison; `clock` is what learning curves are drawn against.

    UsageError for an unknown kind or clock, for runs that cannot share an axis, for more runs than can be told apart,
    and as `plots.draw_curves`.
    """
    one_of(kind, KINDS, "kind of picture")
    one_of(clock, CLOCKS, "clock")
    {"curves": _curves, "intervals": _intervals, "profile": _profile, "tradeoff": _tradeoff}[kind](
        evidence, path, clock
    )


def one_of(word: str, known: Sequence[str], what: str) -> str:
    """Return `word` when it is one of a closed list; UsageError with the nearest ones otherwise."""
    if word in known:
        return word
    raise UsageError(f"no {what} is called '{word}'{did_you_mean(word, known)}", hint=f"one of {', '.join(known)}")


def arm_label(run: RunEvidence) -> str:
    """Return what a run is called in a picture: id, name, number of seeds, and what speaks against it."""
    marks = [mark for mark, holds in (("pilot", run.manifest.kind == "pilot"), ("so far", run.so_far)) if holds]
    return f"{run.label} (n={len(run.seeds)}{''.join(f', {mark}' for mark in marks)})"


def _curves(evidence: Evidence, path: Path, clock: str) -> None:
    common = _common_scale(evidence, of_scores=False)
    label, read = _clock(evidence, clock)
    arms = [
        Arm(arm_label(run), [_curve(seed, read, common.get(run.id)) for seed in run.seeds]) for run in evidence.runs
    ]
    picture = Picture(
        _title(evidence),
        arms,
        x_label=label,
        y_label=_unit(evidence, common, _metrics(evidence)),
        **_levels(evidence, common),
        same_positions=clock == "env_steps",
        notes=_pace_note(evidence) if clock == "wall_clock" else (),
    )
    draw_curves(picture, path)


def _intervals(evidence: Evidence, path: Path, _: str) -> None:
    places = {run.id: index for index, run in enumerate(evidence.runs)}
    differences = [
        (f"{pair.other} − {pair.first}", places[pair.other], pair.welch)
        for pair in evidence.pairs
        if pair.withheld is None and pair.welch is not None
    ]
    withheld = [f"{pair.other} and {pair.first}: {pair.withheld}" for pair in evidence.pairs if pair.withheld]
    picture = _scores(evidence)
    notes = [*picture.notes, *(f"no difference is drawn of {words}" for words in withheld)]
    draw_intervals(replace(picture, differences=differences, notes=notes), path)


def _profile(evidence: Evidence, path: Path, _: str) -> None:
    draw_profile(_scores(evidence, cut_off=math.inf), path)


def _tradeoff(evidence: Evidence, path: Path, _: str) -> None:
    runs, level = evidence.runs, last_level(evidence)
    if _common_scale(evidence, of_scores=True):
        raise UsageError("what runs of different tasks trade cannot be drawn together", hint="draw runs of one task")
    better = "lower" if runs[0].lower_is_better else "higher"
    score = Axis(_score_label(evidence), better)
    pace = Axis(f"{PACE} {NOT_DECISIVE}", "higher")
    speed = [
        [(x, y) for seed in run.seeds if (x := seed.env_steps_per_s) and (y := seed.score) is not None] for run in runs
    ]
    trades = [Trade(pace, score, speed)]
    if level is not None:
        convergence = Axis(f"env steps to {level.name} ({level.level:g})", "lower")
        stability = Axis("stability: fall after the peak", "lower")
        points = [
            [
                (x, y)
                for seed in run.seeds
                if (x := time_to(seed, level.name, "env_steps")) is not None
                and (y := fall_after_peak(seed)) is not None
            ]
            for run in runs
        ]
        trades.append(Trade(convergence, stability, points))
    notes = [] if level is not None else ["no seed reached a level of the task: convergence cannot be drawn"]
    few = [run.id for run in runs if len(run.scores) < FEWEST]
    notes += [f"too few seeds to name a gain or a price: {', '.join(few)}"] if few else []
    draw_tradeoff(_title(evidence), [arm_label(run) for run in runs], trades, path, [*notes, *_pace_note(evidence)])


def _scores(evidence: Evidence, cut_off: float | None = None) -> ScorePicture:
    """Return every score of every run; `cut_off` stands for a time that the budget ended."""
    common = _common_scale(evidence, of_scores=True)
    arms: list[ScoreArm] = []
    for run in evidence.runs:
        scale = common.get(run.id)
        marks = [
            SeedMark(
                seed.seed, cut_off if seed.censored and cut_off is not None else _placed(seed.score, scale), special
            )
            for seed in run.seeds
            if seed.score is not None
            for special in (_special(seed),)
        ]
        arms.append(ScoreArm(arm_label(run), marks))
    levels = _levels(evidence, common) if all(run.is_return for run in evidence.runs) else {}
    named = [(name, level) for name, level in (("solved", levels.get("solved")), ("random play", levels.get("random")))]
    return ScorePicture(
        _title(evidence),
        _unit(evidence, common, _score_label(evidence)),
        arms,
        [(name, level) for name, level in named if level is not None],
        falling=evidence.runs[0].lower_is_better and not common,
    )


def _special(seed: SeedEvidence) -> str:
    if seed.censored:
        return "cut off by the budget"
    return "fail score" if seed.failed else "so far" if seed.so_far else ""


Scale = tuple[float, float]
"""Random play and solved of a task."""


def _common_scale(evidence: Evidence, *, of_scores: bool) -> Mapping[str, Scale]:
    """Return run -> the levels its values are placed between, empty where values share an axis as they are.

    UsageError where they share none: scores of different rules, or a task whose levels are not known.
    """
    runs = evidence.runs
    rules = {(run.evaluation["score"] if of_scores else run.metric) for run in runs}
    if len(rules) == 1 and len({run.env_id for run in runs}) == 1:
        return {}
    known: dict[str, Scale] = {}
    for run in runs:
        low, high = run.reference["random"], run.reference["solved"]
        if is_return(run.metric) and not (of_scores and run.is_time) and None not in (low, high) and low != high:
            assert low is not None
            assert high is not None
            known[run.id] = low, high
    lacking = [run.id for run in runs if run.id not in known]
    if len(rules) > 1 or lacking:
        why = f"{lacking[0]} has no levels to place its values between" if lacking else ""
        why = f"they stand for {' and '.join(sorted(rules))}" if len(rules) > 1 else why
        raise UsageError(
            f"{', '.join(run.id for run in runs)} cannot share an axis: {why}",
            hint="draw runs of one task, or score all of them alike: --reducer 'final_mean(3) of eval/return_mode'",
        )
    return known


def _placed(value: float, scale: Scale | None) -> float:
    return value if scale is None else 100 * (value - scale[0]) / (scale[1] - scale[0])


def _levels(evidence: Evidence, common: Mapping[str, Scale]) -> dict[str, float | None]:
    if common:
        return {"random": 0.0, "solved": 100.0}
    first = evidence.runs[0]
    known = is_return(first.metric)
    return {name: first.reference.get(name) if known else None for name in ("random", "solved")}


def _unit(evidence: Evidence, common: Mapping[str, Scale], words: str) -> str:
    return f"{words}\n% from random play to solved" if common else words


def _curve(seed: SeedEvidence, read: Callable[[Point], float], scale: Scale | None) -> Curve:
    points = seed.evaluations
    return Curve(seed.seed, [read(point) for point in points], [_placed(point.value, scale) for point in points])


def _clock(evidence: Evidence, clock: str) -> tuple[str, Callable[[Point], float]]:
    """Return what the axis is called and where a point stands on it."""
    if clock == "env_steps":
        return "env steps", lambda point: float(point.env_steps)
    if clock == "updates":
        return "updates", lambda point: float(point.updates)
    most = max((p.wall_s for run in evidence.runs for seed in run.seeds for p in seed.evaluations), default=0.0)
    unit, seconds = next(((unit, size) for unit, size in _UNITS if most >= 3 * size), _UNITS[-1])
    return f"training time in {unit}, evaluations included", lambda point: point.wall_s / seconds


def _pace_note(evidence: Evidence) -> list[str]:
    first, *others = evidence.runs
    differing = sorted({name for other in others for name in differing_pace(evidence, first, other)})
    return [f"taken under different conditions ({', '.join(differing)}): times cannot be compared"] if differing else []


def _title(evidence: Evidence) -> str:
    envs = ", ".join(dict.fromkeys(run.manifest.env for run in evidence.runs))
    return f"{envs}: {', '.join(run.label for run in evidence.runs)}"


def _metrics(evidence: Evidence) -> str:
    return " / ".join(dict.fromkeys(run.metric for run in evidence.runs))


def _score_label(evidence: Evidence) -> str:
    return " / ".join(dict.fromkeys(run.evaluation["score"] for run in evidence.runs))
