"""The two figures of a hypothesis' page: the learning curves of both arms, and the scores with the effect's interval.

They draw what they are given: every seed, the seeds' mean, their range, and what was expected. Which points and
numbers those are is decided by `hypothesis_page.py`; how to draw is `svg.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dreamerlab.protocol.figures import shown
from dreamerlab.report.palette import LOOKS
from dreamerlab.report.plots import Arm, Curve, mean_and_range
from dreamerlab.report.svg import Drawing, Ink, Scale, drawable, text_width, tick_text, ticks, widened
from dreamerlab.report.wording import figure

WIDTH = 760
_LEFT, _RIGHT = 64, 24
_POINTS = 240
"""More points than this on a line of 670 pixels cannot be told apart."""
_LOOKS = tuple((look.name, " ".join(map(str, look.dash))) for look in (LOOKS[1], LOOKS[0]))


@dataclass(frozen=True)
class Level:
    """A horizontal line across the curves that means something: `solved`, `random`, the level that was expected."""

    label: str
    value: float
    dash: str = "2 3"


@dataclass(frozen=True)
class CurvesFigure:
    """Learning curves: the arm with the change first, the baseline second; either may be alone."""

    title: str
    arms: Sequence[Arm]
    y_label: str
    levels: Sequence[Level] = ()
    x_label: str = "env steps"


@dataclass(frozen=True)
class ScoreRow:
    """The scores of one arm, one a seed."""

    label: str
    ink: Ink
    scores: Sequence[float]


@dataclass(frozen=True)
class EffectFigure:
    """Above: the scores of every seed. Below: what the verdict was computed from, its interval, what was expected."""

    title: str
    score_label: str
    rows: Sequence[ScoreRow]
    effect_label: str = ""
    """What the lower axis shows: `difference of means` or the mean itself."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    inner: tuple[float, float] | None = None
    """A narrower interval that decides as well, drawn thicker."""
    expected: tuple[float, float] | None = None
    """Where the value was expected; an infinite end is open."""
    expected_label: str = ""
    with_means: bool = True
    """Whether the mean of a row says anything: not of times that some seeds never reached."""
    zero: bool = True
    """Whether 0 means `no effect` on the lower axis."""


def draw_curves(picture: CurvesFigure) -> str | None:
    """Return the learning curves as SVG; None when no seed has an evaluation."""
    arms = [Arm(arm.label, [_finite(curve) for curve in arm.curves]) for arm in picture.arms]
    points = [(x, y) for arm in arms for curve in arm.curves for x, y in zip(curve.xs, curve.ys, strict=True)]
    if not points:
        return None
    legend = 24 * sum(any(curve.xs for curve in arm.curves) for arm in arms)
    top, height = 62 + legend, 320
    drawing = Drawing(WIDTH, top + height + 52, picture.title)
    drawing.text(16, 26, _fitted(picture.title, WIDTH - 32, 14), bold=True, size=14)
    most = max(x for x, _ in points)
    across = Scale(0.0, most if most > 0 else 1.0, _LEFT, WIDTH - _RIGHT)
    low, high = widened([*(y for _, y in points), *(level.value for level in picture.levels)])
    up = Scale(low, high, top + height, top)
    _axes(drawing, across, up, picture.x_label, picture.y_label)
    _levels(drawing, up, picture.levels)
    row = 0
    for arm, (ink, dash) in zip(arms, _LOOKS, strict=False):
        if any(curve.xs for curve in arm.curves):
            _arm(drawing, arm, across, up, ink, dash)
            _legend(drawing, arm, 48 + 24 * row, ink, dash)
            row += 1
    return drawing.to_svg()


def draw_effect(picture: EffectFigure) -> str | None:
    """Return scores and effect as SVG; None when there is no score."""
    rows = [row for row in picture.rows if any(map(drawable, row.scores))]
    if not rows:
        return None
    has_effect = picture.value is not None and drawable(picture.value)
    scores_top, scores_height = 68, 34 * len(rows)
    effect_top = scores_top + scores_height + 78
    height = effect_top + 92 if has_effect else scores_top + scores_height + 44
    drawing = Drawing(WIDTH, height, picture.title)
    drawing.text(16, 26, _fitted(picture.title, WIDTH - 32, 14), bold=True, size=14)
    drawing.text(16, 52, picture.score_label, "soft")
    if picture.with_means:
        drawing.text(WIDTH - 16, 52, "mean", "soft", anchor="end")
    _scores(drawing, rows, scores_top, scores_height, with_means=picture.with_means)
    if has_effect:
        _effect(drawing, picture, effect_top)
    return drawing.to_svg()


