"""How `show` looks: the page of one run in plain text, with a chart one line high per seed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dreamerlab.cli.output import has_unicode
from dreamerlab.lab.show import RunDetails
from dreamerlab.metrics import is_return
from dreamerlab.report.facts import NOT_AS_CONFIGURED, Effective
from dreamerlab.report.hypothesis_words import moment
from dreamerlab.report.wording import amount, duration, figure, seeds_text, sparkline
from dreamerlab.runs.reducers import parse_reducer
from dreamerlab.tables import Table

_CHART_WIDTH = 48
_MOST_FINDINGS = 4


def page(
    details: RunDetails, hypothesis: str | None = None, mirror: str | None = None, done: Sequence[Effective] = ()
) -> str:
    """Return the page of a run.

    `hypothesis` is the line about the one it belongs to, `mirror` where MLflow stands, `done` what it did beside its
    config.
    """
    made = details.manifest
    title = f"{made.id}  {made.name}" if made.name else made.id
    head = Table(("", "  "))
    head.add("kind", "PILOT (can never carry a verdict)" if made.kind == "pilot" else made.kind)
    if hypothesis is not None:
        head.add("hypothesis", hypothesis)
    head.add("env", made.env)
    head.add("family", made.family)
    head.add("budget", f"{amount(made.budget.amount, made.budget.unit)} per seed")
    head.add("seeds", f"{seeds_text(made.seeds)} (n={len(made.seeds)})")
    head.add("created", moment(made.created_at))
    head.add("code", _code(details))
    head.add("data", details.data_state)
    if mirror is not None:
        head.add("mlflow", mirror)
    head.add("path", details.run.path)
    blocks = [
        title,
        head.to_text().split("\n", 1)[1],
        scores(details),
        _outcomes(details),
        _chart(details),
        _findings(details),
        _spent(details),
        _configured_and_done(done),
        _attempts(details),
    ]
    if details.caveats:
        blocks.append("\n".join(["caveats", *(f"  - {caveat}" for caveat in details.caveats)]))
    return "\n\n".join(block for block in blocks if block)


def _code(details: RunDetails) -> str:
    code = details.manifest.code
    commit = f"commit {code.commit[:12]}" if code.commit else "no commit"
    state = "" if code.dirty is None else ", with changes" if code.dirty else ", clean"
    return f"{code.identity[:16]} ({commit}{state})"


def scores(details: RunDetails) -> str:
    """Return the scores of all seeds, and their mean beside what returns mean in the task."""
    mark = " so far" if any(trial.so_far for trial in details.trials) else ""
    table = Table(
        ("seed", "state", f"score{mark}", "mode", "sample"), frozenset({"seed", f"score{mark}", "mode", "sample"})
    )
    for trial in details.trials:
        last = trial.last_values
        mode, sample = last.get("eval/return_mode"), last.get("eval/return_sample")
        table.add(trial.view.seed, trial.view.state, figure(trial.score), figure(mode), figure(sample))
    mean = details.mean_score
    lines = [f"score = {details.manifest.score}; mode and sample: return of the last evaluation", table.to_text()]
    if mean is not None:
        scores = [trial.score for trial in details.trials if trial.score is not None]
        spread = f", lowest {figure(min(scores))}, highest {figure(max(scores))}" if len(scores) > 1 else ""
        lines.append(f"mean{mark} {figure(mean)} over n={len(scores)}{spread}{_against_reference(details, mean)}")
    return "\n".join(lines)


def _outcomes(details: RunDetails) -> str:
    """Return wins, draws and losses of the last evaluation of each seed; empty where no games are played."""
    games = details.games or 0
    if not games or not any("win_rate" in name for trial in details.trials for name in trial.last_values):
        return ""
    from dreamerlab.lab.hockey_results import OUTCOMES, TOO_FEW, share_words
    from dreamerlab.stats.wilson import FEWEST_GAMES, share_interval

    lines: list[tuple[object, ...]] = []
    for trial in details.trials:
        for policy in ("mode", "sample"):
            rates = [trial.last_values.get(f"eval/{outcome}_rate_{policy}") for outcome in OUTCOMES]
            shares = [share_interval(round(rate * games), games) for rate in rates if rate is not None]
            if len(shares) == len(OUTCOMES):
                lines.append((trial.view.seed, policy, *map(share_words, shares)))
    if not lines:
        return ""
    numbers = ("seed", "wins % (95 %)", "draws % (95 %)", "losses % (95 %)")
    table = Table((numbers[0], "policy", *numbers[1:]), frozenset(numbers))
    for line in lines:
        table.add(*line)
    again = f"; a result: dreamerlab eval {details.manifest.id} --episodes {FEWEST_GAMES}"
    mark = f": {TOO_FEW}{again}" if games < FEWEST_GAMES else ""
    plural = "s" if games != 1 else ""
    early = [trial.early_goals for trial in details.trials if trial.early_goals is not None]
    goals = f"\ngoals before learning began: {', '.join(map(str, early))} (40 to 60 are asked for)" if early else ""
    return f"last evaluation, {games} game{plural} per policy{mark}\n{table.to_text()}{goals}"


def _against_reference(details: RunDetails, mean: float) -> str:
    score = parse_reducer(details.manifest.score)
    if score.is_time or not is_return(score.metric):
        return ""  # the levels are returns
    random, solved = details.reference["random"], details.reference["solved"]
    if random is not None and mean < random:
        return f"; BELOW RANDOM ({figure(random)})"
    if random is not None and solved is not None and solved != random:
        return f"; {100 * (mean - random) / (solved - random):.0f} % of the span from random to solved"
    return ""


def _chart(details: RunDetails) -> str:
    drawn = [trial for trial in details.trials if trial.evaluations]
    if not drawn:
        return "no evaluation yet"
    finite = [value for trial in drawn for _, value in trial.evaluations if value - value == 0] or [0.0]
    low, high, unicode = min(finite), max(finite), has_unicode(sys.stdout)
    lines = [f"{parse_reducer(details.manifest.score).metric}, from {figure(low)} to {figure(high)}, over env steps"]
    for trial in drawn:
        values = [value for _, value in trial.evaluations]
        chart = sparkline(values, _CHART_WIDTH, low, high, unicode=unicode)
        known = [value for value in values if value - value == 0] or [float("nan")]
        numbers = f"first {figure(values[0])}, highest {figure(max(known))}, last {figure(values[-1])}"
        lines.append(f"seed {trial.view.seed}  {chart}  {numbers} ({len(values)} evaluations)")
    return "\n".join(lines)


def _findings(details: RunDetails) -> str:
    """Return what the rules found first, a line each; empty where they found nothing."""
    found, roots = details.findings, details.findings.roots
    if not roots:
        return "" if found.complete else "\n".join(["findings", *(f"  {one}" for one in found.remarks)])
    lines = [f"findings, of which dreamerlab diagnose {details.manifest.id} shows evidence and what to try"]
    for one in roots[:_MOST_FINDINGS]:
        mark = one.severity.upper() if one.severity == "critical" else one.severity
        lines.append(f"  {mark}: {one.words}")
    if len(roots) > _MOST_FINDINGS:
        lines.append(f"  and {len(roots) - _MOST_FINDINGS} more")
    return "\n".join(lines)


def _spent(details: RunDetails) -> str:
    columns = ("seed", "env steps", "updates", "actor updates", "replayed steps", "episodes", "training time")
    table = Table(columns, frozenset(columns))
    for trial in details.trials:
        view, each = trial.view, details.replayed_per_update
        replayed = f"{view.updates * each:,}" if each is not None else None
        updates = (f"{view.updates:,}", f"{view.actor_updates:,}", replayed)
        table.add(view.seed, f"{view.env_steps:,}", *updates, f"{view.episodes:,}", duration(view.wall_s))
    return "spent, in every unit\n" + table.to_text()


def _configured_and_done(done: Sequence[Effective]) -> str:
    if not done:
        return ""
    table = Table(("configured beside effective", "configured", "effective"))
    for line in done:
        table.add(line.name, line.configured, line.marked)
    notes = [NOT_AS_CONFIGURED] if any(line.agrees is False for line in done) else []
    return "\n".join([table.to_text(), *notes])


def _attempts(details: RunDetails) -> str:
    rows = [(trial.view.seed, attempt) for trial in details.trials for attempt in trial.attempts]
    if all(len(trial.attempts) < 2 for trial in details.trials):
        return ""
    table = Table(
        ("seed", "attempt", "from env step", "state", "note"), frozenset({"seed", "attempt", "from env step"})
    )
    for seed, attempt in rows:
        said = "; ".join(str(attempt[key]) for key in ("reason", "note") if attempt.get(key))
        table.add(seed, attempt.get("attempt"), attempt.get("start_env_steps"), attempt.get("state"), said)
    return "attempts\n" + table.to_text()
