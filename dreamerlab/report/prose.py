"""People's words inside generated markdown: shown as they were meant, unable to break the page around them.

On every generated page a quoted line (`>`) is a person's, and everything else is computed. Text of one line is
escaped; longer text keeps its markdown (lists, tables, code) inside the quote, where headings become bold and HTML is
shown instead of obeyed. No record is read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPECIAL = re.compile(r"[\\`*<~]|\](?=[(\[])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_AT_START = re.compile(r"((?:[#>+-]|[0-9]+[.)])(?=\s|$)|\[(?=[^\]]*\]:))")
_FENCE = re.compile(r"\s{0,3}(?:(`{3,})[^`]*|(~{3,}).*)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*?)\s*#*\s*")
_UNDERLINE = re.compile(r"\s{0,3}(=+|-+)\s*")
_CODE_SPAN = re.compile(r"(?<![`\\])(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_OPENS_HTML = re.compile(r"(\\*)<")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def plain(text: str) -> str:
    """Return `text` on one line, escaped so that markdown shows exactly these characters (`tables` sees to pipes)."""
    line = " ".join(clean(text).split())
    line = _SPECIAL.sub(lambda found: "\\" + found[0], line)
    start = _AT_START.match(line)
    return f"{start[1][:-1]}\\{line[start.end(1) - 1 :]}" if start else line


def said(text: str) -> str:
    """Return a person's words inside one of our sentences."""
    return f"“{plain(text)}”"


def code(text: object) -> str:
    """Return `text` on one line as a code span, whatever backticks are in it."""
    line = " ".join(clean(str(text)).split()) or " "
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def quoted(text: str) -> str:
    """Return `text` as a block quote: its own markdown, shut in."""
    lines: list[str] = []
    paragraph: list[str] = []
    fence: str | None = None
    for line in [raw.rstrip() for raw in clean(text).strip("\n").split("\n")]:
        mark = _FENCE.fullmatch(line)
        if fence is not None:
            lines.append(line)
            ticks = line.strip()
            if len(ticks) >= len(fence) and set(ticks) == {fence[0]}:
                fence = None
        elif mark or not line:
            lines += [*_tamed(paragraph), line]
            paragraph = []
            fence = (mark[1] or mark[2]) if mark else None
        else:
            paragraph.append(line)
    lines += _tamed(paragraph)
    return "\n".join(f"> {line}".rstrip() for line in lines)


def details(summary: str, body: str) -> str:
    """Return a part that a reader opens by a click; `summary` is our own text."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def clean(text: str) -> str:
    """Return `text` with unix line ends and without characters that drive terminals or turn the reading direction."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    "))


def fields_list(fields: Mapping[str, str]) -> str:
    """Return named fields of an entry as quoted lines, in the order they were given, each name in bold."""
    parts: list[str] = []
    for name, text in fields.items():
        label = plain(str(name).replace("_", " ").replace("-", " ")).capitalize()
        body = str(text).strip()
        parts.append(quoted(f"**{label}:**\n\n{body}" if "\n" in body else f"**{label}:** {body}"))
    return "\n>\n".join(parts)


def _tamed(paragraph: list[str]) -> list[str]:
    """Lines without a blank one between them, outside of code: headings in bold, HTML shown."""
    lines: list[str] = []
    for line in paragraph:
        heading = _HEADING.fullmatch(line)
        if heading:
            lines.append(f"**{heading[1]}**" if heading[1] else "")
        elif lines and _UNDERLINE.fullmatch(line):
            lines.append("\\" + line.strip())  # it would make a heading of the line before it
        else:
            lines.append(line)
    return _without_html("\n".join(lines)).split("\n") if lines else []


def _without_html(text: str) -> str:
    """Escape every `<` outside of code spans, unless it is escaped already."""

    def shown(found: re.Match[str]) -> str:
        return found[0] if len(found[1]) % 2 else f"{found[1]}\\<"

    parts: list[str] = []
    at = 0
    for span in _CODE_SPAN.finditer(text):
        parts += [_OPENS_HTML.sub(shown, text[at : span.start()]), span[0]]
        at = span.end()
    return "".join([*parts, _OPENS_HTML.sub(shown, text[at:])])
