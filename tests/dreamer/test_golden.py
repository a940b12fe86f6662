"""The shipped presets against recorded traces: refactors change nothing (STYLE: golden loss traces).

When an algorithm's change is meant: `python -m tests.dreamer.record_golden`, and say why in the commit.
"""

from __future__ import annotations

import json

import pytest

from tests.dreamer.record_golden import CASES, UPDATES, path_of, trace

pytestmark = pytest.mark.usefixtures("unchecked_shapes")


@pytest.mark.parametrize("case", CASES)
def test_the_first_updates_are_those_recorded(case: str) -> None:
    recorded = json.loads(path_of(case).read_text())
    assert all(len(values) == UPDATES for values in recorded.values())
    assert trace(case) == {
        name: [pytest.approx(value, rel=1e-4, abs=1e-7) for value in values] for name, values in recorded.items()
    }
