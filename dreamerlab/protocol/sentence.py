"""The sentence of a hypothesis, `change X -> expect Y`, taken apart into its words (DESIGN section 3, M-PROT-01).

Pure grammar: which key is set to which text, which metric is expected to do what. Whether the key exists and what an
amount is worth is `reading.py`. What cannot be read is answered with what could be, what could not, the grammar and a
sentence that would do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dreamerlab.errors import UsageError
from dreamerlab.protocol.expectation_words import ARROW, SaidExpectation, WordsFault, parse_expectation

GRAMMAR = """\
  CHANGE -> expect METRIC to rise by N      or: to fall by N; N is 20, 20%, 20% of span, or 5 pp (of a rate)
  CHANGE -> expect METRIC >= N              or: <= N
  CHANGE -> expect METRIC stays within N
  CHANGE -> expect METRIC reaches N by K env_steps
  CHANGE is: change KEY=VALUE | change KEY to VALUE | change KEY from A to B | code: WHAT | nothing"""
LONGEST = 1000
_SPLIT = re.compile(rf"\s*-*{ARROW}\s*expect\b\s*:?\s*", re.IGNORECASE)
_KEY = r"[A-Za-z_][\w.]*"
_VALUE = r"""(?:\[[^\]]*\]|"[^"]*"|'[^']*'|[^\s=]\S*)"""
_TO = re.compile(rf"({_KEY}) to ({_VALUE})")
_FROM_TO = re.compile(rf"({_KEY})(?: from |: ?| ?= ?| )({_VALUE}) to ({_VALUE})")
_EQUALS = re.compile(rf"({_KEY}) ?= ?({_VALUE})")
_VAGUE = re.compile(r"(increase|decrease|raise|lower|reduce|double|halve|use|set|try|add|remove)\b", re.IGNORECASE)


@dataclass(frozen=True)
class SaidChange:
    """One leaf as it was said: the key or its tail, the value as text, and the value it is said to have now."""

    key: str
    value: str
    before: str | None = None

    def __str__(self) -> str:
        return f"{self.key}{'=' if self.before is None else f' from {self.before} to '}{self.value}"


@dataclass(frozen=True)
class Sentence:
    """The parts of a sentence; neither changes nor code: nothing is changed (a baseline)."""

    changes: tuple[SaidChange, ...] = ()
    code: str | None = None
    expectation: SaidExpectation | None = None

    def __str__(self) -> str:
        subject = subject_text(self.changes, self.code)
        return subject if self.expectation is None else f"{subject} -> expect {self.expectation}"


def subject_text(changes: Sequence[object], code: str | None) -> str:
    """Return the left side in canonical words."""
    if code is not None:
        return f"code: {code}"
    return f"change {' and '.join(map(str, changes))}" if changes else "nothing"


@dataclass
class _Read:
    """What has been understood so far, for the answer."""

    understood: list[str] = field(default_factory=list[str])


def parse_sentence(text: str) -> Sentence:
    """Return the parts of a sentence; UsageError explains one that cannot be read."""
    said = " ".join(text.split())
    if not said:
        raise misread("it is empty", unread="''")
    if len(said) > LONGEST:
        raise misread(f"it is longer than {LONGEST} characters", unread=f"{said[:60]}...")
    if not said.isprintable():
        raise misread("it holds a character that cannot be printed", unread=ascii(said)[:80])
    parts = _SPLIT.split(said)
    read = _Read()
    if len(parts) == 1:
        return _without_arrow(said, read)
    left, right = parts[0], parts[1]
    changes, code = _subject(left, read, right)
    if len(parts) > 2:
        raise misread(
            "it expects more than one thing; the primary metric is one",
            read.understood,
            f"expect {' -> expect '.join(parts[2:])}",
            f"{left} -> expect {right}",
        )
    return Sentence(changes, code, _expectation(right, left, read))


def misread(reason: str, understood: Sequence[str] = (), unread: str = "", instead: str | None = None) -> UsageError:
    """Return the error for a sentence that cannot be read; `instead` is a sentence that would do."""
    lines = [f"the sentence cannot be read: {reason}"]
    if understood:
        lines.append(f"  understood:      {'; '.join(understood)}")
    if unread:
        lines.append(f"  not understood:  {unread}")
    lines.append(f"it goes like this:\n{GRAMMAR}")
    example = instead or "change optimizer.lr_actor=3e-4 -> expect eval/return to rise by 20%"
    return UsageError("\n".join(lines), hint=f"dreamerlab propose {quoted(example)}")


def quoted(text: str) -> str:
    """Return `text` as one word of a shell command."""
    return "'" + text.replace("'", "'\\''") + "'" if set(text) & set('"$`\\!') else f'"{text}"'


