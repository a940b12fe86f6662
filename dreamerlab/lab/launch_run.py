"""`run`: from the words of a command line to a run directory that is ready to be executed.

Everything that can be refused is refused before anything is created. Until hypotheses can be proposed, a run measures
a baseline or is a pilot. Execution is `execute.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dreamerlab.errors import Conflict, GateRefused, UsageError
from dreamerlab.lab.aftercare import finalise_leftovers
from dreamerlab.lab.execute import Execution, Voice, claim
from dreamerlab.lab.preflight import check_environment, machine_warnings, require_training_parts
from dreamerlab.lab.provenance import code_state, manifest_code
from dreamerlab.lab.seeds import parse_seeds
from dreamerlab.launch.local import default_jobs
from dreamerlab.report.wording import amount, seeds_text
from dreamerlab.runs.attempts import now
from dreamerlab.runs.creation import check_alias, create_run
from dreamerlab.runs.manifest import Budget, Manifest
from dreamerlab.runs.store import Workspace, aliases

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

BASELINE_SEEDS = "3"
PILOT_DIVISOR = 10


@dataclass(frozen=True)
class Request:
    """What was asked for, word by word."""

    env: str | None
    experiment: str | None
    overrides: tuple[str, ...]
    baseline: bool
    pilot: bool
    seeds: str | None
    name: str | None
    jobs: int | None
    command: tuple[str, ...]


def open_run(workspace: Workspace, request: Request, voice: Voice) -> Execution:
    """Create the run and claim its trials; raise a LabError, with nothing created, when something forbids it."""
    from dreamerlab.config.layers import to_yaml
    from dreamerlab.protocol.families import family
    from dreamerlab.tracking import environment
    from dreamerlab.tracking.code_identity import code_paths, compute, snapshot

    _require_purpose(request)
    seeds = _seeds(request)
    if request.name is not None:
        _require_free(workspace, request.name)
    resolved = _resolve(workspace, request, voice)
    config = resolved.config
    require_training_parts(workspace)
    check_environment([workspace.path] if code_paths(workspace) else [], config.env.id, config.env.time_limit)
    threads = config.execution.threads
    jobs = request.jobs or default_jobs(len(seeds), threads)
    for line in machine_warnings(min(jobs, len(seeds)), threads):
        voice.warn(line)
    identity = compute(workspace)
    code = snapshot(workspace, identity)
    state = code_state(workspace)
    env = request.env or config.env.id
    manifest = Manifest(
        id="",
        kind="pilot" if request.pilot else "baseline",
        env=env,
        family=family(env, resolved.flat),
        created_at=now(),
        seeds=seeds,
        budget=Budget(config.budget.unit, config.budget.amount),
        code=manifest_code(identity, state),
        name=request.name,
        environment=environment.capture(),
        command=request.command,
    )
    finalise_leftovers(workspace, voice.say, voice.warn)
    run = create_run(
        workspace,
        manifest,
        config_yaml=to_yaml(config),
        origins=resolved.origins,
        patch=state.patch,
        freeze=environment.freeze(),
    )
    trials = [run.trial(seed) for seed in seeds]
    claim(workspace, trials)
    each = amount(config.budget.amount, config.budget.unit)
    marked = "PILOT, " if request.pilot else ""
    voice.say(f"{run.id}: {marked}{env}, seeds {seeds_text(seeds)}, {each} each, {min(jobs, len(seeds))} at once")
    return Execution(workspace, run, trials, code, threads, jobs)


def _require_purpose(request: Request) -> None:
    if not request.baseline and not request.pilot:
        raise GateRefused(
            "a run needs a purpose: without a hypothesis it can only measure a baseline or be a pilot",
            hint="dreamerlab run --baseline --env cartpole --seeds 3, or --pilot for a quick look",
        )


def _require_free(workspace: Workspace, name: str) -> None:
    """Refuse a name early; `create_run` asks once more, under the lock."""
    check_alias(name)
    if (holder := aliases(workspace).get(name)) is not None:
        raise Conflict(f"the name '{name}' belongs to {holder}", hint="choose another --name")


def _seeds(request: Request) -> tuple[int, ...]:
    if not request.pilot:
        return parse_seeds(request.seeds or BASELINE_SEEDS)
    seeds = parse_seeds(request.seeds or "1")
    if len(seeds) != 1:
        raise UsageError(
            f"a pilot has one seed, and --seeds {request.seeds} is {len(seeds)}",
            hint=f"leave --seeds out, or name one: --seeds {seeds[-1]}-{seeds[-1]}",
        )
    return seeds


def _resolve(workspace: Workspace, request: Request, voice: Voice) -> Resolved:
    """Return the config, a pilot's cut to a tenth, after saying what does not fit together in it."""
    from dreamerlab.config.conformance import audit
    from dreamerlab.config.layers import flatten, from_flat, resolve

    resolved = resolve(workspace.path, request.env, request.experiment, request.overrides)
    if resolved.origins["env.id"] == "default":
        # The defaults describe the algorithm at the reference's length: hours of a task that nobody asked for.
        raise UsageError("no environment is named", hint="dreamerlab run --baseline --env cartpole --experiment nano")
    if request.pilot:
        asked = resolved.config.budget.amount
        tenth = -(-asked // PILOT_DIVISOR)
        config = from_flat({**resolved.flat, "budget.amount": tenth}, resolved.origins)
        origin = f"--pilot: a tenth of {asked} ({resolved.origins['budget.amount']})"
        resolved = replace(
            resolved, config=config, flat=flatten(config), origins={**resolved.origins, "budget.amount": origin}
        )
    for finding in audit(resolved.config):
        if finding.severity == "error":
            voice.warn(f"{finding.message} (dreamerlab config audit explains)")
    return resolved
