"""The one place that talks to MLflow: experiments, runs, batches, statuses, with bounded patience.

MLflow is imported when a Backend is made, takes seconds, and is only ever needed in the mirror's own process. Every
failure that outlasts the retries becomes one `ToolFailed`. How the workspace's own database is kept usable is
`mlflow_database.py`, what is sent `mirror_lines.py`, who sends it and when `mlflow_mirror.py`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from dreamerlab.errors import Conflict, ToolFailed
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_lines import BATCH_VALUES, Value
from dreamerlab.tracking.mirror_state import URI_VARIABLE, note_prepared, store_uri
from dreamerlab.tracking.mlflow_database import identity, is_damage, schema_failure, set_aside_if_damaged, upgrade

T = TypeVar("T")
RETRY_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
PARENT_TAG = "mlflow.parentRunId"
_PER_BATCH = 100
# Without it the pages are those for language models, and curves are hard to find.
_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
_TURN_S = 120.0
_SERVED = ("http://", "https://", "databricks")
# What every server takes; newer ones take longer tags.
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
_PASSWORD = re.compile(r"//[^/@\s]+@")


@contextmanager
def opening(workspace: Workspace) -> Generator[None]:
    """Keep others from opening or replacing the database for a block; ToolFailed when one of them takes too long."""
    try:
        with owned_lock(workspace.hidden / "mlflow.lock", timeout_s=_TURN_S, what="the MLflow database"):
            yield
    except Conflict as error:
        raise ToolFailed(error.message, hint=error.hint) from error


def require_mlflow() -> None:
    """Raise ToolFailed when MLflow is not installed; does not import it."""
    if find_spec("mlflow") is None:
        raise ToolFailed("MLflow is not installed", hint="pip install 'dreamerlab[track]'")


class Backend:
    """An MLflow store, opened; the workspace's own is made, brought up to date or set aside as it needs.

    The current directory must be `workspace.hidden`, to which its address is relative. One process opens at a time:
    migrations of two would destroy each other.
    """

    def __init__(self, workspace: Workspace, warn: Callable[[str], None]) -> None:
        require_mlflow()
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        self.uri = store_uri(workspace)
        self._own = None if os.environ.get(URI_VARIABLE) else workspace.mlflow_db
        # A server keeps files where it likes; for a database they would land below the current folder.
        self._artifacts = None if self.uri.startswith(_SERVED) else workspace.hidden / "mlflow-artifacts"
        if self._own is not None and self._artifacts is not None:
            # MLflow spells this place in SQL when it fills a new database: as a URI it holds no quotes.
            os.environ.setdefault("_MLFLOW_SERVER_ARTIFACT_ROOT", self._artifacts.as_uri())
        self._entities: Any = import_module("mlflow.entities")
        with opening(workspace):
            if self._own is not None and (aside := set_aside_if_damaged(self._own)) is not None:
                warn(f"{self._own.name} was damaged; it is {aside.name} now, and a new one is filled from the records")
            self._client: Any = self._open(warn)
            if self._own is not None:
                note_prepared(workspace)
        self._identity = identity(self._own)

    def _open(self, warn: Callable[[str], None]) -> Any:
        make_client: Any = import_module("mlflow.tracking").MlflowClient

        def open_store() -> Any:
            client = make_client(tracking_uri=self.uri)
            client.search_experiments(max_results=1)
            return client

        try:
            return patiently("open the store", open_store)
        except ToolFailed as failure:
            known = schema_failure(failure.message, None if self._own is not None else self.uri)
            if known is None:
                raise
            if known.hint is not None:
                raise known from failure
        warn("the MLflow database is of an older version and is brought up to date")
        upgrade(self.uri)
        return patiently("open the store", open_store)

    def is_lost(self) -> bool:
        """Tell whether the workspace's own database is another file than the one that was opened, or none."""
        return identity(self._own) != self._identity

    def experiment(self, name: str) -> str:
        """Return the id of the experiment called `name`, made when it is not there."""

        def get_or_make() -> str:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                place = None if self._artifacts is None else (self._artifacts / name.replace("/", "_")).as_uri()
                return str(self._client.create_experiment(name, artifact_location=place, tags=_TRAINING))
            if found.lifecycle_stage != "active":
                raise ToolFailed(
                    f"the MLflow experiment '{name}' was deleted",
                    hint=f"restore it: mlflow experiments restore --experiment-id {found.experiment_id}",
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
        """Send parameters; a value too long for MLflow is cut, and says so."""
        found = [self._entities.Param(key, cut(value, _LONGEST["param"])) for key, value in params.items()]
        for part in _parts(found, _PER_BATCH):
            patiently("log parameters", lambda part=part: self._client.log_batch(run_id, params=part))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, replacing what they said before; a value too long for MLflow is cut, and says so."""
        found = [self._entities.RunTag(key, cut(value, _LONGEST["tag"])) for key, value in tags.items()]
        for part in _parts(found, _PER_BATCH):
            patiently("set tags", lambda part=part: self._client.log_batch(run_id, tags=part))

    def set_status(self, run_id: str, status: str, end_ms: int | None = None) -> None:
        """Set RUNNING or SCHEDULED, or one of FINISHED, FAILED, KILLED with the time it ended."""
        if status in {"RUNNING", "SCHEDULED"}:
            patiently("set the status", lambda: self._client.update_run(run_id, status=status))
        else:
            patiently("set the status", lambda: self._client.set_terminated(run_id, status=status, end_time=end_ms))

    def log_file(self, run_id: str, path: Path, name: str) -> None:
        """Copy a file to the artifact path `name`, replacing what is there."""
        folder, _, wanted = name.rpartition("/")
        if wanted == path.name:
            patiently(f"attach {name}", lambda: self._client.log_artifact(run_id, str(path), folder or None))
            return
        with TemporaryDirectory(prefix="dreamerlab-mirror-") as scratch:
            copied = Path(scratch, wanted)
            copied.symlink_to(path)
            patiently(f"attach {name}", lambda: self._client.log_artifact(run_id, str(copied), folder or None))


def cut(text: str, longest: int) -> str:
    """Return `text`, or as much of it as fits with a word on how much there was."""
    if len(text) <= longest:
        return text
    said = f"... [cut: {len(text):,} characters]"
    return text[: longest - len(said)] + said


def patiently(what: str, action: Callable[[], T]) -> T:
    """Return the result of `action`, tried again a few times; ToolFailed with the first line of the last failure."""
    for pause in (*RETRY_PAUSES_S, None):
        try:
            return action()
        except ToolFailed:
            raise
        except Exception as error:  # whatever MLflow, its database driver or its HTTP client raise
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            final = getattr(error, "error_code", None) in _FINAL or is_damage(said) or schema_failure(said, None)
            if pause is None or final:
                raise ToolFailed(f"MLflow could not {what}: {_PASSWORD.sub('//***@', said)[:300]}") from error
            time.sleep(pause)
    raise AssertionError("unreachable")


def _parts(items: Iterable[T], size: int) -> list[list[T]]:
    everything = list(items)
    return [everything[i : i + size] for i in range(0, len(everything), size)]
