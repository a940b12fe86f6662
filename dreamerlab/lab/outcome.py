"""What became of a hypothesis, as the command that ran it says it: the verdict, in words and as data, and its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN, RUNNING, Hypothesis, fold
from dreamerlab.protocol.verdict import headline
from dreamerlab.runs.store import Workspace


@dataclass(frozen=True)
class Outcome:
    """Where a hypothesis stands after its trials."""

    hypothesis: Hypothesis
    page: Path | None
    """Its page in the notebook, when that is written."""

    def to_text(self) -> str:
        """Return the outcome as lines for people."""
        state = self.hypothesis
        lines = [f"{state.id}  {state.proposal.sentence}"]
        if state.phase == DONE_JUDGED:
            verdict: Mapping[str, Any] = state.verdict or {}
            lines.append(f"verdict: {headline(verdict)}")
            lines += [f"  {reason}" for reason in verdict.get("reasons") or ()]
        elif state.phase == DONE_MEASURED:
            lines.append("measured: nothing was predicted, so nothing is judged")
        elif state.phase == DONE_WITHDRAWN:
            lines.append(f"withdrawn, so nothing is judged: {state.withdrawn}")
        elif state.phase == RUNNING:
            lines.append("no verdict yet: not every seed has come to its end")
        if self.page is not None:
            lines.append(f"page: {self.page}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON-ready values."""
        state = self.hypothesis
        return {
            "hypothesis": state.id,
            "sentence": state.proposal.sentence,
            "phase": state.phase,
            "verdict": dict(state.verdict) if state.verdict is not None else None,
            "page": None if self.page is None else str(self.page),
        }


def outcome_of(workspace: Workspace, hypothesis: Hypothesis | None) -> Outcome | None:
    """Return where `hypothesis` stands now, or None when there is none."""
    if hypothesis is None:
        return None
    page = workspace.protocol / "hypotheses" / f"{hypothesis.id}.md"
    state = fold(registry_of(workspace).read(hypothesis.id))
    return Outcome(state, page.relative_to(workspace.path) if page.exists() else None)
