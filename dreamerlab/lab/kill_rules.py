"""Kill rules at work: a trial is ended when a metric is on the wrong side of a value, as declared before the launch.

A rule reads the lines a trial has written, never what somebody saw, so that whether it fires does not depend on when
anybody looked: the first line at or after the rule's env steps that is on the wrong side ends the trial, also when
the line is found after the trial has ended by itself. The event is written before the trainer is stopped. What score
such a trial takes is the verdict's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dreamerlab.errors import LabError
from dreamerlab.lab.ledger import append
from dreamerlab.launch.trainer import record_end
from dreamerlab.metrics import ALIASES
from dreamerlab.protocol.hypothesis import KillRule
from dreamerlab.protocol.registry import Record
from dreamerlab.protocol.state import RUNNING, TRIAL_KILLED, Hypothesis, fold
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.series import Line, line_values
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace


@dataclass(frozen=True)
class Firing:
    """A rule that has fired, and the line that made it."""

    rule: KillRule
    env_steps: int
    value: float

    @property
    def words(self) -> str:
        """The rule and what was seen, in one line."""
        return f"kill rule {rule_words(self.rule)}: it was {self.value:g} at {self.env_steps:,}"


def rule_words(rule: KillRule) -> str:
    """Return a rule as it was declared."""
    return f"{rule.metric} {rule.operator} {rule.value:g} at {rule.env_steps:,} env steps"


@dataclass
class KillRules:
    """The rules of the runs that are trained now; call it with a trial to learn whether one has ended it."""

    workspace: Workspace
    owners: Mapping[str, Hypothesis]
    """Run id -> the hypothesis whose plan it follows."""
    warn: Callable[[str], None]
    _tails: dict[Path, _Tail] = field(default_factory=dict[Path, "_Tail"])

    def __call__(self, trial: TrialDirectory) -> str | None:
        """Return why the trial is over, with the event on record; None while no rule has fired."""
        owner = self.owners.get(trial.run.id)
        if owner is None or not owner.proposal.plan.kill:
            return None
        firing = _first(self._new_lines(trial), owner.proposal.plan.kill)
        if firing is None:
            return None
        try:
            record_kill(self.workspace, owner.id, trial, firing)
        except LabError as error:
            # The line stays in the trial's file: the rule fires again when the hypothesis is continued.
            self.warn(f"the end of seed {trial.seed} of {trial.run.id} is not on record yet: {error.message}")
        return firing.words

    def _new_lines(self, trial: TrialDirectory) -> Iterator[Line]:
        for path in [trial.evals_path, *(trial.metrics_path(number_) for number_ in trial.attempts())]:
            yield from self._tails.setdefault(path, _Tail(path)).read()


def fired(trial: TrialDirectory, rules: Sequence[KillRule]) -> Firing | None:
    """Return the first firing in everything that a trial has written, or None."""
    paths = [trial.evals_path, *(trial.metrics_path(number_) for number_ in trial.attempts())]
    return _first((line for path in paths for line in _Tail(path).read()), rules) if rules else None


def record_kill(workspace: Workspace, hypothesis: str, trial: TrialDirectory, firing: Firing) -> None:
    """Put the end of a trial by a rule on record, once, and never of a hypothesis that has come to its own end."""
    seen = {"run": trial.run.id, "seed": trial.seed}

    def once(record: Record) -> None:
        if fold(record).phase != RUNNING:
            raise _OnRecord
        for event in record.events:
            if event.event == TRIAL_KILLED and {key: event.data.get(key) for key in seen} == seen:
                raise _OnRecord

    data = {**seen, "rule": rule_words(firing.rule), "env_steps": firing.env_steps, "value": firing.value}
    try:
        append(workspace, hypothesis, TRIAL_KILLED, data, provided=once)
    except _OnRecord:
        return


def mend_kills(workspace: Workspace, hypothesis: Hypothesis) -> None:
    """Bring trials that a rule has ended, and whose supervisor was killed before it could say so, to that end."""
    if hypothesis.run is None or hypothesis.phase != RUNNING or not hypothesis.proposal.plan.kill:
        return
    run = workspace.run(hypothesis.run)
    for trial in run.trials():
        status = read_status(trial)
        if effective_state(status) in ONGOING:
            continue
        firing = fired(trial, hypothesis.proposal.plan.kill)
        if firing is not None:
            record_kill(workspace, hypothesis.id, trial, firing)
            if status.state != "stopped":
                record_end(trial, status.attempt, "stopped", firing.words)


class _OnRecord(Exception):
    """The event is there already, or comes too late."""


@dataclass
class _Tail:
    """The whole lines that were appended to a file since the last look."""

    path: Path
    offset: int = 0

    def read(self) -> list[Line]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [line for raw in whole.split(b"\n") if (line := _object(raw)) is not None]


def _object(raw: bytes) -> Line | None:
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _first(lines: Iterable[Line], rules: Sequence[KillRule]) -> Firing | None:
    for line in lines:
        steps, seen = line.get("env_steps"), line_values(line)
        for rule in rules:
            value = seen.get(ALIASES.get(rule.metric, rule.metric))
            if value is not None and isinstance(steps, int) and steps >= rule.env_steps and _wrong(rule, value):
                return Firing(rule, steps, value)
    return None


def _wrong(rule: KillRule, value: float) -> bool:
    return value < rule.value if rule.operator == "<" else value > rule.value
