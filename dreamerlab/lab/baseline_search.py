"""Which existing run can serve a hypothesis as its baseline: named in the proposal, or found by config and code.

A baseline fits when its recorded config equals the control's outside EXECUTION and BOOKKEEPING, and its code is the
present one (or was proven to behave the same); for a change of the code it is the other way round, the config equal
and the code not. Found are baseline runs and champions only: any other treatment was picked for its score. Measuring
one that is missing is the launcher's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from dreamerlab.errors import LabError
from dreamerlab.lab.code_scope import changed_sources, changed_versions
from dreamerlab.lab.inert_proofs import Proofs
from dreamerlab.lab.kill_rules import rule_words
from dreamerlab.protocol.families import family
from dreamerlab.protocol.gates import Arm, executed_otherwise, like_baseline
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, KillRule, Proposal
from dreamerlab.protocol.launch_rules import base_words, enough_seeds
from dreamerlab.protocol.state import DONE_WITHDRAWN, Hypothesis
from dreamerlab.protocol.violations import Violation
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.status import ONGOING, effective_state, is_over, read_status
from dreamerlab.runs.store import Workspace, run_ids
from dreamerlab.tracking.code_identity import CodeIdentity


@dataclass(frozen=True)
class Found:
    """The baseline of a hypothesis: a run, or None when it has yet to be measured, and what is to be said of it."""

    run: str | None = None
    violations: tuple[Violation, ...] = ()
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """For whom a baseline is sought."""

    workspace: Workspace
    proposal: Proposal
    control: Arm
    code: CodeIdentity
    proofs: Proofs
    known: Mapping[str, Hypothesis]
    """Every hypothesis by its id."""
    subject: str
    """The hypothesis' id, or words for a proposal."""

    @property
    def code_changes(self) -> bool:
        """Whether the declared change is one of the code."""
        return self.proposal.code is not None

    def same_code(self, manifest: Manifest) -> bool:
        """Tell whether a run was trained by the present code, or by one proven to behave the same."""
        return self.proofs.same(manifest.code.identity, self.code.identity)


def find_baseline(question: Question) -> Found:
    """Return the baseline that is named, or the one that fits best, with every reason why it may not serve."""
    if question.proposal.kind == "baseline":
        return Found()
    fitting = list(_fitting(question))
    if question.proposal.base.run is not None:
        return _named(question, question.proposal.base.run, fitting)
    if question.code_changes:
        return _of_other_code(question, fitting)
    usable = [run for run, manifest in fitting if question.same_code(manifest) and _usable(question, manifest)]
    if not usable:
        return Found(violations=tuple(enough_seeds(question.proposal, None, question.subject)))
    return _described(question, max(usable, key=_preference), usable)


def run_to_prove(question: Question) -> RunDirectory | None:
    """Return the baseline that would fit but for its code: the named one, or the best; None when there is none."""
    if question.proposal.base.run is not None:
        run = question.workspace.run(question.proposal.base.run)
        return None if question.same_code(read_manifest(run.manifest_path)) else run
    fitting = [run for run, manifest in _fitting(question) if _usable(question, manifest)]
    others = [run for run in fitting if not question.same_code(read_manifest(run.manifest_path))]
    return max(others, key=_preference) if others and len(others) == len(fitting) else None


def recorded_arm(run: RunDirectory) -> Arm:
    """Return the config a run was created with; LabError when its record cannot be read."""
    from dreamerlab.config.layers import load_recorded

    try:
        origins = json.loads(run.origins_path.read_text())
    except (OSError, ValueError):
        origins = {}
    known = cast("dict[str, str]", origins) if isinstance(origins, dict) else {}
    return Arm(load_recorded(run.config_path), known)


