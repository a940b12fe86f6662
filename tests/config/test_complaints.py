"""Complaints about other tools: each is answered by tests that exist or by a reason, and what is not met is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dreamerlab.config.complaints import complaints_page, read_complaints
from dreamerlab.errors import ConfigError

ROOT = Path(__file__).parents[2]


def test_every_complaint_has_sources_and_an_answer() -> None:
    found = read_complaints()
    assert len(found) >= 22
    for each in found:
        assert each.sources, each.key
        for source in each.sources:
            assert re.fullmatch(r"[\w.-]+(/[\w.-]+)?#[0-9]+", source), f"{each.key}: {source}"
        for words in (each.complaint, each.rule, each.because or "So.", each.missing or "So."):
            assert words.strip().endswith("."), f"{each.key}: {words}"
    sources = [source for each in found for source in each.sources]
    assert len(sources) == len(set(sources)), "a thread is told once"


def test_every_test_that_is_named_exists() -> None:
    for each in read_complaints():
        for pointer in each.tests:
            path, _, name = pointer.partition("::")
            text = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
            assert name.startswith("test_"), f"{each.key}: {pointer}"
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{each.key}: {pointer}"


def test_what_is_not_met_stands_on_the_page() -> None:
    page = complaints_page("COMMAND")
    unmet = [each for each in read_complaints() if each.missing]
    assert f"{len(unmet)} of {len(read_complaints())} are not wholly met yet" in page
    for each in read_complaints():
        assert each.complaint in page
        assert (each.missing or "") in page
        for pointer in each.tests:
            assert f"](../../{pointer.partition('::')[0]})" in page


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: {complaint: C., sources: [x#1], rule: R.}\n", "neither tests nor a reason"),
        ("a: {complaint: C., sources: [x#1]}\n", r"lacks \['rule'\]"),
        ("a: {complaint: C., sources: [x#1], rule: R., proof: P.}\n", r"unknown \['proof'\]"),
        ("- a\n", "holds no entries"),
    ],
)
def test_an_entry_that_is_not_whole_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "complaints.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_complaints(path)
