"""Pages of the notebook as HTML: the same words as in `protocol/`, with links that lead inside the report.

The markdown comes from `hypothesis_page.py` and `log_entries.py`; markdown-it-py reads it. No tag passes but those of
our own folded parts: everything else that looks like HTML is shown as it was typed. A link to a record becomes one to
its place in the report, one to the web stays, one to a file beside the notebook is only its words. No picture is
loaded from anywhere: figures are put in by name, others are named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from dreamerlab.report.html_text import escaped

Pictures = Callable[[str], str | None]
"""File name of a figure -> its HTML, None when there is no such figure."""
_RECORD_LINK = re.compile(r"(?:\.\./)*(?:hypotheses|runs)/([HR][0-9]{4,12}-[a-z0-9]{3})(?:\.md)?(?:#.*)?")
_LOG_LINK = re.compile(r" ?\[Back to the log\]\([^)\n]*\)\.")
_ANCHOR = re.compile(r'<a id="[a-z0-9-]*"></a>\n*')
_SUMMARY = re.compile(r"<details>\n<summary>([^<>\n]*)</summary>\s*")
_ON_THE_WEB = ("https://", "http://", "mailto:")


def to_html(markdown: str, pictures: Pictures, *, level: int = 2) -> str:
    """Return generated markdown as HTML, its first heading at `level`; every table has a caption."""
    text = _ANCHOR.sub("", _LOG_LINK.sub("", markdown))
    parser = _parser()
    tokens = parser.parse(text)
    _dress(tokens, level)
    return parser.renderer.render(tokens, parser.options, {"pictures": pictures})


@cache
def _parser() -> MarkdownIt:
    # Raw HTML is parsed so that our own folds can be told from it; the rules below let nothing else through.
    parser = MarkdownIt("commonmark").enable("table")
    for name, rule in (("html_block", _html), ("html_inline", _html), ("image", _image), ("table_open", _table)):
        parser.add_render_rule(name, rule)
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _dress(tokens: Sequence[Token], level: int) -> None:
    """Move headings, caption tables by the heading before them, and turn links to where they lead in the report."""
    heading = ""
    moved = level - next((int(token.tag[1]) for token in tokens if token.type == "heading_open"), level)
    for index, token in enumerate(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + moved)}"
        if token.type == "heading_open":
            heading = "".join(_words(tokens[index + 1].children or ()))
        elif token.type == "table_open":
            token.meta["caption"] = heading
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        if token.type in ("th_open", "td_open") and token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "num")
        _lead(token.children or ())


def _words(children: Sequence[Token]) -> Iterator[str]:
    for child in children:
        yield child.content if child.type in ("text", "code_inline") else " " if child.type == "softbreak" else ""


def _lead(children: Sequence[Token]) -> None:
    opened: list[str] = []
    for child in children:
        if child.type == "link_open":
            href = str(child.attrs.get("href", ""))
            record = _RECORD_LINK.fullmatch(href)
            child.attrs.clear()
            if record is not None:
                child.attrSet("href", f"#{record[1]}")
            elif href.startswith(_ON_THE_WEB):
                child.attrSet("href", href)
                child.attrSet("rel", "noreferrer noopener")
            else:
                child.tag = "span"
            opened.append(child.tag)
        elif child.type == "link_close":
            child.tag = opened.pop() if opened else "span"


def _html(_renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    content = tokens[index].content
    if content.strip() == "</details>":
        return "</details>\n"
    fold = _SUMMARY.fullmatch(content)
    return f"<details><summary>{fold[1]}</summary>\n" if fold else escaped(content)


def _image(_renderer: Any, tokens: Sequence[Token], index: int, _: Any, env: Mapping[str, Any]) -> str:
    token = tokens[index]
    pictures: Pictures = env["pictures"]
    found = pictures(str(token.attrs.get("src", "")).rpartition("/")[2])
    return found if found is not None else f"[picture: {escaped(token.content)}]"


def _table(_renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    caption = escaped(tokens[index].meta["caption"])
    region = f'<div class="wide" tabindex="0" role="region" aria-label="{caption}">'
    return f'{region}<table><caption class="hidden">{caption}</caption>\n'
