"""The page of stories is what the command prints of the runs it names, in a fresh clone."""

from __future__ import annotations

import pytest

from tests.diagnostics import told


@pytest.mark.slow
def test_the_page_of_stories_is_what_diagnose_answers_today() -> None:
    assert told.PAGE.read_text() == told.page(), "python -m tests.diagnostics.told"
