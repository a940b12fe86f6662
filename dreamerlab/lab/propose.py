"""`propose`: from a sentence, or flags that say the same, to a frozen hypothesis in the registry.

`build_proposal` reads and refuses, and writes nothing; `propose` adds the forecast, stores and commits. The grammar is
`protocol.sentence`, the meaning `protocol.reading`; words `proposal_words.py`, layers and baseline `proposal_base.py`,
seeds and scores `proposal_plan.py`, what a repetition takes over `proposal_repeat.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dreamerlab.errors import Conflict, GateRefused, UsageError
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.ledger import open_record, registry_of
from dreamerlab.lab.proposal_base import (
    base_of_run,
    champion_runs,
    config_differences,
    find_baseline,
    implied_base,
    merged,
)
from dreamerlab.lab.proposal_plan import make_plan
from dreamerlab.lab.proposal_repeat import Repeated, open_repetition
from dreamerlab.lab.proposal_words import EXAMPLE, ProposeRequest, read_request
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.hypothesis import Base, Change, Expectation, KillRule, Plan, Proposal
from dreamerlab.protocol.pricing import Measured, priced
from dreamerlab.protocol.quantities import parse_count
from dreamerlab.protocol.reading import changed, read_changes, read_metric
from dreamerlab.protocol.registry import HYPOTHESIS, Registry
from dreamerlab.protocol.sentence import SaidChange, Sentence
from dreamerlab.protocol.state import PROPOSED
from dreamerlab.runs.creation import check_alias
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

__all__ = ["ProposeRequest", "Proposed", "build_proposal", "propose"]


@dataclass(frozen=True)
class Proposed:
    """A proposal with its forecast; `id` is None after a rehearsal."""

    proposal: Proposal
    id: str | None = None
    measured: Measured | None = None
    """The baseline's scores, when it has been measured already."""


def propose(
    workspace: Workspace, request: ProposeRequest, voice: Voice, *, commit: bool = True, rehearse: bool = False
) -> Proposed:
    """Store the hypothesis of `request` and commit it; with `rehearse` only say what would be stored."""
    from dreamerlab.lab.check import examine
    from dreamerlab.lab.forecast import forecast

    proposal = build_proposal(workspace, request, voice)
    measured = _measured(workspace, proposal)
    made = forecast(workspace, proposal, measured, examine(workspace, proposal))
    proposal = replace(proposal, forecast=made)
    if rehearse:
        return Proposed(proposal, None, measured)
    record_id = open_record(
        workspace, HYPOTHESIS, PROPOSED, proposal.to_dict(), provided=lambda registry: _free(registry, proposal.name)
    )
    publish(workspace, [record_id], f"Propose {record_id}: {_short(proposal.sentence)}", voice.warn, wanted=commit)
    return Proposed(proposal, record_id, measured)


def build_proposal(workspace: Workspace, request: ProposeRequest, voice: Voice | None = None) -> Proposal:
    """Return the hypothesis that `request` describes, without forecast; nothing is written.

    UsageError, ConfigError or NotFound for what cannot be understood, GateRefused for what could never be tested.
    """
    from dreamerlab.config.layers import resolve
    from dreamerlab.protocol.families import family
    from dreamerlab.protocol.gates import base_digest

    say = _silent if voice is None else voice.say
    repeated = open_repetition(workspace, request) if request.replicates is not None else None
    text, sentence = read_request(request) if repeated is None else (repeated.text, repeated.sentence)
    if request.name is not None:
        check_alias(request.name)
        _free(registry_of(workspace), request.name)
    why, reason = _words("--why", request.why), _words("--reason", request.reason)
    reason = reason or (repeated.frozen.reason if repeated is not None else None)
    kind = _kind(sentence, reason)
    base = repeated.frozen.base if repeated is not None else _base(workspace, request, kind, say)
    control = resolve(workspace.path, base.env, base.experiment, base.overrides)
    base = replace(base, digest=base_digest(control.flat))
    changes = read_changes(sentence, control)
    treatment = changed(control, changes)
    metric = None if sentence.expectation is None else read_metric(sentence.expectation, sentence)
    # A baseline that predicts nothing is scored like any other run, by its return.
    plan = _plan(request, control, sentence, metric or "eval/return_mode", repeated, baseline=kind == "baseline")
    families = (family(base.env, control.flat), family(base.env, treatment.flat))
    if kind != "baseline":
        like = (control, families[0], plan.kill)
        base = replace(base, run=_baseline(workspace, base, like, say, code_changes=sentence.code is not None))
    proposal = Proposal(
        kind=kind,
        sentence=text,
        reading=_reading(sentence, changes, metric),
        base=base,
        plan=plan,
        family=families[1],
        baseline_family=families[0],
        changes=changes,
        code=sentence.code,
        name=request.name,
        why=why,
        reason=reason,
        new_family=request.new_family or (repeated is not None and repeated.frozen.new_family),
        replicates=None if repeated is None else repeated.id,
        follows=None if request.follows is None else registry_of(workspace).find(request.follows),
        queued=request.queue,
    )
    return replace(proposal, expectation=_expectation(workspace, proposal, sentence, metric, control, repeated))


