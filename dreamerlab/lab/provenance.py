"""Which repository the code of a run belongs to, and what it differed by: one git state for one run.

The code scope is dreamerlab itself, the workspace's `code.paths` and `env_configs/`. Our own records never count as
changes (DESIGN section 5).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dreamerlab
from dreamerlab.runs.manifest import Code
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import CodeIdentity, code_paths
from dreamerlab.tracking.git_state import GitSilent, GitState, capture, git


def code_state(workspace: Workspace) -> GitState:
    """Return the git state of the code scope; of the repository that holds dreamerlab, if that is a different one.

    Where the workspace brings code of its own, its repository is the one to know, and the other is named in `note`.
    """
    package = Path(dreamerlab.__file__).resolve().parent
    own = code_paths(workspace)
    top = _top(workspace.path)
    if top is not None and package.is_relative_to(top):
        return capture(workspace.path, [workspace.env_configs.name, *own, str(package)])
    elsewhere = _top(package)
    if elsewhere is not None and not own:
        state = capture(package, ["."])
        return replace(state, note=_joined(state.note, f"the commit is that of dreamerlab in {elsewhere}"))
    state = capture(workspace.path, [workspace.env_configs.name, *own])
    return replace(state, note=_joined(state.note, f"dreamerlab itself lies outside, in {package.parent}"))


def manifest_code(identity: CodeIdentity, state: GitState) -> Code:
    """Return what the manifest records of the code."""
    return Code(identity.identity, state.commit, state.branch, state.dirty, state.untracked, state.note)


def _top(folder: Path) -> Path | None:
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n")).resolve()
    except GitSilent:
        return None


def _joined(*notes: str | None) -> str:
    return "; ".join(note for note in notes if note)
