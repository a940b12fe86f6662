"""Where a hypothesis stands, as one word to filter by, one mark to see it by, and one group to tell it under.

The mark differs in shape and not only in colour, so that it reads in grey and aloud.
"""

from __future__ import annotations

from dataclasses import dataclass

from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN, Hypothesis

SUPPORTED, REFUTED, UNDECIDED, OPEN, MEASURED, WITHDRAWN = (
    "supported",
    "refuted",
    "undecided",
    "open",
    "measured",
    "withdrawn",
)
MARKS = {SUPPORTED: "✓", REFUTED: "✗", UNDECIDED: "?", OPEN: "…", MEASURED: "●", WITHDRAWN: "–"}


@dataclass(frozen=True)
class Standing:
    """Where one hypothesis stands."""

    group: str
    """One of the six groups above."""
    word: str
    """The outcome of its verdict, else its phase."""

    @property
    def mark(self) -> str:
        """One character that tells the groups apart."""
        return MARKS[self.group]


def standing(state: Hypothesis) -> Standing:
    """Return where a hypothesis stands."""
    if state.phase == DONE_JUDGED and state.verdict is not None:
        outcome = str(state.verdict.get("outcome"))
        group = outcome.lower() if outcome.lower() in (SUPPORTED, REFUTED) else UNDECIDED
        return Standing(group, outcome)
    if state.phase == DONE_MEASURED:
        return Standing(MEASURED, "measured")
    if state.phase == DONE_WITHDRAWN:
        return Standing(WITHDRAWN, "withdrawn")
    return Standing(OPEN, state.phase)
