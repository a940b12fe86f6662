"""What the words of a sentence mean here: keys and values by the schema, amounts by the task and the measured baseline.

Takes the parts of `sentence.py` and the resolved config under the change; gives the frozen `Change` and `Expectation`.
Refuses what could never be tested: a change that changes nothing, a leaf that does nothing (`active_when`), a change
of how long is trained or how is measured, a percentage of a baseline near zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dreamerlab.errors import ConfigError, GateRefused, UsageError, did_you_mean
from dreamerlab.metrics import ALIASES, CATALOGUE
from dreamerlab.protocol.expectation_words import SaidExpectation
from dreamerlab.protocol.hypothesis import Change, Expectation
from dreamerlab.protocol.quantities import THOUSANDS, Amount, number_text, parse_number
from dreamerlab.protocol.sentence import SaidChange, Sentence, misread

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

_RATES = ("share", "probability")
RETURNS = ("eval/return_mode", "eval/return_sample", "train/return")
ORIGIN = "the sentence"


@dataclass(frozen=True)
class Measured:
    """The scores of the baseline run, one per seed, under the metric and reducer of the hypothesis."""

    run: str
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return math.fsum(self.scores) / len(self.scores)

    @property
    def sd(self) -> float | None:
        """The standard deviation over seeds; None with fewer than two."""
        if len(self.scores) < 2:
            return None
        return math.sqrt(math.fsum((score - self.mean) ** 2 for score in self.scores) / (len(self.scores) - 1))


def changed(control: Resolved, changes: Sequence[Change]) -> Resolved:
    """Return the treatment: the config under the change with the declared leaves set; ConfigError when that is none."""
    from dreamerlab.config.layers import Resolved, flatten, from_flat

    values = {change.key: change.after for change in changes}
    origins = {**control.origins, **{key: f"{ORIGIN}: {key}={_spelled(value)}" for key, value in values.items()}}
    config = from_flat({**control.flat, **values}, origins)
    return Resolved(config, flatten(config), origins)


def read_changes(sentence: Sentence, control: Resolved) -> tuple[Change, ...]:
    """Return the changes with full keys and typed values.

    UsageError for an unknown key or a value it does not take, GateRefused for a change that can have no effect or
    would make the arms incomparable.
    """
    from dreamerlab.config.catalogue import inactive_leaves

    values: dict[str, object] = {}
    for said in sentence.changes:
        key = _key(said, sentence)
        if key in values:
            raise misread(f"{key} is changed twice", [f"change {one}" for one in sentence.changes[:1]], str(said))
        values[key] = _value(said, key, sentence)
    proposed = [Change(key, control.flat[key], value) for key, value in values.items()]
    try:
        treatment = changed(control, proposed)
    except ConfigError as error:
        raise ConfigError(error.message, hint=f"dreamerlab config explain {next(iter(values), '')}") from None
    inert = inactive_leaves(treatment.flat)
    found: list[Change] = []
    for said, key in zip(sentence.changes, values, strict=True):
        change = Change(key, control.flat[key], treatment.flat[key])
        _check_start(said, change, control)
        _check_effect(change, control, inert)
        found.append(change)
    return tuple(found)


def read_metric(said: SaidExpectation, sentence: Sentence) -> str:
    """Return the full name of the metric; UsageError with the nearest when the trainer emits no such metric."""
    name = ALIASES.get(said.metric, said.metric)
    if name in CATALOGUE:
        return name
    near = did_you_mean(said.metric, [*CATALOGUE, *ALIASES])
    raise misread(
        f"no metric is called '{said.metric}'{near}; protocol/reference/metrics.md lists all",
        [*_understood(sentence), _tail(said)],
        said.metric,
        str(Sentence(sentence.changes, sentence.code, _renamed(said, _nearest_metric(near)))),
    )


def priced(
    said: SaidExpectation, metric: str, reducer: str, reference: Mapping[str, float | None], measured: Measured | None
) -> Expectation:
    """Return the expectation with its amount in the unit of the score.

    `reference` holds `random` and `solved` of the task. GateRefused for a percentage of a baseline near zero,
    UsageError for a share of a span the task does not declare and for points of what is no rate.
    """
    amount, said_text = said.amount, ""
    percent: float | None = None
    value: float | None = amount.value
    counts_time = reducer.startswith("env_steps_to")
    if amount.share == "% of span":
        value, said_text = _of_span(amount, metric, reference, counts_time)
    elif amount.share == "pp":
        value, said_text = _points(amount, metric, counts_time)
    elif amount.share == "%":
        percent = amount.value
        value, said_text = _percent(said, metric, reference, measured, counts_time)
    return Expectation(metric, said.form, value, percent, said.by_env_steps, said_text)


def _key(said: SaidChange, sentence: Sentence) -> str:
    from dreamerlab.config.catalogue import find_leaves, leaves
    from dreamerlab.config.validation import unknown_tail

    candidates = find_leaves(said.key)
    if len(candidates) == 1:
        return candidates[0]
    problem = unknown_tail(said.key, ORIGIN) or ""
    near = candidates or _named_in(did_you_mean(said.key, leaves()))
    others = tuple(SaidChange(near[0], said.value, said.before) if one is said else one for one in sentence.changes)
    instead = str(Sentence(others, None, sentence.expectation)) if near else None
    understood = [text for text in _understood(sentence) if said.key not in text]
    expected = [] if sentence.expectation is None else [f"expect {sentence.expectation}"]
    raise misread(problem, [*understood, *expected], said.key, instead)


def _value(said: SaidChange, key: str, sentence: Sentence) -> object:
    """Return the value as the schema will judge it: plain YAML, and `30k` where a number belongs."""
    return _typed(said.value, key, sentence)


def _typed(text: str, key: str, sentence: Sentence) -> object:
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.strict_yaml import YamlFault, parse_value

    kind = leaves()[key].type_text
    if text[-1:] in THOUSANDS and kind.startswith(("integer", "number")):
        number = parse_number(text)
        if number is not None:
            return int(number) if number.is_integer() else number
    try:
        return parse_value(text)
    except YamlFault as fault:
        raise misread(f"the value of {key}: {fault.reason}", _understood(sentence), text) from None


def _check_start(said: SaidChange, change: Change, control: Resolved) -> None:
    if said.before is None:
        return
    from dreamerlab.config.diff import canonical, show

    claimed = _typed(said.before, change.key, Sentence((said,)))
    if canonical(claimed) != canonical(change.before):
        origin = control.origins.get(change.key, "default")
        raise GateRefused(
            f"the change starts from {change.key}={said.before}, and the baseline has {show(change.before)} ({origin})",
            hint=f"say what is true: change {change.key} from {show(change.before)} to {show(change.after)}, "
            f"or give the baseline that value: --set {change.key}={said.before}",
        )


def _check_effect(change: Change, control: Resolved, inert: Mapping[str, str]) -> None:
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.diff import canonical, show

    zone = leaves()[change.key].zone.value
    set_for_both = f"for both arms alike: --set {change.key}={show(change.after)}"
    if zone == "BUDGET":
        raise GateRefused(
            f"{change.key} is in the zone BUDGET: arms that train for different lengths cannot be compared",
            hint=set_for_both,
        )
    if zone == "EVALUATION":
        raise GateRefused(
            f"{change.key} is in the zone EVALUATION: arms that are measured differently cannot be compared",
            hint=set_for_both,
        )
    if zone == "BOOKKEEPING":
        raise GateRefused(
            f"{change.key} is in the zone BOOKKEEPING: it only changes what is written down, never a result",
            hint=set_for_both,
        )
    if canonical(change.before) == canonical(change.after):
        origin = control.origins.get(change.key, "default")
        raise GateRefused(
            f"nothing would change: {change.key} is {show(change.before)} already ({origin})",
            hint=f"dreamerlab config explain {change.key}",
        )
    if change.key in inert:
        raise GateRefused(
            f"{change.key} does nothing here: it acts only when {inert[change.key]}",
            hint=f"choose a leaf that acts; dreamerlab config explain {change.key}",
        )


def _of_span(
    amount: Amount, metric: str, reference: Mapping[str, float | None], counts_time: bool
) -> tuple[float, str]:
    random, solved = reference.get("random"), reference.get("solved")
    if metric not in RETURNS or counts_time:
        what = "env steps" if counts_time else metric
        raise UsageError(
            f"'{amount}': the span is that of the return, from random play to solved; {what} has none",
            hint="say the amount in the unit of the score, for example: to fall by 2000",
        )
    if random is None or solved is None or random == solved:
        raise UsageError(
            f"'{amount}': this task does not declare its span (reference.random and reference.solved)",
            hint="say a plain amount, or --set reference.random=R --set reference.solved=S",
        )
    span = abs(solved - random)
    value = amount.value / 100 * span
    return value, f"{amount} ({number_text(random)} to {number_text(solved)}) = {_short(value)}"


def _points(amount: Amount, metric: str, counts_time: bool) -> tuple[float, str]:
    unit = "env steps" if counts_time else CATALOGUE[metric].unit
    if unit not in _RATES:
        raise UsageError(
            f"'{amount}': percentage points belong to rates, and {metric} is measured in {unit}",
            hint=f"say a plain amount in {unit}, or a percentage: by {number_text(amount.value)}%",
        )
    return amount.value / 100, f"{amount} = {_short(amount.value / 100)}"


def _percent(
    said: SaidExpectation,
    metric: str,
    reference: Mapping[str, float | None],
    measured: Measured | None,
    counts_time: bool,
) -> tuple[float | None, str]:
    amount = said.amount
    instead = f"{said.metric} to {said.form} by {number_text(amount.value)}% of span"
    if measured is None:
        levels = [level for level in (reference.get("random"), reference.get("solved")) if level is not None]
        if said.form == "within":
            raise UsageError(
                f"'within {amount}' needs a measured baseline to be a percentage of",
                hint=f"say {number_text(amount.value)}% of span or a plain amount, or name a run: --baseline R12",
            )
        if metric in RETURNS and levels and max(levels) <= 0 and not counts_time:
            raise GateRefused(
                f"{amount} of {metric} means nothing here: returns of this task are not above 0 "
                f"(random {number_text(levels[0])})",
                hint=f"say a share of the span: {instead}",
            )
        return None, f"{amount} of the baseline's mean, which is not measured yet"
    low = measured.mean - _reach(measured)
    if measured.mean <= 0 or low <= 0:
        said_low = "" if measured.mean <= 0 else f", and its 95% interval reaches down to {_short(low)}"
        raise GateRefused(
            f"{amount} of {metric} is refused: the mean of {measured.run} is {_short(measured.mean)}{said_low}; "
            "a percentage of something near zero means nothing",
            hint=f"say a share of the span: {instead}" if metric in RETURNS else "say a plain amount",
        )
    value = amount.value / 100 * measured.mean
    seeds = f"{len(measured.scores)} seeds"
    return value, f"{amount} of {_short(measured.mean)} (mean of {measured.run}, {seeds}) = {_short(value)}"


def _reach(measured: Measured) -> float:
    """Return half the width of the mean's 95% interval; 0 where no spread is known."""
    if not measured.sd:
        return 0.0
    from dreamerlab.stats.student import quantile

    count = len(measured.scores)
    return quantile(0.975, count - 1) * measured.sd / math.sqrt(count)


def _understood(sentence: Sentence) -> list[str]:
    if sentence.code is not None:
        return [f"code: {sentence.code}"]
    return [f"change {one}" for one in sentence.changes] or ["nothing is changed"]


def _tail(said: SaidExpectation) -> str:
    return str(said).partition(" ")[2]


def _renamed(said: SaidExpectation, name: str) -> SaidExpectation:
    return SaidExpectation(name, said.form, said.amount, said.by_env_steps)


def _nearest_metric(near: str) -> str:
    return next(iter(_named_in(near)), "eval/return")


def _named_in(near: str) -> list[str]:
    """Return the words that `did_you_mean` offers."""
    return near.split("'")[1::2]


def _spelled(value: Any) -> str:
    from dreamerlab.config.diff import show

    return show(value)


def _short(value: float) -> str:
    return f"{value:.4g}"
