"""A broken rule as data, and how rules speak: the one error that names all of them, and the commands they advise.

Which rules there are about configs is `gates.py`, about a launch `launch_rules.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dreamerlab.errors import GateRefused

Rule = Literal[
    "declared-change",
    "inert-change",
    "base-changed",
    "another-task",
    "new-family",
    "unequal-budget",
    "unequal-evaluation",
    "undeclared-difference",
    "undeclared-code",
    "same-code",
    "no-baseline",
    "baseline-unusable",
    "baseline-seeds",
    "override",
    "frozen-seeds",
    "repeated-seeds",
    "known-seeds",
    "not-open",
    "seeds-after-verdict",
    "uncommitted",
    "starting-point",
    "opponent",
    "orphan-trainers",
    "oversubscribed",
]


@dataclass(frozen=True)
class Violation:
    """One broken rule."""

    rule: Rule
    message: str
    """One line, with the values seen and where they came from."""
    hint: str
    """The command or edit that resolves it."""
    key: str | None = None
    """The config leaf, when it is one."""
    values: tuple[str, ...] = ()
    """What should be, then what is, as a config spells them."""
    origins: tuple[str, ...] = ()
    """Where each of `values` came from."""

    def to_dict(self) -> dict[str, Any]:
        """Return the violation as JSON-ready values."""
        return asdict(self)


def refusal(violations: Sequence[Violation], subject: str) -> GateRefused:
    """Return the error that names every violation with its remedy; `subject` is an id, or words for a proposal."""
    if len(violations) == 1:
        return GateRefused(violations[0].message, hint=violations[0].hint)
    lines = [f"{len(violations)} rules forbid running {subject}:"]
    for violation in violations:
        lines += [f"  {violation.message}", f"    mend it: {violation.hint}"]
    return GateRefused("\n".join(lines))


def named(files: Sequence[str], most: int = 5) -> str:
    """Return the first few of many names, and how many more there are."""
    rest = f" and {len(files) - most} more" if len(files) > most else ""
    return ", ".join(files[:most]) + rest


def count_of(count: int, what: str) -> str:
    """Return `1 seed`, `3 seeds`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def seed_list(seeds: Sequence[int]) -> str:
    """Return seeds in short: `0-2`, `5,7,9`."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}-{ordered[-1]}"
    return ",".join(map(str, ordered))


def command(subject: str) -> str:
    """Return the command that would run `subject` (an id), or write it down (words)."""
    return f"dreamerlab run {subject}" if _is_id(subject) else "dreamerlab propose ..."


def launch_command(subject: str) -> str:
    """Return the command that runs `subject`, now or once it is on record."""
    return f"dreamerlab run {subject}" if _is_id(subject) else "dreamerlab run"


def anew(subject: str) -> str:
    """Return how something frozen is said otherwise."""
    return f"dreamerlab withdraw {subject} --why ..., then propose it anew" if _is_id(subject) else "propose it"


def _is_id(subject: str) -> bool:
    return subject.startswith("H")
