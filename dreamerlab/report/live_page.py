"""The part of the HTML report that tells what trains now: progress, small curves, findings; plain HTML, no script.

Small curves run over env steps from the trial's beginning until now. Which there are is `TILES`; a controller has one
where it is switched on. What is told was collected by `lab.report_live`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dreamerlab.diagnostics.series import EMPTY, Series
from dreamerlab.report.html_text import escaped
from dreamerlab.report.svg import Scale, drawable, widened
from dreamerlab.report.wording import amount, duration, figure

TILES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("evaluation", ("eval/return_mode|eval/return_sample",)),
    ("training episodes", ("train/return",)),
    ("world-model loss", ("wm/loss",)),
    ("entropy, share of its range", ("behavior/entropy_frac",)),
    ("value, and real return", ("probe/value_mean", "probe/return_mean")),
    ("value, and imagined return", ("behavior/value", "behavior/imagined_return")),
)
"""Caption -> metrics drawn together: the first solid, the second dashed; `a|b` is the first of them that there is."""
CONTROLLERS = "control/"
_WIDE, _HIGH, _EDGE = 200, 48, 3
_REFRESH = re.compile(r'<noscript><meta http-equiv="refresh" content="([0-9]+)"></noscript>')


@dataclass(frozen=True)
class LiveTrial:
    """One trial that trains."""

    run: str
    name: str | None
    env: str
    kind: str
    seed: int
    spent: float
    budget_amount: int | None
    budget_unit: str | None
    wall_s: float
    left_s: float | None
    updates_per_s: float | None
    series: Mapping[str, Series]
    findings: Sequence[tuple[str, str]]
    """(severity, the line)."""


@dataclass(frozen=True)
class Live:
    """Everything that trains now."""

    as_of: str
    trials: Sequence[LiveTrial]
    queued: int
    """Trials that wait for their turn."""
    left_out: int = 0
    """Trials that train and are not shown."""
    every_s: int | None = None
    """The page is made anew, and reloads itself, this often; None: it stays as it is."""


def refresh_tag(every_s: int) -> str:
    """Return what makes a browser without scripts load the page again; in others `site/route.js` does.

    With `#live` in its address a page is only scrolled by this tag, and a reader in the middle of a form is disturbed.
    """
    return f'<noscript><meta http-equiv="refresh" content="{every_s}"></noscript>'


def unfollowed(page: str) -> str:
    """Return a page that reloads itself as one that stays as it is."""
    found = _REFRESH.search(page)
    if found is None:
        return page
    every_s = int(found[1])
    return page.replace(found[0], "", 1).replace(_again(every_s), "", 1).replace(_reloads(every_s), "", 1)


def render_live(live: Live) -> str:
    """Return the section."""
    reloads = "" if live.every_s is None else _reloads(live.every_s)
    return "".join(
        [
            f'<section id="live"{reloads} aria-labelledby="live-title"><h2 id="live-title">Training now</h2>',
            f"<p>{escaped(_standing(live))}{'' if live.every_s is None else _again(live.every_s)}</p>",
            *map(_trial, live.trials),
            f"<p>{live.left_out} more train: <code>dreamerlab status</code>.</p>" if live.left_out else "",
            "</section>",
        ]
    )


def _reloads(every_s: int) -> str:
    return f' data-every="{every_s}"'


def _again(every_s: int) -> str:
    return f" Made anew every {every_s} s; the page reloads itself."


def _standing(live: Live) -> str:
    count = len(live.trials) + live.left_out
    told = f"{count or 'no'} trial{'s' if count > 1 else ''}"
    waiting = f", {live.queued} wait" if live.queued else ""
    return f"As of {live.as_of}: {told} train{'' if count > 1 else 's'}{waiting}."


def _trial(one: LiveTrial) -> str:
    name = f" {escaped(one.name)}" if one.name else ""
    tiles = "".join(_tiles(one)) or "<p>Nothing was measured yet.</p>"
    lines = "".join(
        f'<li><span class="severity {severity}">{severity}</span> {escaped(words)}</li>'
        for severity, words in one.findings
    )
    return (
        f'<article class="trial"><h3><a href="#{one.run}">{one.run}</a>{name}, seed {one.seed} '
        f"<small>{escaped(one.env)}, {escaped(one.kind)}</small></h3>{_progress(one)}"
        f'<div class="tiles">{tiles}</div>{f"<ul>{lines}</ul>" if lines else ""}</article>'
    )


def _progress(one: LiveTrial) -> str:
    facts = [f"{duration(one.wall_s)} trained"]
    facts += [f"{duration(one.left_s)} left"] if one.left_s is not None else []
    facts += [f"{figure(one.updates_per_s)} updates a second"] if one.updates_per_s is not None else []
    if not one.budget_amount:
        return f"<p>{escaped(', '.join(facts))}</p>"
    share = min(1.0, one.spent / one.budget_amount)
    words = f"{100 * share:.0f} % of {amount(one.budget_amount, one.budget_unit)}"
    bar = f'<progress max="1" value="{share:.3f}" aria-label="{escaped(f"{one.run} seed {one.seed}")}"></progress>'
    return f"<p>{bar} {escaped(', '.join([words, *facts]))}</p>"


def _tiles(one: LiveTrial) -> Iterator[str]:
    for caption, wanted in TILES:
        found = [(name, series) for names in wanted for name, series in [_first(one.series, names)] if len(series)]
        if len(found) == len(wanted):
            yield _tile(caption, found)
    for name in sorted(name for name in one.series if name.startswith(CONTROLLERS)):
        words = name.removeprefix(CONTROLLERS).removesuffix("_active_frac").replace("_", " ")
        yield _tile(f"{words}, active share", [(name, one.series[name])], (0.0, 1.0))


def _first(series: Mapping[str, Series], names: str) -> tuple[str, Series]:
    known = [name for name in names.split("|") if len(series.get(name, EMPTY))]
    return (known[0], series[known[0]]) if known else (names, EMPTY)


def _tile(caption: str, found: Sequence[tuple[str, Series]], limits: tuple[float, float] | None = None) -> str:
    values = [value for _, series in found for value in series.values if drawable(value)]
    end = max(series.steps[-1] for _, series in found) or 1
    up = Scale(*(limits or widened(values)), _HIGH - _EDGE, _EDGE)
    across = Scale(0.0, float(end), _EDGE, _WIDE - _EDGE)
    last = " and ".join(figure(series.values[-1]) for _, series in found)
    metrics = " and ".join(name for name, _ in found)
    words = f"{metrics} from {figure(min(values))} to {figure(max(values))} over {end:,} env steps, now {last}"
    lines = ""
    for place, (_, series) in enumerate(found):
        points = [(across(x), up(y)) for x, y in zip(series.steps, series.values, strict=True) if drawable(y)]
        look = ' stroke-dasharray="5 3"' if place else ""
        ink = "control" if place else "treatment"
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        lines += f'<polyline class="s-{ink}" points="{drawn}" fill="none"{look}/>'
        x, y = points[-1]
        lines += f'<circle class="f-{ink}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
    return (
        f"<figure><figcaption>{escaped(caption)} <b>{last}</b></figcaption>"
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{escaped(words)}"><title>{escaped(words)}</title>'
        f"{lines}</svg></figure>"
    )
