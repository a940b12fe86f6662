"""Which code a run executes: one hash over its sources and the versions below them, and a copy that stays.

The identity covers every source file importable from `dreamerlab.train`, the workspace's own `code.paths`, and the
versions of torch, numpy, gymnasium and box2d (DESIGN section 2), and of pygame, which draws the pictures that may be
observed, where it is installed. A trial runs from a snapshot named after the identity
(`PYTHONPATH=<snapshot> python -P -m dreamerlab.train`), so editing the tree cannot change a run that waits or runs.
Which files: `import_closure.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dreamerlab
from dreamerlab.atomic import atomic_write_json, disk_failure, read_object
from dreamerlab.errors import ConfigError, Conflict, NotFound, ToolFailed
from dreamerlab.runs.directory import PATCH, UNTRACKED
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.environment import package_version
from dreamerlab.tracking.import_closure import import_closure, parsed

ENTRY = "train.__main__"
VERSIONED = ("torch", "numpy", "gymnasium", "box2d", "pygame")
_WHERE_INSTALLED = frozenset({"pygame"})
"""Absent, these are not part of the identity: they joined it when there were runs already."""
RECORD = "snapshot.json"
_SKIPPED = frozenset({"__pycache__"})


@dataclass(frozen=True)
class CodeIdentity:
    """What the code is now: `files` maps each path inside a snapshot to its sha256, `sources` to where it lies."""

    identity: str
    files: Mapping[str, str]
    versions: Mapping[str, str | None]
    sources: Mapping[str, Path]


def compute(workspace: Workspace, package: Path | None = None) -> CodeIdentity:
    """Return the identity of the code as it lies on disk; `package` is the dreamerlab to take (default: this one).

    ConfigError when `code.paths` names something that is not there or not inside the workspace.
    """
    package = package or Path(dreamerlab.__file__).parent
    sources = {
        path.relative_to(package.parent).as_posix(): path for path in import_closure(package, f"{package.name}.{ENTRY}")
    }
    for path in _code_files(workspace):
        name = path.relative_to(workspace.path).as_posix()
        if name in sources and sources[name].resolve() != path.resolve():
            raise ConfigError(f"code.paths holds {name}, which would hide {sources[name]}", hint="rename the folder")
        sources[name] = path
    files = {name: _sha256(sources[name].read_bytes()) for name in sorted(sources)}
    found = {name: package_version(name) for name in VERSIONED}
    versions = {name: one for name, one in found.items() if one is not None or name not in _WHERE_INSTALLED}
    return CodeIdentity(identity_of(files, versions), files, versions, sources)


def identity_of(files: Mapping[str, str], versions: Mapping[str, str | None]) -> str:
    """Return the sha256 over sorted (path, sha256 of the file) and sorted (package, version)."""
    lines = [f"file {name} {files[name]}\n" for name in sorted(files)]
    lines += [f"version {name} {versions[name] or 'absent'}\n" for name in sorted(versions)]
    return _sha256("".join(lines).encode())


def code_paths(workspace: Workspace) -> tuple[str, ...]:
    """Return `code.paths` of protocol/workspace.yaml: files and folders of the user that trials may import."""
    import yaml

    try:
        settings = yaml.safe_load(workspace.marker.read_text())
    except FileNotFoundError:
        return ()
    except yaml.YAMLError as error:
        raise ConfigError(f"{workspace.marker} is not valid YAML: {str(error).splitlines()[0]}") from error
    code = cast("dict[str, Any]", settings).get("code") if isinstance(settings, dict) else None
    paths = cast("dict[str, Any]", code).get("paths") if isinstance(code, dict) else None
    if paths is None:
        return ()
    if not isinstance(paths, list) or not all(isinstance(item, str) for item in cast("list[Any]", paths)):
        raise ConfigError(
            f"code.paths is {paths!r} in {workspace.marker}", hint="write a list, such as paths: [my_envs]"
        )
    return tuple(cast("list[str]", paths))


def require_python(workspace: Workspace, code: CodeIdentity) -> None:
    """Parse the package's modules to their ends, which the closure does not, unless a snapshot of this code is there.

    UsageError names the line that is not valid Python. What else is copied is its owner's.
    """
    if snapshot_path(workspace, code.identity).is_dir():
        return
    package = Path(dreamerlab.__file__).parent.name
    for name, path in code.sources.items():
        if name.startswith(f"{package}/") and path.suffix == ".py":
            parsed(path.read_bytes(), str(path))


def snapshot(workspace: Workspace, code: CodeIdentity) -> Path:
    """Return the folder that holds this code, made now or verified and, where damaged, mended from the tree.

    UsageError when a new one would hold a module of the package that is not valid Python; Conflict when a source
    changes while it is copied; ToolFailed when the disk refuses.
    """
    target = snapshot_path(workspace, code.identity)
    try:
        if target.is_dir():
            for name in _faults(target, code.files):
                _mend(target, code, name)
            return target
        require_python(workspace, code)
        workspace.snapshots.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".new-{target.name}-{os.getpid()}")
        shutil.rmtree(building, ignore_errors=True)
        try:
            building.mkdir()
            for name in code.files:
                _mend(building, code, name)
            record = {"schema": 1, "identity": code.identity, "versions": code.versions, "files": code.files}
            atomic_write_json(building / RECORD, record)
            try:
                building.rename(target)
            except OSError:
                if not target.is_dir():  # if it is, another process has just made the same
                    raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise disk_failure(target, error) from error
    return target


def restore(workspace: Workspace, manifest: Manifest, package: Path | None = None) -> Path:
    """Return a verified snapshot of the code a run was created with, whatever the tree holds today.

    Made again from the tree when that is the same code; otherwise NotFound, or ToolFailed for a damaged snapshot, with
    the commit to check out.
    """
    identity = manifest.code.identity
    target = snapshot_path(workspace, identity)
    fault = "is gone"
    if target.is_dir():
        fault = recorded_fault(target, identity)
        if fault is None:
            return target
    now = compute(workspace, package)
    if now.identity == identity:
        return snapshot(workspace, now)
    failure = ToolFailed if target.is_dir() else NotFound
    raise failure(f"the code of {manifest.id} ({identity[:16]}) {fault} in {target.parent}", hint=_cure(manifest))


def snapshot_path(workspace: Workspace, identity: str) -> Path:
    """Return where the snapshot of an identity lies or would lie."""
    return workspace.snapshots / identity[:16]


def recorded_fault(target: Path, identity: str) -> str | None:
    """Return what is wrong with a snapshot by its own record, in a few words; None when it is whole."""
    try:
        record = read_object(str(target / RECORD))
        if identity_of(record["files"], record["versions"]) != identity:
            return "is not what its record says"
        bad = _faults(target, record["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "has no readable record"
    return f"was altered ({bad[0]})" if bad else None


def recorded_files(workspace: Workspace, identity: str) -> dict[str, str] | None:
    """Return path -> sha256 of the code of an identity, from its snapshot here; None when there is no whole record."""
    try:
        record = read_object(str(snapshot_path(workspace, identity) / RECORD))
        files: dict[str, str] = dict(record["files"])
        return files if identity_of(files, record["versions"]) == identity else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _cure(manifest: Manifest) -> str:
    code = manifest.code
    if code.commit is None:
        return f"nothing records where that code came from; start a new run instead of resuming {manifest.id}"
    patch = f" && git apply runs/{manifest.id}/code.patch" if code.dirty else ""
    copied = any(one.where != PATCH for one in code.kept.values())
    files = f" && cp -r runs/{manifest.id}/{UNTRACKED}/. ." if copied else ""
    return f"git checkout {code.commit[:12]}{patch}{files}, then dreamerlab resume {manifest.id}"


def _faults(target: Path, files: Mapping[str, str]) -> list[str]:
    """Files that differ, are missing, or are modules that do not belong there."""
    bad = [name for name, digest in files.items() if _digest_or_none(target / name) != digest]
    present = {path.relative_to(target).as_posix() for path in target.rglob("*.py")}
    return bad + sorted(present - set(files))


def _mend(target: Path, code: CodeIdentity, name: str) -> None:
    """Put one file in place, whole and read-only; remove it when it does not belong."""
    path = target / name
    if name not in code.files:
        path.unlink()
        return
    data = code.sources[name].read_bytes()
    if _sha256(data) != code.files[name]:
        raise Conflict(
            f"{code.sources[name]} changed while it was copied", hint="save your edits, then repeat the command"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(data)
    draft.chmod(0o444)
    draft.replace(path)


def _code_files(workspace: Workspace) -> list[Path]:
    """Every file under `code.paths`, sorted; caches and hidden files aside."""
    found: set[Path] = set()
    root = workspace.path.resolve()
    for text in code_paths(workspace):
        path = Path(os.path.normpath(workspace.path / text))
        where = f"code.paths: {json.dumps(text)} in {workspace.marker}"
        resolved = path.resolve()
        if not resolved.is_relative_to(root) or resolved == root or not path.is_relative_to(workspace.path):
            raise ConfigError(f"{where} is not below the workspace", hint="name a file or folder inside it")
        if any(
            resolved.is_relative_to(own.resolve())
            for own in (workspace.runs, workspace.hidden, workspace.path / ".git")
        ):
            raise ConfigError(f"{where} holds records, not code", hint="name a file or folder of sources")
        if not path.exists():
            raise ConfigError(f"{where} does not exist", hint="create it, or take it out of the list")
        below = [path] if path.is_file() else path.rglob("*")
        found.update(file for file in below if file.is_file() and not _is_skipped(file.relative_to(workspace.path)))
    return sorted(found)


def _is_skipped(path: Path) -> bool:
    return any(part in _SKIPPED or part.startswith(".") for part in path.parts) or path.suffix == ".pyc"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_or_none(path: Path) -> str | None:
    try:
        return _sha256(path.read_bytes())
    except OSError:
        return None