def _without_arrow(said: str, read: _Read) -> Sentence:
    if re.fullmatch(r"(?:change )?nothing", said, re.IGNORECASE):
        return Sentence()
    before, word, after = said.partition(" expect ")
    if word:
        raise misread(
            "there is no arrow before 'expect'; without quotes the shell takes '>' for itself and writes to a file",
            [],
            said,
            f"{before.rstrip(' -=>,;')} -> expect {after}",
        )
    pieces = re.split(rf"\s*{ARROW}\s*", said)
    if len(pieces) > 1:
        try:
            parse_expectation(pieces[-1])
        except WordsFault:
            pass
        else:
            left = said[: said.rindex(pieces[-1])].rstrip(" ->=→")
            raise misread(
                "the word 'expect' is missing after the arrow", [left], pieces[-1], f"{left} -> expect {pieces[-1]}"
            )
    shell = re.fullmatch(r"(.+?) -(?: (.+))?", said)
    if shell:
        raise misread(
            "there is no '-> expect' in it; without quotes the shell takes '> expect' for itself "
            "(and writes to a file called 'expect')",
            [],
            said,
            f"{shell[1]} -> expect {shell[2] or 'eval/return to rise by 20%'}",
        )
    _subject(said, read, "eval/return to rise by 20%")
    raise misread(
        "it does not say what is expected; put the whole sentence in quotes, or the shell takes '>' for itself",
        read.understood,
        "(no '-> expect ...')",
        f"{said} -> expect eval/return to rise by 20%",
    )


def _subject(left: str, read: _Read, right: str) -> tuple[tuple[SaidChange, ...], str | None]:
    said = re.sub(r"^change\b:? ?", "", left.strip(), flags=re.IGNORECASE)
    if said.lower() == "nothing":
        read.understood.append("nothing is changed")
        return (), None
    code = re.match(r"code\b ?(:?) ?(.*)", said, re.IGNORECASE)
    if code and "=" not in said.split(":")[0]:
        if not code[1] or not code[2]:
            what = code[2] or "free bits are clipped per element"
            raise misread("a change of the code is written 'code: WHAT'", [], left, f"code: {what} -> expect {right}")
        read.understood.append(f"code: {code[2]}")
        return (), code[2]
    if not said:
        raise misread(
            "nothing stands before the arrow", [], f"(nothing) -> expect {right}", f"nothing -> expect {right}"
        )
    changes = tuple(_change(piece, left, read, right) for piece in _pieces(said))
    return changes, None


def _pieces(said: str) -> list[str]:
    """Split at `and`, commas and semicolons, but not inside brackets or quotes."""
    kept = re.findall(r"""\[[^\]]*\]|"[^"]*"|'[^']*'|\s+and\s+|[,;&]\s*|.""", said)
    pieces = [""]
    for token in kept:
        if token.strip() == "and" or token.strip() in (",", ";", "&"):
            pieces.append("")
        else:
            pieces[-1] += token
    return [part for piece in pieces if piece.strip() for part in _side_by_side(piece.strip())]


def _side_by_side(piece: str) -> list[str]:
    """Split `a=1 b=2`, as on a command line: these are two changes, and not one with a strange value."""
    parts = re.split(rf"(?<=[^\s=]) +(?={_KEY} ?= ?[^\s=])", piece)
    return parts if "=" in parts[0] else [piece]


def _change(piece: str, left: str, read: _Read, right: str) -> SaidChange:
    said = re.sub(rf"\s*{ARROW}\s*", " to ", re.sub(r"^change ", "", piece, flags=re.IGNORECASE))
    if match := _TO.fullmatch(said):
        change = SaidChange(match[1], match[2])
    elif match := _FROM_TO.fullmatch(said):
        change = SaidChange(match[1], match[3], match[2])
    elif match := _EQUALS.fullmatch(said):
        change = SaidChange(match[1], match[2])
    else:
        raise _unread_change(piece, read, right)
    read.understood.append(f"change {change}")
    return change


def _unread_change(piece: str, read: _Read, right: str) -> UsageError:
    key = re.search(rf"\b({_KEY}\.{_KEY}|[a-z]+_[a-z_]+)\b", piece)
    instead = f"change {key[1] if key else 'optimizer.lr_actor'}=VALUE -> expect {right}"
    if piece.lower().startswith("code"):
        return misread(
            "a change of the code stands alone: 'code: WHAT'", read.understood, piece, f"{piece} -> expect {right}"
        )
    if vague := _VAGUE.match(piece):
        return misread(f"'{vague[0]}' does not say the value itself", read.understood, piece, instead)
    if re.fullmatch(rf"{_KEY} ?=?", piece):
        return misread(f"it does not say what {piece.rstrip(' =')} becomes", read.understood, piece, instead)
    return misread("this is no change", read.understood, piece, instead)


def _expectation(right: str, left: str, read: _Read) -> SaidExpectation:
    try:
        return parse_expectation(right)
    except WordsFault as fault:
        instead = None if fault.instead is None else f"{left} -> expect {fault.instead}"
        raise misread(fault.reason, [*read.understood, *fault.understood], fault.unread, instead) from None
