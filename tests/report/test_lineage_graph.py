"""The picture of who came from whom: every hypothesis once, none on top of another, circles survived."""

from __future__ import annotations

from dataclasses import replace

from dreamerlab.protocol.state import Hypothesis
from dreamerlab.report.lineage_graph import Edge, Graph, components, draw, edges_of, in_words, places
from tests.lab.hypotheses import a_proposal


def one(number: int, **changes: object) -> Hypothesis:
    given = {key: value for key, value in changes.items() if key in ("run", "baseline_run", "phase")}
    proposal = a_proposal(**{key: value for key, value in changes.items() if key not in given})
    return replace(Hypothesis(f"H{number:04d}-abc", proposal, "2026-01-01T00:00:00+00:00", "Ada"), **given)


def family() -> list[Hypothesis]:
    """A baseline, two questions held against it, a follow-up, a repetition, and one that stands alone."""
    return [
        one(1, kind="baseline", changes=(), run="R0001-abc"),
        one(2, run="R0002-abc", baseline_run="R0001-abc"),
        one(3, run="R0003-abc", baseline_run="R0001-abc"),
        one(4, follows="H0002-abc", baseline_run="R0001-abc"),
        one(5, replicates="H0003-abc", sentence="</text><script>alert(1)</script>"),
        one(6),
    ]


def test_edges_say_who_followed_repeated_and_was_held_against_whom() -> None:
    """M-PROT-13 and M-PROT-14: what a hypothesis came from, and what it is compared with."""
    assert edges_of(family()) == [
        Edge("H0002-abc", "H0001-abc", "baseline"),
        Edge("H0003-abc", "H0001-abc", "baseline"),
        Edge("H0004-abc", "H0002-abc", "follows"),
        Edge("H0004-abc", "H0001-abc", "baseline"),
        Edge("H0005-abc", "H0003-abc", "replicates"),
    ]


def test_no_two_stand_in_one_place_and_children_stand_to_the_right() -> None:
    (graph,), alone = components(family())
    assert [state.id for state in alone] == ["H0006-abc"]
    where = places(graph)
    assert len(set(where.values())) == len(where) == 5
    assert where["H0004-abc"][0] == where["H0002-abc"][0] + 1 == where["H0001-abc"][0] + 2


def test_a_circle_in_damaged_records_is_drawn_and_does_not_hang() -> None:
    ring = [one(1, follows="H0002-abc"), one(2, follows="H0003-abc"), one(3, follows="H0001-abc")]
    (graph,), _ = components(ring)
    assert len(places(graph)) == 3
    assert draw(graph, "ring").count("<rect") == 3


def test_the_picture_is_told_in_words_and_escapes_them() -> None:
    (graph,), _ = components(family())
    svg = draw(graph, "Lineage")
    assert "<title>Lineage</title><desc>" in svg
    assert svg.count("<a href=") == 5
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert '<a href="#H0005-abc">H0005-abc</a> repeats <a href="#H0003-abc">' in in_words(graph)


def test_a_thousand_in_one_chain_are_laid_out() -> None:
    chain = [one(number, follows=f"H{number - 1:04d}-abc" if number > 1 else None) for number in range(1, 1001)]
    assert max(column for column, _ in places(Graph(chain, edges_of(chain))).values()) == 999
