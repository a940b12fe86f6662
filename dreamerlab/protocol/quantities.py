"""Numbers and amounts as people write them in a sentence: `30k`, `3e-4`, `20%`, `20% of span`, `5 pp`.

Pure text to value and back. What an amount is worth in the unit of a metric is `reading.py`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, cast

Share = Literal["", "%", "% of span", "pp"]
THOUSANDS = {"k": 1e3, "K": 1e3, "M": 1e6}
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d[\d_]*|(?=\.\d))(?:\.\d*)?(?:[eE][-+]?\d{1,3})?")
_AMOUNT = re.compile(r"(\S*?[\dkKM.])\s*(%\s*of\s+(?:the\s+)?span|%|pp)?", re.IGNORECASE)


@dataclass(frozen=True)
class Amount:
    """A number and what it counts: the metric's own unit, a share of the baseline or of the span, or points."""

    value: float
    share: Share = ""

    def __str__(self) -> str:
        return f"{number_text(self.value)}{' ' if self.share == 'pp' else ''}{self.share}"


def parse_number(text: str) -> float | None:
    """Return the finite number that `text` spells, `30k` and `1,000` included; None when it is no number."""
    scale = THOUSANDS.get(text[-1:], 1.0)
    body = text[:-1] if scale != 1.0 else text
    if not _NUMBER.fullmatch(body):
        return None
    value = float(body.replace(",", "").replace("_", "")) * scale
    return value if math.isfinite(value) else None


def parse_count(text: str) -> int | None:
    """Return the whole number above 0 that `text` spells; None when it is anything else."""
    value = parse_number(text)
    return int(value) if value is not None and value.is_integer() and value > 0 else None


def parse_amount(text: str) -> Amount | None:
    """Return the amount that `text` spells; None when it is none."""
    match = _AMOUNT.fullmatch(text.strip())
    value = parse_number(match[1]) if match else None
    if match is None or value is None:
        return None
    share = (match[2] or "").lower()
    return Amount(value, "% of span" if "span" in share else cast("Share", share))


def number_text(value: float) -> str:
    """Return a number so that `parse_number` reads the same value: `30000`, `0.0003`, `1e-07`."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
