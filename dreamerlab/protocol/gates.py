"""The rules a run must keep: pure judgements over a frozen proposal, two resolved configs and a few facts.

Every rule returns all of its violations as data: which leaf, both values, where each came from, and the command that
resolves it. Nothing is read and nothing refused here: facts are gathered by `lab.check`, which puts the answers
together, and `run` refuses with `refusal`. Families are `families.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from dreamerlab.errors import GateRefused
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, Proposal

if TYPE_CHECKING:
    from dreamerlab.config.diff import Difference

Rule = Literal[
    "declared-change",
    "inert-change",
    "base-changed",
    "another-task",
    "new-family",
    "unequal-budget",
    "unequal-evaluation",
    "undeclared-difference",
    "undeclared-code",
    "same-code",
    "no-baseline",
    "baseline-unusable",
    "baseline-seeds",
    "override",
    "frozen-seeds",
    "repeated-seeds",
    "not-open",
    "seeds-after-verdict",
    "uncommitted",
    "orphan-trainers",
    "oversubscribed",
]
FREE_ZONES = frozenset({"EXECUTION", "BOOKKEEPING"})
"""Zones in which two arms may differ and a launch may override: they do not change what is computed."""


@dataclass(frozen=True)
class Violation:
    """One broken rule."""

    rule: Rule
    message: str
    """One line, with the values seen and where they came from."""
    hint: str
    """The command or edit that resolves it."""
    key: str | None = None
    """The config leaf, when it is one."""
    values: tuple[str, ...] = ()
    """What should be, then what is, as a config spells them."""
    origins: tuple[str, ...] = ()
    """Where each of `values` came from."""

    def to_dict(self) -> dict[str, Any]:
        """Return the violation as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class Arm:
    """One arm's resolved config: flat leaves and the origin of each."""

    flat: Mapping[str, object]
    origins: Mapping[str, str]


def refusal(violations: Sequence[Violation], subject: str) -> GateRefused:
    """Return the error that names every violation with its remedy; `subject` is an id, or words for a proposal."""
    if len(violations) == 1:
        return GateRefused(violations[0].message, hint=violations[0].hint)
    lines = [f"{len(violations)} rules forbid running {subject}:"]
    for violation in violations:
        lines += [f"  {violation.message}", f"    mend it: {violation.hint}"]
    return GateRefused("\n".join(lines))


