"""A diagnosis on one screen: what is wrong first, its evidence, what to try; everything else in a line each.

Pure text for a given width. With `everything` every finding is shown as fully as the first, then the signs of health,
then the rules that could not be asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from textwrap import wrap

from dreamerlab.diagnostics.conditions import short
from dreamerlab.diagnostics.engine import Evidence, Finding
from dreamerlab.report.diagnosis import PAGE, Changed, RunDiagnosis, agreement
from dreamerlab.report.wording import seeds_named, sparkline

_LABEL = 13
_SKETCH = 20
_LEAST_SPAN = 0.2
"""Of the height of a small curve, as a share of its values."""


def to_text(one: RunDiagnosis, width: int, *, everything: bool, unicode: bool) -> str:
    """Return the page, at most `width` wide where words allow it."""
    parts = [_head(one, width)]
    roots, shown = one.roots, set[str]()
    told = list(one.diagnosis.findings) if everything else roots[:1]
    for place, finding in enumerate(told, 1):
        parts.append("\n".join(_full(one, finding, place, width, unicode)))
        shown.add(finding.rule.id)
        if not everything:
            shown |= {other.rule.id for other in one.diagnosis.consequences(finding)}
    rest = [finding for finding in one.diagnosis.findings if finding.rule.id not in shown]
    if rest:
        parts.append("\n".join(_brief(rest, len(told) + 1, width)))
    if everything:
        parts += ["\n".join(lines) for lines in (_healthy(one, width), _silent(one, width)) if lines]
    elif not one.diagnosis.findings:
        parts.append("\n".join(_signs(one, width)))
    return "\n\n".join(part for part in parts if part)


def changed_text(both: Changed, width: int) -> str:
    """Return two runs side by side: the difference of their settings first, then what came and went."""
    first, second = both.first, both.second
    parts = [f"{first.title}  ->  {second.title}"]
    parts.append("\n".join(_settings(both, width)))
    for title, found, run in (
        (f"Gone: in {first.run}, not in {second.run}", both.gone, first),
        (f"New: in {second.run}, not in {first.run}", both.new, second),
    ):
        if found:
            parts.append("\n".join([title, *_listed(found, run, width)]))
    if both.kept:
        lines = ["In both"]
        for old, new in both.kept:
            moved = f"{agreement(old)} -> {agreement(new)}"
            lines += _indented(f"{new.key}: {_lowered(new.rule.symptom)} ({moved}{_moved(old, new)})", 2, width)
        parts.append("\n".join(lines))
    if not (both.gone or both.new or both.kept):
        parts.append("No finding in either run.")
    return "\n\n".join(parts)


def summary(one: RunDiagnosis) -> str:
    """Return the last line: how much there is, and where it is explained."""
    count = len(one.diagnosis.findings)
    return f"{count} finding{'' if count == 1 else 's'} in {one.run}; what each means: {PAGE}"


def _head(one: RunDiagnosis, width: int) -> str:
    roots = len(one.roots)
    followers = len(one.diagnosis.findings) - roots
    told = "no finding" if not roots else "1 finding" if roots == 1 else f"{roots} findings"
    if followers:
        told += f", and {followers} that follow{'s' if followers == 1 else ''} from {'it' if roots == 1 else 'them'}"
    read = f"{len(one.read)} of {len(one.seeds)}" if len(one.read) < len(one.seeds) else f"{len(one.seeds)}"
    facts = f"{one.env}, {read} seed{'' if len(one.seeds) == 1 else 's'}, {one.env_steps:,} env steps"
    return "\n".join(wrap(f"{one.title}  {facts}: {told}", width))


def _full(one: RunDiagnosis, finding: Finding, place: int, width: int, unicode: bool) -> Iterator[str]:
    rule = finding.rule
    mark = rule.severity.upper() if rule.severity == "critical" else rule.severity
    yield from _indented(f"{rule.symptom}", 0, width, f"{place}  {mark}: ")
    about = f"{finding.key}, in {agreement(finding)}"
    if len(finding.seeds) < len(finding.judged):
        about += f" ({seeds_named(finding.seeds)})"
    about += ", by metrics and config" if rule.reads_config else ", by metrics alone"
    if finding.explained_by:
        about += f", follows from {', '.join(finding.explained_by)}"
    yield from _indented(about, 3, width)
    yield ""
    yield from _evidence([*finding.evidence, *finding.also], width, unicode)
    yield ""
    if rule.causes:
        yield from _labelled("Likely", rule.causes, width)
    yield from _labelled("Check", [rule.check.replace("RUN", one.run)], width)
    if (command := one.tries.get(finding.key)) is not None:
        yield from _labelled("Try", [command], width, whole=True)
    followers = [] if finding.explained_by else one.diagnosis.consequences(finding)
    if followers:
        words = [f"{other.rule.symptom} ({other.key}, {agreement(other)})" for other in followers]
        yield from _labelled("Explains", words, width)


def _evidence(pieces: Sequence[Evidence], width: int, unicode: bool) -> Iterator[str]:
    """Yield aligned lines: metric, figure, what it was held to, a small curve, the env steps looked at."""
    named = [(shown_metric(one.metric), one) for one in pieces]
    rows = [(name, figure_of(one), one.wanted, _curve(one, unicode), stretch_of(one)) for name, one in named]
    name, value = (max(len(row[i]) for row in rows) for i in (0, 1))
    wanted = max(len(row[2]) for row in rows)
    wide = 3 + name + 2 + value + 2 + wanted + 2 + _SKETCH + 2 + max(len(row[4]) for row in rows) <= width
    for metric, figure, held, curve, stretch in rows:
        line = f"   {metric:<{name}}  {figure:>{value}}"
        if wide:
            yield f"{line}  {held:<{wanted}}  {curve:<{_SKETCH}}  {stretch}".rstrip()
        elif len(line) + 2 + _SKETCH <= width:
            yield f"{line}  {curve}".rstrip()
            if held:
                yield from _indented(f"{held}, {stretch}", 6, width)
        else:
            yield line
            yield from _indented(f"{held}  {curve}".strip(), 6, width)


def shown_metric(name: str) -> str:
    """Return the name of a metric as it is shown: of a ratio the quantities alone."""
    parts = name.split(" / ")
    return " / ".join(part.partition("/")[2] for part in parts) if len(parts) > 1 else name


def figure_of(piece: Evidence) -> str:
    """Return the figure of a piece of evidence: one number, or the range over seeds."""
    if piece.value != piece.value:
        return ""
    middle, low, high = short(piece.value), short(piece.low), short(piece.high)
    return middle if low == high else f"{low} to {high}"


def _curve(piece: Evidence, unicode: bool) -> str:
    finite = [value for value in piece.sketch if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    room = max(0.0, _LEAST_SPAN * max(abs(low), abs(high)) - (high - low)) / 2  # or what hardly moves looks wild
    return sparkline(list(piece.sketch), _SKETCH, low - room, high + room, unicode=unicode)


def stretch_of(piece: Evidence) -> str:
    """Return the env steps that were looked at; nothing for what is only shown beside."""
    if not piece.wanted:
        return ""
    return f"at {piece.since:,}" if piece.since == piece.until else f"{piece.since:,} to {piece.until:,}"


def _brief(findings: Sequence[Finding], place: int, width: int) -> Iterator[str]:
    for number, finding in enumerate(findings, place):
        words = f"{finding.rule.symptom} ({finding.key}, {agreement(finding)})"
        mark = finding.rule.severity.upper() if finding.rule.severity == "critical" else finding.rule.severity
        yield from _indented(words, 0, width, f"{number}  {mark}: ")


def _healthy(one: RunDiagnosis, width: int) -> list[str]:
    lines = [
        line
        for finding in one.diagnosis.healthy
        for line in _indented(f"{finding.rule.symptom} ({finding.rule.id}, {agreement(finding)})", 3, width)
    ]
    return ["Signs of health", *lines] if lines else []


def _silent(one: RunDiagnosis, width: int) -> list[str]:
    if not one.unasked:
        return []
    missing = ", ".join(sorted({name for names in one.unasked.values() for name in names}))
    lines = ["Rules that could not be asked", *_indented(", ".join(one.unasked), 3, width)]
    return [*lines, "because these were not measured, or too few times", *_indented(missing, 3, width)]


def _signs(one: RunDiagnosis, width: int) -> list[str]:
    words = [f"{_lowered(finding.rule.symptom)} ({agreement(finding)})" for finding in one.diagnosis.healthy]
    return list(_labelled("Signs", words, width)) if words else []


def _settings(both: Changed, width: int) -> list[str]:
    told = [f"{key}: {old} -> {new}  ({zone})" for zone, key, old, new in both.differences]
    lines = [line for words in (*told, *both.remarks) for line in _indented(words, 2, width)]
    return ["Set otherwise", *lines] if lines else ["Nothing was set otherwise."]


def _listed(found: Sequence[Finding], run: RunDiagnosis, width: int) -> Iterator[str]:
    for finding in found:
        follows = f", follows from {', '.join(finding.explained_by)}" if finding.explained_by else ""
        words = f"{finding.key}: {_lowered(finding.rule.symptom)} ({agreement(finding)}{follows})"
        yield from _indented(words, 2, width)
        piece = finding.evidence[0] if finding.evidence else None
        if piece is not None and piece.value == piece.value and finding.is_root:
            yield from _indented(f"{shown_metric(piece.metric)} {figure_of(piece)}, {piece.wanted}", 6, width)


def _moved(old: Finding, new: Finding) -> str:
    before, after = old.evidence[0], new.evidence[0]
    if before.value != before.value or before.metric != after.metric:
        return ""
    return f"; {shown_metric(before.metric)} {short(before.value)} -> {short(after.value)}"


def _lowered(words: str) -> str:
    return words if words[:2] == "KL" else words[0].lower() + words[1:]


def _labelled(label: str, entries: Sequence[str], width: int, *, whole: bool = False) -> Iterator[str]:
    """Yield entries beside their label; `whole` leaves an entry on one line, so that it can be pasted."""
    for place, entry in enumerate(entries):
        head = f"   {label if not place else '':<{_LABEL - 3}}"
        if whole:
            yield from _pasteable(entry, head, width)
        else:
            yield from _indented(entry, _LABEL, width, head)


def _pasteable(command: str, head: str, width: int) -> Iterator[str]:
    """Yield a command on one line, or on several that a shell reads as one: the sentence first, then its flags."""
    line, more = head, " " * len(head) + "  "
    for place, part in enumerate(command.replace('" --', '"\n--').replace(" --", "\n--").split("\n")):
        if place and len(line) + 1 + len(part) + 2 > width:
            yield line + " \\"
            line = more + part
        else:
            line += part if not place else f" {part}"
    yield line


def _indented(words: str, indent: int, width: int, head: str | None = None) -> Iterator[str]:
    first = " " * indent if head is None else head
    rest = " " * max(indent, len(first) if head is not None and not indent else indent)
    if head is not None and not indent:
        rest = "   "
    yield from wrap(words, max(width, 40), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
