"""`ui`: MLflow's own pages over this workspace's mirror, for this machine only, opened at the run that is meant.

The address is checked before the server is started, since its own failure comes seconds later and at length; the page
is only named once it answers. Where the mirror goes to a server of the user's, that one is pointed at instead.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.error import URLError
from urllib.request import urlopen

from dreamerlab.errors import Conflict, NotFound, ToolFailed
from dreamerlab.lab.aftercare import last_line, log_path
from dreamerlab.lab.mirror import INSTALL_HINT, prepare
from dreamerlab.lab.preflight import is_installed
from dreamerlab.runs.store import Workspace, find_run, run_ids
from dreamerlab.tracking.mirror_state import (
    URI_VARIABLE,
    installed_version,
    is_wanted,
    load_place,
    prepared_with,
    store_uri,
)

_HOST = "127.0.0.1"
_START_LIMIT_S = 180.0
# The job runner behind MLflow's assistants would triple its memory; nothing here uses it.
_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def serve(
    workspace: Workspace, text: str | None, port: int, say: Callable[[str], None], emit: Callable[[str], None]
) -> None:
    """Serve until Ctrl-C; `emit` is given the address of the page of the run meant by `text` or of the newest one.

    ToolFailed without MLflow, NotFound without a database or a run of that name, Conflict when the port is taken.
    """
    page = _page(workspace, text, say)
    theirs = os.environ.get(URI_VARIABLE, "")
    if theirs.startswith(("http://", "https://")):
        emit(f"{theirs.rstrip('/')}/{page}")
        say(f"{URI_VARIABLE} is set: that server has the curves, and none is started here")
        return
    if not is_installed("mlflow"):
        raise ToolFailed("MLflow is not installed", hint=INSTALL_HINT)
    if not is_wanted(workspace):
        raise NotFound(f"there is no MLflow database at {workspace.mlflow_db}", hint="dreamerlab init prepares it")
    _require_free(port)
    if not theirs and prepared_with(workspace) != installed_version():
        say("bringing the MLflow database up to date")
        if (failure := prepare(workspace)) is not None:
            raise ToolFailed(failure, hint="dreamerlab doctor says more")
    log = log_path(workspace, "ui.txt")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", _HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store_uri(workspace)]
    say(f"MLflow is starting at http://{_HOST}:{port} (Ctrl-C stops it)")
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=workspace.hidden,
            env={**os.environ, **_QUIET},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _await_answer(process, port)
        if process.poll() is None:
            emit(f"http://{_HOST}:{port}/{page}")
        code = process.wait()
    except KeyboardInterrupt:
        say("stopping MLflow")
        return
    finally:
        _end(process)
    raise ToolFailed(f"MLflow stopped by itself: {last_line(log, code)[:300]}", hint=f"its words are in {log}")


def _page(workspace: Workspace, text: str | None, say: Callable[[str], None]) -> str:
    """Return the part of the address that leads to a run, or to the experiment of the newest mirrored one."""
    if text is not None:
        run = find_run(workspace, text)
        place = load_place(workspace, run.id)
        if place is None or place.parent is None:
            raise NotFound(f"{run.id} is not in MLflow yet", hint=f"dreamerlab data sync {run.id}")
        return f"#/experiments/{place.experiment}/runs/{place.parent}"
    for run_id in reversed(run_ids(workspace)):
        place = load_place(workspace, str(run_id))
        if place is not None and place.experiment is not None:
            return f"#/experiments/{place.experiment}"
    if run_ids(workspace):
        say("no run is in MLflow yet: dreamerlab data sync --all")
    return ""


def _await_answer(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server answers or has ended."""
    deadline = time.monotonic() + _START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://{_HOST}:{port}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.3)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise Conflict(
                f"port {port} cannot be used: {error.strerror or error}",
                hint=f"dreamerlab ui --port {port % 65535 + 1}",
            ) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and its worker, which are a process group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
