"""The rules that turn scores into a ruling, one per form of expectation (DESIGN section 5, ANCHORS section 8).

    rise, fall       D in the expected direction, [L, H] its Welch interval at 1 - alpha, delta the least that counts
                     L > 0 and D >= delta   SUPPORTED; strong when L >= delta
                     H < delta              REFUTED: reversed when H < 0; equivalent when the interval at 1 - 2 alpha
                                            lies inside +-delta; else too small
                     otherwise              INCONCLUSIVE
                     An exact permutation test that could reach alpha and does not turns SUPPORTED into INCONCLUSIVE,
                     fragile; it takes away `reversed` likewise and, where the arms differ in size, REFUTED when, with
                     the baseline better by delta, it does not tell the arms apart. By N% of a baseline not yet
                     measured: delta = N% of its mean, and D - delta is the contrast T - (1 +- p) B, with its own
                     variance. Times that the budget cut off: exact rank permutation, from four seeds an arm on.
    at least, most   t interval of the treatment's mean: L >= N SUPPORTED, H < N REFUTED, mirrored for at most. Fewer
                     than six seeds cannot show that by count (sign test), and it is said that they do not
    stays within     interval at 1 - 2 alpha inside +-N SUPPORTED, at 1 - alpha wholly outside REFUTED
    reaches          all seeds SUPPORTED, fewer than half REFUTED; a count, no test

Pure: the same function judges a hypothesis and is simulated in the tests. Faults, missing and too few seeds are
decided before, in `verdict.py`; every arm here has at least three scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dreamerlab.protocol.figures import Arm, figure, shown, signed
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, Expectation
from dreamerlab.stats.one_sample import mean_interval, sign_test_seeds
from dreamerlab.stats.permutation import Permutation, exact_permutation, least_p, rank_permutation
from dreamerlab.stats.power import minimum_detectable_effect, seeds_needed
from dreamerlab.stats.student import upper_tail
from dreamerlab.stats.welch import Welch, welch

SUPPORTED, REFUTED, INCONCLUSIVE = "SUPPORTED", "REFUTED", "INCONCLUSIVE"
REVERSED, EQUIVALENT, TOO_SMALL = "reversed", "equivalent", "too small"
STRONG, FRAGILE, UNDERPOWERED, CEILING = "strong", "fragile", "underpowered", "ceiling"
RANKS_FROM = 4
"""Fewest seeds an arm for the rank test: three cannot reach 5%."""


@dataclass(frozen=True)
class Ruling:
    """What a rule says of scores that are complete."""

    outcome: str
    reason: str
    decided_by: str
    """The test that decided, in words."""
    label: str | None = None
    qualifiers: tuple[str, ...] = ()
    delta: float | None = None
    """The least difference that counts, or the half-width of `within`, in the unit of the score."""
    p: float | None = None
    """Two-sided p of the test that decides; None for a count."""
    effect_sd: float | None = None
    """Of an INCONCLUSIVE one: the effect to be found, in standard deviations of one seed; `needed` counts the seeds."""
    needs_seeds: int | None = None
    """The same where it is known otherwise."""
    remark: str | None = None
    """A sentence beside the reason: what the test takes for granted."""


def decide(expected: Expectation, treatment: Arm, baseline: Arm | None, alpha: float) -> Ruling:
    """Return the ruling on complete arms; the baseline may be None only for a form that needs none."""
    ruling = _decided(expected, treatment, baseline, alpha)
    arms = [arm for arm in (treatment, baseline) if arm is not None]
    if all(len(arm.failed) == len(arm.scores) for arm in arms):  # all alike, and on the floor
        return replace(ruling, qualifiers=tuple(mark for mark in ruling.qualifiers if mark != CEILING))
    return ruling


def _decided(expected: Expectation, treatment: Arm, baseline: Arm | None, alpha: float) -> Ruling:
    if expected.form == "reaches":
        return _reaches(expected, treatment)
    if expected.form in ("at_least", "at_most"):
        return _level(expected, treatment, alpha)
    assert baseline is not None, expected
    if expected.form == "within":
        return _within(expected, baseline.values, treatment.values, alpha)
    if treatment.censored or baseline.censored:
        return _times(expected, baseline, treatment, alpha)
    return _difference(expected, baseline.values, treatment.values, alpha)


def needed(ruling: Ruling, alpha: float) -> int | None:
    """Return the seeds an arm that would find the effect with 80% at the spread seen; None when that is not known."""
    return ruling.needs_seeds if ruling.effect_sd is None else seeds_needed(ruling.effect_sd, alpha)


def needs_baseline(form: str) -> bool:
    """Tell whether an expectation of this form is about a difference to the baseline."""
    return form in ("rise", "fall", "within")


def _difference(expected: Expectation, a: Sequence[float], b: Sequence[float], alpha: float) -> Ruling:
    sign = 1 if expected.form == "rise" else -1
    found = welch(a, b, 1 - alpha)
    if found.low is None or found.high is None:
        return _flat(found, "Welch interval")
    delta, margin = expected.amount, found
    if delta is None:
        share = (expected.percent or 0.0) / 100
        base = mean_interval(a)
        if base.low is None or base.low <= 0:
            reason = "a percentage means nothing of a baseline whose mean may be zero or less"
            return Ruling(INCONCLUSIVE, _sentence(reason), "Welch interval", p=found.p)
        delta = share * base.mean
        moved = [(1 + sign * share) * value for value in a]
        margin = welch(moved, b, 1 - alpha)
        beyond, strong, short = _signed(margin, sign)
    else:
        moved = [value + sign * delta for value in a]
        centre, low, high = _signed(found, sign)
        beyond, strong, short = centre - delta, low - delta, high - delta
    centre, low, high = _signed(found, sign)
    words = f"the difference of {signed(found.difference)} has the interval {_span(found)}"
    change, amount = expected.form, _amount(expected, delta)
    marks = _underpowered(found, delta, alpha)
    if low > 0 and beyond >= 0:
        if (exact := _disagreeing(a, b, alpha)) is not None:
            reason = f"{words}, but the permutation test does not agree (p = {exact.p:.3g})"
            effect = _effect(centre, delta, found)
            return Ruling(
                INCONCLUSIVE, _sentence(reason), "Welch interval", None, (FRAGILE, *marks), delta, found.p, effect
            )
        side = "above" if sign > 0 else "below"
        if strong >= 0:
            marks = (STRONG, *marks)
        reason = f"{words}: it lies {side} 0, as expected, and the {change} is at least {amount}"
        return Ruling(SUPPORTED, _sentence(reason), "Welch interval", None, marks, delta, found.p)
    if short < 0:
        if high < 0 and _disagreeing(a, b, alpha) is None:
            reason = f"{words}: the effect is there and goes the other way"
            return Ruling(REFUTED, _sentence(reason), "Welch interval", REVERSED, marks, delta, found.p)
        # Of arms of one size the interval alone is calibrated; ten seeds against three refute too often by it.
        if len(a) != len(b) and (exact := _disagreeing(moved, b, alpha)) is not None:
            said = f"the permutation test of that {change} does not agree (p = {exact.p:.3g})"
            reason = f"{words}, which rules out a {change} of {amount}, but {said}"
            effect = _effect(delta - centre, delta, found)  # what is to be shown is how far it stays below delta
            return Ruling(
                INCONCLUSIVE, _sentence(reason), "Welch interval", None, (FRAGILE, *marks), delta, found.p, effect
            )
        label, reason = _label(expected, a, b, delta, alpha)
        return Ruling(REFUTED, _sentence(f"{words}: {reason}"), "Welch interval", label, marks, delta, found.p)
    reason = (
        f"{words}: no effect and the expected {change} of {amount} are both possible"
        if low <= 0
        else f"{words}: there is a {change}, but whether it is as large as {amount} stays open"
    )
    effect = _effect(centre, delta, found)
    return Ruling(INCONCLUSIVE, _sentence(reason), "Welch interval", None, marks, delta, found.p, effect)


def _disagreeing(a: Sequence[float], b: Sequence[float], alpha: float) -> Permutation | None:
    """Return the exact test where it could tell two arms apart and does not; None where it does, or cannot be had."""
    exact = exact_permutation(a, b)
    return exact if exact is not None and exact.least <= alpha < exact.p else None


def _label(
    expected: Expectation, a: Sequence[float], b: Sequence[float], delta: float, alpha: float
) -> tuple[str, str]:
    share = None if expected.amount is not None else (expected.percent or 0.0) / 100
    if share is None:
        narrow = welch(a, b, 1 - 2 * alpha)
        inside = narrow.low is not None and narrow.high is not None and -delta < narrow.low <= narrow.high < delta
    else:
        above = welch([(1 - share) * value for value in a], b, 1 - 2 * alpha).low
        below = welch([(1 + share) * value for value in a], b, 1 - 2 * alpha).high
        inside = above is not None and below is not None and above > 0 > below
    if inside:
        return EQUIVALENT, f"whatever effect there is, it is smaller than {_amount(expected, delta)} in both directions"
    return TOO_SMALL, f"a {expected.form} of {_amount(expected, delta)} is ruled out"


def _amount(expected: Expectation, delta: float) -> str:
    """Return the least difference that counts, in words."""
    if expected.amount is not None:
        return shown(delta)
    return f"{figure(delta)} ({shown(expected.percent or 0.0)} % of the baseline's mean)"


def _times(expected: Expectation, baseline: Arm, treatment: Arm, alpha: float) -> Ruling:
    """Judge times some of which the budget cut off: only their order is known, so only their order is used."""
    sign, test = 1 if expected.form == "rise" else -1, "rank permutation"
    a, b = baseline.values, treatment.values
    gone = len(baseline.censored) + len(treatment.censored)
    words = f"{gone} of {len(a) + len(b)} times were cut off by the budget"
    exact = rank_permutation(a, b)
    if min(len(a), len(b)) < RANKS_FROM or least_p(len(a), len(b)) > alpha or exact is None:
        reason = f"{words}, and their order alone decides nothing with {len(b)} against {len(a)} seeds"
        return Ruling(INCONCLUSIVE, _sentence(reason), test, needs_seeds=RANKS_FROM if alpha >= 0.03 else None)
    difference = sign * welch(a, b).difference
    delta = expected.amount if expected.amount is not None else (expected.percent or 0.0) / 100 * mean_interval(a).mean
    said = f"{words}; the permutation test of the order gives p = {exact.p:.3g}"
    if exact.p <= alpha and difference >= delta:
        return Ruling(SUPPORTED, _sentence(f"{said} in the expected direction"), test, None, (), delta, exact.p)
    if exact.p <= alpha and difference < 0:
        return Ruling(REFUTED, _sentence(f"{said} in the other direction"), test, REVERSED, (), delta, exact.p)
    return Ruling(INCONCLUSIVE, _sentence(said), test, None, (), delta, exact.p)


def _level(expected: Expectation, treatment: Arm, alpha: float) -> Ruling:
    assert expected.amount is not None, expected
    values, level, test = treatment.values, expected.amount, "one-sample t interval"
    up = expected.form == "at_least"
    wanted = f"{'at least' if up else 'at most'} {shown(level)}"
    found = mean_interval(values, 1 - alpha)
    if found.low is None or found.high is None:
        return _all_alike(values[0], level, len(values), alpha, up=up, wanted=wanted)
    words = f"the mean of {figure(found.mean)} has the interval [{figure(found.low)}, {figure(found.high)}]"
    good, bad = (found.low >= level, found.high < level) if up else (found.high <= level, found.low > level)
    p = found.p_at(level)
    if good and not up and treatment.censored:
        # The true time of a seed that was cut off is longer than its score.
        reason = f"{words}, but {len(treatment.censored)} times were cut off by the budget"
        return Ruling(INCONCLUSIVE, _sentence(reason), test, p=p)
    remark = None
    if len(values) < sign_test_seeds(alpha):
        # Two-arm tests hold for any shape, because equal shapes cancel; here nothing cancels.
        remark = f"{len(values)} seeds cannot tell how scores are spread: this takes an even spread about the mean."
    if good:
        return Ruling(SUPPORTED, _sentence(f"{words}: all of it is {wanted}"), test, p=p, remark=remark)
    if bad:
        return Ruling(REFUTED, _sentence(f"{words}: none of it is {wanted}"), test, p=p, remark=remark)
    reason = f"{words}: {shown(level)} lies inside it"
    return Ruling(INCONCLUSIVE, _sentence(reason), test, p=p, needs_seeds=_seeds_of_mean(found.mean - level, found.sd))


def _all_alike(value: float, level: float, num: int, alpha: float, *, up: bool, wanted: str) -> Ruling:
    """Judge seeds that all score alike: without spread there is no interval, so they are counted (exact sign test)."""
    test, enough = "sign test", sign_test_seeds(alpha)
    words = f"all {num} seeds score {figure(value)}, so there is no spread to compute an interval from"
    p = 1.0 if value == level else min(1.0, 2.0 ** (1 - num))
    if num < enough:
        reason = f"{words}; {enough} seeds alike would decide"
        return Ruling(INCONCLUSIVE, _sentence(reason), test, None, (CEILING,), p=p, needs_seeds=enough)
    met = value >= level if up else value <= level
    verdict, said = (SUPPORTED, "all are") if met else (REFUTED, "none is")
    return Ruling(verdict, _sentence(f"{words}; {said} {wanted}, by count"), test, None, (CEILING,), p=p)


def _within(expected: Expectation, a: Sequence[float], b: Sequence[float], alpha: float) -> Ruling:
    assert expected.amount is not None, expected
    width, test = expected.amount, "equivalence interval"
    wide, narrow = welch(a, b, 1 - alpha), welch(a, b, 1 - 2 * alpha)
    if wide.low is None or wide.high is None or narrow.low is None or narrow.high is None:
        return _flat(wide, test)
    error, dof = wide.standard_error or math.inf, wide.dof or 1.0
    p = min(1.0, upper_tail((width - abs(wide.difference)) / error, dof))
    marks = _underpowered(wide, width, alpha)
    words = f"the difference of {signed(wide.difference)}"
    if -width <= narrow.low and narrow.high <= width:
        reason = f"{words} has the {100 - 200 * alpha:.3g} % interval {_span(narrow)}, inside +-{shown(width)}"
        return Ruling(SUPPORTED, _sentence(reason), test, None, marks, width, p)
    if wide.low > width or wide.high < -width:
        reason = f"{words} has the interval {_span(wide)}, wholly outside +-{shown(width)}"
        return Ruling(REFUTED, _sentence(reason), test, None, marks, width, p)
    reason = f"{words} has the interval {_span(wide)}, neither inside +-{shown(width)} nor wholly outside"
    return Ruling(INCONCLUSIVE, _sentence(reason), test, None, marks, width, p, _effect(0.0, width, wide))


def _reaches(expected: Expectation, treatment: Arm) -> Ruling:
    assert expected.amount is not None, expected
    limit = math.inf if expected.by_env_steps is None else expected.by_env_steps
    num = len(treatment.scores)
    met = sum(step is not None and step <= limit for step in treatment.reached.values())
    by = "" if expected.by_env_steps is None else f" by {expected.by_env_steps:,} env steps"
    reason = _sentence(f"{met} of {num} seeds reached {shown(expected.amount)}{by}")
    outcome = SUPPORTED if met == num else REFUTED if 2 * met < num else INCONCLUSIVE
    return Ruling(outcome, reason, "count")


def _flat(found: Welch, test: str) -> Ruling:
    """Rule on two arms without spread: whatever they differ by, chance cannot be told from effect (ceiling)."""
    reason = f"no arm has any spread (the difference is {signed(found.difference)}), so no interval can be computed"
    return Ruling(INCONCLUSIVE, _sentence(reason), test, None, (CEILING,))


def _signed(found: Welch, sign: int) -> tuple[float, float, float]:
    """Return difference, low and high with the expected direction counted as positive."""
    assert found.low is not None, found
    assert found.high is not None, found
    low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
    return sign * found.difference, low, high


def _underpowered(found: Welch, delta: float, alpha: float) -> tuple[str, ...]:
    smallest = minimum_detectable_effect(found.num_a, found.num_b, alpha)
    weak = smallest is not None and found.pooled_sd and smallest * found.pooled_sd > delta
    return (UNDERPOWERED,) if weak else ()


def _effect(centre: float, delta: float, found: Welch) -> float | None:
    """Return the larger of the effect seen and the least that counts, in standard deviations of one seed."""
    return max(delta, centre) / found.pooled_sd if found.pooled_sd else None


def _seeds_of_mean(distance: float, sd: float | None) -> int | None:
    """Return the seeds whose interval of the mean would be as short as the distance to the level, about."""
    if not sd or not distance:
        return None
    needed = math.ceil((2.8 * sd / distance) ** 2) + 2  # (1.96 + 0.84)^2: power 80%; two more for the t
    return max(FEWEST_SEEDS, needed) if needed <= 1000 else None


def _span(found: Welch) -> str:
    assert found.low is not None, found
    assert found.high is not None, found
    return f"[{signed(found.low)}, {signed(found.high)}]"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
