"""Configured beside effective: what a run was told to do, and what its records say it did (M-HK-18).

Ratios, budget, evaluations, device and what schedules and limits did, each as one line. Computed from the committed
text of the run; what was not logged is said to be so, and nothing is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dreamerlab.errors import LabError
from dreamerlab.lab.show import RunDetails
from dreamerlab.report.facts import NOT_RECORDED, Effective
from dreamerlab.report.wording import amount, figure
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.series import Line, Point, read_evals
from dreamerlab.runs.status import ONGOING, Status, actor_updates, read_status

Config = Mapping[str, object]
_TOLERANCE = 0.05
"""A ratio over a whole run is a little below the configured one: nothing is learnt before replay holds a window."""
_RATES = {"world model": "world", "actor": "actor", "critic": "critic"}
_LOGGED = (
    *("optim/lr_world", "optim/lr_actor", "optim/lr_critic", "behavior/entropy_scale", "optim/clipped_frac"),
    *("behavior/return_scale_at_limit", "wm/free_bits_frac", "replay/weights_behind"),
)


@dataclass(frozen=True)
class _Trial:
    """What the records of one seed say."""

    status: Status
    over: bool
    evaluations: Sequence[Line]
    attempts: Sequence[Line]
    curves: Mapping[str, Sequence[Point]]


def of_details(details: RunDetails) -> list[Effective]:
    """Return the lines of a run by its recorded config; none where that is missing or damaged."""
    from dreamerlab.config.recorded import load_recorded

    try:
        return effective(details, load_recorded(details.run.config_path))
    except LabError:
        return []


def effective(details: RunDetails, config: Config) -> list[Effective]:
    """Return the lines of a run; `config` is its recorded one, flat. None of them for a run that was never trained."""
    views = {one.view.seed: one.view for one in details.trials}
    trials: list[_Trial] = []
    for seed in details.manifest.seeds:
        trial = details.run.trial(seed)
        status, over = read_status(trial), views[seed].state not in ONGOING
        if status.env_steps:
            known = read_curves(trial, _LOGGED)
            trials.append(_Trial(status, over, read_evals(trial)[0], read_attempts(trial), known))
    if not trials:
        return []
    return [
        *_ratios(trials, config, details.replayed_per_update),
        _budget(trials, details),
        *_evaluations(trials, config),
        *_execution(trials, config),
        *_schedules(trials, config),
        *_limits(trials, config),
    ]


def _ratios(trials: Sequence[_Trial], config: Config, replayed: int | None) -> Iterator[Effective]:
    ratio = _number(config, "train.train_ratio")
    per_step = [trial.status.updates / trial.status.env_steps for trial in trials]
    if ratio is not None and replayed:
        steps = [replayed * value for value in per_step]
        stops = config.get("control.freeze") == "all"
        close = None if stops else all(abs(value / ratio - 1) <= _TOLERANCE for value in steps)
        yield Effective("replayed steps per env step", f"{ratio:g}", _span(steps), close)
        yield Effective("updates per env step", figure(ratio / replayed), _span(per_step), close)
    counted = [one.status for one in trials if one.status.updates]
    if counted:
        made = [actor_updates(status) for status in counted]
        shares = [count / status.updates for count, status in zip(made, counted, strict=True)]
        due = [_actor_updates_due(status.updates, config) for status in counted]
        agrees = None if None in due else due == made
        yield Effective("actor updates per update", _actor_words(config), _span(shares), agrees)


def _actor_words(config: Config) -> str:
    learn, every, before = (config.get(f"train.{key}") for key in ("learn", "actor_every", "model_only_updates"))
    if learn in ("world", "behavior"):
        return "0: only the world model learns" if learn == "world" else "1: only the behaviour learns"
    if _controlled(config):
        return "as controllers allow"
    words = "1" if every in (1, None) else f"1 in {every}"
    return f"{words}, after {before} of the world model alone" if before else words


def _controlled(config: Config) -> bool:
    """Tell whether a controller decides which updates the actor has."""
    when_off = dict.fromkeys(("focus_threshold", "camp_threshold", "kl_pause_factor", "adaptive_ratio"))
    off = when_off | {"actor_every_schedule": "constant", "freeze": "off"}
    return any(config.get(f"control.{key}", value) != value for key, value in off.items())


def _actor_updates_due(updates: int, config: Config) -> int | None:
    """Return in how many of the first `updates` the actor has to learn; None where the config does not say."""
    learn, every, before = (config.get(f"train.{key}") for key in ("learn", "actor_every", "model_only_updates"))
    if learn in ("world", "behavior"):
        return 0 if learn == "world" else updates
    if not isinstance(every, int) or not isinstance(before, int) or every < 1 or _controlled(config):
        return None
    return max(0, updates // every - before // every)


def _budget(trials: Sequence[_Trial], details: RunDetails) -> Effective:
    budget = details.manifest.budget
    spent = [trial.status.spent for trial in trials]
    words = amount(math.fsum(spent) / len(spent), budget.unit)
    if len(trials) < len(details.trials):
        words += f", in {len(trials)} of {len(details.trials)} seeds"
    finished = all(trial.status.state == "finished" for trial in trials) and len(trials) == len(details.trials)
    agrees = min(spent) >= budget.amount if finished else False if all(one.over for one in trials) else None
    return Effective("budget spent per seed", amount(budget.amount, budget.unit), words, agrees)


def _evaluations(trials: Sequence[_Trial], config: Config) -> Iterator[Effective]:
    every, episodes = _number(config, "eval.every"), _number(config, "eval.episodes")
    if every:
        due = [int(trial.status.env_steps // every) for trial in trials]
        made = [len(trial.evaluations) for trial in trials]
        agrees = all(one >= least for one, least in zip(made, due, strict=True))
        yield Effective("evaluations per seed", f"every {every:g} env steps", _counts(made), agrees)
    returns = [_returns(line) for trial in trials for line in trial.evaluations]
    policies = sorted({policy for one in returns for policy in one})
    lengths = [len(values) for one in returns for values in one.values()]
    if lengths and episodes is not None:
        yield Effective("episodes per evaluation", f"{episodes:g}", _counts(lengths), set(lengths) == {int(episodes)})
    elif episodes is not None:
        yield Effective("episodes per evaluation", f"{episodes:g}", NOT_RECORDED)
    if policies:
        yield Effective("policies evaluated", "mode, sample", ", ".join(policies), policies == ["mode", "sample"])


def _execution(trials: Sequence[_Trial], config: Config) -> Iterator[Effective]:
    attempts = [attempt for trial in trials for attempt in trial.attempts]
    for key in ("device", "dtype", "threads"):
        if (asked := config.get(f"execution.{key}")) is None:
            continue
        seen = list(dict.fromkeys(str(one[key]) for one in attempts if one.get(key) is not None))
        yield Effective(key, str(asked), ", ".join(seen) or NOT_RECORDED, seen == [str(asked)] if seen else None)


def _schedules(trials: Sequence[_Trial], config: Config) -> Iterator[Effective]:
    warmup, moves = config.get("optimizer.warmup_updates"), config.get("optimizer.lr_schedule", "constant")
    for name, key in _RATES.items():
        rate = _number(config, f"optimizer.lr_{key}")
        if rate is None:
            continue
        words = f"{rate:g}" + (f", warm-up {warmup} updates" if warmup else "")
        words += "" if moves == "constant" else f", {moves}"
        yield Effective(f"learning rate of the {name}", words, _course(trials, f"optim/lr_{key}"))
    scale = _number(config, "behavior.entropy_scale")
    if scale is not None:
        moves = config.get("behavior.entropy_schedule", "constant")
        words = f"{scale:g}" + ("" if moves == "constant" else f", {moves}")
        target = _number(config, "behavior.entropy_target")
        words = words if target is None else f"{scale:g}, then whatever leads to {target:g} nats"
        yield Effective("weight of the entropy", words, _course(trials, "behavior/entropy_scale"))


def _limits(trials: Sequence[_Trial], config: Config) -> Iterator[Effective]:
    """What is there to act only at times: how often it did."""
    rows = (
        ("return scale at its limit", "return_norm.limit", "behavior/return_scale_at_limit", "updates"),
        ("gradients scaled down", "optimizer.agc", "optim/clipped_frac", "tensors"),
        ("KL under the free bits", "free_bits.nats", "wm/free_bits_frac", "states"),
    )
    for name, leaf, metric, of in rows:
        asked = _number(config, leaf)
        if asked is not None:
            share = _mean(trials, metric)
            words = NOT_RECORDED if share is None else f"{100 * share:.0f} % of {of}"
            yield Effective(name, f"{leaf.partition('.')[2]} {asked:g}", words)
    if config.get("collect.mode") == "process":
        behind = _mean(trials, "replay/weights_behind")
        words = NOT_RECORDED if behind is None else f"{behind:.1f} updates"
        yield Effective("age of the weights that act", f"slack {config.get('collect.slack')}", words)


def _course(trials: Sequence[_Trial], metric: str) -> str:
    """Return from where to where a logged value went over training, of all seeds; one value when it never moved."""
    known = [points for trial in trials if (points := trial.curves.get(metric))]
    if not known:
        return NOT_RECORDED
    if len({f"{point.value:.6g}" for points in known for point in points}) == 1:
        return f"{known[0][0].value:.3g}"
    first, last = (_between([points[at].value for points in known]) for at in (0, -1))
    peak = max(point.value for points in known for point in points)
    return f"first {first}, highest {peak:.3g}, last {last}"


def _between(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def _mean(trials: Sequence[_Trial], metric: str) -> float | None:
    values = [point.value for trial in trials for point in trial.curves.get(metric, ()) if point.value == point.value]
    return math.fsum(values) / len(values) if values else None


def _returns(line: Line) -> dict[str, list[Any]]:
    """Return the returns of every episode by policy; nothing from records that lack them."""
    found = line.get("returns")
    told = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    return {policy: values for policy, values in told.items() if isinstance(values, list)}


def _span(values: Sequence[float]) -> str:
    low, high = figure(min(values)), figure(max(values))
    return low if low == high else f"{low} to {high}"


def _counts(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _number(config: Config, key: str) -> float | None:
    value = config.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
