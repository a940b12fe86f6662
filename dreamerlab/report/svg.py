"""A small drawing surface that writes SVG text: the same calls give the same bytes, on any machine.

Every picture stands on a card of its own with a light and a dark shade of each colour (`palette.py`), so that it can be
read on either theme of a code host. Colour is never the only mark: what is told apart differs in darkness, dash or
shape as well. Knows nothing of runs; the figures are `figures.py` (decision note 0007).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dreamerlab.report.palette import SHADES

FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif"
_INKS = ("card", "edge", "grid", "ink", "soft", "treatment", "control", "good")
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_MOST = 1e15
Ink = str
"""One of `_INKS`."""


def _style() -> str:
    def rules(dark: bool) -> str:
        both = [(name, SHADES[name][dark]) for name in _INKS]
        return "".join(f".f-{name}{{fill:{c}}}.s-{name}{{stroke:{c}}}" for name, c in both)

    dark = f"@media (prefers-color-scheme:dark){{{rules(dark=True)}}}"
    return f"<style>text{{font-family:{FONT};font-size:12px}}.b{{font-weight:600}}{rules(dark=False)}{dark}</style>"


@dataclass
class Drawing:
    """A picture under construction; positions are pixels from the upper left corner."""

    width: int
    height: int
    title: str
    """What a screen reader says."""
    parts: list[str] = field(default_factory=list[str])

    def line(self, xs: Sequence[float], ys: Sequence[float], ink: Ink, **look: float | str) -> None:
        """Draw a line through the points; `look`: width, opacity, dash."""
        points = " ".join(f"{_px(x)},{_px(y)}" for x, y in zip(xs, ys, strict=True))
        self.parts.append(f'<polyline points="{points}" fill="none" class="s-{ink}"{_stroke(**look)}/>')

    def area(
        self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], ink: Ink, opacity: float
    ) -> None:
        """Fill between two lines over the same `xs`."""
        there = [f"{_px(x)},{_px(y)}" for x, y in zip(xs, highs, strict=True)]
        back = [f"{_px(x)},{_px(y)}" for x, y in zip(xs, lows, strict=True)][::-1]
        self.parts.append(f'<polygon points="{" ".join([*there, *back])}" class="f-{ink}" opacity="{opacity:g}"/>')

    def box(self, x: float, y: float, width: float, height: float, ink: Ink, opacity: float = 1.0) -> None:
        """Fill a rectangle."""
        size = f'x="{_px(x)}" y="{_px(y)}" width="{_px(width)}" height="{_px(height)}"'
        self.parts.append(f'<rect {size} class="f-{ink}" opacity="{opacity:g}"/>')

    def dot(
        self, x: float, y: float, ink: Ink, *, radius: float = 4.0, hollow: bool = False, shape: str = "dot"
    ) -> None:
        """Draw a mark: a circle (`dot`) or a square on its corner (`diamond`), filled or hollow."""
        look = f'class="f-card s-{ink}" stroke-width="1.6"' if hollow else f'class="f-{ink}"'
        if shape == "diamond":
            corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
            points = " ".join(f"{_px(a)},{_px(b)}" for a, b in corners)
            self.parts.append(f'<polygon points="{points}" {look}/>')
        else:
            self.parts.append(f'<circle cx="{_px(x)}" cy="{_px(y)}" r="{radius:g}" {look}/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        ink: Ink = "ink",
        *,
        anchor: str = "start",
        size: int = 12,
        bold: bool = False,
    ) -> None:
        """Write one line; `anchor`: start, middle or end."""
        look = ("" if anchor == "start" else f' text-anchor="{anchor}"') + (
            "" if size == 12 else f' style="font-size:{size}px"'
        )
        bold_class = " b" if bold else ""
        self.parts.append(f'<text x="{_px(x)}" y="{_px(y)}" class="f-{ink}{bold_class}"{look}>{escape(words)}</text>')

    def to_svg(self) -> str:
        """Return the picture as the text of an SVG file."""
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        card = (
            f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="6" class="f-card s-edge"/>'
        )
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(self.title)}</title>'
        return "\n".join([head, _style(), card, *self.parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class Scale:
    """A straight map from values to pixels."""

    low: float
    high: float
    start: float
    """Pixel of `low`."""
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`; one outside of the scale stands just beyond its end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + max(-0.01, min(1.01, share)) * (self.end - self.start)


def drawable(value: float) -> bool:
    """Tell whether a value has a place on a scale that others can share: finite, and no result of a divergence."""
    return abs(value) < _MOST


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return about `wanted` round values between `low` and `high`, which differ."""
    raw = (high - low) / max(1, wanted)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * 0.999999)
    first = math.ceil(low / step - 1e-9)
    return [index * step + 0.0 for index in range(first, math.floor(high / step + 1e-9) + 1)]


def widened(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Return a range that holds all drawable `values` with some room on both sides, never an empty one."""
    inside = [value for value in values if drawable(value)] or [0.0]
    low, high = min(inside), max(inside)
    room = (high - low) * share or max(abs(high) * share, 0.5)
    room = max(room, (abs(low) + abs(high)) * 1e-6)  # or ticks would differ by less than their digits
    return low - room, high + room


def tick_text(value: float, step: float) -> str:
    """Return a tick's label with as many digits as its distance to the next one asks for."""
    if value and (abs(value) >= 1e6 or step < 1e-4):
        return f"{value:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    return f"{value:,.{decimals}f}"


def text_width(words: str, size: int = 12) -> float:
    """Return about how wide a text is: enough to keep labels apart, whatever the font."""
    return size * sum(0.33 if letter in "iljtf.,:;|!'() " else 0.62 for letter in words)


def escape(text: str) -> str:
    """Return `text` fit for XML: no markup, no control characters."""
    shown = _UNFIT.sub(" ", text)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _px(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _stroke(width: float | str = 1.0, opacity: float | str = 1.0, dash: float | str = "") -> str:
    look = f' stroke-width="{width}" stroke-linejoin="round"'
    return look + ("" if opacity == 1.0 else f' opacity="{opacity}"') + (f' stroke-dasharray="{dash}"' if dash else "")
