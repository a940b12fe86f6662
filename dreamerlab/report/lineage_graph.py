"""The lineage of hypotheses as a picture: who followed whom, who repeated whom, who is held against whose baseline.

    baseline ┄┄ question ── follow-up
                        ══ repetition           time runs to the right, siblings hang below each other

Every hypothesis stands once, as a link to its page; the first thing it came from is its parent and decides its place.
Kinds of lines differ in dash as well as in colour. The same lines as a list come with the picture: `in_words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dreamerlab.protocol.state import Hypothesis
from dreamerlab.report.html_text import escaped
from dreamerlab.report.standing import standing
from dreamerlab.report.verdict_words import state_words

HOW = {"replicates": "repeats", "follows": "follows", "baseline": "is held against"}
"""Kind of an edge -> its words, the one that decides a node's place first."""
_WIDTH, _HEIGHT, _ACROSS, _DOWN, _EDGE = 172, 34, 226, 46, 12
_LETTERS = 25


@dataclass(frozen=True)
class Edge:
    """`child` came from `parent`."""

    child: str
    parent: str
    how: str


@dataclass(frozen=True)
class Graph:
    """The hypotheses of one picture and the edges between them."""

    states: Sequence[Hypothesis]
    edges: Sequence[Edge]


def edges_of(states: Sequence[Hypothesis]) -> list[Edge]:
    """Return every edge between these hypotheses, in their order; one to a record that is not among them is none."""
    known = {state.id for state in states}
    measured = {state.run: state.id for state in states if state.proposal.kind == "baseline" and state.run}
    found: list[Edge] = []
    for state in states:
        made = state.proposal
        follows = None if made.kind == "baseline" else made.follows  # a baseline was opened for what it serves
        against = measured.get(state.baseline_run) if state.baseline_run else None
        named: tuple[tuple[str, str | None], ...] = (
            ("replicates", made.replicates),
            ("follows", follows),
            ("baseline", against),
        )
        for how, parent in named:
            if parent is not None and parent in known and parent != state.id:
                found.append(Edge(state.id, parent, how))
    return found


def components(states: Sequence[Hypothesis]) -> tuple[list[Graph], list[Hypothesis]]:
    """Return a graph for each group that hangs together, in the order of its first member, and those alone."""
    edges = edges_of(states)
    group = {state.id: state.id for state in states}

    def root(one: str) -> str:
        while group[one] != one:
            group[one] = group[group[one]]
            one = group[one]
        return one

    for edge in edges:
        group[root(edge.child)] = root(edge.parent)
    members: dict[str, list[Hypothesis]] = {}
    for state in states:
        members.setdefault(root(state.id), []).append(state)
    inside: dict[str, list[Edge]] = {}
    for edge in edges:
        inside.setdefault(root(edge.child), []).append(edge)
    graphs = [Graph(found, inside[key]) for key, found in members.items() if len(found) > 1]
    return graphs, [found[0] for found in members.values() if len(found) == 1]


def places(graph: Graph) -> dict[str, tuple[int, int]]:
    """Return hypothesis -> (column, row): right of its parent, siblings in rows of their own, no two in one place."""
    parent: dict[str, str] = {}
    for how in HOW:
        for edge in graph.edges:
            if edge.how == how and edge.child not in parent and not _leads_to(parent, edge.parent, edge.child):
                parent[edge.child] = edge.parent
    children: dict[str, list[str]] = {}
    for state in graph.states:
        if state.id in parent:
            children.setdefault(parent[state.id], []).append(state.id)
    found: dict[str, tuple[int, int]] = {}
    row = 0
    for top in (state.id for state in graph.states if state.id not in parent):
        waiting = [(top, 0, True)]
        while waiting:
            one, column, same_row = waiting.pop()
            row += not same_row
            found[one] = (column, row)
            below = children.get(one, [])
            waiting += [(child, column + 1, place == 0) for place, child in enumerate(below)][::-1]
        row += 1
    return found