def _finite(curve: Curve) -> Curve:
    kept = [(x, y) for x, y in zip(curve.xs, curve.ys, strict=True) if drawable(x) and drawable(y)]
    return Curve(curve.seed, [x for x, _ in kept], [y for _, y in kept])


def _axes(drawing: Drawing, across: Scale, up: Scale, x_label: str, y_label: str) -> None:
    for value in (marks := ticks(up.low, up.high, 5)):
        drawing.line([_LEFT, WIDTH - _RIGHT], [up(value)] * 2, "grid")
        drawing.text(_LEFT - 8, up(value) + 4, tick_text(value, _step(marks)), "soft", anchor="end")
    for value in (marks := ticks(across.low, across.high, 6)):
        words, x = tick_text(value, _step(marks)), across(value)
        drawing.line([x, x], [up.start, up.start + 4], "edge")
        anchor = "end" if x + text_width(words) / 2 > WIDTH - 4 else "middle"
        drawing.text(WIDTH - 6 if anchor == "end" else x, up.start + 18, words, "soft", anchor=anchor)
    drawing.line([_LEFT, WIDTH - _RIGHT], [up.start] * 2, "edge")
    drawing.text((across.start + across.end) / 2, up.start + 38, x_label, "soft", anchor="middle")
    drawing.text(_LEFT, up.end - 8, y_label, "soft")


def _step(marks: Sequence[float]) -> float:
    return marks[1] - marks[0] if len(marks) > 1 else abs(marks[0]) or 1.0 if marks else 1.0


def _levels(drawing: Drawing, up: Scale, levels: Sequence[Level]) -> None:
    taken: list[float] = []
    for level in sorted((one for one in levels if drawable(one.value)), key=lambda one: one.value, reverse=True):
        y = up(level.value)
        drawing.line([_LEFT, WIDTH - _RIGHT], [y, y], "soft", width=1.2, dash=level.dash)
        label_y = y - 5
        while any(abs(label_y - other) < 13 for other in taken):
            label_y += 13
        taken.append(label_y)
        drawing.text(_LEFT + 6, label_y, f"{level.label} ({shown(level.value)})", "soft", size=11)


def _arm(drawing: Drawing, arm: Arm, across: Scale, up: Scale, ink: Ink, dash: str) -> None:
    """Every seed thin, their range shaded, their mean thick; a lone point gets a mark, since it has no line."""
    xs, means, lowest, highest = mean_and_range([curve for curve in arm.curves if curve.xs])
    kept = _thinned(len(xs))
    px = [across(xs[i]) for i in kept]
    if len(arm.curves) > 1 and len(kept) > 1:
        drawing.area(px, [up(lowest[i]) for i in kept], [up(highest[i]) for i in kept], ink, 0.14)
    for curve in arm.curves:
        chosen = _thinned(len(curve.xs))
        sx, sy = [across(curve.xs[i]) for i in chosen], [up(curve.ys[i]) for i in chosen]
        if len(chosen) > 1:
            drawing.line(sx, sy, ink, width=1, opacity=0.55)
        elif chosen:
            drawing.dot(sx[0], sy[0], ink, radius=2.5)
    if len(kept) > 1 and len(arm.curves) > 1:
        drawing.line(px, [up(means[i]) for i in kept], ink, width=2.8, dash=dash)
    elif kept and len(arm.curves) > 1:
        drawing.dot(px[0], up(means[0]), ink, shape="diamond", radius=5)


def _legend(drawing: Drawing, arm: Arm, y: float, ink: Ink, dash: str) -> None:
    drawn = [curve for curve in arm.curves if curve.xs]
    many = len(drawn) > 1
    if many:
        drawing.box(16, y - 9, 30, 11, ink, 0.14)
    drawing.line([16, 46], [y - 4, y - 4], ink, width=2.8 if many else 1, dash=dash if many else "")
    what = f"mean, range and each of {len(drawn)} seeds" if many else f"seed {drawn[0].seed}"
    drawing.text(54, y, _fitted(f"{arm.label}: {what}", WIDTH - 70))


def _thinned(count: int) -> list[int]:
    if count <= _POINTS:
        return list(range(count))
    return [round(i * (count - 1) / (_POINTS - 1)) for i in range(_POINTS)]


