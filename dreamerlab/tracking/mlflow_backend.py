"""The one place that talks to MLflow: experiments, runs, batches, statuses, with bounded patience.

MLflow is imported when a Backend is made, takes seconds, and is only ever needed in the mirror's own process. Every
failure that outlasts the retries becomes one `ToolFailed`. What is sent is `mirror_lines.py`; who sends it, and
when, is `mlflow_mirror.py`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from dreamerlab.errors import ToolFailed
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_lines import BATCH_VALUES, Value

T = TypeVar("T")
RETRY_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
PARENT_TAG = "mlflow.parentRunId"
_PARAMS_PER_BATCH = 100
_SERVED = ("http://", "https://", "databricks")
_LONGEST = {"param": 6000, "tag": 5000}
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
# Asking again would be answered the same.
_FINAL = frozenset(
    {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED"}
)


def store_uri(workspace: Workspace) -> str:
    """Return where MLflow keeps its records: MLFLOW_TRACKING_URI when set, else the workspace's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.mlflow_db}"


def require_mlflow() -> None:
    """Raise ToolFailed when MLflow is not installed; does not import it."""
    if find_spec("mlflow") is None:
        raise ToolFailed("MLflow is not installed", hint="pip install 'dreamerlab[track]'")


class Backend:
    """An MLflow store, opened; opening a fresh database runs its migrations, one process at a time."""

    def __init__(self, workspace: Workspace) -> None:
        require_mlflow()
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        self.uri = store_uri(workspace)
        self._entities: Any = import_module("mlflow.entities")
        make_client: Any = import_module("mlflow.tracking").MlflowClient
        # A server keeps files where it likes; for a database they would land below the current folder.
        served = self.uri.startswith(_SERVED)
        self._artifacts = None if served else workspace.hidden / "mlflow-artifacts"

        def open_store() -> Any:
            client = make_client(tracking_uri=self.uri)
            client.search_experiments(max_results=1)
            return client

        # Migrations of two processes at once would destroy each other.
        with owned_lock(workspace.hidden / "mlflow.lock", timeout_s=120.0, what="the MLflow database"):
            self._client: Any = patiently("open the store", open_store)

    def experiment(self, name: str) -> str:
        """Return the id of the experiment called `name`, made when it is not there."""

        def get_or_make() -> str:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                place = None if self._artifacts is None else (self._artifacts / name.replace("/", "_")).as_uri()
                return str(self._client.create_experiment(name, artifact_location=place))
            if found.lifecycle_stage != "active":
                raise ToolFailed(
                    f"the MLflow experiment '{name}' was deleted", hint="restore it: mlflow experiments restore"
                )
            return str(found.experiment_id)

        try:
            return patiently("open the experiment", get_or_make)
        except ToolFailed as failure:
            if "already exists" not in failure.message:
                raise
            return patiently("open the experiment", get_or_make)  # another mirror made it in the same moment

    def is_active(self, run_id: str) -> bool:
        """Tell whether a run exists and was not deleted."""
        try:
            run = patiently("look for a run", lambda: self._client.get_run(run_id))
        except ToolFailed as failure:
            if "not found" in failure.message:
                return False
            raise
        return run.info.lifecycle_stage == "active"

    def run(self, experiment: str, tag: tuple[str, str], name: str, start_ms: int, parent: str | None) -> str:
        """Return the id of the run that carries `tag`, made when there is none; so a kill in between makes no twins."""

        def get_or_make() -> str:
            found = self._client.search_runs([experiment], filter_string=f"tags.`{tag[0]}` = '{tag[1]}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
            tags = dict([tag]) if parent is None else {**dict([tag]), PARENT_TAG: parent}
            made = self._client.create_run(experiment, start_time=start_ms, tags=tags, run_name=name)
            return str(made.info.run_id)

        return patiently("open the run", get_or_make)

    def log_values(self, run_id: str, values: Sequence[Value]) -> None:
        """Send values in batches; sending the same ones again leaves one copy."""
        metric = self._entities.Metric
        for part in _parts(values, BATCH_VALUES):
            found = [metric(item.metric, item.value, item.time_ms, item.env_steps) for item in part]
            patiently("log metrics", lambda found=found: self._client.log_batch(run_id, metrics=found))

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Send parameters; a value too long for MLflow is cut."""
        found = [self._entities.Param(key, value[: _LONGEST["param"]]) for key, value in params.items()]
        for part in _parts(found, _PARAMS_PER_BATCH):
            patiently("log parameters", lambda part=part: self._client.log_batch(run_id, params=part))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, replacing what they said before."""
        found = [self._entities.RunTag(key, value[: _LONGEST["tag"]]) for key, value in tags.items()]
        for part in _parts(found, _PARAMS_PER_BATCH):
            patiently("set tags", lambda part=part: self._client.log_batch(run_id, tags=part))

    def set_status(self, run_id: str, status: str, end_ms: int | None = None) -> None:
        """Set RUNNING or SCHEDULED, or one of FINISHED, FAILED, KILLED with the time it ended."""
        if status in {"RUNNING", "SCHEDULED"}:
            patiently("set the status", lambda: self._client.update_run(run_id, status=status))
        else:
            patiently("set the status", lambda: self._client.set_terminated(run_id, status=status, end_time=end_ms))

    def log_file(self, run_id: str, path: Path) -> None:
        """Copy a file to the run's artifacts."""
        patiently(f"log {path.name}", lambda: self._client.log_artifact(run_id, str(path)))


def patiently(what: str, action: Callable[[], T]) -> T:
    """Return the result of `action`, tried again a few times; ToolFailed with the first line of the last failure."""
    for pause in (*RETRY_PAUSES_S, None):
        try:
            return action()
        except ToolFailed:
            raise
        except Exception as error:  # whatever MLflow, its database driver or its HTTP client raise
            if pause is None or getattr(error, "error_code", None) in _FINAL:
                said = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise ToolFailed(f"MLflow could not {what}: {said[:300]}") from error
            time.sleep(pause)
    raise AssertionError("unreachable")


def _parts(items: Iterable[T], size: int) -> list[list[T]]:
    everything = list(items)
    return [everything[i : i + size] for i in range(0, len(everything), size)]
