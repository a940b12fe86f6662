"""Entries as values: notes, comparisons and ideas, whatever happened to them since."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.errors import ToolFailed
from dreamerlab.protocol import state
from dreamerlab.protocol.entries import COMPARISON, entries, entry_of
from dreamerlab.protocol.registry import ENTRY, Registry
from tests.lab.hypotheses import an_event

NOTE = {"kind": "idea", "text": "pixels", "about": ["H0001-abc"], "fields": {"needs": "an encoder"}, "rank": 2.5}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_what_happened_to_an_idea_is_read_from_its_events(registry: Registry) -> None:
    made = registry.create(ENTRY, an_event(state.NOTED, NOTE))
    registry.append(made, an_event(state.CORRECTED, {"kind": "idea", "text": "images", "about": [], "fields": {}}))
    registry.append(made, an_event(state.MOVED, {"rank": 7}))
    registry.append(made, an_event("of a later version", {"text": "ignored"}))
    registry.append(made, an_event(state.DROPPED, {"why": "no camera"}))
    registry.append(made, an_event(state.FILED, {"hypothesis": "H0002-abc"}))
    entry = entry_of(registry.read(made))
    assert (entry.kind, entry.text, entry.about, entry.fields) == ("idea", "images", (), {})
    assert (entry.rank, entry.dropped, entry.filed) == (7.0, "no camera", "H0002-abc")
    assert [event.data for event in entry.earlier] == [NOTE]
    assert entry.data["rank"] == 2.5, "what a correction does not speak of stays"


def test_a_comparison_is_an_entry_about_its_runs(registry: Registry) -> None:
    table = {"runs": ["R0001-abc", "R0002-abc"], "reducer": "auc", "records": {}, "markdown": "| a |"}
    entry = entry_of(registry.read(registry.create(ENTRY, an_event(state.COMPARED, table))))
    assert (entry.kind, entry.about, entry.data) == (COMPARISON, ("R0001-abc", "R0002-abc"), table)


@pytest.mark.parametrize(
    ("event", "data"),
    [("withdrawn", {}), (state.NOTED, {"kind": "idea"}), (state.NOTED, {**NOTE, "fields": 3}), (state.COMPARED, {})],
)
def test_what_is_no_entry_is_named_and_left_out_of_lists(
    registry: Registry, event: str, data: dict[str, object]
) -> None:
    made = registry.create(ENTRY, an_event(event, data))
    whole = registry.create(ENTRY, an_event(state.NOTED, NOTE))
    with pytest.raises(ToolFailed, match=f"^{made} "):
        entry_of(registry.read(made))
    assert [entry.id for entry in entries(registry)] == [whole]
