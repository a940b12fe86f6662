"""`show`: everything known of one run, from its committed text; what is absent is said to be, never guessed.

Scores come from the summaries, or from the evaluations so far and are marked so. Collects only: how it looks is
`cli.run_page`, what a figure looks like is `report.plots`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dreamerlab.atomic import number
from dreamerlab.errors import LabError, NotFound
from dreamerlab.lab.status import TrialView, view_run
from dreamerlab.lab.surroundings import cautions
from dreamerlab.protocol.violations import named
from dreamerlab.runs.directory import PATCH, RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.reducers import Scale, parse_reducer, recorded_reference, reduce
from dreamerlab.runs.series import Line, read_attempts, read_evals
from dreamerlab.runs.status import ONGOING, read_status
from dreamerlab.runs.store import Workspace, find_run, run_ids
from dreamerlab.runs.summary import read_summary
from dreamerlab.tracking import dvc_store

if TYPE_CHECKING:
    from dreamerlab.lab.run_findings import Findings
    from dreamerlab.report.plots import Curve

FEWEST_SEEDS = 3


@dataclass(frozen=True)
class TrialDetails:
    """One seed: where it stands, its score, its evaluations, its attempts."""

    view: TrialView
    score: float | None
    so_far: bool
    """Whether the score was computed now from an unfinished record."""
    score_reason: str | None
    evaluations: Sequence[tuple[float, float]]
    """(env steps, value of the score's metric)."""
    last_values: dict[str, float]
    early_goals: int | None
    """Games that ended in a goal before the first update (M-ADD-08); None where no games are played."""
    attempts: Sequence[Line]
    torn: Sequence[str]
    artifacts: str
    """`here`, `absent` or `none yet`."""


@dataclass(frozen=True)
class RunDetails:
    """One run with its seeds."""

    manifest: Manifest
    run: RunDirectory
    trials: Sequence[TrialDetails]
    reference: dict[str, float | None]
    replayed_per_update: int | None
    caveats: Sequence[str]
    data_state: str
    games: int | None = None
    """Games of one evaluation under one policy, against all opponents, where the task is one of games."""

    @property
    def metric(self) -> str:
        """What the score is made of."""
        return parse_reducer(self.manifest.score).metric

    @cached_property
    def findings(self) -> Findings:
        """What the rules of diagnosis say, read when it is asked for."""
        from dreamerlab.lab.run_findings import findings_of

        return findings_of(self.run, self.manifest.seeds, _recorded(self.run))

    @property
    def mean_score(self) -> float | None:
        """Mean over all declared seeds; None while one has no score."""
        scores = [trial.score for trial in self.trials if trial.score is not None]
        return math.fsum(scores) / len(scores) if scores and len(scores) == len(self.trials) else None

    @property
    def complete(self) -> bool:
        """Whether every seed's score is final."""
        return all(trial.score is not None and not trial.so_far for trial in self.trials)


def choose_run(workspace: Workspace, text: str | None) -> RunDirectory:
    """Return the run meant by `text`, or the newest one."""
    if text is not None:
        return find_run(workspace, text)
    ids = run_ids(workspace)
    if not ids:
        from dreamerlab.lab.listing import first_run

        raise NotFound(f"no run in {workspace.path} yet", hint=first_run(workspace))
    return workspace.run(str(ids[-1]))


def collect(workspace: Workspace, run: RunDirectory) -> RunDetails:
    """Return everything that is known of a run of `workspace`."""
    manifest = read_manifest(run.manifest_path)
    views = {view.seed: view for view in view_run(run).trials}
    trials = [_trial(run.trial(seed), views[seed], manifest) for seed in manifest.seeds]
    recorded = _recorded(run)
    reference = {name: number(recorded.get(f"reference.{name}")) for name in ("random", "solved", "fail")}
    batch, length = recorded.get("train.batch_size"), recorded.get("train.batch_length")
    replayed = batch * length if isinstance(batch, int) and isinstance(length, int) else None
    data_state = _data_state(workspace, run, trials)
    caveats, games = _caveats(manifest, trials), _games(recorded)
    return RunDetails(manifest, run, trials, reference, replayed, caveats, data_state, games)


def _games(recorded: Mapping[str, object]) -> int | None:
    episodes, opponents = recorded.get("eval.episodes"), recorded.get("hockey.eval_opponents")
    if not isinstance(episodes, int) or not isinstance(opponents, tuple):
        return None
    return episodes * len(cast("tuple[str, ...]", opponents))


def draw(details: RunDetails, path: Path) -> Path:
    """Write the learning curves of all seeds to `path` and return it."""
    from dreamerlab.report.plots import Arm, Picture, draw_curves

    made = details.manifest
    name = f"{made.id} {made.name}" if made.name else made.id
    marks = [mark for mark, holds in (("pilot", made.kind == "pilot"), ("not finished", not details.complete)) if holds]
    title = f"{name}, {made.env}" + (f" ({', '.join(marks)})" if marks else "")
    random, solved = details.reference["random"], details.reference["solved"]
    arms = [Arm(f"{name} (n={len(details.trials)})", curves(details))]
    draw_curves(Picture(title, arms, y_label=details.metric, random=random, solved=solved), path)
    return path


def curves(details: RunDetails) -> list[Curve]:
    """Return the evaluations of every seed as they are drawn."""
    from dreamerlab.report.plots import Curve

    return [
        Curve(trial.view.seed, [x for x, _ in trial.evaluations], [y for _, y in trial.evaluations])
        for trial in details.trials
    ]


def arm_label(details: RunDetails) -> str:
    """Return what a run is called in a picture of several: id, name, number of seeds, and what speaks against it."""
    made = details.manifest
    name = f"{made.id} {made.name}" if made.name else made.id
    marks = [mark for mark, holds in (("pilot", made.kind == "pilot"), ("so far", not details.complete)) if holds]
    return f"{name} (n={len(details.trials)}{''.join(f', {mark}' for mark in marks)})"


def to_data(details: RunDetails) -> dict[str, Any]:
    """Return the details as JSON-ready values."""
    return {
        **details.manifest.to_dict(),
        "path": str(details.run.path),
        "mean_score": details.mean_score,
        "complete": details.complete,
        "reference": details.reference,
        "caveats": list(details.caveats),
        "data_state": details.data_state,
        "findings": [one.to_data() for one in details.findings.roots],
        "trials": [_trial_data(trial) for trial in details.trials],
    }


def _trial(trial: TrialDirectory, view: TrialView, manifest: Manifest) -> TrialDetails:
    reducer = parse_reducer(manifest.score)
    lines, torn = read_evals(trial)
    values = [(line.get("env_steps"), _values(line)) for line in lines]
    evaluations = [
        (float(steps), found[reducer.metric])
        for steps, found in values
        if isinstance(steps, int) and reducer.metric in found
    ]
    summary = read_summary(trial)
    final = summary is not None and view.state not in ONGOING and summary.get("env_steps") == view.env_steps
    if final and summary is not None:
        score, reason = number(summary.get("score")), summary.get("score_reason")
    else:
        levels = recorded_reference(trial.run)
        so_far = reduce(
            [(int(steps), value) for steps, value in evaluations],
            reducer,
            Scale(levels.get("random"), levels.get("solved")),
        )
        score, reason = so_far.value, so_far.reason
    last = values[-1][1] if values else {}
    artifacts = _artifacts_state(trial, summary)
    goals = read_status(trial).latest.get("replay/goals_before_learning")
    early = None if goals is None else round(goals)
    attempts = read_attempts(trial)
    return TrialDetails(view, score, not final, reason, evaluations, last, early, attempts, torn, artifacts)


def _values(line: Line) -> dict[str, float]:
    values = cast("dict[str, Any]", line.get("values") or {})
    return {name: value for name, item in values.items() if (value := number(item)) is not None}


def _artifacts_state(trial: TrialDirectory, summary: dict[str, Any] | None) -> str:
    if trial.artifacts.is_dir() and any(trial.artifacts.iterdir()):
        return "here"
    return "absent" if (summary or {}).get("files") or trial.run.artifacts_dvc.exists() else "none yet"


_STORED = {
    "no dvc": "DVC is not used here",
    "local": "not in DVC, or changed since",
    "cached": "in DVC, not pushed",
    "pushed": "in DVC and pushed",
    "absent": "carried by DVC",
    "archived": "some dropped on purpose (archived.json)",
}


def _data_state(workspace: Workspace, run: RunDirectory, trials: Sequence[TrialDetails]) -> str:
    stored = _STORED[dvc_store.state(workspace, run)]
    states = {trial.artifacts for trial in trials}
    if states == {"here"}:
        return f"artifacts here; {stored}"
    if "absent" in states:
        return f"artifacts absent: not checked; {stored} (dreamerlab data pull {run.id})"
    return f"no artifacts yet; {stored}"


def _caveats(manifest: Manifest, trials: Sequence[TrialDetails]) -> list[str]:
    found: list[str] = []
    if manifest.kind == "pilot":
        found.append("pilot: one seed on a tenth of the budget; it can never carry a verdict")
    if len(manifest.seeds) < FEWEST_SEEDS:
        found.append(f"n={len(manifest.seeds)}: fewer than {FEWEST_SEEDS} seeds say nothing about the spread")
    if manifest.code.dirty:
        found.append("the code differed from its commit (code.patch holds the difference)")
    if manifest.code.commit is None:
        found.append(manifest.code.note or "outside git: no commit is known")
    if copied := [name for name, one in manifest.code.kept.items() if one.where != PATCH]:
        found.append(f"{len(copied)} files of its code are in no commit ({named(copied)}); the run has a copy")
    for trial in trials:
        if trial.view.state not in ONGOING and trial.view.state != "finished":
            reason = f" ({trial.view.reason})" if trial.view.reason else ""
            found.append(f"seed {trial.view.seed} is {trial.view.state}{reason}")
        elif trial.score is None and trial.view.state == "finished":
            found.append(f"seed {trial.view.seed} has no score: {trial.score_reason}")
        found += [f"seed {trial.view.seed}: {line}" for line in trial.torn]
    found += cautions(manifest, [(trial.view.seed, trial.attempts) for trial in trials])
    if any(trial.artifacts == "absent" for trial in trials):
        found.append("artifacts are not here: not checked")
    return found


def _recorded(run: RunDirectory) -> dict[str, object]:
    from dreamerlab.config.recorded import load_recorded

    try:
        return load_recorded(run.config_path)
    except LabError:
        return {}


def _trial_data(trial: TrialDetails) -> dict[str, Any]:
    return {
        **asdict(trial.view),
        "score": trial.score,
        "so_far": trial.so_far,
        "score_reason": trial.score_reason,
        "evaluations": [{"env_steps": steps, "value": value} for steps, value in trial.evaluations],
        "last_evaluation": trial.last_values,
        "early_goals": trial.early_goals,
        "attempts": list(trial.attempts),
        "torn": list(trial.torn),
        "artifacts": trial.artifacts,
    }
