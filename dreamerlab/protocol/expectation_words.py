"""The right side of a sentence, `METRIC to rise by 20%`, taken apart into its words.

The forms are those of DESIGN section 3. Near misses (`rise to 450`, bare `steps`, `improve`) are answered with the form
that was probably meant, never guessed. The left side and the frame of the answer are `sentence.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dreamerlab.metrics import ALIASES, CATALOGUE, Metric
from dreamerlab.protocol.hypothesis import Form
from dreamerlab.protocol.quantities import Amount, number_text, parse_amount, parse_count, parse_number

ARROW = r"(?:->|→|=>)"
_METRIC = re.compile(r"([A-Za-z]\w*(?:/\w+)?)\s*(.*)")
_SIGNS: dict[str, Form] = {">=": "at_least", "≥": "at_least", "<=": "at_most", "≤": "at_most"}
_UP = ["rise", "increase", "improve", "grow", "climb", "up", "higher", "better", "more", "gain", "raise"]
_DOWN = ["fall", "decrease", "drop", "decline", "shrink", "down", "lower", "worse", "less", "lose", "reduce"]
_UNITS = r"(env[_ ]steps|steps?|updates|episodes|seconds|s|hours|h)"


@dataclass(frozen=True)
class SaidExpectation:
    """What is expected, as it was said: the metric or an alias, the form, and its amount."""

    metric: str
    form: Form
    amount: Amount
    by_env_steps: int | None = None

    def __str__(self) -> str:
        if self.form in ("rise", "fall"):
            return f"{self.metric} to {self.form} by {self.amount}"
        if self.form in ("at_least", "at_most"):
            return f"{self.metric} {'>=' if self.form == 'at_least' else '<='} {self.amount}"
        if self.form == "within":
            return f"{self.metric} stays within {self.amount}"
        return f"{self.metric} reaches {self.amount} by {self.by_env_steps} env_steps"


class WordsFault(Exception):
    """Why words cannot be read, what of them could be, what could not, and what would do instead."""

    def __init__(self, reason: str, unread: str, understood: Sequence[str] = (), instead: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.unread, self.understood, self.instead = reason, unread, understood, instead


def parse_expectation(text: str) -> SaidExpectation:
    """Return the parts of the right side of a sentence; WordsFault says what is wrong with it."""
    said = " ".join(text.split()).rstrip(".! ")
    match = _METRIC.fullmatch(said)
    if match is None:
        raise WordsFault("it does not say what is expected of which metric", said or "(nothing)", ["expect"])
    metric, rest = match[1], match[2]
    known = _known(metric)
    seen = [f"metric {metric}" + ("" if known else " (not known)")]
    if not rest:
        raise WordsFault(f"it does not say what {metric} will do", said, seen, f"{metric} to rise by 20%")
    return (
        _level(metric, rest, seen)
        or _reaches(metric, rest, seen)
        or _within(metric, rest, seen)
        or _difference(metric, rest, seen)
        or _refuse(metric, known, rest, seen)
    )


def _known(metric: str) -> Metric | None:
    return CATALOGUE.get(ALIASES.get(metric, metric))


def _level(metric: str, rest: str, seen: list[str]) -> SaidExpectation | None:
    match = re.fullmatch(r"(?:is |to be |will be )?(>=|<=|≥|≤|==|=|>|<)\s*(.+)", rest)
    if match is None:
        return None
    sign, said = match[1], match[2]
    if sign not in _SIGNS:
        if sign in "==":
            reason = "a score never equals a number exactly; say >=, <= or stays within"
            raise WordsFault(reason, rest, seen, f"{metric} >= {said}")
        raise WordsFault(f"a level is written {sign}=", rest, seen, f"{metric} {sign}= {said}")
    value = _number(said, f"{metric} {sign}", seen, rest)
    return SaidExpectation(metric, _SIGNS[sign], Amount(value))


def _reaches(metric: str, rest: str, seen: list[str]) -> SaidExpectation | None:
    match = re.fullmatch(r"(?:to reach|reaches|will reach|reach)\b\s*(.*)", rest)
    if match is None:
        return None
    parts = re.fullmatch(rf"(\S+)(?: (?:by|within|in|before|after) (\S+?)\s*{_UNITS}?)?", match[1])
    if parts is None:
        raise WordsFault(
            "it does not say what is reached by when", rest, seen, f"{metric} reaches 475 by 30k env_steps"
        )
    level = _number(parts[1], f"{metric} reaches", seen, rest)
    reached = f"{metric} reaches {parts[1]} by"
    if parts[2] is None:
        reason = "it does not say by when; a level of the final score is written >= N"
        raise WordsFault(reason, rest, seen, f"{reached} 30k env_steps")
    if parts[3] is None or parts[3].replace(" ", "_") != "env_steps":
        if parts[3] in (None, "step", "steps"):
            reason = "a bare 'step' could be an env step, an update or a replayed step; here it is counted in env_steps"
        else:
            reason = f"reaching is counted in env_steps, not in {parts[3]}"
        raise WordsFault(reason, rest, seen, f"{reached} {parts[2]} env_steps")
    count = parse_count(parts[2])
    if count is None:
        raise WordsFault(f"'{parts[2]}' is no whole number of env steps", rest, seen, f"{reached} 30k env_steps")
    return SaidExpectation(metric, "reaches", Amount(level), count)


def _within(metric: str, rest: str, seen: list[str]) -> SaidExpectation | None:
    match = re.fullmatch(r"(?:stays|to stay|will stay|stay) within\s*(.*)", rest)
    if match is None:
        return None
    said = re.sub(r"^(?:\+/-|±)\s*", "", match[1])
    amount = _positive(said, f"{metric} stays within", seen, rest)
    return SaidExpectation(metric, "within", amount)


def _difference(metric: str, rest: str, seen: list[str]) -> SaidExpectation | None:
    match = re.fullmatch(r"(?:to |will |should )?(rise|fall)s?\b\s*(.*)", rest)
    if match is None:
        return None
    word, said = match[1], match[2]
    form: Form = "rise" if word == "rise" else "fall"
    sign = ">=" if form == "rise" else "<="
    level = re.fullmatch(r"(?:to|above|over|below|under|beyond) (\S+)", said)
    if level is not None:
        reason = f"'{word} {said}' names a level, not a difference; a level is written {sign} N"
        raise WordsFault(reason, rest, seen, f"{metric} {sign} {level[1]}")
    if not said.startswith("by "):
        reason = f"it does not say by how much {metric} will {word}"
        raise WordsFault(reason, rest, seen, f"{metric} to {word} by {said if parse_amount(said) else '20%'}")
    amount_text = said.removeprefix("by ")
    negative = parse_amount(amount_text)
    if negative is not None and negative.value < 0:
        other = "fall" if form == "rise" else "rise"
        positive = Amount(-negative.value, negative.share)
        reason = f"a {word} by a negative amount is a {other}"
        raise WordsFault(reason, rest, seen, f"{metric} to {other} by {positive}")
    return SaidExpectation(metric, form, _positive(amount_text, f"{metric} to {word} by", seen, rest))


def _refuse(metric: str, known: Metric | None, rest: str, seen: list[str]) -> SaidExpectation:
    """Say what was probably meant by words that are none of the forms."""
    words = re.findall(r"[a-z]+", rest.lower())
    direction = next((w for word in words for w in (*_UP, *_DOWN) if word in (w, f"{w}s", f"{w}d", f"{w}es")), None)
    amounts = [found for word in re.findall(r"[\d.,]+\S*", rest) if (found := parse_amount(word))]
    shown = amounts[0] if amounts else Amount(20, "%")
    if direction is None:
        reason = f"it does not say what {metric} will do: rise by, fall by, >=, <=, stays within, or reaches"
        raise WordsFault(reason, rest, seen, f"{metric} to rise by {shown}")
    rises = direction in _UP
    if direction in ("improve", "better", "gain", "worse", "lose") and known is not None:
        rises = (known.direction != "lower") == rises
    reason = f"'{direction}' is not one of the words: rise by, fall by, >=, <=, stays within, reaches"
    raise WordsFault(reason, rest, seen, f"{metric} to {'rise' if rises else 'fall'} by {shown}")


def _number(said: str, before: str, seen: list[str], rest: str) -> float:
    value = parse_number(said)
    if value is not None:
        return value
    amount = parse_amount(said)
    if amount is not None:
        reason = f"a level is a plain number in the unit of the metric, not '{said}'"
        raise WordsFault(reason, rest, seen, f"{before} {number_text(amount.value)}")
    raise _no_number(said, before, seen, rest)


def _positive(said: str, before: str, seen: list[str], rest: str) -> Amount:
    amount = parse_amount(said)
    if amount is None:
        raise _no_number(said, before, seen, rest)
    if amount.value <= 0:
        raise WordsFault(
            f"the amount must be above 0, not {amount}", rest, seen, f"{before} {Amount(20, amount.share)}"
        )
    return amount


def _no_number(said: str, before: str, seen: list[str], rest: str) -> WordsFault:
    seen = [*seen, before.partition(" ")[2]]
    if re.search(r"\b(?:and|or|but)\b|[;&]", said):
        first = re.split(r"\s+(?:and|or|but)\s+|[;&]", said)[0]
        reason = "it expects more than one thing; the primary metric is one"
        return WordsFault(reason, said.removeprefix(first).strip(), seen, f"{before} {first}")
    if decimal := re.fullmatch(r"(\d+),(\d{1,2})(\s*%.*)?", said):
        reason = f"'{said}' has a comma in place of the decimal point"
        return WordsFault(reason, rest, seen, f"{before} {decimal[1]}.{decimal[2]}{decimal[3] or ''}")
    first = said.split(" ")[0]
    if parse_amount(first) is not None:
        more = said.removeprefix(first).strip()
        reason = f"nothing is known after the amount but '%', '% of span' and 'pp', and there is '{more}'"
        return WordsFault(reason, more, seen, f"{before} {first}")
    return WordsFault(f"'{said}' is no number", rest, seen, f"{before} 20")
