"""`run`: from the words of a command line to claimed trials.

Everything that can be refused is refused before anything is created. A hypothesis that was launched before is gone on
with, by the same words; `run --baseline` opens a hypothesis that nothing is changed. How a launch is put on record is
`launch_hypothesis.py`, what is trained in which order `outstanding.py`, training itself `execute.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dreamerlab.errors import Conflict, GateRefused, UsageError
from dreamerlab.ids import letter_of
from dreamerlab.lab.aftercare import finalise_leftovers
from dreamerlab.lab.baseline import halted, measurement, opened
from dreamerlab.lab.execute import Execution, Voice, settled, spare
from dreamerlab.lab.launch_hypothesis import Order, launch, require_trainable
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.outstanding import open_execution
from dreamerlab.lab.pilot import Tried, of_hypothesis, open_pilot, pilot_seed
from dreamerlab.lab.publish import publish
from dreamerlab.lab.recovery import launch_lock, recover
from dreamerlab.lab.seeds import parse_seeds
from dreamerlab.protocol.hypothesis import Base, Proposal
from dreamerlab.protocol.state import RUNNING, Hypothesis, fold
from dreamerlab.runs.creation import check_alias
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.status import is_over, read_status
from dreamerlab.runs.store import Workspace, aliases

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved


@dataclass(frozen=True)
class Request:
    """What was asked for, word by word."""

    hypothesis: str | None = None
    env: str | None = None
    experiment: str | None = None
    overrides: tuple[str, ...] = ()
    baseline: bool = False
    pilot: bool = False
    seeds: str | None = None
    name: str | None = None
    jobs: int | None = None
    allow_dirty: bool = False
    new_family: bool = False
    commit: bool = True
    command: tuple[str, ...] = ()


def split_words(words: Sequence[str], *, baseline: bool) -> tuple[str | None, tuple[str, ...]]:
    """Return the hypothesis and the KEY=VALUE in the words of a command line; UsageError for two hypotheses.

    A baseline has no hypothesis to be named: there, a word without `=` is a setting that lacks its value.
    """
    named = [word for word in words if "=" not in word and not (baseline and letter_of(word) != "H")]
    if len(named) > 1:
        raise UsageError(f"run takes one hypothesis, not {len(named)}: {', '.join(named)}", hint="run them one by one")
    return (named[0] if named else None), tuple(word for word in words if word not in named)


def open_run(workspace: Workspace, request: Request, voice: Voice) -> Execution:
    """Claim the trials that `request` asks for, with everything they need created or found.

    Raises a LabError, with nothing created, when something forbids it; Conflict when another process is at it.
    """
    _refuse_contradictions(request)
    order = Order(request.command, request.name, request.commit)
    if request.name is not None:
        check_alias(request.name)
        if not _names_unfinished(workspace, request.name):
            _require_free(workspace, request.name)
    if request.baseline:
        proposal = _measurement(workspace, request)
        _settle_the_past(workspace, request, voice)
        return _launch_baseline(workspace, proposal, request, order, voice)
    if request.pilot and request.hypothesis is None:
        tried = Tried(*_named_layers(workspace, request), pilot_seed(request.seeds))
        with launch_lock(workspace):
            recover(workspace)
            return open_pilot(workspace, tried, order, voice)
    return _of_hypothesis(workspace, request, order, voice)


def _of_hypothesis(workspace: Workspace, request: Request, order: Order, voice: Voice) -> Execution:
    """Launch, or go on with, the hypothesis that is meant; or try it, as a pilot."""
    from dreamerlab.lab.check import choose, examine

    _require_purpose(workspace, request)
    _settle_the_past(workspace, request, voice)
    with launch_lock(workspace):
        recover(workspace)
        hypothesis = choose(workspace, request.hypothesis)
        if request.pilot:
            tried = of_hypothesis(workspace, hypothesis, pilot_seed(request.seeds))
            return open_pilot(workspace, tried, order, voice)
        asked = None if request.seeds is None else parse_seeds(request.seeds)
        new_family = True if request.new_family else None
        examined = examine(
            workspace,
            hypothesis,
            overrides=request.overrides,
            allow_dirty=request.allow_dirty,
            new_family=new_family,
            jobs=request.jobs,
            seeds=asked,
        )
        examined.refuse()
        if hypothesis.phase != RUNNING:
            require_trainable(workspace, examined.treatment)
            hypothesis = launch(workspace, hypothesis, examined, order, voice)
            for line in examined.caveats:
                voice.warn(line)
        voice.say(f"{hypothesis.id}: {hypothesis.proposal.sentence}")
        return open_execution(workspace, hypothesis, jobs=request.jobs, commit=request.commit, voice=voice)


def _launch_baseline(
    workspace: Workspace, proposal: Proposal, request: Request, order: Order, voice: Voice
) -> Execution:
    from dreamerlab.lab.check import examine

    with launch_lock(workspace):
        recover(workspace)
        examined = examine(workspace, proposal, allow_dirty=request.allow_dirty, jobs=request.jobs)
        examined.refuse()
        before = halted(workspace, proposal, examined.code.identity)
        if before is not None and _name_of(workspace, before) == request.name:
            voice.say(f"{before.id} is the same, and was interrupted")
            return open_execution(workspace, before, jobs=request.jobs, commit=request.commit, voice=voice)
        if request.name is not None:
            _require_free(workspace, request.name)
        require_trainable(workspace, examined.treatment)
        registry = registry_of(workspace)
        hypothesis = fold(registry.read(opened(workspace, proposal)))
        examined = replace(examined, hypothesis=hypothesis.id)
        hypothesis = launch(workspace, hypothesis, examined, order, voice)
        for line in examined.caveats:
            voice.warn(line)
        return open_execution(workspace, hypothesis, jobs=request.jobs, commit=request.commit, voice=voice)


def _settle_the_past(workspace: Workspace, request: Request, voice: Voice) -> None:
    """Finalise and judge what ended while nobody was there to do it; a failure of that stands in nobody's way."""
    spare(workspace)
    finalise_leftovers(workspace, voice.say, voice.warn, commit=request.commit)
    if news := settled(workspace, voice, commit=request.commit):
        finalise_leftovers(workspace, voice.say, voice.warn, commit=request.commit)  # what a look has spared just now
        for line in news:
            voice.say(line)
    publish(workspace, [], "Record what an interrupted command left", voice.warn, wanted=request.commit)


