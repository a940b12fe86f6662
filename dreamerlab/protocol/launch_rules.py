"""The rules about a launch: seeds, overrides, what has ended, uncommitted code. Pure, like `gates.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dreamerlab.protocol.gates import FREE_ZONES, Arm, zone_of
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, Proposal
from dreamerlab.protocol.violations import Violation, anew, count_of, launch_command, named, seed_list

if TYPE_CHECKING:
    from dreamerlab.config.diff import Difference


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
    hint = f"{anew(subject)} with --seeds {FEWEST_SEEDS} or more"
    return [Violation("baseline-seeds", text, hint, None, (str(FEWEST_SEEDS), str(count)), ("the rules", "the plan"))]


def frozen_seeds(proposal: Proposal, asked: Sequence[int] | None, *, ended: bool, subject: str) -> list[Violation]:
    """Return whether other seeds are asked for than were declared; after the verdict none can be added."""
    if asked is None or tuple(asked) == proposal.plan.seeds:
        return []
    declared, wanted = seed_list(proposal.plan.seeds), seed_list(asked)
    if ended:
        text = f"{subject} has its verdict on seeds {declared}; seeds added now would be chosen knowing it"
        fresh = max([*proposal.plan.seeds, *proposal.plan.baseline_seeds]) + 1
        last = fresh + max(len(asked), FEWEST_SEEDS) - 1
        hint = f"ask again on fresh seeds: dreamerlab propose --replicates {subject} --seeds {fresh}-{last}"
        return [Violation("seeds-after-verdict", text, hint, None, (declared, wanted), ("the proposal", "--seeds"))]
    text = f"the seeds of {subject} were declared as {declared}, and {wanted} are asked for"
    hint = f"leave --seeds out: {launch_command(subject)}"
    return [Violation("frozen-seeds", text, hint, None, (declared, wanted), ("the proposal", "--seeds"))]


def fresh_seeds(proposal: Proposal, repeated: Sequence[int], subject: str) -> list[Violation]:
    """Return whether a replication uses seeds of what it replicates: the same seeds are the same evidence."""
    shared = sorted(set(proposal.plan.seeds) & set(repeated))
    if not shared:
        return []
    text = f"seeds {seed_list(shared)} are those of {proposal.replicates}: training them again is no new evidence"
    fresh = max(*repeated, *proposal.plan.seeds) + 1
    hint = f"{anew(subject)} with --seeds {fresh}-{fresh + len(proposal.plan.seeds) - 1}"
    values = (seed_list(repeated), seed_list(proposal.plan.seeds))
    return [Violation("repeated-seeds", text, hint, None, values, (str(proposal.replicates), "the plan"))]


def unknown_seeds(proposal: Proposal, known: Mapping[str, Sequence[int]], subject: str) -> list[Violation]:
    """Return the runs that show already what declared seeds will score: `known` is run id -> those seeds."""
    found: list[Violation] = []
    fresh = max([*proposal.plan.seeds, *(seed for seeds in known.values() for seed in seeds)]) + 1
    hint = f"{anew(subject)} with --seeds {fresh}-{fresh + len(proposal.plan.seeds) - 1}"
    for run, seeds in known.items():
        which = f"seed {seeds[0]} was" if len(seeds) == 1 else f"seeds {seed_list(seeds)} were"
        text = f"{which} trained in {run} with exactly this config and code: what is known already is no prediction"
        values = (seed_list(seeds), seed_list(proposal.plan.seeds))
        found.append(Violation("known-seeds", text, hint, None, values, (run, "the plan")))
    return found


def override_allowed(differences: Sequence[Difference], treatment: Arm, subject: str) -> list[Violation]:
    """Return the overrides of a launch that would change what was declared.

    `differences` are those the command line makes to the base; a value the treatment has anyway contradicts nothing.
    """
    from dreamerlab.config.diff import canonical, show

    found: list[Violation] = []
    for one in differences:
        frozen = treatment.flat.get(one.key)
        if zone_of(one) in FREE_ZONES or canonical(one.b) == canonical(frozen):
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
    hint = f"git add them and commit, or run it marked as such: {launch_command(subject)} --allow-dirty"
    return [Violation("uncommitted", text, hint, None, (), tuple(files))]


def base_words(proposal: Proposal) -> str:
    """Return the words that give a command the base of `proposal`: `--env cartpole --experiment nano KEY=VALUE`."""
    base = proposal.base
    words = ["--env", base.env] + (["--experiment", base.experiment] if base.experiment else [])
    return " ".join([*words, *base.overrides])
