"""What a rule is: a symptom with its conditions, what causes it, what to check next, and what to try.

The table is in `policy_rules.py`, `value_rules.py`, `model_rules.py`, `run_rules.py`, `config_rules.py` and
`healthy_rules.py`; `table.py` puts it together. A new rule is a new row, never a branch in the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dreamerlab.diagnostics.bounds import OfConfig
from dreamerlab.diagnostics.conditions import Condition

Severity = Literal["critical", "warning", "note", "healthy"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "note", "healthy")
"""Critical: nothing can be learnt so. Warning: learning is probably hurt. Note: worth knowing. Healthy: no finding."""


@dataclass(frozen=True)
class Change:
    """A leaf to try another value of: `to` it, or `times` its present one.

    `unless_below` and `unless_above` leave it out where the present value is already beyond that, `where` unless the
    present value is that one. In `to`, `{updates}` stands for the updates of the run.
    """

    key: str
    to: object = None
    times: float | None = None
    unless_below: float | None = None
    unless_above: float | None = None
    where: object = None


@dataclass(frozen=True)
class Rule:
    """One row of the table."""

    id: str
    severity: Severity
    symptom: str
    """What is wrong, in one line that reads well as the first line of an answer."""
    when: tuple[Condition, ...]
    """All of them hold; where one was not measured the rule says nothing."""
    causes: tuple[str, ...]
    """What brings it about, likeliest first."""
    check: str
    """What to look at next, before anything is changed."""
    sources: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    """What to try, best first; the first that changes something and acts is proposed."""
    explains: tuple[str, ...] = ()
    """Rules whose symptom follows from this one's."""
    unless: tuple[Condition, ...] = ()
    """Where one of these holds the rule says nothing."""
    also: tuple[str, ...] = ()
    """Metrics that are shown beside the evidence."""
    each: str | None = None
    """Metrics, separated by `|`, of each of which the rule is asked, in the place of `*` in its conditions."""
    expect: tuple[str, Literal[">=", "<="], float] | None = None
    """What the change must bring about where the return has no room to rise."""
    asks_to_hold: bool = False
    """Whether a change is tried for what is held: the score is the lowest evaluation after the first solved one."""
    from_spent: float = 0.0
    """Not before this share of the budget is spent: what is about the whole of it, or still levels out."""
    recorded: str | None = None
    """The recorded run that its test reads; None: not yet provoked in a real run."""

    @property
    def reads_config(self) -> bool:
        """Whether it reads the recorded config beside the metrics."""
        return any(isinstance(value, OfConfig) for one in (*self.when, *self.unless) for value in vars(one).values())

    def watches(self) -> Iterator[str]:
        """Yield every metric it needs, alternatives separated by `|`, each once."""
        yield from dict.fromkeys(metric for one in (*self.when, *self.unless) for metric in one.metrics)
