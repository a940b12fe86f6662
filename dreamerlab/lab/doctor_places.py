"""Checks of `doctor` on where things go: room on the disk, the DVC remote, the server of a user's own MLflow.

A place on the network is asked for a connection and nothing more, with a short patience: whether it lets us in, only
`data push` can tell. Unreachable is no loss, only a delay, since the records are here.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dreamerlab.lab.doctor_findings import Finding
from dreamerlab.lab.retention import disk_use, shared_use
from dreamerlab.report.wording import size
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.dvc_project import is_set_up, remote
from dreamerlab.tracking.mirror_state import URI_VARIABLE

LOW_BYTES = 1_000_000_000
"""Less than this left is a finding: a checkpoint or a database may no longer fit."""
PATIENCE_S = 3.0
_PORTS = {"http": 80, "https": 443, "webdav": 80, "webdavs": 443, "ssh": 22, "hdfs": 8020, "webhdfs": 9870}


def use_by_run(workspace: Workspace) -> dict[str, int]:
    """Return what each run takes on the disk, in bytes."""
    return {use.run: use.total for use in disk_use(workspace)}


def use_shared(workspace: Workspace) -> dict[str, int]:
    """Return what all runs share and what it takes on the disk, in bytes."""
    return shared_use(workspace)


def free_bytes(workspace: Workspace) -> int | None:
    """Return what is left on the disk of the workspace; None when the system does not tell."""
    try:
        return shutil.disk_usage(workspace.path).free
    except OSError:
        return None


def room(workspace: Workspace, free: int | None, disk: Mapping[str, int]) -> Iterator[Finding]:
    """Yield a disk that is nearly full, or has no files left to give, with the run that takes the most."""
    where = str(workspace.path)
    largest = max(disk, key=lambda run: disk[run], default=None)
    hint = None if largest is None else f'dreamerlab data archive {largest} --why "..." drops what is heavy and stored'
    if free is not None and free < LOW_BYTES:
        yield Finding("little disk", where, f"only {size(free)} are left", hint=hint)
    try:
        nodes = os.statvfs(workspace.path)
    except OSError:
        return
    if nodes.f_files and nodes.f_favail == 0:
        yield Finding("little disk", where, "the file system has no room for one more file", hint=hint)


def dvc_remote(workspace: Workspace) -> Iterator[Finding]:
    """Yield a DVC remote that is not there, not writable or does not answer."""
    place = remote(workspace) if is_set_up(workspace) else None
    if place is None:
        return
    if place.folder is None:
        why = _silence(_host_and_port(place.url))
        hint = "nothing is lost, it is still here; elsewhere: dreamerlab data remote URL"
    else:
        why, hint = _folder_fault(place.folder)
    if why is not None:
        yield Finding("remote", place.url, f"the DVC remote {why}: what goes there cannot be safe now", hint=hint)


def no_remote(workspace: Workspace) -> Iterator[str]:
    """Yield that DVC knows no place for artifacts: in a clone that is nothing wrong, but worth knowing."""
    if is_set_up(workspace) and remote(workspace) is None:
        yield "DVC has no remote here: artifacts stay on this disk (dreamerlab data remote URL)"


def mlflow_server(workspace: Workspace) -> Iterator[Finding]:
    """Yield a tracking server that MLFLOW_TRACKING_URI names and that does not answer."""
    uri = os.environ.get(URI_VARIABLE, "")
    why = _silence(_host_and_port(uri)) if uri.startswith(("http://", "https://")) else None
    if why is not None:
        shown = uri.replace(urlsplit(uri).netloc, urlsplit(uri).netloc.rpartition("@")[2])
        text = f"MLflow's server ({URI_VARIABLE}) {why}; once it does: dreamerlab data sync"
        yield Finding("remote", shown, text, hint="start it, or correct the variable; no run is in danger")


def _folder_fault(folder: Path) -> tuple[str | None, str | None]:
    """Return what is wrong with a remote in a folder, and what helps."""
    if not folder.is_dir():
        return f"is not there ({folder})", "mount it; or start it anew: dreamerlab data push --all"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be written ({folder})", "make it writable, or name another: dreamerlab data remote URL"
    return None, None


def _host_and_port(url: str) -> tuple[str, int] | None:
    """Return where a URL connects to; None for those whose address only their own client knows (s3, gs, ...)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port and parts.scheme in _PORTS else None


def _silence(address: tuple[str, int] | None) -> str | None:
    """Return how an address does not answer, None when it does or cannot be asked."""
    if address is None:
        return None
    try:
        with socket.create_connection(address, timeout=PATIENCE_S):
            return None
    except OSError as error:
        return f"does not answer at {address[0]}:{address[1]} ({error.strerror or error})"
