"""The words of `report.wording`, under the name use cases and commands know them by."""

from __future__ import annotations

from dreamerlab.report.wording import amount, duration, figure, seeds_text, size, sparkline, state_counts

__all__ = ["amount", "duration", "figure", "seeds_text", "size", "sparkline", "state_counts"]
