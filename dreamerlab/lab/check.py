"""`check`: whether a hypothesis may run, and what it would be: everything `run` needs to know before it creates.

Resolves both arms, finds the baseline, asks every rule of `protocol.gates`, and puts all violations and caveats
together as data. Creates nothing and refuses nothing: `run` does that, `propose` prints it, `check` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dreamerlab.errors import GateRefused, LabError
from dreamerlab.lab.arms import Arms, recorded, resolve_arms
from dreamerlab.lab.baseline_search import Question, find_baseline, run_to_prove
from dreamerlab.lab.code_scope import must_be_committed, provenance_caveats, uncommitted
from dreamerlab.lab.inert_proofs import read_proofs
from dreamerlab.lab.known_seeds import known_seeds
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.machine import machine_gate
from dreamerlab.lab.origins import origin_gate
from dreamerlab.launch.local import default_jobs
from dreamerlab.protocol import gates, launch_rules
from dreamerlab.protocol.families import family
from dreamerlab.protocol.gates import Arm
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, Proposal
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, OPEN, QUEUED, RUNNING, Hypothesis, fold, hypotheses
from dreamerlab.protocol.violations import Violation, count_of, named, refusal
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved
    from dreamerlab.tracking.code_identity import CodeIdentity

A_PROPOSAL = "this proposal"


@dataclass(frozen=True)
class Examination:
    """What a hypothesis would be if it ran now, and everything that speaks against it."""

    hypothesis: str | None
    """Full id; None for a proposal that is not on record yet."""
    phase: str
    proposal: Proposal
    treatment: Resolved
    """Of a baseline hypothesis: the config to be measured."""
    control: Resolved
    """The base: what the baseline run was, or would be, trained with."""
    baseline_run: str | None
    """The existing run that serves as baseline; None when one has to be measured (or none is needed)."""
    code: CodeIdentity
    """The present code, which the treatment would execute."""
    dirty: bool
    """Whether code in scope is uncommitted, be it allowed or not."""
    violations: tuple[Violation, ...]
    caveats: tuple[str, ...]
    passed: tuple[str, ...] = ()
    """Gates that a flag opened, one line each, for the record of the launch."""

    @property
    def subject(self) -> str:
        """The hypothesis' id, or words for a proposal."""
        return self.hypothesis or A_PROPOSAL

    def refuse(self) -> None:
        """Raise GateRefused naming every violation, if there is one."""
        if self.violations:
            raise refusal(self.violations, self.subject)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-ready values, without the configs."""
        return {
            "hypothesis": self.hypothesis,
            "phase": self.phase,
            "allowed": not self.violations,
            "baseline_run": self.baseline_run,
            "code": self.code.identity,
            "dirty": self.dirty,
            "violations": [one.to_dict() for one in self.violations],
            "caveats": list(self.caveats),
            "passed": list(self.passed),
        }


def choose(workspace: Workspace, text: str | None, verb: str = "run") -> Hypothesis:
    """Return the hypothesis meant by `text`: id, prefix or name; without a text the only open one.

    With none open, the only one that is running. `verb` is the command that asks. NotFound for no such id, GateRefused
    when nothing or several are open.
    """
    registry = registry_of(workspace)
    if text is not None:
        return fold(registry.read(registry.find(text)))
    known = list(hypotheses(registry))
    found = [one for one in known if one.phase == OPEN] or [one for one in known if one.phase == RUNNING]
    ids = {one.id for one in found}
    # A baseline opened for another hypothesis goes with that one.
    found = [one for one in found if not (one.proposal.kind == "baseline" and one.proposal.follows in ids)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise GateRefused(
            "no hypothesis is open: a run needs one, or is a baseline or a pilot",
            hint='dreamerlab propose "change KEY=VALUE -> expect METRIC to rise by N"; dreamerlab run --baseline ...',
        )
    listed = "\n".join(f"  {one.id}  {one.proposal.sentence}" for one in found)
    raise GateRefused(
        f"{len(found)} hypotheses are {found[0].phase}, and which one is meant is not said:\n{listed}",
        hint=f"name one: dreamerlab {verb} {found[0].id}",
    )


def examine(
    workspace: Workspace,
    hypothesis_or_proposal: Hypothesis | Proposal,
    *,
    overrides: Sequence[str] = (),
    allow_dirty: bool = False,
    new_family: bool | None = None,
    jobs: int | None = None,
    seeds: Sequence[int] | None = None,
) -> Examination:
    """Return the whole answer for a hypothesis on record, or for a proposal that is not yet.

    `overrides` are KEY=VALUE of the launch; `new_family` None means as proposed; `jobs` None as many as the cores
    carry; `seeds` are those asked for on the command line, if any. Raises ConfigError or NotFound when the base
    cannot be resolved at all, UsageError when the code is no valid Python.
    """
    from dreamerlab.tracking.code_identity import compute, require_python

    code = compute(workspace)
    require_python(workspace, code)
    state = hypothesis_or_proposal if isinstance(hypothesis_or_proposal, Hypothesis) else None
    if state is not None and state.phase not in (OPEN, QUEUED):
        return _after_launch(workspace, state, code, overrides, seeds, jobs)
    proposal = (
        hypothesis_or_proposal.proposal if isinstance(hypothesis_or_proposal, Hypothesis) else hypothesis_or_proposal
    )
    subject = A_PROPOSAL if state is None else state.id
    arms = resolve_arms(workspace, proposal, overrides, subject)
    base, changed = _arm(arms.control), _arm(arms.treatment)
    question = _question(workspace, proposal, base, code, subject)
    found = find_baseline(question)
    known = known_seeds(workspace, proposal, changed, code.identity, question.proofs)
    families = (family(proposal.base.env, base.flat), family(proposal.base.env, changed.flat))
    allowed = proposal.new_family if new_family is None else new_family
    scope = uncommitted(workspace, code)
    dirt = must_be_committed(workspace, proposal, scope)
    to_measure = found.run is None and proposal.kind != "baseline"
    machine, load = _machine(workspace, proposal, arms.treatment, jobs, to_measure=to_measure)
    passed = [f"--allow-dirty: {named(dirt)}"] if dirt and allow_dirty else []
    if allowed and families[0] != families[1]:
        passed.append(f"--new-family: from {families[0]} to {families[1]}")
    return Examination(
        hypothesis=None if state is None else state.id,
        phase=OPEN if state is None else state.phase,
        proposal=proposal,
        treatment=arms.treatment,
        control=arms.control,
        baseline_run=found.run,
        code=code,
        dirty=bool(dirt),
        violations=(
            *gates.same_base(proposal, base, subject),
            *gates.declared_change(proposal, base, changed, subject),
            *gates.equal_measure(proposal, base, changed),
            *gates.same_family(base, changed, families, allowed=allowed, subject=subject),
            *launch_rules.override_allowed(arms.foreign, changed, subject),
            *found.violations,
            *launch_rules.frozen_seeds(proposal, seeds, ended=False, subject=subject),
            *launch_rules.fresh_seeds(proposal, _seeds_of(workspace, proposal.replicates), subject),
            *launch_rules.unknown_seeds(proposal, known, subject),
            *launch_rules.committed(dirt, allowed=allow_dirty, subject=subject),
            *origin_gate(workspace, arms.treatment, proposal.plan.seeds),
            *(origin_gate(workspace, arms.control, proposal.plan.baseline_seeds) if to_measure else ()),
            *machine,
        ),
        caveats=(
            *_of_plan(proposal),
            *_of_config(arms),
            *found.caveats,
            *provenance_caveats(scope, dirt, allowed=allow_dirty),
            *load,
        ),
        passed=tuple(passed),
    )


def baseline_of_other_code(workspace: Workspace, hypothesis: Hypothesis) -> RunDirectory | None:
    """Return the baseline that only its code keeps from serving; None when code does not stand in the way."""
    from dreamerlab.tracking.code_identity import compute

    proposal = hypothesis.proposal
    if proposal.kind == "baseline" or proposal.code is not None:
        return None
    control = resolve_arms(workspace, proposal, (), hypothesis.id).control
    return run_to_prove(_question(workspace, proposal, _arm(control), compute(workspace), hypothesis.id))


def _question(workspace: Workspace, proposal: Proposal, control: Arm, code: CodeIdentity, subject: str) -> Question:
    known = {one.id: one for one in hypotheses(registry_of(workspace))}
    return Question(workspace, proposal, control, code, read_proofs(workspace), known, subject)


def _after_launch(
    workspace: Workspace,
    state: Hypothesis,
    code: CodeIdentity,
    overrides: Sequence[str],
    seeds: Sequence[int] | None,
    jobs: int | None,
) -> Examination:
    """Return the answer for a hypothesis whose run exists, or never will: a run is only ever continued as it began."""
    ended = state.phase in (DONE_JUDGED, DONE_MEASURED)
    violations = launch_rules.frozen_seeds(state.proposal, seeds, ended=ended, subject=state.id)
    if state.phase != RUNNING and not violations:
        violations.append(launch_rules.not_open(state.phase, _outcome(state), state.id))
    treatment, control = _recorded(workspace, state.run), _recorded(workspace, state.baseline_run)
    if treatment is None or control is None:
        arms = resolve_arms(workspace, state.proposal, (), state.id)
        treatment, control = treatment or arms.treatment, control or arms.control
    if state.phase == RUNNING:
        violations += launch_rules.nothing_overridden(overrides, state.id)
        violations += _machine(workspace, state.proposal, treatment, jobs, to_measure=False)[0]
    return Examination(
        hypothesis=state.id,
        phase=state.phase,
        proposal=state.proposal,
        treatment=treatment,
        control=control,
        baseline_run=state.baseline_run,
        code=code,
        dirty=bool(state.launch.get("dirty")),
        violations=tuple(violations),
        caveats=tuple(str(line) for line in state.launch.get("caveats") or ()),
        passed=tuple(str(line) for line in state.launch.get("gates") or ()),
    )


def _machine(
    workspace: Workspace, proposal: Proposal, treatment: Resolved, jobs: int | None, *, to_measure: bool
) -> tuple[list[Violation], list[str]]:
    together = len(proposal.plan.seeds) + (len(proposal.plan.baseline_seeds) if to_measure else 0)
    threads = treatment.config.execution.threads
    return machine_gate(workspace, min(jobs or default_jobs(together, threads), together), threads)


def _of_plan(proposal: Proposal) -> list[str]:
    count = len(proposal.plan.seeds)
    if count >= FEWEST_SEEDS:
        return []
    what = "a baseline" if proposal.kind == "baseline" else "a treatment"
    return [f"{what} of {count_of(count, 'seed')} can carry no verdict: it takes {FEWEST_SEEDS}"]


def _of_config(arms: Arms) -> list[str]:
    """What does not fit together in a config, the treatment's own faults marked as such."""
    from dreamerlab.config.conformance import audit

    shared = {one.message for one in audit(arms.control.config) if one.severity == "error"}
    own = [one.message for one in audit(arms.treatment.config) if one.severity == "error"]
    return [*sorted(shared), *(f"with the change: {message}" for message in own if message not in shared)]


def _seeds_of(workspace: Workspace, hypothesis: str | None) -> tuple[int, ...]:
    if hypothesis is None:
        return ()
    try:
        return fold(registry_of(workspace).read(hypothesis)).proposal.plan.seeds
    except LabError:
        return ()  # a record of another branch, or a damaged one: named by lint


def _outcome(state: Hypothesis) -> str | None:
    outcome = (state.verdict or {}).get("outcome")
    return state.withdrawn if outcome is None else str(outcome)


def _recorded(workspace: Workspace, run: str | None) -> Resolved | None:
    try:
        return None if run is None else recorded(workspace.run(run))
    except LabError:
        return None  # not in this clone, or damaged: the layers tell what was declared


def _arm(resolved: Resolved) -> Arm:
    return Arm(resolved.flat, resolved.origins)
