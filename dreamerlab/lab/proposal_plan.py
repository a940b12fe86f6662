"""How much a proposed hypothesis trains and how it is scored: seeds, reducer, looks, kill rules, fail score.

Everything is read from the words of the command line and frozen with the proposal; what cannot work (a reducer that
needs more evaluations than the budget makes, looks that do not end at the last seed) is refused here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from dreamerlab.errors import GateRefused, UsageError
from dreamerlab.lab.seeds import parse_seeds
from dreamerlab.metrics import ALIASES, get_metric, is_return
from dreamerlab.protocol.expectation_words import SaidExpectation
from dreamerlab.protocol.hypothesis import DEFAULT_REDUCER, FEWEST_SEEDS, KillRule, Plan
from dreamerlab.protocol.quantities import number_text, parse_count, parse_number
from dreamerlab.runs.reducers import parse_reducer
from dreamerlab.runs.series import THIN_LIMIT

if TYPE_CHECKING:
    from dreamerlab.config.schema import Config

DEFAULT_SEEDS = "3"
_REDUCERS = "final_mean(K), auc, min_after_first_solve, env_steps_to(LEVEL), peak (optimistic)"
_KILL = re.compile(r"(\S+)\s*([<>])\s*(\S+)\s+(?:at|after)\s+(\S+?)[ ]?(?:env[_ ]steps)")


@dataclass(frozen=True)
class PlanRequest:
    """What was asked for, as text; None and empty: the usual."""

    seeds: str | None = None
    baseline_seeds: str | None = None
    reducer: str | None = None
    looks: str | None = None
    kill: tuple[str, ...] = ()
    fail_score: str | None = None


def make_plan(
    request: PlanRequest,
    config: Config,
    expected: SaidExpectation | None,
    metric: str | None,
    *,
    baseline: bool,
    used: Sequence[int] = (),
) -> Plan:
    """Return the plan; `used` are seeds that must not be trained on again (a replication)."""
    seeds = _seeds(request, used)
    budget = config.budget
    reducer = read_reducer(request.reducer, expected, metric)
    _check_points(reducer, metric, config)
    if expected is not None and expected.by_env_steps is not None and budget.unit == "env_steps":
        _check_horizon(expected.by_env_steps, budget.amount)
    kill = tuple(read_kill_rule(text) for text in request.kill)
    for rule in kill:
        if budget.unit == "env_steps" and rule.env_steps > budget.amount:
            raise UsageError(
                f"--kill at {rule.env_steps} env steps never acts: the budget is {budget.amount}",
                hint=f"name an earlier time: --kill '{rule.metric} {rule.operator} {rule.value:g} at "
                f"{max(1, budget.amount // 2)} env_steps'",
            )
    return Plan(
        budget_unit=budget.unit,
        budget_amount=budget.amount,
        seeds=seeds,
        baseline_seeds=() if baseline else _baseline_seeds(request, seeds),
        reducer=reducer,
        looks=_looks(request.looks, len(seeds)),
        kill=kill,
        fail_score=_fail_score(request.fail_score, reducer, metric, config),
    )


def read_reducer(text: str | None, expected: SaidExpectation | None, metric: str | None) -> str:
    """Return the reducer in its one spelling; UsageError for anything that is none."""
    if text is None:
        if expected is not None and expected.form == "reaches":
            return f"env_steps_to({number_text(expected.amount.value)})"
        return DEFAULT_REDUCER
    said, _, named = text.partition(" of ")
    whose = metric or "eval/return_mode"
    if named and ALIASES.get(named.strip(), named.strip()) != whose:
        raise UsageError(
            f"--reducer '{text}' is of another metric than the expected {whose}", hint=f"--reducer '{said}'"
        )
    try:
        return parse_reducer(f"{said.replace(' ', '')} of {whose}").text
    except UsageError as error:
        raise UsageError(f"--reducer: {error.message}", hint=f"write one of {_REDUCERS}") from None


def read_kill_rule(text: str) -> KillRule:
    """Return the rule written `eval/return < 30 at 5000 env_steps`; UsageError for anything else."""
    match = _KILL.fullmatch(" ".join(text.split()))
    value = parse_number(match[3]) if match else None
    at = parse_count(match[4]) if match else None
    if match is None or value is None or at is None:
        raise UsageError(f"--kill '{text}' is no rule", hint="--kill 'eval/return < 30 at 5000 env_steps'")
    metric = get_metric(ALIASES.get(match[1], match[1])).name
    return KillRule(metric, cast("Literal['<', '>']", match[2]), value, at)


def _seeds(request: PlanRequest, used: Sequence[int]) -> tuple[int, ...]:
    spec = (request.seeds or DEFAULT_SEEDS).strip()
    if used and re.fullmatch(r"\d+", spec):
        first, count = max(used) + 1, len(parse_seeds(spec))
        return tuple(range(first, first + count))
    seeds = parse_seeds(spec)
    again = sorted(set(seeds) & set(used))
    if again:
        raise GateRefused(
            f"--seeds {spec}: seed {again[0]} was used by the hypothesis that is repeated; it is no new evidence",
            hint=f"name only how many (--seeds {len(seeds)}), or start at {max(used) + 1}",
        )
    return seeds


def _baseline_seeds(request: PlanRequest, seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Return the seeds of a baseline that has to be opened: those of the treatment, and never too few for a verdict."""
    if request.baseline_seeds is not None:
        chosen = parse_seeds(request.baseline_seeds)
        if len(chosen) < FEWEST_SEEDS:
            raise GateRefused(
                f"--baseline-seeds {request.baseline_seeds}: a baseline of fewer than {FEWEST_SEEDS} seeds "
                "cannot carry a verdict",
                hint=f"--baseline-seeds {FEWEST_SEEDS}",
            )
        return chosen
    more = tuple(range(max(seeds) + 1, max(seeds) + 1 + max(0, FEWEST_SEEDS - len(seeds))))
    return (*seeds, *more)


