"""The HTML report put together: one file with everything in it, that asks nothing of any network.

Words come escaped from the modules beside this one, looks and behaviour from `site/`. The page may run the script that
is in it, known by its hash, and load nothing at all: its policy says so to the browser, so that even a word that got
through unescaped could do nothing. Equal records give equal bytes; a clock is in it only where something trains now.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from dreamerlab.protocol.entries import Entry
from dreamerlab.report.findings import families, family_article
from dreamerlab.report.html_tables import (
    HYPOTHESES,
    RUNS,
    Row,
    damaged_row,
    filter_form,
    hypothesis_row,
    table,
)
from dreamerlab.report.html_text import embedded, escaped
from dreamerlab.report.lineage_graph import Graph, components, draw, in_words, legend
from dreamerlab.report.live_page import Live, refresh_tag, render_live
from dreamerlab.report.markdown_html import to_html
from dreamerlab.report.notebook import Notebook, now_words, open_questions

SITE = Path(__file__).parent / "site"
_SCRIPTS = ("page.js", "table.js", "chart.js", "findings.js", "record.js", "route.js")
_OPEN_GRAPH = 60
"""Larger pictures of lineage are folded."""


@dataclass(frozen=True)
class Content:
    """Everything the report shows."""

    title: str
    as_of: str
    """When the newest record was written."""
    book: Notebook
    run_rows: Sequence[Row]
    records: Iterable[tuple[str, Mapping[str, Any]]]
    """Id of an element -> what the script shows of a record, made one by one."""
    remarks: Sequence[str] = field(default_factory=tuple[str, ...])
    """What a reader must know about the file itself: what was left out."""
    live: Live | None = None
    """What trains now; None: that there is such a thing is not mentioned."""


def render(content: Content) -> str:
    """Return the whole file."""
    book = content.book
    style = (SITE / "style.css").read_text(encoding="utf-8")
    script = "\n".join((SITE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    hypotheses = _hypothesis_rows(book)
    live = content.live
    return Template((SITE / "page.html").read_text(encoding="utf-8")).substitute(
        policy=_policy(script),
        title=escaped(content.title),
        as_of=escaped(content.as_of),
        style=style,
        script=script,
        refresh=refresh_tag(live.every_s) if live is not None and live.every_s is not None else "",
        live="" if live is None else render_live(live),
        live_link="" if live is None else '<a href="#live">Training now</a> ',
        damaged=_damaged(book),
        remarks="".join(f"<p class=remark>{escaped(one)}</p>" for one in content.remarks),
        now="".join(to_html(part, lambda _: None, level=3) for part in (now_words(book), open_questions(book)) if part),
        families="".join(family_article(family, book) for family in families(book)) or _NOTHING,
        lineage=_lineage(book),
        hypothesis_filter=filter_form("hypotheses", "hypotheses", _HYPOTHESIS_CHOICES, hypotheses),
        hypotheses=table("hypotheses", "Hypotheses, newest first", HYPOTHESES, hypotheses),
        run_filter=filter_form("runs", "runs", _RUN_CHOICES, content.run_rows),
        runs=table("runs", "Runs, newest first", RUNS, content.run_rows),
        notes=_notes(book),
        records="\n".join(embedded(key, value) for key, value in content.records),
    )


_NOTHING = "<p>No hypothesis is on record yet. The first one: <code>dreamerlab propose --help</code>.</p>"
_HYPOTHESIS_CHOICES = {"verdict": "Verdict", "family": "Family", "env": "Environment", "kind": "Kind"}
_RUN_CHOICES = {"state": "State", "finding": "Finding", "family": "Family", "env": "Environment", "kind": "Kind"}


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hypothesis_rows(book: Notebook) -> list[Row]:
    known = {state.id: hypothesis_row(state) for state in book.states}
    for record, faults in (book.damaged or {}).items():
        if record.startswith("H") and record not in known:
            known[record] = damaged_row(record, "; ".join(faults), HYPOTHESES)
    return [known[one] for one in sorted(known, key=lambda one: (int(one[1:].partition("-")[0]), one), reverse=True)]


def _damaged(book: Notebook) -> str:
    if not book.damaged:
        return ""
    lines = [
        f'<li><a href="#{record}">{record}</a>: {escaped("; ".join(faults))}</li>'
        for record, faults in sorted(book.damaged.items())
    ]
    words = "These records are not as they were written. What this page says of them cannot be relied on."
    return (
        f'<section class="damage" aria-label="Damaged records"><h2>Damaged records</h2><p>{words} '
        f"<code>dreamerlab lint</code> says more.</p><ul>{''.join(lines)}</ul></section>"
    )


def _lineage(book: Notebook) -> str:
    graphs, alone = components(book.states)
    if not graphs:
        return "<p>No hypothesis builds on another one yet.</p>"
    parts = [legend(edge.how for graph in graphs for edge in graph.edges), *map(_graph, graphs)]
    if alone:
        links = ", ".join(f'<a href="#{one.id}">{one.id}</a>' for one in alone)
        parts.append(f"<p>On their own: {links}.</p>")
    return "".join(parts)


def _graph(graph: Graph) -> str:
    families_ = " and ".join(dict.fromkeys(state.proposal.family for state in graph.states))
    first, last = graph.states[0].id, graph.states[-1].id
    title = f"Lineage of {len(graph.states)} hypotheses, {first} to {last}, in {families_}"
    picture = f'<div class="wide" tabindex="0" role="region" aria-label="{escaped(title)}">{draw(graph, title)}</div>'
    listed = f"<details><summary>The same as a list ({len(graph.edges)})</summary>{in_words(graph)}</details>"
    if len(graph.states) > _OPEN_GRAPH:
        return f"<details><summary>{escaped(title)}</summary>{picture}{listed}</details>"
    return f"<h3>{escaped(families_)}</h3>{picture}{listed}"


def _notes(book: Notebook) -> str:
    """Return the entries as a list of links, newest first."""
    if not book.entries:
        return "<p>None yet.</p>"
    items = [
        f'<li><a href="#{one.id}">{one.id}</a> <span class="tags">{escaped(one.kind)}</span> {escaped(one.time[:10])} '
        f"{escaped(_beginning(book.texts.get(one.id, '')) or _about(one))}</li>"
        for one in sorted(book.entries, key=lambda one: (one.time, one.id), reverse=True)
    ]
    return f"<ul>{''.join(items)}</ul>"


def _about(one: Entry) -> str:
    return f"about {', '.join(one.about)}"


def _beginning(told: str, limit: int = 140) -> str:
    """Return the first words of what a person said in a rendered entry, its citations filled in; empty without any."""
    quote = re.search(r"<blockquote>(.*?)</blockquote>", to_html(told, lambda _: None), re.DOTALL)
    line = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", quote[1])).split()) if quote else ""
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