def draw(graph: Graph, title: str) -> str:
    """Return the picture as inline SVG; its colours are those of the page."""
    where = places(graph)
    width = _EDGE * 2 + max(column for column, _ in where.values()) * _ACROSS + _WIDTH
    height = _EDGE * 2 + max(row for _, row in where.values()) * _DOWN + _HEIGHT
    told = f"{len(graph.states)} hypotheses, {len(graph.edges)} lines; the same as a list stands below."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="group" aria-label="{escaped(title)}">',
        f"<title>{escaped(title)}</title><desc>{told}</desc>",
    ]
    parts += [_line(edge, where) for edge in graph.edges]
    parts += [_node(state, where[state.id]) for state in graph.states]
    return "".join([*parts, "</svg>"])


def in_words(graph: Graph) -> str:
    """Return the edges as an HTML list."""
    lines = [f"<li>{_link(edge.child)} {HOW[edge.how]} {_link(edge.parent)}</li>" for edge in graph.edges]
    return f"<ul>{''.join(lines)}</ul>"


def short_change(state: Hypothesis) -> str:
    """Return what a hypothesis changes in the fewest words: the tail of the key and its new value."""
    from dreamerlab.report.hypothesis_words import value

    made = state.proposal
    if made.code is not None:
        return f"code: {made.code}"
    if made.kind == "baseline":
        return f"baseline, {made.base.env}"
    return ", ".join(f"{one.key.rpartition('.')[2]}={value(one.after)}" for one in made.changes) or "nothing"


def _leads_to(parent: Mapping[str, str], start: str, goal: str) -> bool:
    """Tell whether `goal` is among the ancestors of `start`, or is it: an edge there would close a circle."""
    one: str | None = start
    while one is not None:
        if one == goal:
            return True
        one = parent.get(one)
    return False


def _line(edge: Edge, where: Mapping[str, tuple[int, int]]) -> str:
    (from_column, from_row), (to_column, to_row) = where[edge.parent], where[edge.child]
    x1, y1 = _EDGE + from_column * _ACROSS + _WIDTH, _EDGE + from_row * _DOWN + _HEIGHT / 2
    x2, y2 = _EDGE + to_column * _ACROSS, _EDGE + to_row * _DOWN + _HEIGHT / 2
    middle = x2 - (_ACROSS - _WIDTH) / 2
    path = f"M{x1:g} {y1:g}H{middle - 8:g}C{middle:g} {y1:g} {middle:g} {y2:g} {middle + 8:g} {y2:g}H{x2:g}"
    if x2 <= x1:
        path = f"M{x1:g} {y1:g}C{x1 + 30:g} {y1:g} {x2 - 30:g} {y2:g} {x2:g} {y2:g}"
    words = f"{edge.child} {HOW[edge.how]} {edge.parent}"
    return f'<path class="e-{edge.how}" d="{path}"><title>{words}</title></path>'


def _node(state: Hypothesis, place: tuple[int, int]) -> str:
    x, y = _EDGE + place[0] * _ACROSS, _EDGE + place[1] * _DOWN
    stands = standing(state)
    words = f"{state.id}: {state.proposal.sentence} ({state_words(state)})"
    change = short_change(state)
    change = change if len(change) <= _LETTERS else change[: _LETTERS - 1] + "…"
    return (
        f'<a href="#{state.id}" class="n-{stands.group}" aria-label="{escaped(words)}"><title>{escaped(words)}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
        f'<text x="{x + 9}" y="{y + 14}" class="b">{stands.mark} {state.id} {escaped(stands.word)}</text>'
        f'<text x="{x + 9}" y="{y + 28}">{escaped(change)}</text></a>'
    )


def _link(record: str) -> str:
    return f'<a href="#{record}">{record}</a>'


def legend(hows: Iterable[str]) -> str:
    """Return what the kinds of lines mean, of those that occur."""
    told = set(hows)
    items = [
        f'<li><svg class="lineage" width="36" height="10" aria-hidden="true"><path class="e-{how}" d="M2 5H34"/></svg> '
        f"{words}</li>"
        for how, words in HOW.items()
        if how in told
    ]
    return f'<ul class="legend" aria-label="Lines">{"".join(items)}</ul>'
