"""runs/curves/R0012-9qd.csv: the curve behind a run's score, every seed, as text that plotting tools read.

Generated from the committed text of the trials, deterministically; `dvc.yaml` names the folder as its plots. What a
run has curves of beyond this one metric is in each trial's curves.jsonl.
"""

from __future__ import annotations

from dreamerlab.atomic import atomic_write_text, read_small
from dreamerlab.errors import LabError
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.reducers import curve_of, parse_reducer
from dreamerlab.runs.store import Workspace, run_ids

HEADER = "seed,env_steps,metric,value"


def curve_text(run: RunDirectory) -> str:
    """Return the file of one run: a header, then a line for each point, by seed; LabError for a damaged manifest."""
    manifest = read_manifest(run.manifest_path)
    metric = parse_reducer(manifest.score).metric
    lines = [
        f"{seed},{steps},{metric},{value!r}"
        for seed in manifest.seeds
        for steps, value in curve_of(run.trial(seed), metric)
    ]
    return "\n".join([HEADER, *lines]) + "\n"


def write_curve_files(workspace: Workspace, run: RunDirectory) -> None:
    """Write the file of `run`, and of every other run that has ended and lacks its own."""
    for run_id in run_ids(workspace):
        other = workspace.run(str(run_id))
        if other.id == run.id or _lacks_it(workspace, other):
            _write(workspace, other)


def _lacks_it(workspace: Workspace, run: RunDirectory) -> bool:
    trials = run.trials()
    has_ended = bool(trials) and all(trial.summary_path.is_file() for trial in trials)
    return has_ended and not workspace.curve_file(run.id).exists()


def _write(workspace: Workspace, run: RunDirectory) -> None:
    try:
        text = curve_text(run)
    except LabError:
        return  # lint and doctor name what is damaged
    path = workspace.curve_file(run.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or read_small(str(path)) != text.encode():
        atomic_write_text(path, text)
