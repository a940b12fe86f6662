"""How a hypothesis is cited: an entry for BibTeX, and a CITATION.cff (version 1.2.0, https://citation-file-format.github.io).

Who asked, when, the sentence as it was frozen, the verdict, and the commits that prove it. All from the records: the
author is whom git named when the proposal was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dreamerlab.protocol.state import Hypothesis
from dreamerlab.report.prose import clean
from dreamerlab.report.verdict_words import effect, figures_of, is_no_result, state_words

_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{one: f"\\{one}" for one in "{}$&#_%"},
}


@dataclass(frozen=True)
class Citation:
    """What a citation of one hypothesis says."""

    id: str
    author: str
    title: str
    date: str
    """The day it was judged, or the last day on record: `2026-03-01`."""
    outcome: str
    proposal_commit: str | None
    code_commit: str | None


def citation_of(state: Hypothesis, code_commit: str | None) -> Citation:
    """Return what a citation says of a hypothesis; `code_commit` is that of its run."""
    figures = figures_of(state.verdict)
    found = state_words(state)
    if figures and not is_no_result(state.verdict):
        found += f"; {effect(figures, state.proposal.expectation)}"
    date = (state.ended_at or state.launched_at or state.proposed_at)[:10]
    title = " ".join(clean(state.proposal.sentence).split())
    author = " ".join(clean(state.author).split()) or "unknown"
    return Citation(state.id, author, title, date, found, state.launch.get("proposal_commit"), code_commit)


def to_bibtex(one: Citation) -> str:
    """Return an entry; braces and all that TeX would act on are escaped."""
    note = ". ".join([f"Verdict: {one.outcome}", *_commits(one)]) + "."
    year, month, day = (*one.date.split("-"), "", "")[:3]
    fields = {
        "author": f"{{{_tex(one.author)}}}" if "," in one.author or " and " in one.author else _tex(one.author),
        "title": f"{{{_tex(one.title)}}}",
        "year": year,
        "month": month,
        "day": day,
        "howpublished": f"Hypothesis {one.id} in a dreamerlab notebook",
        "note": _tex(note),
    }
    lines = [f"  {name} = {{{text}}}," for name, text in fields.items() if text]
    return "\n".join([f"@misc{{{one.id},", *lines, "}"])


def to_cff(one: Citation) -> str:
    """Return the text of a CITATION.cff."""
    import yaml

    given, _, family = one.author.rpartition(" ")
    person = {"given-names": given, "family-names": family} if given else {"name": one.author}
    content: Mapping[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this result, please cite it as below.",
        "type": "dataset",
        "title": one.title,
        "authors": [person],
        "date-released": one.date,
        "version": one.id,
        **({"commit": one.code_commit} if one.code_commit else {}),
        "abstract": ". ".join([f"Verdict: {one.outcome}", *_commits(one)]) + ".",
        "keywords": ["reinforcement learning", "DreamerV3", "pre-registration"],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100).rstrip("\n")


def _commits(one: Citation) -> list[str]:
    proposed = f"Proposed in commit {one.proposal_commit[:12]}" if one.proposal_commit else None
    trained = f"Trained on commit {one.code_commit[:12]}" if one.code_commit else None
    return [words for words in (proposed, trained) if words]


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
