"""What a page of the log is made of: a hypothesis, its two runs, and what was written about it.

Values only. Collected from the committed records by `lab.log_records`; nothing here depends on a clock, on a process
or on a file that git does not carry, so equal records give equal pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dreamerlab.protocol.chain import Event
from dreamerlab.protocol.entries import Entry
from dreamerlab.protocol.state import Hypothesis
from dreamerlab.runs.manifest import Manifest


@dataclass(frozen=True)
class SeedRecord:
    """One seed as its summary tells; `state` is None while there is no summary, and nothing else is told then."""

    seed: int
    state: str | None = None
    reason: str | None = None
    env_steps: int = 0
    updates: int = 0
    wall_s: float = 0.0
    attempts: int = 0
    curve: Sequence[tuple[int, float]] = ()
    """(env steps, value) of the metric the page is about, oldest first."""
    fault: str | None = None
    """What cannot be read of it."""


@dataclass(frozen=True)
class RunRecord:
    """One run: its manifest, what returns mean in its task, its seeds; `fault` says what cannot be read of it."""

    id: str
    manifest: Manifest | None = None
    random: float | None = None
    solved: float | None = None
    seeds: Sequence[SeedRecord] = ()
    fault: str | None = None


@dataclass(frozen=True)
class Reference:
    """Another hypothesis as a page names it."""

    id: str
    state: str
    """As `hypothesis_words.state_words` puts it."""


@dataclass(frozen=True)
class Story:
    """A hypothesis with everything its page tells."""

    state: Hypothesis
    events: Sequence[Event]
    treatment: RunRecord | None = None
    """Of a baseline hypothesis, the baseline run."""
    control: RunRecord | None = None
    entries: Sequence[Entry] = ()
    """About the hypothesis or its run, oldest first."""
    led_to: Sequence[Reference] = ()
    """Hypotheses that follow or replicate this one."""
    came_from: Mapping[str, Reference] = field(default_factory=dict[str, Reference])
    """`follows`, `replicates`, `baseline` -> the hypothesis meant."""