def _named(question: Question, run_id: str, fitting: Sequence[tuple[RunDirectory, Manifest]]) -> Found:
    """Judge the baseline the proposal names: it is held to everything, since its mean may be frozen in the effect."""
    run = question.workspace.run(run_id)
    try:
        manifest, recorded = read_manifest(run.manifest_path), recorded_arm(run)
    except LabError as error:
        return Found(run_id, (_unusable(question, run_id, f"cannot be read: {error.message}"),))
    violations = like_baseline(question.control, recorded, run_id, question.subject)
    violations += enough_seeds(question.proposal, (run_id, len(manifest.seeds)), question.subject)
    if (why := _why_not(question, manifest)) is not None:
        violations.append(_unusable(question, run_id, why))
    violations += _code_of_named(question, manifest)
    alike = [one for one, made in fitting if made.code.identity == manifest.code.identity and _usable(question, made)]
    return Found(run_id, tuple(violations), _described(question, run, alike).caveats)


def _code_of_named(question: Question, manifest: Manifest) -> list[Violation]:
    before, now = manifest.code.identity, question.code.identity
    values, origins = (before[:16], now[:16]), (manifest.id, "the present code")
    if question.code_changes:
        if before == now:
            text = f"the change of the code is not there yet: baseline {manifest.id} ran exactly the present code"
            hint = "make the change, commit it, then repeat the command"
            return [Violation("same-code", text, hint, None, values, origins)]
        return _versions_beside_sources(question, manifest)
    if question.same_code(manifest):
        return []
    text = f"baseline {manifest.id} ran other code ({before[:16]}, now {now[:16]}{_what(question, manifest)}): "
    text += "an undeclared difference"
    hint = f"show that it does nothing: dreamerlab check {_id_word(question)}--prove-inert; or go back to that code, "
    hint += "or propose against a new baseline"
    return [Violation("undeclared-code", text, hint, None, values, origins)]


def _versions_beside_sources(question: Question, manifest: Manifest) -> list[Violation]:
    """A new version of torch beside a change of the sources is a second change."""
    versions = changed_versions(manifest, question.code)
    if not versions or changed_sources(question.workspace, manifest, question.code) == []:
        return []
    found: list[Violation] = []
    for name, (before, now) in versions.items():
        text = f"{name} is {now}, and was {before} in baseline {manifest.id}: a second change beside that of the code"
        hint = f"pip install {name}=={before}, or measure the baseline again under {name} {now}"
        found.append(Violation("undeclared-code", text, hint, name, (before, now), (manifest.id, "installed now")))
    return found


def _of_other_code(question: Question, fitting: Sequence[tuple[RunDirectory, Manifest]]) -> Found:
    """Return the newest run of the same config under other code; without one there is nothing to compare with."""
    now, base = question.code.identity, base_words(question.proposal)
    others = [run for run, manifest in fitting if manifest.code.identity != now and _usable(question, manifest)]
    if others:
        run = max(others, key=lambda one: (_preference(one)[0], one.id))
        manifest = read_manifest(run.manifest_path)
        second = tuple(_versions_beside_sources(question, manifest))
        alike = [one for one in others if read_manifest(one.manifest_path).code.identity == manifest.code.identity]
        return Found(run.id, second, _described(question, run, alike).caveats)
    present = [run.id for run, manifest in fitting if manifest.code.identity == now]
    seeds = max(FEWEST_SEEDS, len(question.proposal.plan.baseline_seeds))
    text = "a change of the code needs a baseline of the same config under the code before it, and there is none"
    if present:
        text += f" ({', '.join(present)} ran the present code)"
    hint = f"on the commit before the change: dreamerlab run --baseline {base} --seeds {seeds}; "
    hint += "or name one when proposing: --baseline R12"
    return Found(violations=(Violation("no-baseline", text, hint),))


def _fitting(question: Question) -> Iterator[tuple[RunDirectory, Manifest]]:
    """Yield the baselines and champions whose config is the control's, whatever their code, oldest first."""
    champions = {one.run for one in question.known.values() if one.adopted_at is not None}
    plan, of = question.proposal.plan, family(question.proposal.base.env, question.control.flat)
    for run_id in run_ids(question.workspace):
        run = question.workspace.run(str(run_id))
        try:
            manifest = read_manifest(run.manifest_path)
            wanted = manifest.kind == "baseline" or (manifest.kind == "treatment" and run.id in champions)
            budget = (manifest.budget.unit, manifest.budget.amount)
            if not wanted or manifest.family != of or budget != (plan.budget_unit, plan.budget_amount):
                continue  # told from the manifest alone: there may be a thousand runs
            if not like_baseline(question.control, recorded_arm(run), run.id, question.subject):
                yield run, manifest
        except LabError:
            continue  # named by lint and doctor


