"""What the amount of an expectation is worth in the unit of the score: shares of the baseline, of the span, points.

A percentage is turned into an absolute effect from the measured baseline's mean and frozen; with no baseline yet it
stays a percentage, and the contrast T - (1 +- p) B is tested. Refused where it would mean nothing (DESIGN section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dreamerlab.errors import GateRefused, UsageError
from dreamerlab.metrics import CATALOGUE, is_return
from dreamerlab.protocol.expectation_words import SaidExpectation
from dreamerlab.protocol.hypothesis import Expectation
from dreamerlab.protocol.quantities import Amount, number_text
from dreamerlab.stats.one_sample import mean_interval

_RATES = ("share", "probability")


@dataclass(frozen=True)
class Measured:
    """The scores of the baseline run, one per seed, under the metric and reducer of the hypothesis."""

    run: str
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return mean_interval(self.scores).mean

    @property
    def sd(self) -> float | None:
        """The standard deviation over seeds; None with fewer than two."""
        return mean_interval(self.scores).sd

    @property
    def low(self) -> float:
        """The lower end of the mean's 95% interval; the mean itself where there is no spread to tell."""
        found = mean_interval(self.scores)
        return found.mean if found.low is None else found.low


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


def _of_span(
    amount: Amount, metric: str, reference: Mapping[str, float | None], counts_time: bool
) -> tuple[float, str]:
    random, solved = reference.get("random"), reference.get("solved")
    if not is_return(metric) or counts_time:
        what = "env steps" if counts_time else metric
        raise UsageError(
            f"'{amount}': the span is that of the return, from random play to solved; {what} has none",
            hint=f"say a plain amount in the unit of the score: by {number_text(amount.value)}",
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
        if is_return(metric) and levels and max(levels) <= 0 and not counts_time:
            raise GateRefused(
                f"{amount} of {metric} means nothing here: returns of this task are not above 0 "
                f"(random {number_text(levels[0])})",
                hint=f"say a share of the span: {instead}",
            )
        return None, f"{amount} of the baseline's mean, which was not measured when this was proposed"
    low = measured.low
    if measured.mean <= 0 or low <= 0:
        said_low = "" if measured.mean <= 0 else f", and its 95% interval reaches down to {_short(low)}"
        raise GateRefused(
            f"{amount} of {metric} is refused: the mean of {measured.run} is {_short(measured.mean)}{said_low}; "
            f"a percentage of {'what is not above zero' if measured.mean <= 0 else 'what may be zero'} means nothing",
            hint=f"say a share of the span: {instead}" if is_return(metric) else "say a plain amount",
        )
    value = amount.value / 100 * measured.mean
    seeds = f"{len(measured.scores)} seeds"
    return value, f"{amount} of {_short(measured.mean)} (mean of {measured.run}, {seeds}) = {_short(value)}"


def _short(value: float) -> str:
    return f"{value:.4g}"
