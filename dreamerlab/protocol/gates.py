"""The rules about configs: exactly the declared change, equal measure in both arms, one family, the baseline's config.

Pure judgements over a frozen proposal and resolved configs. Every rule returns all of its violations as data: which
leaf, both values, where each came from, and the command that resolves it. Facts are gathered, and the answers put
together, by `lab.check`. Seeds, overrides and cleanliness are `launch_rules.py`; families are `families.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.protocol.violations import Rule, Violation, anew, command

if TYPE_CHECKING:
    from dreamerlab.config.diff import Difference

FREE_ZONES = frozenset({"EXECUTION", "BOOKKEEPING"})
"""Zones in which two arms may differ and a launch may override: they do not change what is computed."""


@dataclass(frozen=True)
class Arm:
    """One arm's resolved config: flat leaves and the origin of each."""

    flat: Mapping[str, object]
    origins: Mapping[str, str]


def base_digest(flat: Mapping[str, object]) -> str:
    """Return the sha256 over the leaves of a base that decide a score, its budget aside, which the plan holds.

    Leaves that a later version adds at the value that means absent leave it as it is.
    """
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.diff import canonical
    from dreamerlab.config.record import original_name

    left_out = FREE_ZONES | {"BUDGET"}
    lines: list[str] = []
    for key, info in leaves().items():
        if info.zone.value in left_out or key not in flat:
            continue
        value = canonical(flat[key])
        if info.founding or value != canonical(info.absent_means):
            lines.append(f"{original_name(key)}={value}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def same_base(proposal: Proposal, control: Arm, subject: str) -> list[Violation]:
    """Return whether the base is still what the prediction was made for."""
    before, now = proposal.base.digest, base_digest(control.flat)
    if before is None or before == now:
        return []
    layers = [f"env_configs/{proposal.base.env}.yaml"]
    layers += [f"env_configs/experiments/{proposal.base.experiment}.yaml"] if proposal.base.experiment else []
    named = " or ".join(layers)
    text = f"the base is not what the prediction was made for: {named}, or a default of the code, was edited since"
    hint = f"see git log -p -- {' '.join(layers)} and undo it, or {anew(subject)}"
    return [Violation("base-changed", text, hint, None, (before[:16], now[:16]), ("the proposal", named))]


def declared_change(proposal: Proposal, control: Arm, treatment: Arm, subject: str) -> list[Violation]:
    """Return how the treatment is not exactly the control with the declared change."""
    from dreamerlab.config.catalogue import inactive_leaves
    from dreamerlab.config.diff import canonical, diff, show

    found = _shape(proposal, subject)
    fresh = anew(subject)
    declared = {change.key: change for change in proposal.changes}
    differing = {one.key: one for one in diff(control.flat, treatment.flat, control.origins, treatment.origins)}
    nowhere = inactive_leaves(control.flat)
    inert = {key: why for key, why in inactive_leaves(treatment.flat).items() if key in nowhere}
    for key, change in declared.items():
        now, origin = control.flat.get(key), control.origins.get(key, "default")
        if canonical(now) != canonical(change.before):
            found.append(
                Violation(
                    "base-changed",
                    f"{key} was {show(change.before)} in the base when this was proposed, and is {show(now)} now "
                    f"({origin})",
                    f"put {key}: {show(change.before)} back, or {fresh}",
                    key,
                    (show(change.before), show(now)),
                    ("the proposal", origin),
                )
            )
        if key not in differing:
            found.append(
                Violation(
                    "declared-change",
                    f"the declared change does nothing: {key} is {show(now)} in the base already ({origin})",
                    fresh,
                    key,
                    (show(now), show(change.after)),
                    (origin, "the declared change"),
                )
            )
        elif key in inert:
            found.append(
                Violation(
                    "inert-change",
                    f"{key} does nothing here: it acts only when {inert[key]}",
                    f"{fresh} with --set for what makes it act",
                    key,
                    (show(now), show(change.after)),
                    (origin, "the declared change"),
                )
            )
    found += [
        _difference("declared-change", one, "is not part of the declared change", fresh)
        for key, one in differing.items()
        if key not in declared and zone_of(one) not in FREE_ZONES
    ]
    return found


def equal_measure(proposal: Proposal, control: Arm, treatment: Arm) -> list[Violation]:
    """Return changes of budget, evaluation or task: after those, scores of the two arms are not one quantity."""
    from dreamerlab.config.diff import diff

    declared = {change.key for change in proposal.changes}
    found: list[Violation] = []
    for one in diff(control.flat, treatment.flat, control.origins, treatment.origins):
        if one.key not in declared:
            continue  # named by `declared_change`
        zone, both = zone_of(one), "for both arms, with --set"
        if zone == "BUDGET":
            found.append(_difference("unequal-budget", one, "arms of unequal budget cannot be compared", _set(both)))
        elif zone == "EVALUATION":
            found.append(
                _difference("unequal-evaluation", one, "arms measured unequally cannot be compared", _set(both))
            )
        elif one.key == "env.id":
            hint = f"measure the other task by itself: dreamerlab run --baseline --env {one.b}"
            found.append(_difference("another-task", one, "returns of two tasks are different quantities", hint))
    return found


def same_family(
    control: Arm, treatment: Arm, families: tuple[str, str], *, allowed: bool, subject: str
) -> list[Violation]:
    """Return the changes that open another family without leave (M-GATE-01); `families` are control's, treatment's."""
    from dreamerlab.config.diff import diff, show

    if allowed or families[0] == families[1]:
        return []
    found: list[Violation] = []
    for one in diff(control.flat, treatment.flat, control.origins, treatment.origins):
        if zone_of(one) in ("ARCHITECTURE", "ENVIRONMENT") and one.key != "env.id":
            found.append(
                Violation(
                    "new-family",
                    f"{one.key} {show(one.a)} -> {show(one.b)} is a change of {zone_of(one)}: "
                    f"it leaves the family {families[0]} for {families[1]}",
                    f"say that this is meant: {command(subject)} --new-family",
                    one.key,
                    (show(one.a), show(one.b)),
                    (one.origin_a, one.origin_b),
                )
            )
    return found


def like_baseline(control: Arm, recorded: Arm, run: str, subject: str) -> list[Violation]:
    """Return where the config that baseline `run` was trained with is not the control's."""
    from dreamerlab.config.diff import diff, show

    found: list[Violation] = []
    for one in diff(recorded.flat, control.flat, recorded.origins, control.origins):
        zone = zone_of(one)
        if zone in FREE_ZONES:
            continue
        rule: Rule = "undeclared-difference"
        words = "differs from the baseline beside the declared change"
        if zone == "BUDGET":
            rule, words = "unequal-budget", "the baseline had another budget"
        elif zone == "EVALUATION":
            rule, words = "unequal-evaluation", "the baseline was measured otherwise"
        hint = f"{anew(subject)} with --set {one.key}={show(one.a)}, or against a new baseline"
        found.append(_difference(rule, one, words, hint, (f"{run}: ", "")))
    return found


def executed_otherwise(control: Arm, recorded: Arm, run: str) -> list[str]:
    """Return where a baseline was executed otherwise than the control would be: no change, but to be remembered."""
    from dreamerlab.config.diff import diff, show

    return [
        f"baseline {run} was trained with {one.key}={show(one.a)}, now {show(one.b)}: "
        "the same seed need not give the same training"
        for one in diff(recorded.flat, control.flat)
        if zone_of(one) == "EXECUTION"
    ]


def _shape(proposal: Proposal, subject: str) -> list[Violation]:
    """What the words of a proposal themselves declare: one thing, and a bundle only with its reason."""
    count, kind = len(proposal.changes), proposal.kind
    fault = None
    if kind == "config" and count != 1:
        fault = f"a config hypothesis changes exactly one leaf, and this one changes {count}"
    elif kind == "bundle" and not proposal.reason:
        fault = f"a bundle of {count} changes needs a reason why they cannot be told apart"
    elif kind == "code" and not proposal.code:
        fault = "a code hypothesis says what is changed in the code, and this one does not"
    elif kind in ("code", "baseline") and count:
        fault = f"a {kind} hypothesis changes no config leaf, and this one changes {count}"
    elif proposal.code and count:
        fault = f"the code and {count} config leaves change at once; neither can be told from the other"
    elif kind == "baseline" and proposal.code:
        fault = "a baseline changes nothing, and this one declares a change of the code"
    keys = ", ".join(change.key for change in proposal.changes)
    fix = f"{anew(subject)}, one thing each, or several with --reason"
    return [] if fault is None else [Violation("declared-change", f"{fault}{f' ({keys})' if keys else ''}", fix)]


def _difference(rule: Rule, one: Difference, words: str, hint: str, who: tuple[str, str] = ("", "")) -> Violation:
    from dreamerlab.config.diff import show

    before, after = show(one.a), show(one.b)
    origins = (f"{who[0]}{one.origin_a or 'default'}", f"{who[1]}{one.origin_b or 'default'}")
    text = f"{one.key}: {words}; {before} ({origins[0]}) is not {after} ({origins[1]})"
    return Violation(rule, text, hint, one.key, (before, after), origins)


def zone_of(one: Difference) -> str:
    """Return the zone of a differing leaf; a leaf of another version may be in any."""
    return "unknown here" if one.zone is None else one.zone.value


def _set(words: str) -> str:
    return f"leave it as it is, or change it {words} when proposing"
