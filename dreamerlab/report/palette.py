"""Every colour that anything here is drawn in: figures of the log, plots, the report. One place, so that they agree.

What is told apart differs in three ways at once: in hue (also with red-green or blue-yellow blindness), in darkness
(also in a grey print), and in dash and marker. Hues are near those of Okabe and Ito; each has a light card's shade and
a dark card's. The tests compute contrasts and distances for every kind of sight; change a shade and see what they say.
"""

from __future__ import annotations

from dataclasses import dataclass

SHADES: dict[str, tuple[str, str]] = {
    "card": ("#ffffff", "#0d1117"),
    "edge": ("#d0d7de", "#30363d"),
    "grid": ("#e4e8ec", "#262c34"),
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#57606a", "#9aa4af"),
    "control": ("#d9501a", "#f8895f"),
    "treatment": ("#0761c0", "#618cdd"),
    "third": ("#1f2328", "#ffffff"),
    "fourth": ("#8f0f6e", "#f7a6df"),
    "fifth": ("#38a06f", "#85f1ab"),
    "sixth": ("#4c3500", "#906709"),
    "good": ("#1a7f4b", "#4cc38a"),
}
"""Name -> shade on a light card, shade on a dark one."""


@dataclass(frozen=True)
class Look:
    """How one of several runs is drawn; `dash` is in pixels of line and gap, empty for a solid line."""

    name: str
    """A key of `SHADES`."""
    dash: tuple[int, ...]
    marker: str
    """As matplotlib names it."""

    @property
    def light(self) -> str:
        """Its shade on a light card."""
        return SHADES[self.name][0]

    @property
    def dark(self) -> str:
        """Its shade on a dark card."""
        return SHADES[self.name][1]


LOOKS = (
    Look("control", (7, 4), "s"),
    Look("treatment", (), "o"),
    Look("third", (8, 2, 2, 2), "^"),
    Look("fourth", (2, 2), "D"),
    Look("fifth", (10, 2, 2, 2, 2, 2), "v"),
    Look("sixth", (4, 1), "X"),
)
"""In the order runs are shown; the first is what the others are held against. More cannot be told apart."""


def alone() -> Look:
    """Return the look of a run that stands alone: there is nothing it is held against."""
    return LOOKS[1]
