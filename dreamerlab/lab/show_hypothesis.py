"""`show H7`: what was asked, where it stands, both arms seed by seed, and what was written about it.

Collects from the registry and from the committed text of the runs; a run that is not in this clone is said to be
absent. How it looks in a terminal is `cli.hypothesis_page`, the rendered page for the log `report.hypothesis_page`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dreamerlab.atomic import read_small
from dreamerlab.errors import LabError, NotFound, ToolFailed, UsageError
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.show import RunDetails, arm_label, collect, curves
from dreamerlab.protocol.entries import Entry, entry_of
from dreamerlab.protocol.registry import ENTRY, Event, Registry
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.report.links import page_name
from dreamerlab.report.verdict_words import figures_of, state_words
from dreamerlab.runs.store import Workspace

TREATMENT, BASELINE = "treatment", "baseline"


@dataclass(frozen=True)
class ArmDetails:
    """One arm of a launched hypothesis; `details` is None and `fault` says why when its run cannot be read here."""

    role: str
    run: str
    details: RunDetails | None
    fault: str | None = None


@dataclass(frozen=True)
class HypothesisDetails:
    """One hypothesis with its runs and everything that was written about it."""

    state: Hypothesis
    events: Sequence[Event]
    arms: Sequence[ArmDetails]
    entries: Sequence[Entry]
    page: Path
    """Where its page in the log is rendered."""
    caveats: Sequence[str]

    @property
    def figures(self) -> Mapping[str, Any]:
        """The figures of the verdict or measurement; none before there is one."""
        return figures_of(self.state.verdict)


def collect_hypothesis(workspace: Workspace, hypothesis_id: str) -> HypothesisDetails:
    """Return everything that is known of a hypothesis; NotFound or ToolFailed when its record cannot be understood."""
    registry = registry_of(workspace)
    record = registry.read(hypothesis_id)
    state = fold(record)
    role = BASELINE if state.proposal.kind == BASELINE else TREATMENT
    runs = {role: state.run, BASELINE: state.baseline_run} if role != BASELINE else {BASELINE: state.run}
    arms = [_arm(workspace, role, run) for role, run in runs.items() if run is not None]
    about = [found for found in _entries_naming(registry, hypothesis_id) if found.dropped is None]
    page = workspace.protocol / page_name(hypothesis_id)
    return HypothesisDetails(state, record.events, arms, about, page, _caveats(state, arms, record.torn))


def hypothesis_line(workspace: Workspace, details: RunDetails) -> str | None:
    """Return the hypothesis a run belongs to, where it stands and what it asked, on one line; None without one."""
    named = details.manifest.hypothesis
    if named is None:
        return None
    try:
        state = fold(registry_of(workspace).read(named))
    except LabError as error:
        return f"{named} (cannot be read: {error.message})"
    return f"{named} ({state_words(state)}): {' '.join(state.proposal.reading.split())}"


def read_entry(workspace: Workspace, entry_id: str) -> Entry:
    """Return an entry of the log by its full id; NotFound or ToolFailed when it cannot be understood."""
    return entry_of(registry_of(workspace).read(entry_id))


def draw_hypothesis(details: HypothesisDetails, path: Path) -> Path:
    """Write the learning curves of both arms to `path` and return it; NotFound when there is nothing to draw."""
    from dreamerlab.report.plots import Arm, Picture, draw_curves

    found = [arm.details for arm in reversed(details.arms) if arm.details is not None]
    if not found:
        raise NotFound(f"there is nothing to draw: no run of {details.state.id} is here")
    metrics = " / ".join(dict.fromkeys(one.metric for one in found))
    reference = found[0].reference
    picture = Picture(
        f"{details.state.id}, {details.state.proposal.base.env}",
        [Arm(arm_label(one), curves(one)) for one in found],
        y_label=metrics,
        random=reference["random"],
        solved=reference["solved"],
    )
    draw_curves(picture, path)
    return path


def refuse_provenance(details: HypothesisDetails) -> None:
    """Say where the provenance of a hypothesis is to be found: it belongs to its runs."""
    runs = [arm.run for arm in details.arms]
    hint = f"dreamerlab show {runs[0]} --provenance" if runs else f"dreamerlab run {details.state.id}"
    raise UsageError(f"--provenance is told of a run, and {details.state.id} is a hypothesis", hint=hint)


def to_data(details: HypothesisDetails) -> dict[str, Any]:
    """Return the details as JSON-ready values."""
    state = details.state
    return {
        "hypothesis": state.id,
        "phase": state.phase,
        "proposed_at": state.proposed_at,
        "author": state.author,
        "launched_at": state.launched_at,
        "ended_at": state.ended_at,
        "adopted_at": state.adopted_at,
        "withdrawn": state.withdrawn,
        "proposal": state.proposal.to_dict(),
        "run": state.run,
        "baseline_run": state.baseline_run,
        "launch": dict(state.launch),
        "verdict": None if state.verdict is None else dict(state.verdict),
        "looks": [dict(look) for look in state.looks],
        "arms": [_arm_data(arm) for arm in details.arms],
        "events": [asdict(event) for event in details.events],
        "entries": [entry_data(found) for found in details.entries],
        "page": str(details.page) if details.page.exists() else None,
        "caveats": list(details.caveats),
        "faults": list(state.faults),
    }


def entry_data(found: Entry) -> dict[str, Any]:
    """Return an entry as JSON-ready values."""
    return {
        "entry": found.id,
        "kind": found.kind,
        "time": found.time,
        "author": found.author,
        "about": list(found.about),
        "text": found.text,
        "fields": dict(found.fields),
        "data": dict(found.data),
        "earlier": [asdict(event) for event in found.earlier],
        "dropped": found.dropped,
        "filed": found.filed,
        "faults": list(found.faults),
    }


def _arm(workspace: Workspace, role: str, run: str) -> ArmDetails:
    try:
        return ArmDetails(role, run, collect(workspace, workspace.run(run)))
    except LabError as error:
        return ArmDetails(role, run, None, error.message)


def _entries_naming(registry: Registry, hypothesis_id: str) -> list[Entry]:
    """Return the entries about a hypothesis, oldest first; of a thousand files only those that name it are parsed."""
    name = hypothesis_id.encode()
    found: list[Entry] = []
    for entry_id in map(str, registry.ids(ENTRY)):
        try:
            if name in read_small(str(registry.path(entry_id))):
                one = entry_of(registry.read(entry_id))
                named = [*one.about, *(one.data.get("hypotheses") or ()), one.filed]
                found += [one] if hypothesis_id in named else []
        except (OSError, NotFound, ToolFailed):
            continue  # lint names it
    return found


def _caveats(state: Hypothesis, arms: Sequence[ArmDetails], torn: bytes) -> list[str]:
    found = [f"the record is damaged: {fault}" for fault in state.faults]
    found += ["the record ends in an unfinished line, left by a crash"] if torn else []
    found += [*state.caveats, *(str(line) for line in state.launch.get("caveats") or ())]
    found += [f"a rule was passed by a flag: {line}" for line in state.launch.get("gates") or ()]
    for arm in arms:
        if arm.details is None:
            found.append(f"the {arm.role} {arm.run} cannot be read here: {arm.fault}")
        else:
            found += [f"{arm.run}: {line}" for line in arm.details.caveats]
    return list(dict.fromkeys(found))


def _arm_data(arm: ArmDetails) -> dict[str, Any]:
    found = arm.details
    if found is None:
        return {"role": arm.role, "run": arm.run, "fault": arm.fault}
    trials = [
        {"seed": one.view.seed, "state": one.view.state, "score": one.score, "so_far": one.so_far}
        for one in found.trials
    ]
    return {"role": arm.role, "run": arm.run, "mean_score": found.mean_score, "trials": trials}
