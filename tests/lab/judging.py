"""A launched hypothesis with both its runs on disk, in milliseconds: what `settle` finds after a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dreamerlab.lab.execute import Voice
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.settle import Settled, settle
from dreamerlab.protocol.hypothesis import Base, Change, Plan
from dreamerlab.protocol.state import LAUNCHED, Hypothesis, fold
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import write_summary
from tests.lab.arms import make_arm
from tests.lab.hypotheses import happened, propose

CHANGE = Change("optimizer.lr_actor", 1e-4, 2e-5)
Curves = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Case:
    """A hypothesis whose trials are what the test made them."""

    workspace: Workspace
    id: str
    treatment: RunDirectory
    baseline: RunDirectory | None

    @property
    def state(self) -> Hypothesis:
        return fold(registry_of(self.workspace).read(self.id))

    @property
    def record(self) -> bytes:
        return registry_of(self.workspace).path(self.id).read_bytes()

    def copy(self, path: Path) -> Case:
        """Return the same in another folder."""
        shutil.copytree(self.workspace.path, path)
        there = Workspace(path)
        baseline = None if self.baseline is None else there.run(self.baseline.id)
        return Case(there, self.id, there.run(self.treatment.id), baseline)

    def settle(self, warn: Callable[[str], None] = lambda line: None) -> list[Settled]:
        return settle(self.workspace, Voice(lambda line: None, warn))

    def verdict(self) -> dict[str, Any]:
        """Settle and return the data of the verdict."""
        self.settle()
        found = self.state.verdict
        assert found is not None, self.state
        return dict(found)


def a_case(
    workspace: Workspace,
    treatment: Curves,
    baseline: Curves | None,
    *overrides: str,
    unfinished: dict[int, str] | None = None,
    commit: str | None = "ab" * 20,
    dirty: bool = False,
    **proposed: Any,
) -> Case:
    """Make both runs and a hypothesis that was launched on them; `unfinished` names states of treatment seeds."""
    serial = len(list(workspace.runs.glob("R*")))
    base = make_arm(workspace, f"base-{serial}", baseline, *overrides) if baseline is not None else None
    plan = Plan("env_steps", 1000, tuple(range(len(treatment))), tuple(range(len(baseline or ()))), fail_score=0.0)
    plan = replace(plan, **proposed.pop("plan", {}))
    changes = proposed.pop("changes", (CHANGE,) if base is not None else ())
    made = propose(
        workspace, plan=plan, changes=changes, base=Base("cartpole", "nano", ("budget.amount=1000",)), **proposed
    )
    changed = [f"{change.key}={change.after}" for change in changes]
    kind = "treatment" if base is not None else "baseline"
    run = make_arm(
        workspace,
        f"treatment-{serial}",
        treatment,
        *overrides,
        *changed,
        kind=kind,
        hypothesis=made,
        unfinished=unfinished,
    )
    happened(
        workspace,
        made,
        LAUNCHED,
        run=run.id,
        baseline_run=base.id if base is not None else None,
        code={},
        proposal_commit=commit,
        dirty=dirty,
    )
    return Case(workspace, made, run, base)


def end(trial: TrialDirectory, state: str, **changes: Any) -> None:
    """Bring a trial to an end, with its summary."""
    write_status(trial, replace(read_status(trial), state=state, **changes))
    write_summary(trial)
