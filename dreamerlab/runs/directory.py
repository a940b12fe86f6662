"""Where everything of a run lies; the only place that spells a path inside a run (DESIGN section 5).

    runs/R0012-9qd/
      manifest.json config.yaml origins.json code.patch freeze.txt .gitignore artifacts.dvc archived.json  in git
      seed-3/  status.json summary.json evals.jsonl curves.jsonl attempts.json showcase/                   in git
      artifacts/untracked/  files of the code that are in no commit and not in the patch     in DVC
      artifacts/seed-3/  attempt-1/{metrics.jsonl, console.txt, error.txt}  checkpoints/  episodes.jsonl   in DVC

Owns names only: what the files hold is `manifest.py`, `status.py`, `series.py`; which runs exist is `store.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.errors import UsageError
from dreamerlab.ids import RecordId, parse_id

HALF_MADE = ".new-"
MANIFEST, STATUS, SUMMARY = "manifest.json", "status.json", "summary.json"
"""Names of the files a listing reads by the thousand, where making path objects would cost more than reading."""
PATCH, UNTRACKED = "code.patch", "artifacts/untracked"
"""Where in a run lies what its commit does not give back, as the manifest names it."""
TRIAL = "seed-"
"""How the folder of every trial begins."""
_SEED = re.compile(r"seed-([0-9]{1,18})")
_ATTEMPT = re.compile(r"attempt-([0-9]{1,9})")


def parse_run_id(text: str) -> RecordId | None:
    """Return the parts of a full run id such as `R0012-9qd`, or None when `text` is something else."""
    return parse_id(text, "R")


def trial_name(seed: int) -> str:
    """Return the name of the folder of one seed."""
    return f"{TRIAL}{seed}"


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run; `path` is `runs/R0012-9qd`, made absolute."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.absolute())

    @property
    def id(self) -> str:
        """The run's id: the name of its directory (of a half-made one: the id it will get)."""
        return self.path.name.removeprefix(HALF_MADE)

    @property
    def manifest_path(self) -> Path:
        """What was asked for, by which code, where: `manifest.py`."""
        return self.path / MANIFEST

    @property
    def config_path(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def origins_path(self) -> Path:
        """Where each value of the configuration came from."""
        return self.path / "origins.json"

    @property
    def patch_path(self) -> Path:
        """What the code differed by from its commit; absent when it did not."""
        return self.path / PATCH

    @property
    def freeze_path(self) -> Path:
        """Every installed package with its version, one `name==version` a line."""
        return self.path / "freeze.txt"

    @property
    def gitignore_path(self) -> Path:
        """Keeps the artifacts out of git."""
        return self.path / ".gitignore"

    @property
    def artifacts(self) -> Path:
        """What is too large for git; carried by DVC, may be absent in a clone."""
        return self.path / "artifacts"

    @property
    def untracked(self) -> Path:
        """Copies of what the run imports and neither its commit nor its patch gives back; absent when nothing is."""
        return self.path / UNTRACKED

    @property
    def artifacts_dvc(self) -> Path:
        """DVC's pointer to the artifacts; absent until they are added."""
        return self.path / "artifacts.dvc"

    @property
    def tombstone_path(self) -> Path:
        """Which artifacts were dropped, when and why: `tombstone.py`; absent when none were."""
        return self.path / "archived.json"

    def trial(self, seed: int) -> TrialDirectory:
        """Return the trial of one seed, whether it exists or not."""
        return TrialDirectory(self.path / trial_name(seed))

    def trials(self) -> list[TrialDirectory]:
        """Return the trials that exist on disk, by seed."""
        found = [entry for entry in self.path.glob("seed-*") if _SEED.fullmatch(entry.name) and entry.is_dir()]
        return sorted((TrialDirectory(entry) for entry in found), key=lambda trial: trial.seed)


@dataclass(frozen=True)
class TrialDirectory:
    """The paths of one trial; `path` is `runs/R0012-9qd/seed-3`, and all else follows from it."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.absolute())
        if not _SEED.fullmatch(self.path.name):
            raise UsageError(f"{self.path} is not a trial directory: its name must be seed-N")

    @property
    def run(self) -> RunDirectory:
        """The run this trial belongs to."""
        return RunDirectory(self.path.parent)

    @property
    def seed(self) -> int:
        """The trial's seed, from its name."""
        return int(self.path.name.removeprefix("seed-"))

    @property
    def status_path(self) -> Path:
        """Where the trial stands: `status.py`."""
        return self.path / STATUS

    @property
    def summary_path(self) -> Path:
        """What came out, with the hashes of all files: `summary.py`."""
        return self.path / SUMMARY

    @property
    def evals_path(self) -> Path:
        """Every evaluation of every attempt, one line each."""
        return self.path / "evals.jsonl"

    @property
    def curves_path(self) -> Path:
        """Every metric thinned to a few hundred points, one line a metric."""
        return self.path / "curves.jsonl"

    @property
    def attempts_path(self) -> Path:
        """The list of attempts, first to last."""
        return self.path / "attempts.json"

    @property
    def artifacts(self) -> Path:
        """The trial's share of the run's artifacts."""
        return self.run.artifacts / self.path.name

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.artifacts / "checkpoints"

    @property
    def showcase(self) -> Path:
        """Folder of small policies that git carries, to evaluate and watch in any clone; absent when there are none."""
        return self.path / "showcase"

    @property
    def predictions(self) -> Path:
        """Folder of pictures: what the world model expected to see, one for each evaluation; absent without images."""
        return self.artifacts / "predictions"

    @property
    def opponents(self) -> Path:
        """Folder of agents of the trial's own past that it plays against; absent without self-play."""
        return self.artifacts / "opponents"

    @property
    def replay(self) -> Path:
        """Files of a replay buffer that is too large for memory or for one checkpoint; gone when the trial is done."""
        return self.artifacts / "replay"

    @property
    def episodes_path(self) -> Path:
        """Every training episode of every attempt, one line each."""
        return self.artifacts / "episodes.jsonl"

    @property
    def decisions_path(self) -> Path:
        """What controllers began, ended or did, in every attempt, one line each; absent when they did nothing."""
        return self.artifacts / "decisions.jsonl"

    def attempt_dir(self, attempt: int) -> Path:
        """Folder of one execution of the trial, counted from 1."""
        return self.artifacts / f"attempt-{attempt}"

    def metrics_path(self, attempt: int) -> Path:
        """Lines of training metrics of one attempt."""
        return self.attempt_dir(attempt) / "metrics.jsonl"

    def console_path(self, attempt: int) -> Path:
        """Everything the process of one attempt printed."""
        return self.attempt_dir(attempt) / "console.txt"

    def error_path(self, attempt: int) -> Path:
        """The traceback that ended one attempt; absent when none did."""
        return self.attempt_dir(attempt) / "error.txt"

    def attempts(self) -> list[int]:
        """Return the numbers of the attempts whose folders exist, ascending."""
        matches = (_ATTEMPT.fullmatch(entry.name) for entry in self.artifacts.glob("attempt-*"))
        return sorted(int(match[1]) for match in matches if match)
