"""A small workspace in which everything is as it should be: proposed, committed, run, committed. For `lint` to read."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dreamerlab.lab.execute import Voice
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.log import write_log
from dreamerlab.lab.settle import settle
from dreamerlab.protocol import state
from dreamerlab.protocol.chain import Event, encode, first_link, link
from dreamerlab.protocol.hypothesis import Base, Change
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace
from tests.lab.arms import flat, make_arm
from tests.lab.hypotheses import happened, noted, propose
from tests.lab.workspaces import git, light_workspace

BASE = Base("cartpole", "nano", ("budget.amount=1000", "eval.every=100"))


@dataclass(frozen=True)
class Told:
    """One hypothesis with its two runs, all committed in the right order."""

    workspace: Workspace
    hypothesis: str
    treatment: RunDirectory
    baseline: RunDirectory

    @property
    def record(self) -> Path:
        return registry_of(self.workspace).path(self.hypothesis)

    def copy(self, path: Path) -> Told:
        """Return the same in another folder, for tests that change something."""
        shutil.copytree(self.workspace.path, path, symlinks=True)
        workspace = Workspace(path)
        return Told(workspace, self.hypothesis, workspace.run(self.treatment.id), workspace.run(self.baseline.id))

    def commit(self, message: str = "later") -> str:
        """Render the log and commit everything, as every command does."""
        write_log(self.workspace)
        return commit_all(self.workspace.path, message)


def tell(path: Path, *, proposed_first: bool = True, proposal_commit: bool = True) -> Told:
    """Make the workspace at `path`, a folder in a repository or one that becomes a repository."""
    workspace = light_workspace(path)
    if not any((folder / ".git").exists() for folder in (path, *path.parents)):
        git(path, "init", "--quiet", "--initial-branch=main")
    baseline = make_arm(workspace, "reference", flat(100, 110, 120))
    noted(workspace, "observation", "how the reference was measured", baseline.id)
    commit_all(path, "reference")
    hypothesis = propose(workspace, base=BASE, changes=(Change("optimizer.lr_actor", 0.0001, 2e-5),))
    commit = commit_all(path, "propose") if proposed_first else None
    treatment = launch(workspace, hypothesis, baseline, commit if proposal_commit else None)
    judge(workspace)
    told = Told(workspace, hypothesis, treatment, baseline)
    told.commit("records")
    return told


def launch(workspace: Workspace, hypothesis: str, baseline: RunDirectory, commit: str | None) -> RunDirectory:
    """Make the treatment run of a hypothesis and launch it."""
    curves = flat(150, 160, 170)
    run = make_arm(workspace, "slower", curves, "optimizer.lr_actor=2e-5", kind="treatment", hypothesis=hypothesis)
    data = {"run": run.id, "baseline_run": baseline.id, "code": {}, "dirty": False, "proposal_commit": commit}
    happened(workspace, hypothesis, state.LAUNCHED, **data, caveats=[], gates=[])
    return run


def judge(workspace: Workspace) -> None:
    """Put on record what has ended, as `run` does."""
    settle(workspace, Voice(lambda _: None, lambda _: None), commit=False)


def multiply(told: Told, count: int) -> None:
    """Add `count` honest copies of the hypothesis with its treatment run: all proposed, committed, run, committed."""
    registry, events = registry_of(told.workspace), registry_of(told.workspace).read(told.hypothesis).events
    made = [(registry.path(f"H{number:04d}-abc"), f"R{number:04d}-abc") for number in range(100, 100 + count)]
    for path, run in made:
        _write(path, [replace(one, data=_renamed(one.data, told, run, path.stem)) for one in events[:1]])
    told.commit("propose many")
    for path, run in made:
        _write(path, [replace(one, data=_renamed(one.data, told, run, path.stem)) for one in events])
        copy = told.workspace.run(run)
        shutil.copytree(told.treatment.path, copy.path)
        facts = _renamed(json.loads(copy.manifest_path.read_text()), told, run, path.stem)
        copy.manifest_path.write_text(json.dumps({**facts, "name": None}))
    told.commit("records of many")


def _renamed(data: Any, told: Told, run: str, hypothesis: str) -> Any:
    text = json.dumps(dict(data)).replace(told.treatment.id, run).replace(told.hypothesis, hypothesis)
    return json.loads(text)


def commit_all(path: Path, message: str) -> str:
    git(path, "add", "--all", ".")
    git(path, "commit", "--quiet", "--message", message)
    return git(path, "rev-parse", "HEAD").strip()


def forge(path: Path, line: int, **changes: object) -> None:
    """Rewrite the record at `path` with other data in one line, and make every checksum fit again."""
    events: list[Event] = []
    for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
        value = json.loads(raw)
        data = {**value["data"], **changes} if number == line else value["data"]
        events.append(Event(value["event"], value["time"], value["author"], data))
    _write(path, events)


def _write(path: Path, events: list[Event]) -> None:
    previous, content = first_link(path.stem), b""
    for number, event in enumerate(events, start=1):
        written = encode(event, number, previous)
        content += written
        previous = link(written.removesuffix(b"\n"))
    path.write_bytes(content)