def declared_change(proposal: Proposal, control: Arm, treatment: Arm, subject: str) -> list[Violation]:
    """Return how the treatment is not exactly the control with the declared change."""
    from dreamerlab.config.catalogue import inactive_leaves
    from dreamerlab.config.diff import canonical, diff, show

    found = _shape(proposal, subject)
    anew = _anew(subject)
    declared = {change.key: change for change in proposal.changes}
    differing = {one.key: one for one in diff(control.flat, treatment.flat, control.origins, treatment.origins)}
    inert = {key: why for key, why in inactive_leaves(treatment.flat).items() if key in inactive_leaves(control.flat)}
    for key, change in declared.items():
        now, origin = control.flat.get(key), control.origins.get(key, "default")
        if canonical(now) != canonical(change.before):
            found.append(
                Violation(
                    "base-changed",
                    f"{key} was {show(change.before)} in the base when this was proposed, and is {show(now)} now "
                    f"({origin})",
                    f"put {key}: {show(change.before)} back, or {anew}",
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
                    anew,
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
                    f"{anew} with --set for what makes it act",
                    key,
                    (show(now), show(change.after)),
                    (origin, "the declared change"),
                )
            )
    found += [
        _difference("declared-change", one, "is not part of the declared change", anew)
        for key, one in differing.items()
        if key not in declared and _zone(one) not in FREE_ZONES
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
        zone, both = _zone(one), "for both arms, with --set"
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
        if _zone(one) in ("ARCHITECTURE", "ENVIRONMENT") and one.key != "env.id":
            found.append(
                Violation(
                    "new-family",
                    f"{one.key} {show(one.a)} -> {show(one.b)} is a change of {_zone(one)}: "
                    f"it leaves the family {families[0]} for {families[1]}",
                    f"say that this is meant: {_command(subject)} --new-family",
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
        zone = _zone(one)
        if zone in FREE_ZONES:
            continue
        rule: Rule = "undeclared-difference"
        words = "differs from the baseline beside the declared change"
        if zone == "BUDGET":
            rule, words = "unequal-budget", "the baseline had another budget"
        elif zone == "EVALUATION":
            rule, words = "unequal-evaluation", "the baseline was measured otherwise"
        hint = f"{_anew(subject)} with --set {one.key}={show(one.a)}, or against a new baseline"
        found.append(_difference(rule, one, words, hint, (f"{run}: ", "")))
    return found


def enough_seeds(proposal: Proposal, baseline: tuple[str, int] | None, subject: str) -> list[Violation]:
    """Return whether a baseline is too thin to carry a verdict: `baseline` is an existing run and its seeds."""
    if proposal.kind == "baseline":
        return []
    if baseline is not None:
        run, count = baseline
        if count >= FEWEST_SEEDS:
            return []
        text = f"baseline {run} has {count_of(count, 'seed')}, and fewer than {FEWEST_SEEDS} carry no verdict"
        hint = f"measure one that does: dreamerlab run --baseline {base_words(proposal)} --seeds {FEWEST_SEEDS}"
        return [Violation("baseline-seeds", text, hint, None, (str(FEWEST_SEEDS), str(count)), ("the rules", run))]
    count = len(proposal.plan.baseline_seeds)
    if count >= FEWEST_SEEDS:
        return []
    text = f"a baseline of {count_of(count, 'seed')} is planned, and fewer than {FEWEST_SEEDS} carry no verdict"
    hint = f"{_anew(subject)} with --seeds {FEWEST_SEEDS} or more"
    return [Violation("baseline-seeds", text, hint, None, (str(FEWEST_SEEDS), str(count)), ("the rules", "the plan"))]


def frozen_seeds(proposal: Proposal, asked: Sequence[int] | None, *, ended: bool, subject: str) -> list[Violation]:
    """Return whether other seeds are asked for than were declared; after the verdict none can be added."""
    if asked is None or tuple(asked) == proposal.plan.seeds:
        return []
    declared, wanted = _list(proposal.plan.seeds), _list(asked)
    if ended:
        text = f"{subject} has its verdict on seeds {declared}; seeds added now would be chosen knowing it"
        fresh = max([*proposal.plan.seeds, *proposal.plan.baseline_seeds]) + 1
        last = fresh + max(len(asked), FEWEST_SEEDS) - 1
        hint = f"ask again on fresh seeds: dreamerlab propose --replicates {subject} --seeds {fresh}-{last}"
        return [Violation("seeds-after-verdict", text, hint, None, (declared, wanted), ("the proposal", "--seeds"))]
    text = f"the seeds of {subject} were declared as {declared}, and {wanted} are asked for"
    hint = f"leave --seeds out: {_command(subject)}"
    return [Violation("frozen-seeds", text, hint, None, (declared, wanted), ("the proposal", "--seeds"))]


def fresh_seeds(proposal: Proposal, repeated: Sequence[int], subject: str) -> list[Violation]:
    """Return whether a replication uses seeds of what it replicates: the same seeds are the same evidence."""
    shared = sorted(set(proposal.plan.seeds) & set(repeated))
    if not shared:
        return []
    text = f"seeds {_list(shared)} are those of {proposal.replicates}: training them again is no new evidence"
    fresh = max(*repeated, *proposal.plan.seeds) + 1
    hint = f"{_anew(subject)} with --seeds {fresh}-{fresh + len(proposal.plan.seeds) - 1}"
    values = (_list(repeated), _list(proposal.plan.seeds))
    return [Violation("repeated-seeds", text, hint, None, values, (str(proposal.replicates), "the plan"))]


def override_allowed(differences: Sequence[Difference], treatment: Arm, subject: str) -> list[Violation]:
    """Return the overrides of a launch that would change what was declared.

    `differences` are those the command line makes to the base; a value the treatment has anyway contradicts nothing.
    """
    from dreamerlab.config.diff import canonical, show

    found: list[Violation] = []
    for one in differences:
        frozen = treatment.flat.get(one.key)
        if _zone(one) in FREE_ZONES or canonical(one.b) == canonical(frozen):
            continue
        origin = treatment.origins.get(one.key, "default")
        found.append(
            Violation(
                "override",
                f"{one.key}={show(one.b)} ({one.origin_b}) is outside the declared change: "
                f"{subject} has {show(frozen)} ({origin})",
                f'leave it out, or: dreamerlab propose "change {one.key}={show(one.b)} -> expect ..."',
                one.key,
                (show(frozen), show(one.b)),
                (origin, one.origin_b),
            )
        )
    return found


def nothing_overridden(overrides: Sequence[str], subject: str) -> list[Violation]:
    """Return the overrides given to a hypothesis whose run exists: it keeps the config it started with."""
    return [
        Violation(
            "override",
            f"'{override}' cannot be changed any more: {subject} runs already, and keeps the config it started with",
            f"leave it out: dreamerlab run {subject}",
            override.partition("=")[0],
            (override.partition("=")[2],),
            (f"command line: {override}",),
        )
        for override in overrides
    ]


def not_open(phase: str, outcome: str | None, subject: str) -> Violation:
    """Return why a hypothesis that has ended cannot run again."""
    said = f" ({outcome})" if outcome else ""
    if phase == "withdrawn":
        return Violation("not-open", f"{subject} was withdrawn{said}", "dreamerlab propose it anew")
    text = f"{subject} is {phase}{said}, and a hypothesis runs once"
    return Violation("not-open", text, f"repeat it on fresh seeds: dreamerlab propose --replicates {subject}")


def committed(files: Sequence[str], *, allowed: bool, subject: str) -> list[Violation]:
    """Return whether code in scope is in no commit; `files` are its paths as git names them."""
    if not files or allowed:
        return []
    text = f"uncommitted changes in {named(files)}: nobody could find out later what was run"
    hint = f"git add them and commit, or run it marked as such: {_command(subject)} --allow-dirty"
    return [Violation("uncommitted", text, hint, None, (), tuple(files))]


def named(files: Sequence[str], most: int = 5) -> str:
    """Return the first few of many names, and how many more there are."""
    rest = f" and {len(files) - most} more" if len(files) > most else ""
    return ", ".join(files[:most]) + rest


def count_of(count: int, what: str) -> str:
    """Return `1 seed`, `3 seeds`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def base_words(proposal: Proposal) -> str:
    """Return the words that give a command the base of `proposal`: `--env cartpole --experiment nano KEY=VALUE`."""
    base = proposal.base
    words = ["--env", base.env] + (["--experiment", base.experiment] if base.experiment else [])
    return " ".join([*words, *base.overrides])


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
    fix = f"{_anew(subject)}, one thing each, or several with --reason"
    return [] if fault is None else [Violation("declared-change", f"{fault}{f' ({keys})' if keys else ''}", fix)]


def _difference(rule: Rule, one: Difference, words: str, hint: str, who: tuple[str, str] = ("", "")) -> Violation:
    from dreamerlab.config.diff import show

    before, after = show(one.a), show(one.b)
    origins = (f"{who[0]}{one.origin_a or 'default'}", f"{who[1]}{one.origin_b or 'default'}")
    text = f"{one.key}: {words}; {before} ({origins[0]}) is not {after} ({origins[1]})"
    return Violation(rule, text, hint, one.key, (before, after), origins)


def _zone(one: Difference) -> str:
    return "unknown here" if one.zone is None else one.zone.value


def _set(words: str) -> str:
    return f"leave it as it is, or change it {words} when proposing"


def _command(subject: str) -> str:
    return f"dreamerlab run {subject}" if _is_id(subject) else "dreamerlab propose ..."


def _anew(subject: str) -> str:
    return f"dreamerlab withdraw {subject} --why ..., then propose it anew" if _is_id(subject) else "propose it"


def _is_id(subject: str) -> bool:
    return subject.startswith("H")


def _list(seeds: Sequence[int]) -> str:
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}-{ordered[-1]}"
    return ",".join(map(str, ordered))
