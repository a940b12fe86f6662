"""Figures that notes cite instead of typing them: found in the text, and filled in from the records.

    {R12 eval/return final_mean(5)}           mean over the seeds of a run, by any reducer
    {R12 seed 3 eval/return final_mean(5)}    one seed
    {R12 eval/return at 10k}                  mean over the seeds of the evaluation at an env step
    {R12 score}                               by the run's own reducer
    {H7 verdict}   {H7 difference}   {H7 interval}

A filled citation is the figure, linked to where it comes from; one that cannot be filled says why, in bold, and is a
finding of `lint`. Code is left alone. Pure text: the figures are asked of a `Source`, which `lab.log_records` is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dreamerlab.protocol.quantities import parse_count
from dreamerlab.report.links import link
from dreamerlab.report.prose import plain

_CODE = r"(?P<code>(?:```|~~~).*?(?:```|~~~|\Z)|`[^`\n]+`)"
_RECORD = r"(?P<record>[RH][0-9]{1,12}(?:-[a-z0-9]{3})?)"
_CITED = rf"\{{{_RECORD}(?:\s+seed\s+(?P<seed>[0-9]{{1,9}}))?\s+(?P<what>[^{{}}\n]{{1,120}}?)\s*\}}"
_PATTERN = re.compile(f"{_CODE}|{_CITED}", re.DOTALL)
_AT = re.compile(r"(\S+)\s+at\s+(\S+)")
OF_HYPOTHESIS = ("verdict", "difference", "interval")


@dataclass(frozen=True)
class Citation:
    """One citation as it was typed."""

    text: str
    record: str
    """Id or prefix of a run or a hypothesis."""
    what: str
    seed: int | None = None

    @property
    def is_run(self) -> bool:
        """Whether a run is cited, not a hypothesis."""
        return self.record.startswith("R")


@dataclass(frozen=True)
class Cited:
    """What the records say: words to print, the full id they come from, and what exactly they are."""

    words: str
    record: str
    meaning: str


class CitationFault(Exception):
    """Why a citation cannot be filled, in one line."""


class Source(Protocol):
    """Whoever knows the records. Both raise CitationFault for what cannot be given."""

    def of_run(self, run: str, seed: int | None, metric: str | None, reducer: str | None, at: int | None) -> Cited:
        """Return the figure of a run; without metric and reducer its own score, with `at` the value at an env step."""
        ...

    def of_hypothesis(self, hypothesis: str, what: str) -> Cited:
        """Return the verdict, difference or interval of a hypothesis."""
        ...


def citations(text: str) -> Iterator[Citation]:
    """Yield the citations in a text, in order."""
    for found in _PATTERN.finditer(text):
        if found["code"] is None:
            seed = found["seed"]
            yield Citation(found[0], found["record"], " ".join(found["what"].split()), int(seed) if seed else None)


def look_up(citation: Citation, source: Source) -> Cited:
    """Return what a citation stands for; CitationFault says why there is nothing."""
    what = citation.what
    if not citation.is_run:
        if what not in OF_HYPOTHESIS or citation.seed is not None:
            raise CitationFault(f"of a hypothesis one can cite {', '.join(OF_HYPOTHESIS)}, not '{what}'")
        return source.of_hypothesis(citation.record, what)
    if what == "score":
        return source.of_run(citation.record, citation.seed, None, None, None)
    if at := _AT.fullmatch(what):
        step = parse_count(at[2])
        if step is None:
            raise CitationFault(f"'{at[2]}' is no env step")
        return source.of_run(citation.record, citation.seed, at[1], None, step)
    metric, _, reducer = what.partition(" ")
    if not reducer:
        raise CitationFault(f"it does not say how {metric} becomes one figure, for example final_mean(3)")
    return source.of_run(citation.record, citation.seed, metric, reducer, None)


def fill(text: str, source: Source, root: str) -> str:
    """Return the text with every citation filled in, as a link from a page at `root` (`links.py`)."""

    def filled(found: re.Match[str]) -> str:
        if found["code"] is not None:
            return found[0]
        try:
            cited = look_up(next(citations(found[0])), source)
        except CitationFault as fault:
            return f"**[{plain(found[0])}: {plain(str(fault))}]**"
        return f'{link(cited.record, root, cited.words)[:-1]} "{cited.meaning}")'

    return _PATTERN.sub(filled, text)


def filler(source: Source) -> Callable[[str, str], str]:
    """Return `fill` for one source, as the pages want it: (text, root) -> text."""
    return lambda text, root: fill(text, source, root)
