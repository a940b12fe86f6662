"""One part of the page of a comparison, as its makers hand it to the layout (`comparison.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dreamerlab.tables import Table


@dataclass(frozen=True)
class Section:
    """One part of the page: a heading, words, and a table where there is one."""

    heading: str
    lines: Sequence[str]
    table: Table | None = None
    in_log: bool = True
    """Whether the entry of the log shows it; what the runs' own pages tell is left out there."""
