"""What to try, as a command that can be pasted: a change that acts under the run's own layers, and an expectation.

Every sentence is read by the reader of `propose` itself before it is shown: a leaf that is not there, does nothing, or
has the value already is passed over for the next one of the rule.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dreamerlab.diagnostics.bounds import reference_of
from dreamerlab.diagnostics.engine import Finding
from dreamerlab.diagnostics.rule import Change
from dreamerlab.diagnostics.series import Course, median
from dreamerlab.errors import LabError
from dreamerlab.runs.store import Workspace

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved
    from dreamerlab.protocol.hypothesis import Base

_RETURN = "eval/return_mode|eval/return_sample"
_FRESH_FAMILY = ("ARCHITECTURE", "ENVIRONMENT")
_STEPS_BEFORE = ("train.learning_starts", "collect.random_steps")
"""Leaves whose value is env steps before anything is learnt."""


class _Run(NamedTuple):
    """What every change that is proposed for a run is read under."""

    base: Base
    control: Resolved
    """The run's own layers, resolved."""
    courses: Mapping[int, Course]
    rise: str | None
    """What to expect of the return; None where it has no room."""
    was_solved: bool


def propose_for(
    workspace: Workspace, run_id: str, findings: Sequence[Finding], courses: Mapping[int, Course]
) -> dict[str, str]:
    """Return the key of a finding -> command; a finding of which no change would act has none."""
    wanted = [one for one in findings if one.rule.changes]
    if not wanted:
        return {}
    from dreamerlab.config.layers import resolve
    from dreamerlab.lab.proposal_base import layers_of_run

    try:
        base = layers_of_run(workspace, run_id)
        control = resolve(workspace.path, base.env, base.experiment, base.overrides)
    except LabError:
        return {}  # its layers are not here any more: nothing that could be pasted
    run = _Run(base, control, courses, _rise(courses, control), _was_solved(courses, control))
    found: dict[str, str] = {}
    for one in wanted:
        for change in _of_subject(one):
            command = _command(change, one, run)
            if command is not None:
                found[one.key] = command
                break
    return found


def _of_subject(finding: Finding) -> Sequence[Change]:
    """Return the changes of a rule; of a controller those of its own leaves."""
    name = finding.subject.removeprefix("control/").partition("_")[0]
    return [one for one in finding.rule.changes if not name or one.key.startswith(f"control.{name}")]


def _command(change: Change, finding: Finding, run: _Run) -> str | None:
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.diff import show
    from dreamerlab.protocol.reading import read_changes, read_metric
    from dreamerlab.protocol.sentence import parse_sentence

    value = _value(change, run.control.flat.get(change.key), run.courses)
    if change.key in _STEPS_BEFORE and not _leaves_room(value, run.control):
        return None
    holds = finding.rule.asks_to_hold and run.was_solved
    expected = "eval/return to rise by 10% of span" if holds else run.rise or _level(finding)
    if value is None or expected is None:
        return None
    sentence = f"change {change.key}={show(value)} -> expect {expected}"
    try:
        said = parse_sentence(sentence)
        if not read_changes(said, run.control) or said.expectation is None:
            return None
        read_metric(said.expectation, said)
    except LabError:
        return None
    words = ["--env", run.base.env]
    words += ["--experiment", run.base.experiment] if run.base.experiment else []
    for override in run.base.overrides:
        words += ["--set", override]
    words += ["--reducer", "min_after_first_solve"] if holds else []
    words += ["--new-family"] if leaves()[change.key].zone.value in _FRESH_FAMILY else []
    quoted = shlex.quote(sentence) if '"' in sentence else f'"{sentence}"'
    return f"dreamerlab propose {quoted} {shlex.join(words)}"


def _value(change: Change, present: object, courses: Mapping[int, Course]) -> object:
    """Return the value to try; None where the present one is that already, or is out of the rule's reach."""
    if change.where is not None and present != change.where:
        return None
    number = float(present) if isinstance(present, int | float) and not isinstance(present, bool) else None
    if number is not None:
        if change.unless_below is not None and number < change.unless_below:
            return None
        if change.unless_above is not None and number > change.unless_above:
            return None
    if change.times is None:
        if isinstance(change.to, str) and "{updates}" in change.to:
            updates = _updates(courses)
            return change.to.format(updates=updates) if updates else None
        return None if change.to == present else change.to
    if not number:
        return None
    scaled = float(f"{number * change.times:.1g}") if change.times < 1 else float(f"{number * change.times:.3g}")
    if isinstance(present, int):
        whole = max(1, round(number * change.times))
        return None if whole == present else whole
    return scaled


def _rise(courses: Mapping[int, Course], control: Resolved) -> str | None:
    """Return what to expect of the return: half of the way to solved; None where there is no room left."""
    levels = [median(window.values) for one in courses.values() if len(window := one.tail(_RETURN, 0.3)[1])]
    if not levels:
        return None
    level = sum(levels) / len(levels)
    random, solved = reference_of(control.flat)
    if solved is None:
        return f"eval/return to rise by {_round(max(1.0, 0.2 * abs(level)))}"
    room = solved - level
    span = abs(solved) if random is None else solved - random
    return f"eval/return to rise by {_round(room / 2)}" if room > 0.1 * abs(span) else None


def _was_solved(courses: Mapping[int, Course], control: Resolved) -> bool:
    """Tell whether at least half of the seeds have an evaluation that solves the task: only then it can be held."""
    random, solved = reference_of(control.flat)
    if random is None or solved is None:
        return False
    did = sum(max(one.of(_RETURN)[1].values, default=-math.inf) >= solved for one in courses.values())
    return 2 * did >= len(courses) > 0


def _updates(courses: Mapping[int, Course]) -> int:
    """Return how many updates a seed has made, in two digits; 0 where that was not measured."""
    counts = [
        one.last * median(window.values)
        for one in courses.values()
        if len(window := one.tail("replay/updates_per_env_step", 0.5)[1])
    ]
    return int(float(f"{sum(counts) / len(counts):.1e}")) if counts else 0


def _leaves_room(value: object, control: Resolved) -> bool:
    """Tell whether learning would begin before half of the budget is gone."""
    amount = control.flat.get("budget.amount")
    if control.flat.get("budget.unit") != "env_steps" or not isinstance(amount, int | float):
        return True
    return isinstance(value, int | float) and 2 * value < amount


def _level(finding: Finding) -> str | None:
    """Return what to expect where the return has no room: the metric of the rule, else that the return stays."""
    if finding.rule.expect is None:
        return None
    metric, side, amount = finding.rule.expect
    return f"{metric} {side} {amount:g}"


def _round(value: float) -> str:
    """Return a number in one or two digits, as people say it."""
    digits = max(0, 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{float(f'{value:.2g}'):.{min(digits, 3)}f}" if abs(value) < 100 else f"{float(f'{value:.1g}'):.0f}"
