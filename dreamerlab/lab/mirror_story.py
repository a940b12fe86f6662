"""What MLflow is told about a run: the hypothesis behind it and its verdict, in words, and the files worth seeing.

Composed from the records alone and cheap to ask for again: the registry is only read when a file in it has changed.
Who sends it is `tracking.mlflow_mirror`, how a verdict is worded `report.verdict_words`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.state import Hypothesis, hypotheses
from dreamerlab.report.links import page_name
from dreamerlab.report.prose import plain
from dreamerlab.report.verdict_words import (
    effect,
    figures_of,
    happened,
    is_no_result,
    qualifiers,
    state_words,
    sureness,
    verdict_words,
)
from dreamerlab.report.wording import amount
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mlflow_mirror import Attachment, Story

_FIGURES = (".svg", ".png")
_FILMS = (".gif", ".mp4", ".png")
_FEW = 20
"""Hypotheses named in the note of a run that is the baseline of many."""


class Teller:
    """Composes the story of one run, again whenever it is asked to."""

    def __init__(self, workspace: Workspace, run: RunDirectory) -> None:
        self._workspace, self._run = workspace, run
        self._manifest = read_manifest(run.manifest_path)
        self._stamp: object = None
        self._own: Hypothesis | None = None
        self._served: list[Hypothesis] = []

    def story(self) -> Story:
        """Return what is to be told now."""
        stamp = _stamp(registry_of(self._workspace).folder)
        if stamp != self._stamp:
            states = list(hypotheses(registry_of(self._workspace)))
            self._own = next((one for one in states if one.run == self._run.id), None)
            self._served = [one for one in reversed(states) if one.baseline_run == self._run.id]
            self._stamp = stamp
        files = films(self._workspace, self._run)
        page = None
        if self._own is not None:
            pages = pages_of(self._workspace, self._own.id)
            page = next(iter(pages), None)
            files |= pages
        attached = {name: found for name, path in files.items() if (found := _attachment(path)) is not None}
        words = note(self._manifest, self._own, self._served)
        return Story(_tags(self._own, self._served), words, attached, page)


def note(manifest: Manifest, own: Hypothesis | None, served: Sequence[Hypothesis]) -> str:
    """Return the words at the top of a run's page in MLflow, in markdown."""
    parts: list[str] = []
    if own is not None:
        name = f" ({plain(own.proposal.name)})" if own.proposal.name else ""
        parts.append(f"**{own.id}**{name}: {plain(own.proposal.sentence)}")
        parts.append(_verdict(own))
    if served:
        lines = [
            f"- {one.id}: {plain(one.proposal.sentence)}: **{state_words(one)}**{_effect(one, ', ')}" for one in served
        ]
        more = [f"- and {len(lines) - _FEW} more"] if len(lines) > _FEW else []
        parts.append("\n".join(["Baseline of:", "", *lines[:_FEW], *more]))
    seeds, budget = len(manifest.seeds), amount(manifest.budget.amount, manifest.budget.unit)
    parts.append(f"{manifest.kind} on {plain(manifest.env)}, {seeds} seed{'' if seeds == 1 else 's'}, {budget} each")
    return "\n\n".join(parts)


def pages_of(workspace: Workspace, hypothesis: str) -> dict[str, Path]:
    """Return the page of a hypothesis and its figures as they are rendered now, by artifact path; the page first."""
    page = workspace.protocol / page_name(hypothesis)
    figures = [path for path in sorted(page.parent.glob(f"{hypothesis}-*")) if path.suffix in _FIGURES]
    return {f"hypothesis/{path.name}": path for path in (page, *figures) if path.is_file()}


def films(workspace: Workspace, run: RunDirectory) -> dict[str, Path]:
    """Return the films of a run, by the name `watch` gives them, and each seed's newest prediction."""
    trials = run.trials()
    folders = (workspace.path, run.path, *(trial.artifacts / "videos" for trial in trials))
    named = [path for folder in folders for path in sorted(folder.glob(f"{run.id}-*"))]
    found = {f"videos/{path.name}": path for path in named if path.suffix.lower() in _FILMS and path.is_file()}
    for trial in trials:
        newest = max((path for path in trial.predictions.glob("*.*")), key=lambda path: path.name, default=None)
        if newest is not None:
            found[f"predictions/{trial.path.name}{newest.suffix}"] = newest
    return found


def _tags(own: Hypothesis | None, served: Sequence[Hypothesis]) -> dict[str, str]:
    tags: dict[str, str] = {}
    if own is not None:
        tags = {
            "dreamerlab.hypothesis": own.id,
            "dreamerlab.sentence": own.proposal.sentence,
            "dreamerlab.hypothesis_kind": own.proposal.kind,
            "dreamerlab.verdict": state_words(own),
            "dreamerlab.effect": _effect(own, ""),
        }
    if served:
        tags["dreamerlab.baseline_of"] = ", ".join(one.id for one in served)
    return tags


def _verdict(state: Hypothesis) -> str:
    """Return where a hypothesis stands; of a judged one the verdict, the effect with its interval, how sure that is."""
    if state.verdict is None:
        return f"**{state_words(state)}**: there is no verdict yet"
    if state.proposal.expectation is None:
        return f"**{state_words(state)}**: nothing was predicted, so nothing is judged. {happened(state)}"
    lines = [verdict_words(state.verdict), happened(state), f"How sure: {sureness(state.verdict)}"]
    return "\n\n".join([*lines, *(f"- {line}" for line in qualifiers(state.verdict))])


def _effect(state: Hypothesis, before: str) -> str:
    if state.verdict is None:
        return ""
    if is_no_result(state.verdict):
        return f"{before}no result"
    return before + effect(figures_of(state.verdict), state.proposal.expectation)


def _attachment(path: Path) -> Attachment | None:
    try:
        found = path.stat()
    except OSError:
        return None  # replaced at this moment, or gone
    return Attachment(path, f"{found.st_size} {found.st_mtime_ns}")


def _stamp(folder: Path) -> tuple[int, int]:
    """Return how many files a folder holds and when the newest was written."""
    try:
        with os.scandir(folder) as entries:
            times = [entry.stat().st_mtime_ns for entry in entries]
    except OSError:
        times = []
    return len(times), max(times, default=0)
