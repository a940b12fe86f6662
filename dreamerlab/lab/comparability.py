"""What must be held against a comparison: how the runs are not alike, or not good enough for it (M-TOOL-05).

Finds differences of config, decides when no difference of scores can be computed at all, and puts the rest into
caveats, gravest first. Annotates; what is no comparison at all is refused by `compare_choice.py`, and differences of
code and machine are found by `surroundings.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dreamerlab.report.evidence import PACE_FACTS, LeafDifference, RunEvidence
from dreamerlab.report.facts import FactDifference
from dreamerlab.report.wording import amount, figure, seeds_named, seeds_text, state_counts
from dreamerlab.runs.directory import RunDirectory

_CHANGES = ("ARCHITECTURE", "ENVIRONMENT", "DYNAMICS", "unknown here")
"""Zones in which a difference can change the result of training; a leaf unknown today may be in any of them."""
_CODE = "code identity"
_CEILING_SHARE = 0.5


def leaf_differences(runs: Sequence[RunDirectory], configs: Sequence[Mapping[str, object]]) -> list[LeafDifference]:
    """Return the config leaves that are not the same in all runs, by zone, with the origin of every value."""
    from dreamerlab.config.catalogue import inactive_leaves
    from dreamerlab.config.diff import diff, show

    first, origins = configs[0], [_origins(run) for run in runs]
    against = [{d.key: d for d in diff(first, config)} for config in configs[1:]]
    inactive = [set(inactive_leaves(dict(config))) for config in configs]
    order = {key: d for found in reversed(against) for key, d in found.items()}
    # Zones in the order of the schema: that is how each of the differences came.
    keys = sorted(order, key=lambda key: _zone_rank(order[key].zone))
    found: list[LeafDifference] = []
    for key in keys:
        zone = order[key].zone
        own = order[key].a
        values = [show(own), *(show(d[key].b if key in d else own) for d in against)]
        came_from = [each.get(key, "-") for each in origins]
        acts = [key not in each for each in inactive]
        found.append(LeafDifference("unknown here" if zone is None else zone.value, key, values, came_from, acts))
    return found


def withheld(first: RunEvidence, other: RunEvidence) -> str | None:
    """Return why no difference of the two runs' scores can be computed, or None when it can."""
    if first.env_id != other.env_id:
        return f"another task ({other.env_id}, not {first.env_id}): scores are different quantities"
    if first.metric != other.metric:
        return f"scored by {other.metric}, not by {first.metric}: different quantities"
    if _quantity(first) != _quantity(other):
        said = f"scored by {other.evaluation['score']}, not by {first.evaluation['score']}"
        return f"{said}: different quantities (--reducer scores all alike)"
    for run in (first, other):
        if not run.scores:
            return f"{run.id} has no score yet"
    return None


def _quantity(run: RunEvidence) -> str:
    """Return what kind of number a score is: means over more or fewer evaluations are one, times to levels are not."""
    name = run.evaluation["score"].partition(" of ")[0]
    return name if run.is_time else name.partition("(")[0]


def caveats(
    runs: Sequence[RunEvidence],
    leaves: Sequence[LeafDifference],
    facts: Sequence[FactDifference],
    pairs: Sequence[tuple[int, int]],
) -> list[str]:
    """Return everything a reader must know before believing a figure, gravest first, one line each.

    `pairs` are (first, other) by their place among `runs`.
    """
    by_name = {fact.name: fact for fact in facts}
    return [
        *_unlike(runs, leaves),
        *(line for first, other in pairs for line in _changes(runs, first, other, leaves, by_name)),
        *(line for run in runs for line in _of_scores(run)),
        *_ceiling(runs),
        *(f"{run.id}: {line}" for run in runs for line in run.caveats),
        *_machines(by_name),
    ]


def _unlike(runs: Sequence[RunEvidence], leaves: Sequence[LeafDifference]) -> list[str]:
    found: list[str] = []
    if len({run.env_id for run in runs}) > 1:
        found.append(f"different tasks: {_each(runs, [run.env_id for run in runs])}")
    if len({run.manifest.family for run in runs}) > 1:
        families = _each(runs, [run.manifest.family for run in runs])
        found.append(f"different families: {families}; the architecture or the task is not the same")
    budgets = [amount(run.manifest.budget.amount, run.manifest.budget.unit) for run in runs]
    if len(set(budgets)) > 1:
        found.append(f"unequal budget: {_each(runs, budgets)}")
    evaluation = [leaf.key for leaf in leaves if leaf.zone == "EVALUATION"]
    if len({run.evaluation["score"] for run in runs}) > 1:
        evaluation.append("score")
    if evaluation:
        found.append(f"different evaluation: {', '.join(evaluation)}")
    return found


