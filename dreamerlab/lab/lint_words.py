"""Words that claim more than the verdict gives: `proves` at all, `solved` beside INCONCLUSIVE, `no effect` beside it.

A verdict is evidence from a few seeds. What stands beside it in people's words must not be stronger; what is hedged,
denied or asked claims nothing. Words are English, and the list is short and closed on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dreamerlab.lab.lint_findings import Books, Finding
from dreamerlab.lab.lint_passages import Sentence, passages, sentences
from dreamerlab.protocol.entries import CAUTION
from dreamerlab.protocol.rules import REFUTED, SUPPORTED
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN


@dataclass(frozen=True)
class _Strength:
    """Words of one strength, and the outcomes beside which they may stand."""

    words: re.Pattern[str]
    allowed: frozenset[str]
    instead: str


def _words(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})\b", re.IGNORECASE)


_STRENGTHS = (
    _Strength(
        _words(r"prov(?:e[sdn]?|en|ing)|proofs?|certain(?:ly)?|undoubtedly|conclusively|definitely|guarante\w+"),
        frozenset(),
        "a verdict is evidence from its seeds and proves nothing: say what it supports or suggests",
    ),
    _Strength(
        _words(
            r"confirm(?:s|ed)|supported|demonstrate[sd]?|establish(?:es|ed)|significant(?:ly)?|solve[sd]|works|worked"
            r"|improve[sd]|outperform(?:s|ed)|beats|superior|better than|helps|helped|is better|was better"
        ),
        frozenset({SUPPORTED}),
        "say what was found: the difference with its interval, 'may', 'not shown yet'",
    ),
    _Strength(
        _words(
            r"refute[sd]|disprove[sdn]?|rule[sd] out|(?:has|had) no effect|makes? no difference|made no difference"
            r"|(?:does|did) not (?:help|work|matter)|(?:doesn't|didn't) (?:help|work|matter)|useless"
        ),
        frozenset({REFUTED}),
        "an effect that was not shown is not shown to be absent: say 'no effect was shown'",
    ),
)
_HEDGE = _words(
    r"may|might|could|should|would|expect\w*|hop(?:e|es|ed|ing)|if|whether|suggest\w*|thinks?|believe[sd]?|seems?|seemed"
    r"|appears?|perhaps|maybe|probably|possibly|likely|unlikely|suspect\w*|(?:to|will|let us) (?:test|see|try|check)"
)
_DENIAL = re.compile(
    r"(?:\b(?:not|no|never|nothing|none|cannot|neither|nor|hardly|without|un)\b|n't\b)[^.;:,]{0,30}$", re.IGNORECASE
)


def check_words(books: Books) -> Iterator[Finding]:
    """Yield the words that are stronger than the verdict of what their sentence is about."""
    known = _outcomes(books)
    for passage in passages(books):
        if passage.kind == CAUTION:
            continue  # believed and not shown, and marked so
        for sentence in sentences(books, passage):
            outcomes = {one: known[one] for one in sentence.about if one in known}
            if outcomes and "?" not in sentence.text and not _HEDGE.search(sentence.text):
                yield from _too_strong(sentence, outcomes)


def _too_strong(sentence: Sentence, outcomes: dict[str, str]) -> Iterator[Finding]:
    for strength in _STRENGTHS:
        if strength.allowed & set(outcomes.values()):
            continue  # one of those it speaks of carries the words
        for match in strength.words.finditer(sentence.text):
            own_denial = re.match(r"\w+ not|\w+n't|.*\bno ", match[0], re.IGNORECASE)
            if not own_denial and _DENIAL.search(sentence.text[: match.start()]):
                continue
            beside = ", ".join(f"{one} ({outcome})" for one, outcome in outcomes.items())
            message = f"'{match[0]}' is stronger than what stands beside it: {beside}"
            passage = sentence.passage
            yield Finding("words", passage.file, sentence.line, message, f"{strength.instead}; {passage.mend}")
            break


def _outcomes(books: Books) -> dict[str, str]:
    """Return hypothesis or run -> its outcome in a word; what was only measured has none, and none is due."""
    found: dict[str, str] = {}
    for hypothesis in books.folded.values():
        if hypothesis.phase == DONE_MEASURED or (hypothesis.proposal.expectation is None):
            continue
        outcome = "not judged yet"
        if hypothesis.phase == DONE_JUDGED and hypothesis.verdict is not None:
            outcome = str(hypothesis.verdict.get("outcome"))
        elif hypothesis.phase == DONE_WITHDRAWN:
            outcome = "withdrawn"
        found[hypothesis.id] = outcome
        if hypothesis.run is not None:
            found[hypothesis.run] = outcome
    for run_id, manifest in books.runs.items():
        if manifest is not None and manifest.kind == "pilot":
            found[run_id] = "a pilot"
    return found
