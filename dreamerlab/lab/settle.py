"""Settling: every hypothesis that runs is brought as far as its records carry it, and that is put on record.

For each one, in this order: `trial-finished` for every trial that has ended, `look` for every declared look whose
seeds are in, `judged` or `measured` once all is there. Each event once, whoever asks and how often: called at the end
of `run` and `resume`, before the next run, and by `doctor --fix`. After it, a hypothesis whose phase is no longer
`running` needs no further trial, also when a look has ended it early.

A look at k seeds uses the first k declared seeds of the treatment and ALL seeds of the baseline, so the baseline is
trained in full before the first look. What the verdict is, is `judge.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dreamerlab.errors import LabError
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.faults import summary_digest
from dreamerlab.lab.judge import Evidence, collect, outcomes
from dreamerlab.lab.ledger import append, registry_of
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.registry import Record
from dreamerlab.protocol.state import (
    JUDGED,
    LOOK,
    MEASURED,
    RUNNING,
    TRIAL_FINISHED,
    TRIAL_KILLED,
    Hypothesis,
    fold,
    hypotheses,
)
from dreamerlab.protocol.verdict import headline
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace


@dataclass(frozen=True)
class Settled:
    """A hypothesis that has just come to its end, or to a look that did not end it."""

    hypothesis: str
    run: str
    event: str
    """`judged`, `measured` or `look`."""
    data: Mapping[str, Any]
    """Of that event."""
    baseline_run: str | None = None

    @property
    def runs(self) -> list[str]:
        """The runs it is about."""
        return [self.run, *([self.baseline_run] if self.baseline_run is not None else [])]

    @property
    def line(self) -> str:
        """The news in one line: `H0007-k3f: SUPPORTED, strong`."""
        if self.event == JUDGED:
            return f"{self.hypothesis}: {headline(self.data)}"
        if self.event == LOOK:
            return f"{self.hypothesis}: {self.data['outcome']} at the look of {self.data['seeds']} seeds, and goes on"
        arm = self.data["figures"]["treatment"]
        return f"{self.hypothesis}: measured, {arm['n']} seeds"


def settle(workspace: Workspace, voice: Voice, *, commit: bool = True) -> list[Settled]:
    """Put on record whatever has come to its end since the last time, and return it, baselines first.

    A hypothesis whose records cannot be read is one warning; the others are settled all the same.
    """
    waiting = [one for one in hypotheses(registry_of(workspace)) if one.phase == RUNNING and one.run is not None]
    found: list[Settled] = []
    touched: list[str] = []
    for hypothesis in sorted(waiting, key=lambda one: (one.proposal.kind != "baseline", one.id)):
        try:
            news, written = _settle(workspace, hypothesis)
        except (LabError, OSError) as error:
            said = error.message if isinstance(error, LabError) else str(error)
            voice.warn(f"{hypothesis.id} cannot be judged: {said}")
            continue
        found += news
        if written:
            touched.append(hypothesis.id)
    if touched:
        publish(workspace, touched, _subject(found, touched), voice.warn, wanted=commit)
    return found


def _settle(workspace: Workspace, hypothesis: Hypothesis) -> tuple[list[Settled], bool]:
    assert hypothesis.run is not None, hypothesis.id
    evidence = collect(workspace, hypothesis)
    written = False
    for seed in sorted(evidence.ended):
        written |= _record_trial(workspace, hypothesis, evidence, seed)
    if written:  # what is on record now is part of the evidence
        evidence = collect(workspace, fold(registry_of(workspace).read(hypothesis.id)))
    news: list[Settled] = []
    for event, data in outcomes(evidence):
        if _append_once(workspace, hypothesis.id, event, data):
            news.append(Settled(hypothesis.id, str(hypothesis.run), event, data, hypothesis.baseline_run))
    return news, written or bool(news)


def _record_trial(workspace: Workspace, hypothesis: Hypothesis, evidence: Evidence, seed: int) -> bool:
    """Put the end of a trial on record, once for each attempt that ended it; return whether that was news."""
    assert hypothesis.run is not None, hypothesis.id
    trial = workspace.run(hypothesis.run).trial(seed)
    known = [event for event in hypothesis.trials if (event["run"], event["seed"]) == (hypothesis.run, seed)]
    attempts = len(read_attempts(trial))
    if any(event["event"] == TRIAL_KILLED or event.get("attempts") == attempts for event in known):
        return False
    data = {
        "run": hypothesis.run,
        "seed": seed,
        "state": read_status(trial).state,
        "score": evidence.treatment.scores.get(seed),
        "attempts": attempts,
        "summary_sha256": summary_digest(trial),
    }
    return _append_once(workspace, hypothesis.id, TRIAL_FINISHED, data)


class _OnRecord(Exception):
    """Another process was faster."""


def _append_once(workspace: Workspace, record_id: str, event: str, data: Mapping[str, Any]) -> bool:
    """Append an event unless the hypothesis has ended, or has the same event already; return whether it was."""

    def provided(record: Record) -> None:
        state = fold(record)
        if state.phase != RUNNING:
            raise _OnRecord
        if event == LOOK and any(look["seeds"] == data["seeds"] for look in state.looks):
            raise _OnRecord
        if event == TRIAL_FINISHED and {"event": event, **data} in state.trials:
            raise _OnRecord

    try:
        append(workspace, record_id, event, data, provided=provided)
    except _OnRecord:
        return False
    return True


def _subject(found: list[Settled], touched: list[str]) -> str:
    ends = [one for one in found if one.event in (JUDGED, MEASURED)]
    if len(ends) == 1:
        return ends[0].line
    if ends:
        return f"Verdicts on {', '.join(one.hypothesis for one in ends)}"
    return f"Record trials of {', '.join(touched)}"
