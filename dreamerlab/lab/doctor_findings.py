"""What the checks of `doctor` say: findings as data, each with a safe remedy or with what a person has to do.

No remedy deletes what a user made: processes that nobody looks after are asked to stop, false statuses are corrected,
what a killed process left half-written goes, generated records are generated again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]


@dataclass
class Finding:
    """One thing that is wrong: a short kind, where, what, and how it is mended."""

    kind: str
    where: str
    message: str
    remedy: str | None = None
    """What `--fix` does about it; None when a person has to decide."""
    mend: Callable[[], object] | None = None
    """Raises LabError or OSError when it could not be done."""
    hint: str | None = None
    """What a person can do about it, as a command where there is one."""
    mended: bool = False
    failure: str | None = None
    """Why the remedy did not work."""

    def to_data(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        shown = ("kind", "where", "message", "remedy", "hint", "mended", "failure")
        return {name: getattr(self, name) for name in shown}


@dataclass
class Report:
    """All findings, what is merely worth knowing, and where the disk goes, in bytes."""

    findings: list[Finding] = field(default_factory=list[Finding])
    notes: list[str] = field(default_factory=list[str])
    """What is not installed, who holds a lock, what other workspaces do here: nothing is wrong because of it."""
    disk: dict[str, int] = field(default_factory=dict[str, int])
    """Run -> what it takes."""
    shared: dict[str, int] = field(default_factory=dict[str, int])
    """What all runs share -> what it takes."""
    free: int | None = None
    """What is left on the disk of the workspace; None when the system does not tell."""

    @property
    def mendable(self) -> list[Finding]:
        """The findings that `--fix` does something about."""
        return [finding for finding in self.findings if finding.mend is not None]

    @property
    def left(self) -> list[Finding]:
        """The findings that nothing has been done about."""
        return [finding for finding in self.findings if not finding.mended]

    def to_data(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "findings": [finding.to_data() for finding in self.findings],
            "notes": self.notes,
            "disk_bytes": self.disk,
            "shared_bytes": self.shared,
            "free_bytes": self.free,
        }
