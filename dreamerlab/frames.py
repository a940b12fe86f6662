"""Runs and curves of a workspace as pandas DataFrames: `dreamerlab.load_runs()` and `dreamerlab.load_curves()`.

For notebooks and scripts. Reads the committed text alone, so any clone will do, with the artifacts or without, and
neither DVC nor MLflow is needed. What is damaged is left out with a warning that names it; nothing is ever written.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dreamerlab.atomic import number, read_small
from dreamerlab.config.catalogue import leaves
from dreamerlab.config.diff import canonical
from dreamerlab.config.recorded import load_recorded
from dreamerlab.errors import LabError, NotFound, ToolFailed, did_you_mean
from dreamerlab.metrics import ALIASES, CATALOGUE
from dreamerlab.protocol.registry import Registry
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.report.verdict_words import figures_of, state_words
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.series import line_values, read_evals
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.runs.store import Workspace, find_run, run_ids
from dreamerlab.runs.summary import read_summary

if TYPE_CHECKING:
    import pandas

RUN_COLUMNS = (
    *("run", "name", "arm", "hypothesis", "asked", "verdict", "env", "family", "seed", "state", "score", "failed"),
    *("score_rule", "env_steps", "updates", "episodes", "wall_s", "attempts", "budget_unit", "budget_amount"),
    *("created_at", "code", "commit", "dirty"),
)
CURVE_COLUMNS = ("run", "seed", "attempt", "metric", "env_steps", "updates", "wall_s", "value")


class DamagedRecord(UserWarning):
    """Something could not be read, and is not in the frame."""


def load_runs(path: str | PathLike[str] | None = None, runs: Sequence[str] | None = None) -> pandas.DataFrame:
    """Return one row per trial (one seed of one run), by run and seed.

    `path` is a workspace or anything inside it (default: the current directory); `runs` are ids, prefixes or names
    (default: all). NotFound without a workspace or such a run, ToolFailed without pandas. Columns:

    - `run`, `name`: id and alias; `arm`: treatment, baseline or pilot
    - `hypothesis`, `asked`: its id and what it predicted; `verdict`: where it stands, `REFUTED (equivalent)`
    - `env`, `family`, `seed`; `state`: as it truly is now, a dead process is never running
    - `score`: as the verdict counts it, NaN while there is none; `failed`: why it is the fail score;
      `score_rule`: how the curve became it
    - `env_steps`, `updates`, `episodes`, `wall_s` (seconds of training, evaluations included), `attempts`: what it took
    - `budget_unit`, `budget_amount`; `created_at` (UTC); `code` (its identity), `commit`, `dirty`
    - one column for every config leaf that is not the same in all of these runs, by its dotted key; a leaf younger
      than a run's record has the value that acts as that run did, or None where there is no such value
    """
    frames = _pandas()
    workspace = Workspace.find(None if path is None else Path(path))
    rows: list[dict[str, Any]] = []
    configs: dict[str, dict[str, object]] = {}
    known: dict[str, Hypothesis | None] = {}
    for run, made in _manifests(workspace, runs):
        state = _hypothesis(workspace, made, known)
        rows += [_row(made, state, run.trial(seed)) for seed in made.seeds]
        try:
            configs[made.id] = _completed(load_recorded(run.config_path))
        except LabError as error:
            _warn(f"{error.message}; the settings of {made.id} are left out")
    differing = _differing(configs.values())
    columns = {key: [row[key] for row in rows] for key in RUN_COLUMNS}
    columns["created_at"] = frames.to_datetime(columns["created_at"], utc=True, format="ISO8601", errors="coerce")
    columns |= {key: [_cell(configs.get(row["run"], {}).get(key)) for row in rows] for key in differing}
    return frames.DataFrame(columns)


def load_curves(
    path: str | PathLike[str] | None = None,
    metrics: str | Collection[str] | None = None,
    runs: Sequence[str] | None = None,
) -> pandas.DataFrame:
    """Return one row per logged value, by run, seed, metric and env step; attempts joined, at most 500 points a series.

    `metrics` are names of the catalogue (default: all that were logged; naming them is many times faster), `path` and
    `runs` as for `load_runs`. Of a trial that is not over only the evaluations are committed, and only they are here.
    NotFound for a metric that does not exist. Columns:

    - `run`, `seed`, `attempt`: which execution of the trial wrote it
    - `metric`: `eval/return_mode`, ... (protocol/reference/metrics.md tells units and meaning)
    - `env_steps`, `updates`, `wall_s`: when it was, on three clocks
    - `value`: as it was logged; NaN and infinities are kept
    """
    frames = _pandas()
    import numpy

    wanted = None if metrics is None else _named([metrics] if isinstance(metrics, str) else metrics)
    workspace = Workspace.find(None if path is None else Path(path))
    blocks: list[tuple[str, int, dict[str, Any]]] = []
    for run, made in _manifests(workspace, runs):
        for seed in made.seeds:
            blocks += [(made.id, seed, block) for block in _blocks(run.trial(seed), wanted)]
    lengths = [len(block["value"]) for _, _, block in blocks]
    columns: dict[str, Any] = {
        "run": numpy.repeat([run for run, _, _ in blocks], lengths),
        "seed": numpy.repeat(numpy.array([seed for _, seed, _ in blocks], dtype=int), lengths),
    }
    for name, kind in (("attempt", int), ("env_steps", int), ("updates", int), ("wall_s", float), ("value", float)):
        parts = [numpy.asarray(block[name], dtype=kind) for _, _, block in blocks]
        columns[name] = numpy.concatenate(parts) if parts else numpy.empty(0, dtype=kind)
    columns["metric"] = numpy.repeat([block["metric"] for _, _, block in blocks], lengths)
    return frames.DataFrame({name: columns[name] for name in CURVE_COLUMNS})


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ToolFailed(f"pandas is not usable: {error}", hint="pip install 'dreamerlab[track]'") from error
    return pandas


def _warn(words: str) -> None:
    warnings.warn(words, DamagedRecord, stacklevel=4)


def _manifests(workspace: Workspace, names: Sequence[str] | None) -> list[tuple[RunDirectory, Manifest]]:
    chosen = (
        [workspace.run(str(run_id)) for run_id in run_ids(workspace)]
        if names is None
        else [find_run(workspace, name) for name in names]
    )
    found: list[tuple[RunDirectory, Manifest]] = []
    for run in chosen:
        try:
            found.append((run, read_manifest(run.manifest_path)))
        except LabError as error:
            _warn(f"{error.message}; {run.id} is left out")
    return found


def _hypothesis(workspace: Workspace, made: Manifest, known: dict[str, Hypothesis | None]) -> Hypothesis | None:
    if made.hypothesis is None or made.hypothesis in known:
        return known.get(made.hypothesis or "")
    try:
        state = fold(Registry(workspace.protocol / "registry").read(made.hypothesis))
    except LabError as error:
        _warn(f"{error.message}; what {made.hypothesis} asked and found is left out")
        state = None
    known[made.hypothesis] = state
    return state


def _row(made: Manifest, state: Hypothesis | None, trial: TrialDirectory) -> dict[str, Any]:
    status = read_status(trial)
    if status.state == "unreadable":
        _warn(f"{trial.status_path}: {status.reason}; what the trial did is left out")
    try:
        summary = read_summary(trial) or {}
    except LabError as error:
        _warn(f"{error.message}; its score is left out")
        summary = {}
    score, failed = _score(made, state, trial.seed, summary)
    return {
        "run": made.id,
        "name": made.name,
        "arm": made.kind,
        "hypothesis": made.hypothesis,
        "asked": None if state is None else state.proposal.reading,
        "verdict": None if state is None else state_words(state),
        "env": made.env,
        "family": made.family,
        "seed": trial.seed,
        "state": effective_state(status),
        "score": score,
        "failed": failed,
        "score_rule": made.score,
        "env_steps": status.env_steps,
        "updates": status.updates,
        "episodes": status.episodes,
        "wall_s": status.wall_s,
        "attempts": status.attempt,
        "budget_unit": made.budget.unit,
        "budget_amount": made.budget.amount,
        "created_at": made.created_at,
        "code": made.code.identity,
        "commit": made.code.commit,
        "dirty": made.code.dirty,
    }


def _score(made: Manifest, state: Hypothesis | None, seed: int, summary: Mapping[str, Any]) -> tuple[float, str | None]:
    """Return the score as it was judged, and why it is the fail score; before a verdict, that of the summary."""
    figures = figures_of(None if state is None else state.verdict)
    for key in ("treatment", "baseline"):
        arm = cast("Mapping[str, Any]", figures.get(key) or {})
        if arm.get("run") == made.id:
            judged = number(cast("Mapping[str, Any]", arm.get("seeds") or {}).get(str(seed)))
            failed = cast("Mapping[str, Any]", arm.get("failed") or {}).get(str(seed))
            return (math.nan if judged is None else judged), None if failed is None else str(failed)
    found = number(summary.get("score"))
    return (math.nan if found is None else found), None


def _completed(config: Mapping[str, object]) -> dict[str, object]:
    """Return a recorded config with the leaves that are younger than it, at the value that acts as it did."""
    absent = {key: info.absent_means for key, info in leaves().items() if not info.founding}
    return {**absent, **config}


def _differing(configs: Collection[Mapping[str, object]]) -> list[str]:
    """Return the leaves that are not the same in all configs, in the order of the schema."""
    first: dict[str, object] = {}
    count: dict[str, int] = {}
    differing: set[str] = set()
    for config in configs:
        for key, value in config.items():
            count[key] = count.get(key, 0) + 1
            same = first.setdefault(key, value)
            if same != value and key not in differing and canonical(same) != canonical(value):
                differing.add(key)
    found = {key for key in first if key in differing or count[key] < len(configs)}
    return [key for key in leaves() if key in found] + sorted(found - leaves().keys())


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, tuple) else value


def _named(metrics: Collection[str]) -> set[str]:
    names = {ALIASES.get(name, name) for name in metrics}
    for name in names - CATALOGUE.keys():
        near = did_you_mean(name, CATALOGUE)
        raise NotFound(f"no metric is called '{name}'{near}", hint="see protocol/reference/metrics.md for all names")
    return names


def _blocks(trial: TrialDirectory, wanted: set[str] | None) -> list[dict[str, Any]]:
    """Return the columns of every series of a trial; a line of a metric that nobody wants is not even parsed."""
    try:
        data = read_small(str(trial.curves_path))
    except FileNotFoundError:
        return _evaluations(trial, wanted)
    except OSError as error:
        _warn(f"{trial.curves_path}: {error.strerror or error}; its curves are left out")
        return []
    spelled = None if wanted is None else tuple(f'{{"metric": "{name}"'.encode() for name in wanted)
    found: list[dict[str, Any]] = []
    for line, raw in enumerate(data.split(b"\n"), start=1):
        if not raw.strip() or (spelled is not None and not raw.startswith(spelled)):
            continue
        try:
            found.append(_block(json.loads(raw)))
        except (ValueError, TypeError, KeyError):
            _warn(f"{trial.curves_path}:{line}: damaged line; its values are left out")
    return found


def _block(series: Mapping[str, Any]) -> dict[str, Any]:
    values = [number(value) for value in series["values"]]
    known = [math.nan if value is None else value for value in values]
    block = {name: series[name] for name in ("metric", "attempt", "env_steps", "updates", "wall_s")}
    if any(len(block[name]) != len(known) for name in ("attempt", "env_steps", "updates", "wall_s")):
        raise ValueError("columns of different lengths")
    return {**block, "value": known}


def _evaluations(trial: TrialDirectory, wanted: set[str] | None) -> list[dict[str, Any]]:
    lines, torn = read_evals(trial)
    for words in torn:
        _warn(words)
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        for name, value in line_values(line).items():
            if wanted is None or name in wanted:
                empty: dict[str, Any] = {
                    "metric": name,
                    **{column: [] for column in CURVE_COLUMNS[2:] if column != "metric"},
                }
                block = found.setdefault(name, empty)
                block["value"].append(value)
                for column in ("attempt", "env_steps", "updates", "wall_s"):
                    block[column].append(number(line.get(column)) or 0)
    return [found[name] for name in sorted(found)]
