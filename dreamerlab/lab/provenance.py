"""Which repository the code of a run belongs to, and what of it no commit gives back: one git state for one run.

The code scope is dreamerlab itself, the workspace's `code.paths` and `env_configs/`. Our own records never count as
changes (DESIGN section 5). A file that the run imports and that is neither in the commit nor in the patch is copied
into the run. What was recorded is read back by `surroundings.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import dreamerlab
from dreamerlab.runs.directory import PATCH, UNTRACKED
from dreamerlab.runs.manifest import Code, Kept
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import CodeIdentity, code_paths, snapshot_path
from dreamerlab.tracking.git_state import GitSilent, GitState, capture, git, unknown_to_git

_INSTALLED = frozenset({"site-packages", "dist-packages"})


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
    where = f"dreamerlab itself lies outside, in {package.parent}{_at_commit(elsewhere)}"
    return replace(state, note=_joined(state.note, where))


def copies(workspace: Workspace, identity: CodeIdentity, state: GitState) -> dict[str, Path]:
    """Return what is copied into the run: name -> the file in the snapshot, which cannot change any more."""
    folder = snapshot_path(workspace, identity.identity)
    return {name: folder / name for name in _uncovered(identity, state)}


def manifest_code(identity: CodeIdentity, state: GitState, copied: Mapping[str, Path]) -> Code:
    """Return what the manifest records of the code; `copied` is what `copies` has found."""
    return Code(
        identity.identity,
        state.commit,
        state.branch,
        state.dirty,
        state.untracked,
        state.note,
        hashlib.sha256(state.patch).hexdigest() if state.patch else None,
        {**_in_patch(state), **{name: _kept(path, f"{UNTRACKED}/{name}") for name, path in copied.items()}},
    )


def _in_patch(state: GitState) -> dict[str, Kept]:
    if state.top is None:
        return {}
    names = [name for name in state.untracked if name not in state.left_out]
    return {name: _kept(state.top / name, PATCH) for name in names if (state.top / name).is_file()}


def _uncovered(identity: CodeIdentity, state: GitState) -> list[str]:
    """Return the names in the snapshot of the imported sources that neither commit nor patch gives back."""
    top = None if state.top is None else state.top.resolve()
    patched = {(top / name).resolve() for name in {*state.untracked} - {*state.left_out}} if top else set[Path]()
    repositories: dict[Path | None, list[str]] = {}
    tops: dict[Path, Path | None] = {}
    for name, path in identity.sources.items():
        resolved = path.resolve()
        if _INSTALLED & set(resolved.parts) or resolved in patched:
            continue  # the version of a package names what is installed
        if top is None or not resolved.is_relative_to(top):
            tops.setdefault(resolved.parent, _top(resolved.parent))
        repositories.setdefault(tops.get(resolved.parent, top), []).append(name)
    # Of another repository there is no patch: what was changed in it is copied whole.
    return sorted(
        name for one, names in repositories.items() for name in _missing(identity, one, names, changed=one != top)
    )


def _missing(identity: CodeIdentity, top: Path | None, names: Sequence[str], *, changed: bool) -> list[str]:
    """Return those of the named sources that the repository at `top` does not give back: all where there is none."""
    by_path = {identity.sources[name]: name for name in names}
    try:
        return (
            list(names) if top is None else [by_path[path] for path in unknown_to_git(top, [*by_path], changed=changed)]
        )
    except GitSilent:
        return list(names)


def _kept(path: Path, where: str) -> Kept:
    data = path.read_bytes()
    return Kept(hashlib.sha256(data).hexdigest(), len(data), where)


def _top(folder: Path) -> Path | None:
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n")).resolve()
    except GitSilent:
        return None


def _at_commit(top: Path | None) -> str:
    try:
        return "" if top is None else f" at commit {git(top, 'rev-parse', 'HEAD').decode().strip()[:12]}"
    except GitSilent:
        return ""


def _joined(*notes: str | None) -> str:
    return "; ".join(note for note in notes if note)