def _kind(sentence: Sentence, reason: str | None) -> str:
    said = sentence.expectation
    if sentence.code is None and not sentence.changes:
        if said is not None and said.form in ("rise", "fall", "within"):
            raise UsageError(
                f"'{said}' compares with a baseline, and where nothing changes there is only one arm",
                hint=f"expect a level of it: dreamerlab propose 'nothing -> expect {said.metric} >= N'",
            )
        return "baseline"
    if len(sentence.changes) > 1 and reason is None:
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


def _base(workspace: Workspace, request: ProposeRequest, kind: str, say: Callable[[str], None]) -> Base:
    own = (*request.overrides, *_budget(request.budget))
    if request.baseline is not None:
        if kind == "baseline":
            raise UsageError(
                f"a baseline is compared with nothing, and --baseline names {request.baseline}",
                hint="leave --baseline out",
            )
        found = base_of_run(workspace, request.baseline)
        if request.env is None and request.experiment is None:
            return replace(found, overrides=merged(found.overrides, own))
        return Base(request.env or found.env, request.experiment, own, found.run)
    if request.env is not None:
        return Base(request.env, request.experiment, own)
    base = implied_base(workspace)
    if base is None or request.experiment is not None:
        reason = "the baselines of this workspace do not single one out"
        if request.experiment is not None:
            reason = f"the experiment {request.experiment} does not say on which"
        elif not any(True for _ in workspace.runs.glob("R*")):
            reason = "there is no baseline here to take it from"
        said = EXAMPLE if request.sentence is None else f'dreamerlab propose "{request.sentence.strip()}"'
        hint = f"{said} --env cartpole --experiment {request.experiment or 'nano'}"
        raise UsageError(f"no environment is named, and {reason}", hint=hint)
    layers = " + ".join(filter(None, (base.env, base.experiment, *base.overrides)))
    say(f"no --env: on {layers}, as in the baselines here")
    return replace(base, overrides=merged(base.overrides, own))


def _words(flag: str, text: str | None) -> str | None:
    """Return words for the record, None for none; UsageError for bytes that are no text."""
    if text is None or not text.strip():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{flag} {ascii(text)[:60]} is not UTF-8 text", hint=f"write {flag} in UTF-8") from None
    return text


