"""`propose`: from a sentence, or flags that say the same, to a frozen hypothesis in the registry.

`build_proposal` reads and refuses, and writes nothing; `propose` also stores and commits. The grammar is
`protocol.sentence`, the meaning `protocol.reading`, layers and baseline `proposal_base.py`, seeds and scores
`proposal_plan.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dreamerlab.errors import Conflict, GateRefused, UsageError
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.ledger import open_record, registry_of
from dreamerlab.lab.proposal_base import (
    base_of_run,
    champions,
    config_differences,
    find_baseline,
    implied_base,
)
from dreamerlab.lab.proposal_plan import PlanRequest, make_plan
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.hypothesis import Base, Change, Proposal
from dreamerlab.protocol.reading import Measured, changed, priced, read_changes, read_metric
from dreamerlab.protocol.registry import HYPOTHESIS
from dreamerlab.protocol.sentence import Sentence, parse_sentence
from dreamerlab.protocol.state import PROPOSED
from dreamerlab.runs.creation import check_alias
from dreamerlab.runs.store import Workspace, run_row

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved


@dataclass(frozen=True)
class ProposeRequest:
    """What was asked for, word by word; every part but the sentence has its flag."""

    sentence: str | None = None
    changes: tuple[str, ...] = ()
    """KEY=VALUE; several make a bundle."""
    code: str | None = None
    nothing: bool = False
    metric: str | None = None
    expected: tuple[tuple[str, str], ...] = ()
    """Form and amount, such as ("rise", "20%"); more than one is refused."""
    by: str | None = None
    env: str | None = None
    experiment: str | None = None
    overrides: tuple[str, ...] = ()
    baseline: str | None = None
    plan: PlanRequest = field(default_factory=PlanRequest)
    new_family: bool = False
    why: str | None = None
    name: str | None = None
    reason: str | None = None
    queue: bool = False
    replicates: str | None = None
    follows: str | None = None


@dataclass(frozen=True)
class Proposed:
    """A proposal and what is known about it; `id` is None after a rehearsal."""

    proposal: Proposal
    id: str | None = None


def propose(
    workspace: Workspace, request: ProposeRequest, voice: Voice, *, commit: bool = True, rehearse: bool = False
) -> Proposed:
    """Store the hypothesis of `request` and commit it; with `rehearse` only say what would be stored."""
    proposal = build_proposal(workspace, request, voice)
    if rehearse:
        return Proposed(proposal)
    record_id = open_record(workspace, HYPOTHESIS, PROPOSED, proposal.to_dict())
    publish(workspace, [record_id], f"Propose {record_id}: {_short(proposal.sentence)}", voice.warn, wanted=commit)
    return Proposed(proposal, record_id)


def build_proposal(workspace: Workspace, request: ProposeRequest, voice: Voice) -> Proposal:
    """Return the hypothesis that `request` describes; raise a LabError for what cannot be understood or tested."""
    from dreamerlab.config.layers import resolve
    from dreamerlab.protocol.families import family

    text, sentence = _sentence(request)
    if request.name is not None:
        _require_free(workspace, request.name)
    base = _base(workspace, request, voice)
    control = resolve(workspace.path, base.env, base.experiment, base.overrides)
    changes = read_changes(sentence, control)
    treatment = changed(control, changes)
    said = sentence.expectation
    metric = None if said is None else read_metric(said, sentence)
    kind = _kind(sentence, request)
    plan = make_plan(request.plan, control.config, said, metric, baseline=kind == "baseline")
    baseline_family = family(base.env, control.flat)
    if kind != "baseline":
        base = replace(base, run=_baseline(workspace, base, control, baseline_family, kind, voice))
    expectation = None
    if said is not None and metric is not None:
        reference = {"random": control.config.reference.random, "solved": control.config.reference.solved}
        measured = _measured(workspace, base.run, f"{plan.reducer} of {metric}")
        expectation = priced(said, metric, plan.reducer, reference, measured)
    return Proposal(
        kind=kind,
        sentence=text,
        reading=_reading(sentence, changes, metric),
        base=base,
        plan=plan,
        family=family(base.env, treatment.flat),
        baseline_family=baseline_family,
        changes=changes,
        code=sentence.code,
        expectation=expectation,
        name=request.name,
        why=request.why,
        reason=request.reason,
        new_family=request.new_family,
        queued=request.queue,
    )


def _sentence(request: ProposeRequest) -> tuple[str, Sentence]:
    """Return the sentence as typed, or as the flags say it, and its parts."""
    flags = _flags_as_sentence(request)
    if request.sentence is not None and flags is not None:
        raise UsageError(
            f"it is said twice: by the sentence and by flags ('{flags}')", hint="keep the sentence, or the flags"
        )
    text = request.sentence if flags is None else flags
    if text is None:
        raise UsageError(
            "there is nothing to propose",
            hint='dreamerlab propose "change optimizer.lr_actor=3e-4 -> expect eval/return to rise by 20%"',
        )
    return text, parse_sentence(text)


_FORMS = {
    "rise": "to rise by {}",
    "fall": "to fall by {}",
    "at-least": ">= {}",
    "at-most": "<= {}",
    "within": "stays within {}",
    "reaches": "reaches {}",
}


def _flags_as_sentence(request: ProposeRequest) -> str | None:
    subjects = [request.code is not None, request.nothing, bool(request.changes)]
    if sum(subjects) > 1:
        raise UsageError("--change, --code and --nothing exclude each other", hint="one hypothesis changes one thing")
    if len(request.expected) > 1:
        given = " and ".join(f"--{form}" for form, _ in request.expected)
        raise UsageError(f"{given} exclude each other", hint="a hypothesis expects one thing of one metric")
    if not any(subjects) and not request.expected and request.metric is None and request.by is None:
        return None
    if request.sentence is not None:
        return " ".join(f"--{form} {amount}" for form, amount in request.expected) or "--change, --code, --metric, ..."
    if not any(subjects):
        raise UsageError("the flags do not say what is changed", hint="--change KEY=VALUE, --code 'WHAT', or --nothing")
    left = f"code: {request.code}" if request.code is not None else "nothing"
    if request.changes:
        left = f"change {' and '.join(request.changes)}"
    if not request.expected:
        if request.nothing and request.metric is None:
            return left
        raise UsageError("the flags do not say what is expected", hint="for example: --metric eval/return --rise 20%")
    form, amount = request.expected[0]
    by = f" by {request.by}" if request.by is not None else ""
    if by and form != "reaches":
        raise UsageError(f"--by goes with --reaches, not with --{form}", hint="--reaches 475 --by 30k")
    if form == "reaches" and request.by is not None and not request.by.rstrip().endswith("steps"):
        by += " env_steps"
    return f"{left} -> expect {request.metric or 'eval/return'} {_FORMS[form].format(amount)}{by}"


def _base(workspace: Workspace, request: ProposeRequest, voice: Voice) -> Base:
    if request.baseline is not None:
        found = base_of_run(workspace, request.baseline)
        if request.env is None and request.experiment is None:
            return replace(found, overrides=(*found.overrides, *request.overrides))
        return Base(request.env or found.env, request.experiment, request.overrides, found.run)
    if request.env is not None:
        return Base(request.env, request.experiment, request.overrides)
    base = implied_base(workspace)
    if base is None or request.experiment is not None:
        raise UsageError(
            "no environment is named, and the baselines of this workspace do not single one out"
            if base is None
            else "an experiment is named, and no environment",
            hint='dreamerlab propose "..." --env cartpole --experiment nano',
        )
    layers = " + ".join(filter(None, (base.env, base.experiment, *base.overrides)))
    voice.say(f"no --env: on {layers}, as in the baselines here")
    return replace(base, overrides=(*base.overrides, *request.overrides))


def _kind(sentence: Sentence, request: ProposeRequest) -> str:
    said = sentence.expectation
    if sentence.code is None and not sentence.changes:
        if said is not None and said.form in ("rise", "fall", "within"):
            raise UsageError(
                f"where nothing changes there is nothing to {said.form.replace('within', 'stay within')} against",
                hint=f"a baseline can be expected to be at a level: nothing -> expect {said.metric} >= N",
            )
        return "baseline"
    if len(sentence.changes) > 1 and request.reason is None:
        raise GateRefused(
            f"{len(sentence.changes)} changes at once ({', '.join(one.key for one in sentence.changes)}): "
            "whatever happens, none can be told from the others",
            hint="propose them one by one, or declare a bundle: --reason 'why they only make sense together'",
        )
    if said is not None and said.form == "within":
        return "equivalence"
    if sentence.code is not None:
        return "code"
    return "config" if len(sentence.changes) == 1 else "bundle"


def _baseline(
    workspace: Workspace, base: Base, control: Resolved, family_name: str, kind: str, voice: Voice
) -> str | None:
    """Return the run that the treatment is set against, or None: one is opened when this is run."""
    from dreamerlab.tracking.code_identity import compute

    if base.run is not None:
        other = config_differences(workspace, base.run, control)
        if other:
            raise GateRefused(
                f"{base.run} was not made of this base: it differs in {', '.join(other[:5])}",
                hint="leave --env, --experiment and --set out to take its layers, or leave --baseline out",
            )
        return base.run
    code = None if kind == "code" else compute(workspace).identity
    found = find_baseline(workspace, control, family_name, code)
    if found.run is not None:
        what = "champion" if champions(workspace).get(family_name) == found.run else "newest baseline"
        voice.say(f"baseline: {found.run}, the {what} of this config")
    elif found.near is not None:
        voice.say(f"no baseline: {found.near}")
    return found.run


def _measured(workspace: Workspace, run_id: str | None, score: str) -> Measured | None:
    """Return the baseline's scores, when it was scored in this way and every seed has one."""
    if run_id is None:
        return None
    row = run_row(workspace.run(run_id))
    scores = [trial.score for trial in row.trials]
    if row.manifest is None or row.manifest.score != score or not scores:
        return None
    known = tuple(value for value in scores if value is not None)
    return Measured(run_id, known) if len(known) == len(scores) else None


def _reading(sentence: Sentence, changes: tuple[Change, ...], metric: str | None) -> str:
    """Return the sentence in canonical words: full keys, both values, the metric's full name."""
    from dreamerlab.config.diff import show
    from dreamerlab.protocol.sentence import SaidChange

    said = tuple(SaidChange(one.key, show(one.after), show(one.before)) for one in changes)
    expected = sentence.expectation
    if expected is not None and metric is not None:
        expected = replace(expected, metric=metric)
    return str(Sentence(said, sentence.code, expected))


def _require_free(workspace: Workspace, name: str) -> None:
    check_alias(name)
    holder = registry_of(workspace).names().get(name)
    if holder is not None:
        raise Conflict(f"the name '{name}' belongs to {holder}", hint="choose another --name")


def _short(sentence: str) -> str:
    said = " ".join(sentence.split())
    return said if len(said) <= 72 else f"{said[:69]}..."