def _looks(text: str | None, count: int) -> tuple[int, ...]:
    if text is None:
        return ()
    looks = [parse_count(part.strip()) for part in text.split(",")]
    said = [look for look in looks if look is not None]
    hint = f"numbers of seeds, ascending, the last being all of them: --looks {max(3, count // 2)},{count}"
    if len(said) < len(looks) or said != sorted(set(said)):
        raise UsageError(f"--looks '{text}' are no looks", hint=hint)
    if said[-1] != count:
        raise UsageError(f"--looks '{text}' end at {said[-1]}, and there are {count} seeds", hint=hint)
    if said[0] < FEWEST_SEEDS:
        raise UsageError(
            f"--looks '{text}': a look at {said[0]} seeds shows nothing; at least {FEWEST_SEEDS}", hint=hint
        )
    return tuple(said)


def _fail_score(text: str | None, reducer: str, metric: str | None, config: Config) -> float | None:
    if text is not None:
        value = parse_number(text)
        if value is None:
            raise UsageError(f"--fail-score '{text}' is no number", hint="--fail-score 0")
        _check_failing(value, reducer, metric, config)
        return value
    if reducer.startswith("env_steps_to"):
        return float(config.budget.amount) if config.budget.unit == "env_steps" else None
    return config.reference.fail if metric is not None and is_return(metric) else None


def _check_failing(score: float, reducer: str, metric: str | None, config: Config) -> None:
    """Refuse a fail score that makes failing pay."""
    unit, amount, levels = config.budget.unit, config.budget.amount, config.reference
    if reducer.startswith("env_steps_to"):
        if unit == "env_steps" and score < amount:
            raise GateRefused(
                f"--fail-score {score:g}: a seed that never gets there would count as there sooner than the budget "
                f"of {amount}",
                hint=f"leave --fail-score out (it is the budget), or name more than {amount}",
            )
    elif metric is not None and is_return(metric) and levels.random is not None and levels.solved is not None:
        better = score < levels.random if levels.solved < levels.random else score > levels.random
        if better:
            usual = (
                "leave --fail-score out" if levels.fail is None else f"--fail-score {levels.fail:g}, as in this task"
            )
            raise GateRefused(
                f"--fail-score {score:g}: a seed that diverged would score better than random play ({levels.random:g})",
                hint=usual,
            )


def _check_points(reducer: str, metric: str | None, config: Config) -> None:
    if reducer == "min_after_first_solve" and config.reference.solved is None:
        raise UsageError(
            "min_after_first_solve: this task does not say when it is solved (reference.solved)",
            hint="another reducer, or --set reference.solved=LEVEL",
        )
    match = re.fullmatch(r"final_mean\((\d+)\)", reducer)
    if match is None or config.budget.unit != "env_steps":
        return
    evaluated = metric is None or metric.startswith("eval/")
    key, every = ("eval.every", config.eval.every) if evaluated else ("log.every", config.log.every)
    # A curve of training is kept in a limited number of points.
    made = math.ceil(config.budget.amount / every) if evaluated else min(THIN_LIMIT, config.budget.amount // every)
    if made < int(match[1]):
        what = "evaluations" if evaluated else "points of the curve"
        raise UsageError(
            f"{reducer} needs {match[1]} {what}, and {config.budget.amount} env steps with one every "
            f"{every} make {made}",
            hint=f"--reducer 'final_mean({made})', or write more often: --set {key}="
            f"{max(1, config.budget.amount // int(match[1]))}",
        )


def _check_horizon(by_env_steps: int, budget: int) -> None:
    if by_env_steps > budget:
        raise UsageError(
            f"by {by_env_steps} env steps is never seen: the budget is {budget} env steps",
            hint=f"say an earlier time, or train longer in both arms: --set budget.amount={by_env_steps}",
        )
