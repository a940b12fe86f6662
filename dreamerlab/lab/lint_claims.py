"""Figures in prose: which numbers of a sentence claim to be measured, how exactly, and of which quantity.

Pure reading, and deliberately shy: a number counts as a claim only in a sentence that speaks of results, and never
when it is a level, a count with its unit, a setting, an id or a date. Whether the records hold it is `lint_figures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dreamerlab.metrics import ALIASES, CATALOGUE

Quality = Literal["last", "highest", "lowest"]
_QUALITIES: tuple[tuple[Quality, str], ...] = (
    ("last", r"final(?:ly)?|last|end(?:s|ed|ing)?"),
    ("highest", r"peak(?:s|ed|ing)?|best|highest|max(?:imum)?"),
    ("lowest", r"lowest|low|min(?:imum)?|trough"),
)
_QUALITY = re.compile(r"\b(?:" + "|".join(f"(?P<{name}>{words})" for name, words in _QUALITIES) + r")\b", re.IGNORECASE)
_RESULTS = re.compile(
    r"\b(?:returns?|scores?|scored|loss(?:es)?|rewards?|mean|median|average|plateau\w*|collaps\w*|converge\w*|reach\w*"
    r"|success|rate|difference|effect|interval|got|gets|gave|measured|fell|falls|rose|rises|drop\w*)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?<![\w.,/:#^])(?P<about>[~≈]\s?)?(?P<number>[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?P<scale>[kM]\b)?"
    r"(?![\w/:^]|\.\d|,\d)"
)
_LEVEL = re.compile(
    r"(?:(?<![-=])[<>]=?|[≤≥±]|\b(?:at (?:least|most)|above|below|under|over|beyond|up to|within"
    r"|(?:more|less|fewer|better|worse) than|threshold|target|goal|limit|level|solved|random|expect\w*|predicted"
    r"|seeds?|steps?|page|figure|section|line|n|k)\b)\s*(?:of|at|is|to|play|was|=|:)?\s*[~≈]?\s*$",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"\s*(?:%|percent|pp\b|seeds?\b|trials?\b|runs?\b|attempts?\b|times\b|x\b|×|[kMG]?B\b|h\b|hours?\b|min\b|minutes?\b"
    r"|s\b|sec\b|seconds?\b|ms\b|days?\b|cores?\b|threads?\b|GPUs?\b|(?:env[ _]|replayed[ _]|training )?steps?\b"
    r"|updates?\b|episodes?\b|eval(?:uation)?s?\b|lines?\b|layers?\b|units?\b|parameters?\b|of (?:the )?span)",
    re.IGNORECASE,
)
_ROUGHLY = re.compile(r"\b(?:about|around|roughly|approximately|circa|nearly|almost|some)\s*$", re.IGNORECASE)
_METRIC = re.compile(r"\b[a-z]+/[a-z0-9_]+\b")
_RETURN = re.compile(r"\breturns?\b", re.IGNORECASE)
_REACH = 48
"""Characters before a number in which a word still says which figure it is."""
_ROUGH_SHARE = 0.05


@dataclass(frozen=True)
class Claim:
    """A number that says what was measured."""

    text: str
    value: float
    tolerance: float
    """Half of the last digit that was written; more when it is said to be rough."""
    quality: Quality | None
    """Which figure of a curve it is said to be."""
    metrics: tuple[str, ...]
    """Catalogue names in its sentence; none: any."""
    is_return: bool = False
    """Whether its sentence speaks of a return, in words."""


def claims(sentence: str, *, is_row: bool = False, context: str = "") -> Iterator[Claim]:
    """Yield the numbers of a sentence, or of a table's row, that claim to be measured.

    `context` is the text around a row, which says what the columns are.
    """
    metrics = tuple(ALIASES.get(name, name) for name in _METRIC.findall(sentence))
    metrics = tuple(dict.fromkeys(name for name in metrics if name in CATALOGUE))
    spoken = context if is_row else sentence
    if not metrics and not _RESULTS.search(spoken) and not _QUALITY.search(spoken):
        return
    returns = _RETURN.search(spoken) is not None
    earlier = 0
    for match in _NUMBER.finditer(sentence):
        before = sentence[max(earlier, match.start() - _REACH) : match.start()]
        earlier = match.end()
        digits = match["number"].replace(",", "").replace("−", "-")
        if len(digits.lstrip("-")) < 2 and not match["scale"]:
            continue
        if _LEVEL.search(before) or _UNIT.match(sentence, match.end()):
            continue
        scale = {"k": 1e3, "M": 1e6}.get(match["scale"] or "", 1.0)
        value = float(digits) * scale
        decimals = len(digits.partition(".")[2])
        tolerance = 0.5 * 10.0**-decimals * scale * (1 + 1e-9)
        if match["about"] or _ROUGHLY.search(before):
            tolerance = max(tolerance, _ROUGH_SHARE * abs(value))
        yield Claim(match[0].strip(), value, tolerance, None if is_row else _quality(before), metrics, returns)


def _quality(before: str) -> Quality | None:
    """Return what the nearest word of the same clause says that the number is."""
    clause = re.split(r"[,;:()|]", before)[-1]
    found = list(_QUALITY.finditer(clause))
    if not found:
        return None
    return next(name for name, _ in _QUALITIES if found[-1][name])
