"""What a hypothesis will cost, what it can find, and what the gates would say: known before anything is paid for.

The forecast is frozen with the proposal, so that it can be held against what came. Costs are those of earlier runs of
the same environment; without one none is made up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from dreamerlab.launch.local import default_jobs
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.protocol.pricing import Measured
from dreamerlab.protocol.sequential import stages
from dreamerlab.runs.status import OVER, Status
from dreamerlab.runs.store import Workspace, newest_runs, run_row
from dreamerlab.stats.power import minimum_detectable_effect, seeds_needed
from dreamerlab.stats.student import quantile

if TYPE_CHECKING:
    from dreamerlab.lab.check import Examination

POWER = 0.80
_RUNS_ASKED = 200
"""How far back an earlier run is looked for."""


@dataclass(frozen=True)
class _Pace:
    """How long a unit of budget took in an earlier run."""

    run: str
    seconds_per_unit: float


def forecast(
    workspace: Workspace, proposal: Proposal, measured: Measured | None, examined: Examination
) -> dict[str, Any]:
    """Return what can be said beforehand, as JSON-ready values.

    `detectable`: the smallest true effect found with 80% (in standard deviations of one seed, in the unit of the score
    where the baseline's spread is known, and the seeds an arm the expected effect would take), None where nothing is
    tested. `cost`: trials, seconds of one trial, of all together and of the wall clock at `at_once` trials a time, the
    baseline included; None when no earlier run tells. `gates`: the lines of violations, caveats and passed gates.
    """
    return {
        "detectable": _detectable(proposal, measured),
        "cost": _cost(workspace, proposal, examined),
        "gates": {
            "allowed": not examined.violations,
            "violations": [one.message for one in examined.violations],
            "hints": [one.hint for one in examined.violations],
            "caveats": list(examined.caveats),
            "passed": list(examined.passed),
        },
    }


def _detectable(proposal: Proposal, measured: Measured | None) -> dict[str, Any] | None:
    expected, plan = proposal.expectation, proposal.plan
    if expected is None or expected.form == "reaches":
        return None
    seeds, alpha = len(plan.seeds), list(stages(plan).values())[-1]  # looks before the last spend their share
    others = len(measured.scores) if measured is not None else len(plan.baseline_seeds)
    compares = expected.form in ("rise", "fall", "within")
    in_sd = minimum_detectable_effect(seeds, others, alpha) if compares else _half_width(seeds, alpha)
    if in_sd is None:
        return None
    spread = measured.sd if measured is not None and measured.sd else None
    amount = expected.amount if compares else None
    return {
        "what": "difference" if compares else "half-width",
        "in_sd": in_sd,
        "treatment_seeds": seeds,
        "baseline_seeds": others if compares else None,
        "power": POWER if compares else None,
        "spread": spread,
        "in_unit": None if spread is None else in_sd * spread,
        "seeds_for_expected": _seeds_for(amount, spread, alpha),
    }


def _seeds_for(amount: float | None, spread: float | None, alpha: float) -> int | None:
    return seeds_needed(amount / spread, alpha) if amount is not None and spread is not None else None


def _half_width(seeds: int, alpha: float) -> float | None:
    """Return half the interval of one arm's mean, in standard deviations: what a level is told apart by."""
    return None if seeds < 2 else quantile(1 - alpha / 2, seeds - 1) / math.sqrt(seeds)


def _cost(workspace: Workspace, proposal: Proposal, examined: Examination) -> dict[str, Any] | None:
    plan = proposal.plan
    opened = len(plan.baseline_seeds) if examined.baseline_run is None and proposal.kind != "baseline" else 0
    trials = len(plan.seeds) + opened
    pace = _pace(workspace, proposal, examined.baseline_run)
    if pace is None:
        return None
    each = plan.budget_amount * pace.seconds_per_unit
    at_once = default_jobs(trials, examined.treatment.config.execution.threads)
    return {
        "trials": trials,
        "of_baseline": opened,
        "each_s": each,
        "total_s": each * trials,
        "at_once": at_once,
        "wall_s": each * math.ceil(trials / at_once),
        "pace_of": pace.run,
    }


def _pace(workspace: Workspace, proposal: Proposal, baseline: str | None) -> _Pace | None:
    """Return the pace of the baseline, else of the newest finished run of its family, else of the environment."""
    unit = proposal.plan.budget_unit
    if unit == "wall_clock":
        return _Pace("", 1.0)
    other: _Pace | None = None
    known = [] if baseline is None else [run_row(workspace.run(baseline))]
    for count, row in enumerate(chain(known, newest_runs(workspace))):
        if count == _RUNS_ASKED or row.manifest is None or row.manifest.env != proposal.base.env:
            if count == _RUNS_ASKED:
                break
            continue
        ended = [trial.status for trial in row.trials if trial.state in OVER]
        spent = sum(_units(status, unit) for status in ended)
        if spent <= 0:
            continue
        pace = _Pace(row.id, sum(status.wall_s for status in ended) / spent)
        if row.manifest.family == proposal.family:
            return pace
        other = other or pace
    return other


def _units(status: Status, unit: str) -> float:
    if unit == "actor_updates" and status.actor_updates is not None:
        return float(status.actor_updates)
    return float(status.env_steps if unit == "env_steps" else status.updates)
