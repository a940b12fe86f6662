"""What about the code decides whether a run may start: uncommitted files in scope, and how two codes differ.

The scope is what a trial executes (dreamerlab's own sources and the workspace's `code.paths`) and `env_configs/`;
records, tests and the command line never count (DESIGN section 5). What a run writes down about git is `provenance.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.atomic import read_object
from dreamerlab.lab.records import in_git
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.protocol.violations import named
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import RECORD, VERSIONED, CodeIdentity, code_paths, snapshot_path
from dreamerlab.tracking.git_state import GitSilent, git


@dataclass(frozen=True)
class Uncommitted:
    """Files of the scope that differ from the commit, staged and untracked ones included."""

    here: tuple[str, ...] = ()
    """In the workspace's own repository, relative to its top."""
    elsewhere: tuple[str, ...] = ()
    """Sources of a dreamerlab that lies in another repository, absolute."""
    silence: str | None = None
    """Why git could not tell about the workspace, in a few words; None when it could."""


def uncommitted(workspace: Workspace, code: CodeIdentity) -> Uncommitted:
    """Return what of the code in scope is in no commit."""
    sources = [path.resolve() for path in code.sources.values()]
    if not in_git(workspace.path):
        outside = _outside(sources, None)
        return Uncommitted(elsewhere=outside, silence="the workspace is not in a git repository")
    try:
        top = Path(git(workspace.path, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n"))
        own = [workspace.env_configs, *(workspace.path / text for text in code_paths(workspace))]
        inside = [path for path in sources if path.is_relative_to(top.resolve())]
        here = _changed(workspace.path, [*own, *inside])
    except GitSilent as silence:
        return Uncommitted(silence=str(silence))
    return Uncommitted(tuple(here), _outside(sources, top.resolve()))


def must_be_committed(workspace: Workspace, proposal: Proposal, scope: Uncommitted) -> tuple[str, ...]:
    """Return the uncommitted files that forbid a launch: the workspace's own, and those a change of code may be in.

    Where the workspace has no code of its own, a change of the code can only be in dreamerlab itself.
    """
    in_dreamerlab = proposal.code is not None and not code_paths(workspace)
    return (*scope.here, *(scope.elsewhere if in_dreamerlab else ()))


def provenance_caveats(scope: Uncommitted, forbidding: Sequence[str], *, allowed: bool) -> list[str]:
    """Return what has to be remembered of the code's place in git; `forbidding` are `must_be_committed`."""
    caveats: list[str] = []
    if forbidding and allowed:
        caveats.append(f"uncommitted changes in {named(forbidding)}")
    if scope.elsewhere and not set(scope.elsewhere) <= set(forbidding):
        caveats.append(f"dreamerlab itself has uncommitted changes: {named(scope.elsewhere)}")
    if scope.silence is not None:
        caveats.append(f"no order of records can be proven: {scope.silence}")
    return caveats


def changed_sources(workspace: Workspace, manifest: Manifest, code: CodeIdentity) -> list[str] | None:
    """Return the source files in which the code of a run and `code` differ; None when that cannot be found out."""
    try:
        recorded: dict[str, Any] = read_object(str(snapshot_path(workspace, manifest.code.identity) / RECORD))
        before: dict[str, str] = dict(recorded["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sorted(name for name in {*before, *code.files} if before.get(name) != code.files.get(name))


def changed_versions(manifest: Manifest, code: CodeIdentity) -> dict[str, tuple[str, str]]:
    """Return the packages below the code whose version is not the recorded one: name -> (recorded, now)."""
    recorded: dict[str, Any] = dict(manifest.environment.get("packages") or {})
    found: dict[str, tuple[str, str]] = {}
    for name in VERSIONED:
        before, now = recorded.get(name), code.versions.get(name)
        if name in recorded and before != now:
            found[name] = (str(before or "absent"), str(now or "absent"))
    return found


def _outside(sources: Sequence[Path], top: Path | None) -> tuple[str, ...]:
    """Changed sources that lie in a repository of their own; none where they are merely installed."""
    outside = [path for path in sources if top is None or not path.is_relative_to(top)]
    if not outside:
        return ()
    folder = outside[0].parent
    try:
        elsewhere = Path(git(folder, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n"))
        return tuple(str(elsewhere / name) for name in _changed(elsewhere, outside))
    except GitSilent:
        return ()


def _changed(folder: Path, paths: Sequence[Path]) -> list[str]:
    existing = [str(path) for path in paths]
    listed = git(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *existing)
    return sorted(entry[3:].decode(errors="backslashreplace") for entry in listed.split(b"\0") if len(entry) > 3)