def _scores(drawing: Drawing, rows: Sequence[ScoreRow], top: float, height: float, *, with_means: bool) -> None:
    """One row of dots an arm over a common axis, the mean as a diamond."""
    left = 30 + max(text_width(row.label) for row in rows)
    low, high = widened([score for row in rows for score in row.scores])
    across = Scale(low, high, min(left, WIDTH / 2.5), WIDTH - 90)
    _ruler(drawing, across, top, top + height)
    for index, row in enumerate(rows):
        y = top + 34 * index + 17
        scores = [score for score in row.scores if drawable(score)]
        mean = math.fsum(scores) / len(scores) if scores else math.nan
        drawing.text(16, y + 4, _fitted(row.label, across.start - 24))
        if scores and with_means:
            drawing.dot(across(mean), y, row.ink, radius=7, shape="diamond")
            drawing.text(WIDTH - 16, y + 4, figure(mean), "ink", anchor="end", bold=True)
        for score, offset in zip(scores, _spread([across(score) for score in scores]), strict=True):
            drawing.dot(across(score), y + offset, row.ink, radius=3.6, hollow=True)


def _spread(xs: Sequence[float]) -> list[float]:
    """Return how far dots that would hide each other are moved aside, up and down in turn."""
    offsets: list[float] = []
    for index, x in enumerate(xs):
        used = {offset for other, offset in zip(xs, offsets, strict=False) if abs(other - x) < 6}
        choices = (0.0, -6.0, 6.0, -11.0, 11.0)
        offsets.append(next((one for one in choices if one not in used), choices[index % 5]))
    return offsets


def _ruler(drawing: Drawing, across: Scale, top: float, bottom: float) -> None:
    for value in (marks := ticks(across.low, across.high, 6)):
        drawing.line([across(value)] * 2, [top, bottom], "grid")
        drawing.text(across(value), bottom + 16, tick_text(value, _step(marks)), "soft", anchor="middle")
    drawing.line([across.start, across.end], [bottom, bottom], "edge")


def _effect(drawing: Drawing, picture: EffectFigure, top: float) -> None:
    """The value as a diamond on its interval, over the region that was expected."""
    assert picture.value is not None
    bounds = [edge for edge in picture.expected or () if drawable(edge)]
    ends = [edge for edge in (picture.low, picture.high, *(picture.inner or ())) if edge is not None]
    low, high = widened([picture.value, *ends, *bounds, *([0.0] if picture.zero else [])], 0.12)
    across = Scale(low, high, 24, WIDTH - 24)
    middle, bottom = top + 26, top + 52
    drawing.text(16, top - 28, picture.effect_label, "soft")
    if picture.expected is not None:
        first, last = (min(max(edge, low), high) for edge in picture.expected)
        drawing.box(across(first), top, across(last) - across(first), bottom - top, "good", 0.13)
        for edge in bounds:
            drawing.line([across(edge)] * 2, [top, bottom], "good", width=1.5, dash="5 3")
        _label(drawing, (across(first) + across(last)) / 2, top - 8, picture.expected_label, "good")
    _ruler(drawing, across, top, bottom)
    if picture.zero and low <= 0 <= high:
        drawing.line([across(0)] * 2, [top, bottom], "ink", width=1.5)
        drawing.text(across(0), bottom + 32, "no effect", "soft", anchor="middle", size=11)
    if picture.low is not None and picture.high is not None:
        _bar(drawing, across, picture.low, picture.high, middle, 2.5)
    if picture.inner is not None:
        _bar(drawing, across, *picture.inner, middle, 6)
    drawing.dot(across(picture.value), middle, "ink", radius=7, shape="diamond")


def _bar(drawing: Drawing, across: Scale, low: float, high: float, y: float, width: float) -> None:
    drawing.line([across(low), across(high)], [y, y], "ink", width=width)
    if width < 4:
        for end in (low, high):
            drawing.line([across(end)] * 2, [y - 6, y + 6], "ink", width=width)


def _label(drawing: Drawing, x: float, y: float, words: str, ink: Ink) -> None:
    half = text_width(words, 11) * 0.56  # half of it, and bold
    drawing.text(min(max(x, 16 + half), WIDTH - 16 - half), y, words, ink, anchor="middle", size=11, bold=True)


def _fitted(words: str, width: float, size: int = 12) -> str:
    """Return the words, cut with an ellipsis where they would leave their place."""
    if text_width(words, size) <= width:
        return words
    while words and text_width(f"{words}…", size) > width:
        words = words[:-1].rstrip()
    return f"{words}…"
