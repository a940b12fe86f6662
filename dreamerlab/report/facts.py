"""What is told of the surroundings and the doings of a run: one fact, one line of configured beside effective.

Values only. Read from records by `lab.surroundings` and `lab.effective`; laid out by `comparison_surroundings.py` and
the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NOT_RECORDED = "not recorded"
NOT_AS_CONFIGURED = "!: not what was configured"
SECTIONS = ("code", "machine", "software", "threads", "variables", "load")
"""Every section in the order it is read; the command stands beside them and is never held against another."""


@dataclass(frozen=True)
class Fact:
    """One thing that was recorded of where and by what a run was trained."""

    section: str
    name: str
    value: str
    bits: bool = False
    """Whether a difference of it can change the numbers that come out."""
    compared: str | None = None
    """What two runs are held against each other by, where the value is finer than that."""

    @property
    def key(self) -> str:
        """What has to be equal for two runs to be alike in this."""
        return self.value if self.compared is None else self.compared


@dataclass(frozen=True)
class Surroundings:
    """All facts of one run by name, in reading order."""

    facts: Mapping[str, Fact]
    variables: Mapping[str, str] | None
    """Environment variables the trainers saw; None in records from before they were kept."""
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """Every other installed package, from `freeze.txt`; empty when there is none."""

    def value(self, name: str) -> str:
        """Return what is recorded under a name, or that nothing is."""
        return self.facts[name].value if name in self.facts else NOT_RECORDED


@dataclass(frozen=True)
class FactDifference:
    """One fact of code, machine, software or load that is not the same in all runs."""

    name: str
    values: Sequence[str]
    section: str = "machine"
    """One of `SECTIONS`, or `packages`: those that cannot change what comes out."""
    bits: bool = False
    """Whether it can change the numbers that come out."""


@dataclass(frozen=True)
class Effective:
    """One line of what was configured beside what was done; texts ready to be shown."""

    name: str
    configured: str
    effective: str
    agrees: bool | None = None
    """Whether the second is what the first says; None where that is no question."""

    @property
    def marked(self) -> str:
        """What was done, with a mark where it is not what was configured."""
        return f"{self.effective} !" if self.agrees is False else self.effective
