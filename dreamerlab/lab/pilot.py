"""`run --pilot`: one seed on a tenth of the budget, to see whether something runs at all; never evidence.

A pilot has no hypothesis: it is on record with an entry of the log that names its run. It may be a try of a proposed
hypothesis, which it neither launches nor judges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dreamerlab.errors import GateRefused, UsageError
from dreamerlab.lab.baseline import METRIC
from dreamerlab.lab.execute import Execution, Stage, Voice, claim
from dreamerlab.lab.launch_hypothesis import Order, require_trainable, run_files, surroundings
from dreamerlab.lab.ledger import open_record
from dreamerlab.lab.origins import require_origin
from dreamerlab.lab.outstanding import tasks_of
from dreamerlab.lab.preflight import machine_warnings
from dreamerlab.lab.publish import publish
from dreamerlab.lab.recovery import recover
from dreamerlab.lab.seeds import parse_seeds
from dreamerlab.protocol.entries import PILOT
from dreamerlab.protocol.families import family
from dreamerlab.protocol.hypothesis import DEFAULT_REDUCER
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.protocol.state import NOTED, Hypothesis
from dreamerlab.report.wording import amount
from dreamerlab.runs.attempts import now
from dreamerlab.runs.creation import complete_run, prepare_run
from dreamerlab.runs.manifest import Budget, Code, Manifest
from dreamerlab.runs.store import Workspace

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

DIVISOR = 10


@dataclass(frozen=True)
class Tried:
    """What a pilot tries: a config, of which environment, and for which hypothesis if for any."""

    env: str
    resolved: Resolved
    seed: int
    hypothesis: Hypothesis | None = None


def pilot_seed(text: str | None) -> int:
    """Return the one seed of a pilot; UsageError when `--seeds` names more."""
    seeds = parse_seeds(text or "1")
    if len(seeds) != 1:
        raise UsageError(
            f"a pilot has one seed, and --seeds {text} is {len(seeds)}",
            hint=f"leave --seeds out, or name one: --seeds {seeds[-1]}-{seeds[-1]}",
        )
    return seeds[0]


def shortened(resolved: Resolved) -> Resolved:
    """Return a config cut to a tenth of its budget, with an origin that says so."""
    from dreamerlab.config.layers import flatten, from_flat

    asked = resolved.config.budget.amount
    origin = f"--pilot: a tenth of {asked} ({resolved.origins['budget.amount']})"
    origins = {**resolved.origins, "budget.amount": origin}
    config = from_flat({**resolved.flat, "budget.amount": -(-asked // DIVISOR)}, origins)
    return replace(resolved, config=config, flat=flatten(config), origins=origins)


def of_hypothesis(workspace: Workspace, hypothesis: Hypothesis, seed: int) -> Tried:
    """Return the treatment of a hypothesis that has not been launched; code need not be committed for a try."""
    from dreamerlab.lab.check import examine

    if hypothesis.run is not None:
        raise GateRefused(
            f"{hypothesis.id} is {hypothesis.phase}: a pilot comes before the launch",
            hint=f"dreamerlab show {hypothesis.id}",
        )
    examined = examine(workspace, hypothesis, allow_dirty=True, jobs=1)
    return Tried(hypothesis.proposal.base.env, examined.treatment, seed, hypothesis)


def open_pilot(workspace: Workspace, tried: Tried, order: Order, voice: Voice) -> Execution:
    """Create a pilot's run and entry and claim its trial; the launch lock must be held."""
    from dreamerlab.tracking.code_identity import compute, snapshot

    resolved = shortened(tried.resolved)
    config = resolved.config
    require_trainable(workspace, resolved)
    require_origin(workspace, resolved, [tried.seed])
    for line in machine_warnings(1, config.execution.threads):
        voice.warn(line)
    identity = compute(workspace)
    snapshot(workspace, identity)
    manifest = Manifest(
        id="",
        kind="pilot",
        env=tried.env,
        family=family(tried.env, resolved.flat),
        created_at=now(),
        seeds=(tried.seed,),
        budget=Budget(config.budget.unit, config.budget.amount),
        code=Code(identity.identity),
        name=order.name,
        command=order.command,
        score=f"{DEFAULT_REDUCER} of {METRIC}",
    )
    length = amount(config.budget.amount, config.budget.unit)
    prepared = prepare_run(workspace, run_files(manifest, resolved, surroundings(workspace, identity)))
    of = "" if tried.hypothesis is None else f" of {tried.hypothesis.id}"
    about = [prepared.id] if tried.hypothesis is None else [prepared.id, tried.hypothesis.id]
    text = f"Pilot{of}: {tried.env}, seed {tried.seed}, {length}. A quick look, never evidence."
    try:
        entry = open_record(workspace, ENTRY, NOTED, {"kind": PILOT, "text": text, "about": about, "fields": {}})
    except BaseException:
        recover(workspace)
        raise
    run = complete_run(workspace, prepared)
    publish(workspace, [entry], f"Pilot {run.id}{of}", voice.warn, wanted=order.commit, also=[run.path])
    trial = run.trial(tried.seed)
    tasks = tasks_of(workspace, [trial])
    claim(workspace, [trial])
    voice.say(f"{run.id}: PILOT, {tried.env}, seed {tried.seed}, {length}")
    return Execution(
        workspace, (run,), (Stage(tuple(tasks.values())),), 1, f"dreamerlab resume {run.id}", commit=order.commit
    )