def _refuse_contradictions(request: Request) -> None:
    said = [word for word, given in (("--baseline", request.baseline), ("--pilot", request.pilot)) if given]
    if len(said) > 1:
        raise UsageError("--baseline and --pilot exclude each other", hint="a pilot is never evidence")
    if request.baseline and request.hypothesis is not None:
        raise UsageError(
            f"--baseline opens a hypothesis of its own, and {request.hypothesis} is named as well",
            hint=f"dreamerlab run {request.hypothesis}; the baseline it needs is opened by itself",
        )
    layers = [f"--{word}" for word in ("env", "experiment") if getattr(request, word) is not None]
    if request.hypothesis is not None and layers:
        raise GateRefused(
            f"{' and '.join(layers)} cannot be chosen now: {request.hypothesis} froze what lies under its change",
            hint=f"dreamerlab run {request.hypothesis}",
        )
    if request.name is not None and not said:
        raise UsageError("--name names a baseline or a pilot", hint='dreamerlab propose "..." --name NAME')


def _require_purpose(workspace: Workspace, request: Request) -> None:
    """Refuse words that describe a run for which there is no hypothesis."""
    if request.hypothesis is None and (request.env is not None or request.experiment is not None):
        raise GateRefused(
            "a run needs a purpose: without a hypothesis it can only measure a baseline or be a pilot",
            hint='dreamerlab run --baseline --env cartpole --seeds 3, or dreamerlab propose "change ... -> expect ..."',
        )
    if request.hypothesis is not None and letter_of(request.hypothesis) == "R":
        raise UsageError(
            f"{request.hypothesis} is a run, and a run is never trained twice",
            hint=f"dreamerlab resume {request.hypothesis} goes on with what it lacks",
        )


def _require_free(workspace: Workspace, name: str) -> None:
    """Refuse a name that something has; `prepare_run` asks once more, under the lock."""
    holder = aliases(workspace).get(name) or registry_of(workspace).names().get(name)
    if holder is not None:
        raise Conflict(f"the name '{name}' belongs to {holder}", hint="choose another --name")


def _names_unfinished(workspace: Workspace, name: str) -> bool:
    """Tell whether a name is that of a run which the same words may go on with."""
    run = aliases(workspace).get(name)
    return run is not None and not all(is_over(read_status(trial)) for trial in workspace.run(run).trials())


def _name_of(workspace: Workspace, hypothesis: Hypothesis) -> str | None:
    assert hypothesis.run is not None, hypothesis.id
    return read_manifest(workspace.run(hypothesis.run).manifest_path).name


def _measurement(workspace: Workspace, request: Request) -> Proposal:
    env, resolved = _named_layers(workspace, request)
    return measurement(Base(env, request.experiment, request.overrides), resolved, request.seeds)


def _named_layers(workspace: Workspace, request: Request) -> tuple[str, Resolved]:
    """Return the environment's name and the config that the command line names."""
    from dreamerlab.config.layers import resolve

    resolved = resolve(workspace.path, request.env, request.experiment, request.overrides)
    if resolved.origins["env.id"] == "default":
        # The defaults describe the algorithm at the reference's length: hours of a task that nobody asked for.
        raise UsageError("no environment is named", hint="dreamerlab run --baseline --env cartpole --experiment nano")
    return request.env or resolved.config.env.id, resolved