def _changes(
    runs: Sequence[RunEvidence],
    first: int,
    other: int,
    leaves: Sequence[LeafDifference],
    facts: Mapping[str, FactDifference],
) -> list[str]:
    """Say of a pair how many changes its difference would have to be shared out among."""
    found: list[str] = []
    # Of runs set against the first one the first one goes without saying.
    name = runs[other].id if first == 0 else f"{runs[other].id} against {runs[first].id}"
    differing = [leaf for leaf in leaves if leaf.values[other] != leaf.values[first]]
    inert = [leaf.key for leaf in differing if not (leaf.acts[first] or leaf.acts[other])]
    changed = [leaf.key for leaf in differing if leaf.zone in _CHANGES and leaf.key not in inert]
    if _CODE in facts and facts[_CODE].values[other] != facts[_CODE].values[first]:
        changed.append("the code")
    if inert:
        found.append(f"{name}: differs and does nothing in either run: {', '.join(inert)}")
    if len(changed) > 1:
        named = ", ".join(changed)
        found.append(f"{name}: {len(changed)} changes at once ({named}); none can be told from the others")
    elif not changed and not any(leaf.zone in ("BUDGET", "EVALUATION") for leaf in differing):
        found += _nothing_changed(runs[first], runs[other])
    return found


def _nothing_changed(first: RunEvidence, other: RunEvidence) -> list[str]:
    found = [f"{other.id}: the same configuration and code as {first.id}; what differs is seeds, machine and chance"]
    shared = sorted({seed.seed for seed in first.seeds} & {seed.seed for seed in other.seeds})
    if shared:
        found.append(f"{other.id}: seeds {seeds_text(shared)} repeat those of {first.id}: no independent evidence")
    return found


def _of_scores(run: RunEvidence) -> list[str]:
    """What speaks against the scores of one run, below random play included (M-PROT-15), beside what `show` says."""
    found: list[str] = []
    if run.so_far:
        said = "scores are so far" if run.scores else "no seed has a score yet"
        found.append(f"{run.id}: not finished ({state_counts(seed.state for seed in run.seeds)}); {said}")
    found += [
        f"{run.id}: seed {seed.seed} takes the fail score {figure(seed.score)}: {seed.failed}"
        for seed in run.seeds
        if seed.failed is not None and seed.score is not None and not seed.censored
    ]
    if censored := [seed.seed for seed in run.seeds if seed.censored]:
        found.append(
            f"{run.id}: seeds {seeds_text(censored)} did not get there within the budget: their times are longer "
            "than what they count as"
        )
    if spared := [seed.seed for seed in run.seeds if seed.spared]:
        found.append(f"{run.id}: seeds {seeds_text(spared)} were spared by a declared look and belong to no figure")
    missing = [seed.seed for seed in run.seeds if seed.score is None and not seed.spared]
    if missing and run.scores:
        fail = run.reference.get("fail")
        worst = f" (the task's fail score is {figure(fail)})" if fail is not None else ""
        found.append(
            f"{run.id}: computed without {seeds_named(missing)}, which have no score{worst}: "
            "leaving seeds out flatters a run whose bad seeds are the missing ones"
        )
    random, solved = run.reference.get("random"), run.reference.get("solved")
    if random is not None and run.is_return:
        falling = solved is not None and solved < random
        below = [
            s.seed for s in run.seeds if s.score is not None and (s.score > random if falling else s.score < random)
        ]
        if below:
            found.append(f"{run.id}: BELOW RANDOM play ({figure(random)}) in {seeds_named(below)}")
    return found


def _ceiling(runs: Sequence[RunEvidence]) -> list[str]:
    """Say where scores cannot differ any more: most seeds solve the task, or share one best score to the digit."""
    scores = [score for run in runs for score in run.scores]
    random, solved = runs[0].reference.get("random"), runs[0].reference.get("solved")
    comparable = len({run.env_id for run in runs}) == 1 and all(run.is_return for run in runs)
    if len(scores) < 2 or solved is None or not comparable:
        return []
    falling = random is not None and solved < random
    beyond = [score for score in scores if (score <= solved if falling else score >= solved)]
    if len(beyond) < _CEILING_SHARE * len(scores):
        return []
    best = min(beyond) if falling else max(beyond)
    alike = beyond.count(best)
    ties = f", {alike} of them at exactly {figure(best)}" if alike > 1 else ""
    return [
        f"scores at the ceiling: {len(beyond)} of {len(scores)} seeds solve the task ({figure(solved)}){ties}; "
        "differences up there may be cut off"
    ]


def _machines(facts: Mapping[str, FactDifference]) -> list[str]:
    found: list[str] = []
    numerics = [fact.name for fact in facts.values() if fact.bits and fact.name != _CODE]
    if numerics:
        found.append(f"different {', '.join(numerics)}: the same seed need not give the same training")
    pace = [name for name in PACE_FACTS if name in facts]
    if pace:
        found.append(f"wall-clock times were taken under different {', '.join(pace)}: not comparable")
    return found


def _origins(run: RunDirectory) -> dict[str, str]:
    try:
        value = json.loads(run.origins_path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _zone_rank(zone: object) -> int:
    from dreamerlab.config.zones import Zone

    return list(Zone).index(zone) if isinstance(zone, Zone) else len(Zone)


def _each(runs: Sequence[RunEvidence], values: Sequence[str]) -> str:
    return ", ".join(f"{run.id} {value}" for run, value in zip(runs, values, strict=True))