def _usable(question: Question, manifest: Manifest) -> bool:
    return len(manifest.seeds) >= FEWEST_SEEDS and _why_not(question, manifest) is None


def _why_not(question: Question, manifest: Manifest) -> str | None:
    if manifest.kind == "pilot":
        return "is a pilot, which can never carry a verdict"
    holder = question.known.get(manifest.hypothesis or "")
    if holder is not None and holder.phase == DONE_WITHDRAWN:
        return f"belongs to {holder.id}, which was withdrawn"
    before, now = () if holder is None else holder.proposal.plan.kill, question.proposal.plan.kill
    if set(before) != set(now):
        return f"was trained under {_rules(before) or 'no kill rule'}, and this hypothesis has {_rules(now) or 'none'}"
    return None


def _rules(rules: Sequence[KillRule]) -> str:
    words = " and ".join(rule_words(rule) for rule in rules)
    return f"the kill rule {words}" if words else ""


def _unusable(question: Question, run_id: str, why: str) -> Violation:
    hint = f"measure one that can serve: dreamerlab run --baseline {base_words(question.proposal)} --seeds 3"
    return Violation("baseline-unusable", f"baseline {run_id} {why}", hint, None, (), (run_id,))


def _preference(run: RunDirectory) -> tuple[bool, int, int]:
    """Rank fitting baselines: complete ones, then those of most seeds, then the oldest, so that the choice stays."""
    manifest = read_manifest(run.manifest_path)
    complete = all(is_over(read_status(run.trial(seed))) for seed in manifest.seeds)
    number = next((int(part) for part in [run.id[1:].split("-")[0]] if part.isdigit()), 0)
    return complete, len(manifest.seeds), -number


def _described(question: Question, run: RunDirectory, alike: Sequence[RunDirectory]) -> Found:
    """Return a baseline with what has to be remembered when its scores are used; `alike` measured the same."""
    manifest = read_manifest(run.manifest_path)
    caveats: list[str] = []
    if others := [one.id for one in alike if one.id != run.id]:
        which = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
        caveats.append(f"{which} measured the same as baseline {run.id}: choosing by result flatters")
    with suppress(LabError):  # an unreadable config is a violation of its own
        caveats += executed_otherwise(question.control, recorded_arm(run), run.id)
    if question.code_changes:
        caveats.append(f"the change of the code is everything since baseline {run.id}{_what(question, manifest)}")
    elif manifest.code.identity != question.code.identity and question.same_code(manifest):
        proof = question.proofs.entry(manifest.code.identity, question.code.identity)
        caveats.append(f"baseline {run.id} ran other code, proven to behave the same ({proof})")
    if manifest.kind == "treatment":
        caveats.append(f"baseline {run.id} was a treatment once, adopted for its result: its mean may flatter it")
    holder = question.known.get(manifest.hypothesis or "")
    if manifest.code.dirty if holder is None else holder.launch.get("dirty"):
        caveats.append(f"baseline {run.id} ran uncommitted code (runs/{run.id}/code.patch)")
    missing = [seed for seed in manifest.seeds if not is_over(read_status(run.trial(seed)))]
    if missing:
        states = {effective_state(read_status(run.trial(seed))) for seed in missing}
        remedy = "it is under way" if states <= ONGOING else f"dreamerlab resume {run.id}"
        caveats.append(f"baseline {run.id} is not complete ({len(missing)} of {len(manifest.seeds)} seeds): {remedy}")
    return Found(run.id, (), tuple(caveats))


def _what(question: Question, manifest: Manifest) -> str:
    """Say in which files two codes differ, where that is known."""
    parts = [f"{name} {a} -> {b}" for name, (a, b) in changed_versions(manifest, question.code).items()]
    files = changed_sources(question.workspace, manifest, question.code) or []
    parts += files[:4] + ([f"{len(files) - 4} more files"] if len(files) > 4 else [])
    return f": {', '.join(parts)}" if parts else ""


def _id_word(question: Question) -> str:
    return f"{question.subject} " if question.subject.startswith("H") else ""
