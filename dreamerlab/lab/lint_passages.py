"""The words of people that `lint` reads: notes, decision notes and reasons that can still be mended, in sentences.

A sentence is about the ids in it; where it names none, about what the whole text is about. Tables count as one
sentence a row. What is generated, quoted as code or cited in braces is no one's claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dreamerlab.ids import letter_of, matching, parse_id
from dreamerlab.lab.lint_findings import Books
from dreamerlab.protocol import state
from dreamerlab.protocol.entries import COMPARISON, IDEA

_UNREAD_FIELDS = frozenset({"results", "expected", "dated", "files", "tool", "source", "needs", "setup", "status"})
"""Fields of an entry that claim nothing about a run, or say themselves that their figures stand in no record."""
_QUIET = re.compile(
    r"\{[^{}\n]*\}"  # a citation, filled from the records
    r"|`[^`\n]*`|https?://\S+"  # code, addresses
    r"|\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?\S*)?|\b\d{1,2}:\d{2}(?::\d{2})?\b"  # days and times
    r"|\b[\w.]*[A-Za-z_][\w.]*\s?=\s?\S+"  # a setting
    r"|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b|\bv?\d+\.\d+\.\d+\S*"  # hashes, versions
)
_ID = re.compile(r"\b[RHE]\d{1,12}(?:-[a-z0-9]{3})?\b")
_END = re.compile(r"(?<=[.!?;])\s+(?=\S)|\n\s*\n|\n(?=\s*(?:[|#>*+-]|\d+[.)]\s))|(?<=\|)\s*\n")


@dataclass(frozen=True)
class Passage:
    """A text by a person, where it stands, and how it is changed."""

    file: str
    line: int
    text: str
    about: tuple[str, ...]
    """Full ids."""
    mend: str
    kind: str = ""
    """Of an entry."""
    lines: bool = False
    """Whether the text spans lines of its file, so that a sentence has a line of its own."""


@dataclass(frozen=True)
class Sentence:
    """One sentence, or one row of a table, of a passage."""

    passage: Passage
    text: str
    """What is no claim is blanked out."""
    line: int
    about: tuple[str, ...]
    """Full ids of the hypotheses and runs it is about."""

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table."""
        return self.text.lstrip().startswith("|")


def passages(books: Books) -> Iterator[Passage]:
    """Yield every text that claims something and can still be put right."""
    for entry in books.notes.values():
        if entry.kind in (COMPARISON, IDEA):
            continue
        source = books.entries[entry.id]
        written = (line for line, event in source.numbered() if event.event in (state.NOTED, state.CORRECTED))
        line = max(written, default=1)
        mend = f'dreamerlab note --corrects {entry.id} "..."'
        for text in (entry.text, *(text for name, text in entry.fields.items() if name not in _UNREAD_FIELDS)):
            yield Passage(source.file, line, text, entry.about, mend, entry.kind)
    for path in sorted((books.workspace.protocol / "decisions").glob("*.md")):
        file = path.relative_to(books.workspace.path).as_posix()
        yield Passage(file, 1, path.read_text(errors="replace"), (), f"edit {file}", lines=True)


def sentences(books: Books, passage: Passage) -> Iterator[Sentence]:
    """Yield the sentences of a passage that are about a hypothesis or a run of this workspace."""
    text = _QUIET.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), passage.text)
    start = 0
    for match in [*_END.finditer(text), None]:
        end = len(text) if match is None else match.start()
        piece = text[start:end]
        line = passage.line + (text[: start + len(piece) - len(piece.lstrip())].count("\n") if passage.lines else 0)
        start = end if match is None else match.end()
        named = _ID.findall(piece)
        about = _resolved(books, named) if named else [one for one in passage.about if letter_of(one[:2]) in ("R", "H")]
        if about and piece.strip():
            yield Sentence(passage, _ID.sub(lambda found: " " * len(found[0]), piece), line, tuple(about))


def _resolved(books: Books, named: Sequence[str]) -> list[str]:
    """Return the full ids of the hypotheses and runs that a sentence names, leaving out what is unknown."""
    found: list[str] = []
    for text in named:
        known = {"R": books.runs, "H": books.hypotheses}.get(text[0], {})
        ids = matching([one for one in (parse_id(full, text[0]) for full in known) if one], text)
        if len(ids) == 1:
            found.append(str(ids[0]))
    return list(dict.fromkeys(found))