def _budget(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    count = parse_count(text)
    if count is None:
        raise UsageError(f"--budget '{text}' is no whole number above 0", hint="--budget 30k (in budget.unit)")
    return (f"budget.amount={count}",)


def _plan(
    request: ProposeRequest,
    control: Resolved,
    sentence: Sentence,
    metric: str,
    repeated: Repeated | None,
    *,
    baseline: bool,
) -> Plan:
    if repeated is None:
        return make_plan(request.plan, control.config, sentence.expectation, metric, baseline=baseline)
    frozen = repeated.frozen.plan
    wanted = replace(request.plan, reducer=frozen.reducer, seeds=request.plan.seeds or str(len(frozen.seeds)))
    plan = make_plan(wanted, control.config, sentence.expectation, metric, baseline=baseline, used=repeated.used)
    looks = plan.looks or (frozen.looks if len(frozen.seeds) == len(plan.seeds) else ())
    return replace(
        plan,
        looks=looks,
        kill=frozen.kill,
        fail_score=frozen.fail_score,
        alpha=frozen.alpha,
        budget_unit=frozen.budget_unit,
        budget_amount=frozen.budget_amount,
    )


def _baseline(
    workspace: Workspace,
    base: Base,
    like: tuple[Resolved, str, Sequence[KillRule]],
    say: Callable[[str], None],
    *,
    code_changes: bool,
) -> str | None:
    """Return the run that the treatment is set against, or None: one is opened when this is run.

    It is `like` this: its config, its family, its kill rules.
    """
    control, family_name, kill = like
    if base.run is not None:
        other = config_differences(workspace, base.run, control)
        if other:
            raise GateRefused(
                f"{base.run} was not made of this base: it differs in {', '.join(other[:5])}",
                hint="leave --env, --experiment and --set out to take its layers, or leave --baseline out",
            )
        return base.run
    found = find_baseline(workspace, control, family_name, kill, code_changes=code_changes)
    if found.run is not None:
        what = "champion" if champion_runs(workspace).get(family_name) == found.run else "baseline"
        say(f"baseline: {found.run}, the {what} of this config")
    elif found.near is not None:
        say(f"no baseline yet: {found.near}")
    return found.run


def _expectation(
    workspace: Workspace,
    proposal: Proposal,
    sentence: Sentence,
    metric: str | None,
    control: Resolved,
    repeated: Repeated | None,
) -> Expectation | None:
    said = sentence.expectation
    if said is None or metric is None:
        return None
    # The amount may depend on the baseline's mean; a level that is to be reached is known before.
    level = said.amount.value if said.form == "reaches" else None
    measured = _measured(workspace, replace(proposal, expectation=Expectation(metric, said.form, level)))
    if repeated is not None:
        return repeated.frozen.expectation  # the same prediction, to the digit
    reference = {"random": control.config.reference.random, "solved": control.config.reference.solved}
    return priced(said, metric, proposal.plan.reducer, reference, measured)


def _measured(workspace: Workspace, proposal: Proposal) -> Measured | None:
    """Return the baseline's scores as the verdict will see them, once every seed has one.

    GateRefused for a baseline that is finished and has none by this metric and reducer: nothing could ever be judged.
    """
    run_id, expected = proposal.base.run, proposal.expectation
    if run_id is None or expected is None:
        return None
    from dreamerlab.lab.judge import baseline_arm

    arm = baseline_arm(workspace, run_id, proposal)
    for seed in arm.lacking:
        if read_status(workspace.run(run_id).trial(seed)).state == "finished":
            raise GateRefused(
                f"baseline {run_id} has no score by {proposal.plan.reducer} of {expected.metric}: "
                f"seed {seed}: {arm.missing.get(seed, 'unknown why')}",
                hint=f"choose a metric or reducer it has (dreamerlab show {run_id}), or measure a new baseline",
            )
    return None if arm.lacking or not arm.values else Measured(run_id, tuple(arm.values))


def _reading(sentence: Sentence, changes: tuple[Change, ...], metric: str | None) -> str:
    """Return the sentence in canonical words: full keys, both values, the metric's full name."""
    from dreamerlab.config.diff import show

    said = tuple(SaidChange(one.key, show(one.after), show(one.before)) for one in changes)
    expected = sentence.expectation
    if expected is not None and metric is not None:
        expected = replace(expected, metric=metric)
    return str(Sentence(said, sentence.code, expected))


def _free(registry: Registry, name: str | None) -> None:
    holder = registry.names().get(name) if name is not None else None
    if holder is not None:
        raise Conflict(f"the name '{name}' belongs to {holder}", hint="choose another --name")


def _short(sentence: str) -> str:
    said = " ".join(sentence.split())
    return said if len(said) <= 72 else f"{said[:69]}..."


def _silent(_: str) -> None:
    """Say nothing: of a hypothesis that is opened for another one, that one speaks."""
