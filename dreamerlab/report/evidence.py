"""What a comparison of runs consists of: facts and figures, with no verdict and no layout.

Collected by `lab.compare`, rendered by `comparison.py` beside this file. The unit of everything statistical is the
training seed. Every pair is (one run, another run), and a difference is always the other minus the first of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dreamerlab.metrics import CATALOGUE
from dreamerlab.report.facts import Effective, FactDifference
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.series import Point
from dreamerlab.stats.curves import Course
from dreamerlab.stats.permutation import Permutation
from dreamerlab.stats.welch import Welch

PACE_FACTS = (
    *("cpu", "cores usable", "device", "threads", "gpus", "gpu trained on", "host", "trials at once"),
    *("other trainers at the start", "other trainers at the end", "load at the start", "load at the end"),
)
"""Facts of a machine under which times by the clock can be compared only when they agree."""


@dataclass(frozen=True)
class Threshold:
    """A return worth reaching; `falling` when lower is better in the task."""

    name: str
    level: float
    falling: bool


@dataclass(frozen=True)
class SeedEvidence:
    """One seed of a run."""

    seed: int
    state: str
    score: float | None
    so_far: bool
    """Whether the score was computed from an unfinished record."""
    score_reason: str | None
    """Why there is no score."""
    env_steps: int
    updates: int
    replayed_steps: int | None
    episodes: int
    wall_s: float
    evaluations: Sequence[Point]
    """Finite evaluations of the score's metric, oldest first."""
    reached: Mapping[str, Point | None]
    """Threshold name -> the first evaluation at or beyond it; None when it was not reached (censored)."""
    course: Course | None
    actor_loss: float | None
    """Newest `behavior/policy_loss`."""
    pattern: str | None
    """None where the task has no reference levels, or nothing was evaluated."""
    failed: str | None = None
    """Why the score is the fail score: the trial diverged, or a declared rule ended it."""
    censored: bool = False
    """Whether the score is a time that the budget cut off: it is longer."""
    spared: bool = False
    """Whether a declared look ended the run before this seed was needed: its score is not missing."""

    @property
    def env_steps_per_s(self) -> float | None:
        """Pace over all of its training, evaluations included."""
        return self.env_steps / self.wall_s if self.wall_s > 0 and self.env_steps > 0 else None


@dataclass(frozen=True)
class RunEvidence:
    """One run with its seeds, the setting it ran in and what returns mean in its task."""

    manifest: Manifest
    env_id: str
    metric: str
    evaluation: Mapping[str, str]
    """How it was evaluated: setting -> value, the reducer included."""
    machine: Mapping[str, str]
    """Where it ran: fact -> value; several values when attempts differed."""
    reference: Mapping[str, float | None]
    thresholds: Sequence[Threshold]
    """Levels worth reaching in its task; none where they are not known."""
    seeds: Sequence[SeedEvidence]
    caveats: Sequence[str]
    is_return: bool = True
    """Whether a score is a return, and so lies between random play and solved."""
    is_time: bool = False
    """Whether a score is a number of env steps, and lower is better."""
    effective: Sequence[Effective] = ()
    """What was configured beside what was done."""
    not_recorded: Sequence[str] = ()
    """Facts of its surroundings that another of the runs has on record and this one has not."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.manifest.id

    @property
    def label(self) -> str:
        """The run's id, and its name when it has one."""
        return f"{self.id} {self.manifest.name}" if self.manifest.name else self.id

    @property
    def scores(self) -> list[float]:
        """The scores of the seeds that have one."""
        return [seed.score for seed in self.seeds if seed.score is not None]

    @property
    def so_far(self) -> bool:
        """Whether a score may still change."""
        return any(seed.so_far for seed in self.seeds)

    @property
    def mean(self) -> float | None:
        """Mean of the scores that exist."""
        return math.fsum(self.scores) / len(self.scores) if self.scores else None

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower score is a gain: of times, of losses, of returns in a task that is solved from above."""
        falling = any(threshold.falling for threshold in self.thresholds)
        return self.is_time or falling or (self.metric in CATALOGUE and CATALOGUE[self.metric].direction == "lower")

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the scores, None for fewer than two."""
        scores, mean = self.scores, self.mean
        if mean is None or len(scores) < 2:
            return None
        return math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1))


@dataclass(frozen=True)
class LeafDifference:
    """One config leaf that is not the same in all runs; values and origins in the order of the runs."""

    zone: str
    key: str
    values: Sequence[str]
    origins: Sequence[str]
    acts: Sequence[bool]
    """Whether the leaf does anything under the rest of each run's config."""


@dataclass(frozen=True)
class HypothesisEvidence:
    """One hypothesis that some of the runs belong to, quoted from the registry."""

    id: str
    name: str | None
    kind: str
    reading: str
    stands: str
    """Its verdict with all marks, or where it stands without one."""
    effect: str | None
    """The figure that answers it; None without a verdict."""
    runs: Sequence[str]
    """Those of the compared runs that are its own, or its baseline."""


@dataclass(frozen=True)
class Pair:
    """One run beside another: what the difference of their scores is, and how sure one can be of it."""

    first: str
    other: str
    withheld: str | None = None
    """Why nothing is computed; all else is None then."""
    welch: Welch | None = None
    permutation: Permutation | None = None
    """None when there are too many splits to enumerate."""
    least_p: float | None = None
    """The smallest p the permutation test can give at these numbers of seeds."""
    improvement: float | None = None
    """Share of seed pairs in which the other run is ahead."""
    iqm_difference: float | None = None
    iqm_interval: tuple[float, float] | None = None
    """Percentile bootstrap, from four seeds a run on; a description."""
    detectable_sd: float | None = None
    """Minimum detectable effect in standard deviations of one seed; None when a run has one seed."""

    @property
    def detectable(self) -> float | None:
        """Minimum detectable effect in units of the score, by the spread that was observed."""
        if self.detectable_sd is None or self.welch is None or not self.welch.pooled_sd:
            return None
        return self.detectable_sd * self.welch.pooled_sd


@dataclass(frozen=True)
class Evidence:
    """Everything a comparison shows."""

    runs: Sequence[RunEvidence]
    leaves: Sequence[LeafDifference]
    facts: Sequence[FactDifference]
    pairs: Sequence[Pair]
    caveats: Sequence[str]
    hypotheses: Sequence[HypothesisEvidence] = ()

    def run(self, run_id: str) -> RunEvidence:
        """Return the run of an id."""
        return next(run for run in self.runs if run.id == run_id)
