"""What a row of the catalogue says."""

from __future__ import annotations

from typing import Literal

Direction = Literal["higher", "lower", "none"]
Row = tuple[str, str, Direction, str]
"""Name, unit, which way is better, meaning."""
