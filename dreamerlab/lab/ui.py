"""`ui`: MLflow's own pages over this workspace's mirror, for this machine only.

The address is checked before the server is started, since its own failure comes seconds later and at length.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

from dreamerlab.errors import Conflict, NotFound, ToolFailed
from dreamerlab.lab.preflight import is_installed
from dreamerlab.runs.store import Workspace

_HOST = "127.0.0.1"


def serve(workspace: Workspace, port: int, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; ToolFailed without MLflow, NotFound without a database, Conflict when the port is taken."""
    if not is_installed("mlflow"):
        raise ToolFailed("MLflow is not installed", hint="pip install 'dreamerlab[track]'")
    if not workspace.mlflow_db.is_file():
        raise NotFound(f"there is no MLflow database at {workspace.mlflow_db}", hint="dreamerlab init prepares it")
    _require_free(port)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", _HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{workspace.mlflow_db}"]
    # The job runner behind MLflow's assistants would triple its memory; nothing here uses it.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = workspace.hidden / "logs" / "ui.txt"
    log.parent.mkdir(exist_ok=True)
    say(f"MLflow is starting at http://{_HOST}:{port} (Ctrl-C stops it)")
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=workspace.hidden,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        say("stopping MLflow")
        return
    finally:
        _end(process)
    raise ToolFailed(f"MLflow stopped by itself with exit code {code}", hint=f"its last words are in {log}")


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
