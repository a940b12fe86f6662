"""Conditions and changes in words, for the page of rules: what is watched, over which stretch, how far it may go."""

from __future__ import annotations

from dreamerlab.diagnostics.bounds import Bound, OfConfig, OfMetric
from dreamerlab.diagnostics.conditions import Condition, Configured, Diverged, Level, Share, Stays, Trend
from dreamerlab.diagnostics.peaks import AfterPeak, Dips, Jump, PeakDrop, Progress, Relapses
from dreamerlab.diagnostics.rule import Change


def condition_words(one: Condition) -> str:
    """Return one condition as a clause."""
    if isinstance(one, Level):
        side = f"at least {_bound(one.above)}" if one.above is not None else f"at most {_bound(one.below)}"
        what = f"the size of {_metric(one.metric)}" if one.size else _metric(one.metric)
        what += f" over the size of {_metric(one.over)}" if one.over else ""
        where = f"first {_percent(one.first)}" if one.first is not None else f"last {_percent(one.last)}"
        if one.start:
            return f"{what} is {side} in the first line"
        length = f", if that is {one.for_steps:,} env steps or more" if one.for_steps else ""
        return f"{what} is {side} in {_percent(one.share)} of the lines of the {where} of the run{length}"
    if isinstance(one, Stays):
        level = "its own median" if one.at is None else f"{one.at:g}"
        room = _percent(one.within) if one.relative else f"{one.within:g}"
        where = f"{_percent(one.share)} of the last {_percent(one.last)}"
        return f"{_metric(one.metric)} stays within {room} of {level} in {where}"
    if isinstance(one, Trend):
        up = one.factor > 1 if one.factor is not None else (one.amount or 0) > 0
        by = f"to {one.factor:g} times its level" if one.factor is not None else f"by {abs(one.amount or 0):g}"
        return f"{_metric(one.metric)} {'rises' if up else 'falls'} {by} over the last {_percent(one.last)}"
    if isinstance(one, Share):
        side = f"at least {one.above:g}" if one.above is not None else f"at most {one.below or 0:g}"
        return f"the mean of {_metric(one.metric)} over the run is {side}"
    if isinstance(one, Configured):
        return f"`{one.key}` is {one.value}"
    if isinstance(one, PeakDrop):
        return f"the evaluation rose above the first episodes, lost {_percent(one.by)} of the rise, and is still down"
    if isinstance(one, Relapses):
        return (
            "the evaluation falls from the upper tenth of its rise below half of it twice in a row, or once below a "
            f"quarter, {one.times} times or more (and in 5 % of the evaluations), at least once in the last half"
        )
    if isinstance(one, AfterPeak):
        if one.stays is not None:
            how = f"moved by no more than {_percent(one.stays)}"
        else:
            how = f"is at least {one.above:g}" if one.above is not None else f"is at most {one.below or 0:g}"
            how += " times what it was at the peak"
        return f"after the peak {_metric(one.metric)} {how}"
    if isinstance(one, Progress):
        when = f", when {_percent(one.spent)} of the budget is spent" if not one.made else ""
        return (
            f"the last third of the evaluations is {'' if one.made else 'not '}above the first training episodes{when}"
        )
    if isinstance(one, Jump):
        beside = f", and at the same place {condition_words(one.beside)}" if one.beside is not None else ""
        left = " to nearly nothing" if one.to_zero else ""
        way = "jumps up" if one.by > 0 else "drops"
        far = f"by {_percent(abs(one.by))} of its range"
        return f"{_metric(one.metric)} {way}{left} from one line to the next, {far}{beside}"
    if isinstance(one, Dips):
        return f"{_metric(one.metric)} falls by {_percent(one.by)} and comes back, twice or more in the last half"
    assert isinstance(one, Diverged), one
    return "the trial ended because a value was not finite"


def change_words(change: Change) -> str:
    """Return a change as it is tried."""
    if change.times is not None:
        return f"`{change.key}` times {change.times:g}"
    value = list(change.to) if isinstance(change.to, tuple) else change.to  # type: ignore[arg-type]
    return f"`{change.key}={str(value).lower() if isinstance(value, bool) else value}`"


def _metric(names: str) -> str:
    first, *others = names.split("|")
    return f"`{first}`" + (f" (or `{others[0]}`)" if others else "")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _bound(bound: Bound | None) -> str:
    if isinstance(bound, OfMetric):
        source = f"the median of `{bound.metric}`" if bound.metric else "its own median"
        times = "" if bound.times == 1 else f"{bound.times:g} times "
        plus = "" if not bound.plus else f" {'+' if bound.plus > 0 else '-'} {abs(bound.plus):g}"
        return f"{times}{source}{plus}"
    if isinstance(bound, OfConfig):
        times = "" if bound.times == 1 else f"{bound.times:g} times "
        return f"{times}what the config says of: {bound.quantity}"
    return f"{bound:g}"
