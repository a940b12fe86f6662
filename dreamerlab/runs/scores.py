"""The scores of all runs in one generated file, `runs/scores.json`: the metrics file that `dvc.yaml` names.

Rendered from the trials' summaries, deterministically and without a time stamp, so that equal records give equal
bytes. A mean is given only when every declared seed has a score. A run is a line with its comma in front, so that git
can merge the lines of two branches (`merge=union`) and the file still reads.
"""

from __future__ import annotations

import math
from typing import Any

from dreamerlab.atomic import atomic_write_text, to_json
from dreamerlab.runs.store import RunRow, Workspace, list_runs


def collect_scores(workspace: Workspace) -> dict[str, Any]:
    """Return run id -> env, kind, score per seed and mean, by id; of a run with a damaged manifest what is wrong."""
    return {row.id: _scores(row) for row in list_runs(workspace)}


def write_scores(workspace: Workspace) -> dict[str, Any]:
    """Write `runs/scores.json`, all at once, and return what it holds."""
    scores = collect_scores(workspace)
    lines = [to_json({run: score})[1:-1] for run, score in scores.items()]
    atomic_write_text(workspace.scores_path, "\n".join(["{", "\n,".join(lines), "}"]) + "\n" if lines else "{}\n")
    return scores


def _scores(row: RunRow) -> dict[str, Any]:
    if row.manifest is None:
        return {"fault": row.fault}
    seeds = {str(trial.status.seed): trial.score for trial in row.trials}
    known = [score for score in seeds.values() if score is not None]
    complete = bool(seeds) and len(known) == len(seeds)
    return {
        "env": row.manifest.env,
        "kind": row.manifest.kind,
        "score": row.manifest.score,
        "seeds": seeds,
        "mean": math.fsum(known) / len(known) if complete else None,
    }
