"""What makes a verdict INVALID: the protocol was broken, so that the scores do not answer the question (DESIGN 5).

    the run is not the one declared     its hypothesis, its seeds, its config against the baseline's (with the gates'
                                        own rules), its code
    what was trained is not the record  the config an attempt read is not the config on record
    the change did nothing              an inert leaf, or a training that is the same to the last bit with and without
    wrong or reset checkpoint           an attempt that began elsewhere than where its checkpoint stood
    unequal budget or evaluation        a finished trial that spent less, or lacks an evaluation
    corrupt records                     a setup that changed after its launch, a summary after it was recorded, curves
                                        and evaluations after they were summarised

The baseline is held to the record of the hypothesis that measured it just as the treatment is to its own. Divergence,
collapse and bad scores are outcomes and never among these. Only committed text is read. Every fault is one sentence.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dreamerlab.errors import LabError
from dreamerlab.lab.baseline_search import recorded_arm
from dreamerlab.lab.inert_proofs import read_proofs
from dreamerlab.lab.ledger import registry_of
from dreamerlab.metrics import ALIASES
from dreamerlab.protocol import gates
from dreamerlab.protocol.state import TRIAL_FINISHED, Hypothesis, fold
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.series import line_values, read_evals
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import hash_records, read_summary

_CHECKPOINT = re.compile(r"ckpt-(\d+)\.pt")


@dataclass(frozen=True)
class _Run:
    """One arm's run as it was recorded."""

    directory: RunDirectory
    made: Manifest
    config: gates.Arm

    @property
    def id(self) -> str:
        return self.directory.id


def find_faults(workspace: Workspace, hypothesis: Hypothesis) -> list[str]:
    """Return every protocol fault of a launched hypothesis, one sentence each; none when the protocol was kept."""
    assert hypothesis.run is not None, hypothesis.id
    runs: list[_Run] = []
    for name in (hypothesis.run, hypothesis.baseline_run):
        if name is not None:
            run = workspace.run(name)
            try:
                runs.append(_Run(run, read_manifest(run.manifest_path), recorded_arm(run)))
            except LabError as error:
                return [_sentence(f"the record of {name} cannot be read: {error.message}")]
    treatment, *others = runs
    records = [hypothesis]
    found: list[str] = []
    if treatment.made.hypothesis not in (None, hypothesis.id):
        found.append(_sentence(f"{treatment.id} was made for {treatment.made.hypothesis}, not for {hypothesis.id}"))
    found += _not_as_declared(hypothesis, treatment.made)
    for baseline in others:
        owner = owner_of(workspace, baseline.made)
        if owner is not None:
            records.append(owner)
            found += _not_as_declared(owner, baseline.made)
        found += _between(workspace, hypothesis, treatment, baseline)
    metric = _metric(hypothesis)
    for run in runs:
        for seed in run.made.seeds:
            found += _of_trial(run, run.directory.trial(seed), metric)
    changed = [*_set_up_otherwise(workspace, records), *_changed_since(workspace, records, {run.id for run in runs})]
    return [*found, *changed]


def owner_of(workspace: Workspace, made: Manifest) -> Hypothesis | None:
    """Return the hypothesis a run was made for, None when there is none that can be read."""
    if made.hypothesis is None:
        return None
    try:
        return fold(registry_of(workspace).read(made.hypothesis))
    except LabError:
        return None


def _not_as_declared(hypothesis: Hypothesis, made: Manifest) -> Iterator[str]:
    plan = hypothesis.proposal.plan
    if set(made.seeds) != set(plan.seeds):
        yield _sentence(f"{made.id} has the seeds {_list(made.seeds)}, and declared were {_list(plan.seeds)}")
    if (made.budget.unit, made.budget.amount) != (plan.budget_unit, plan.budget_amount):
        declared = f"{plan.budget_amount:,} {plan.budget_unit}"
        yield _sentence(f"{made.id} had a budget of {made.budget.amount:,} {made.budget.unit}, not of {declared}")


def _between(workspace: Workspace, hypothesis: Hypothesis, treatment: _Run, baseline: _Run) -> Iterator[str]:
    """Yield what differs between the arms beside the declared change."""
    proposal = hypothesis.proposal
    violations = gates.declared_change(proposal, baseline.config, treatment.config, hypothesis.id)
    violations += gates.equal_measure(proposal, baseline.config, treatment.config)
    yield from (_sentence(violation.message) for violation in violations)
    before, after = baseline.made.code.identity, treatment.made.code.identity
    if proposal.code is not None and after == before:
        yield _sentence(f"the code did not change: {treatment.id} and {baseline.id} ran the same ({after[:16]})")
    if proposal.code is None and after != before and not read_proofs(workspace).same(before, after):
        yield _sentence(f"the code differs, and was not declared to: {before[:16]} in {baseline.id}, now {after[:16]}")
    expected = proposal.expectation
    # That nothing changes may be what was predicted, and what is only faster trains the same.
    if (proposal.changes or proposal.code) and expected and expected.form != "within" and not _is_pace(expected.metric):
        yield from _same_to_the_bit(treatment, baseline, evaluations=proposal.code is not None)


def _same_to_the_bit(treatment: _Run, baseline: _Run, *, evaluations: bool) -> Iterator[str]:
    """Yield a fault when every seed that both arms share was trained alike to the last bit: the change did nothing.

    `evaluations` asks for equal ones as well: code may act on them alone.
    """
    shared = sorted(set(treatment.made.seeds) & set(baseline.made.seeds))
    pairs = [(treatment.directory.trial(seed), baseline.directory.trial(seed)) for seed in shared]
    if evaluations and any(_evaluated(one) != _evaluated(other) for one, other in pairs):
        return
    if pairs and all(_trained_alike(one, other) for one, other in pairs):
        which = f"seed {shared[0]}" if len(shared) == 1 else f"seeds {_list(shared)}"
        yield _sentence(f"the change did nothing: {which} trained alike to the last bit with it and without it")


def _trained_alike(one: TrialDirectory, other: TrialDirectory) -> bool:
    """Tell whether two trainings computed the same; paces and evaluations do not count, and nothing proves nothing."""
    first, second = _training(one), _training(other)
    name = next(first, None)
    if name is None or name != next(second, None):  # most differ here, and the rest need not be read
        return False
    return list(first) == list(second)


def _is_pace(metric: str) -> bool:
    return metric.startswith("pace/")


def _evaluated(trial: TrialDirectory) -> list[tuple[object, Mapping[str, float]]]:
    return [(line.get("env_steps"), line_values(line)) for line in read_evals(trial)[0]]


def _training(trial: TrialDirectory) -> Iterator[tuple[object, ...]]:
    """Yield each metric of the training with its env steps and values, in the order of their names."""
    try:
        lines = trial.curves_path.read_bytes().splitlines()
    except OSError:
        return
    for raw in lines:
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        metric = str(line.get("metric"))
        if not _is_pace(metric) and not metric.startswith("eval/"):
            yield line.get("metric"), line.get("env_steps"), line.get("values")


def _metric(hypothesis: Hypothesis) -> str | None:
    """Return the metric whose evaluations the verdict reads, None for one that is not evaluated."""
    expected = hypothesis.proposal.expectation
    name = None if expected is None else ALIASES.get(expected.metric, expected.metric)
    return name if name is not None and name.startswith("eval/") else None


def _of_trial(run: _Run, trial: TrialDirectory, metric: str | None) -> Iterator[str]:
    where = f"seed {trial.seed} of {run.id}"
    yield from (_sentence(f"{where}, attempt {fault}") for fault in _attempts(trial, read_attempts(trial)))
    try:
        summary = read_summary(trial)
    except LabError as error:
        yield _sentence(error.message)
        return
    if summary is None or summary.get("state") != "finished":
        return
    spent, amount = summary.get("spent"), run.made.budget.amount
    if isinstance(spent, int | float) and spent < amount:
        yield _sentence(f"{where} is finished with {spent:,.0f} of {amount:,} {run.made.budget.unit}")
    every, envs = (run.config.flat.get(key) for key in ("eval.every", "collect.envs"))
    found = [*_evaluations(trial, summary, every, envs if isinstance(envs, int) else 1, metric)]
    if not found:
        # Summaries of before there were hashes have none.
        now, known = hash_records(trial), cast("dict[str, str]", summary.get("records") or {})
        changed = [name for name, digest in known.items() if now.get(name) != digest]
        found = [f"its {name} was changed after its summary was written" for name in changed]
    yield from (_sentence(f"{where}: {fault}") for fault in found)


def _attempts(trial: TrialDirectory, attempts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield attempts that read another config, or began elsewhere than their checkpoint stood."""
    try:
        on_record = hashlib.sha256(trial.run.config_path.read_bytes()).hexdigest()
    except OSError:
        on_record = None
    for attempt in attempts:
        number, start, file = attempt.get("attempt"), attempt.get("start_env_steps"), attempt.get("checkpoint")
        read = attempt.get("config_sha256")
        if read is not None and on_record is not None and read != on_record:
            yield f"{number}: it was trained with another config than the one on record"
        if not isinstance(start, int):
            continue
        if file is None and start > 0:
            yield f"{number}: it began at env step {start:,} without a checkpoint"
        match = _CHECKPOINT.fullmatch(str(file)) if file is not None else None
        if match is not None and int(match[1]) != start:
            yield f"{number}: it began at env step {start:,}, and its checkpoint {file} stands elsewhere"


def _evaluations(
    trial: TrialDirectory, summary: Mapping[str, Any], every: object, envs: int, metric: str | None
) -> Iterator[str]:
    """Yield how the evaluations on record are not those of a whole training.

    `envs` environments advance at once: what is due at a multiple of `every` comes at most one less env steps after it.
    """
    last = summary.get("env_steps")
    lines, _ = read_evals(trial)
    seen = {line.get("env_steps") for line in lines}
    if isinstance(every, int) and isinstance(last, int):
        due = {*range(every, last + 1, every), last}
        missing = sorted(at for at in due if not any(min(at + late, last) in seen for late in range(envs)))
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            yield f"the evaluation at env step {missing[0]:,}{more} is missing from its record"
    empty = [] if metric is None else [line.get("env_steps") for line in lines if metric not in line_values(line)]
    if empty:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        yield f"{metric} is missing from the evaluation at env step {empty[0]:,}{more}"
    if summary.get("evaluations") != len(lines):
        yield f"its summary counts {summary.get('evaluations')} evaluations, and {len(lines)} are on record"
    by_step = {line.get("env_steps"): line.get("values") for line in lines}
    final = summary.get("final_evaluation")
    if isinstance(final, dict) and by_step.get(final["env_steps"]) != final["values"]:  # pyright: ignore[reportUnknownArgumentType]
        yield "its last evaluation is not the one its summary holds"


def _set_up_otherwise(workspace: Workspace, records: Sequence[Hypothesis]) -> Iterator[str]:
    """Yield the runs whose manifest or config is not the one that the event of a launch sealed."""
    told: set[str] = set()
    for hypothesis in records:
        for run, digest in dict(hypothesis.launch.get("sealed") or {}).items():
            if run not in told and setup_digest(workspace.run(run)) != digest:
                told.add(run)
                yield _sentence(f"the manifest or the config of {run} was changed after {hypothesis.id} was launched")


def _changed_since(workspace: Workspace, records: Sequence[Hypothesis], runs: Collection[str]) -> Iterator[str]:
    """Yield the trials of `runs` whose summary is not the one that was put on record when they finished."""
    newest = {
        (str(event["run"]), int(event["seed"])): event
        for hypothesis in records
        for event in hypothesis.trials
        if event["event"] == TRIAL_FINISHED and event["run"] in runs
    }
    for (run, seed), event in sorted(newest.items()):
        digest = summary_digest(workspace.run(run).trial(seed))
        if digest is not None and event.get("summary_sha256") not in (None, digest):
            yield _sentence(f"the summary of seed {seed} of {run} was changed after it was recorded")


def setup_digest(run: RunDirectory) -> str | None:
    """Return the sha256 over manifest and config of a run, None when one is not there; both are written once."""
    try:
        parts = [path.read_bytes() for path in (run.manifest_path, run.config_path)]
    except OSError:
        return None
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def summary_digest(trial: TrialDirectory) -> str | None:
    """Return the sha256 of a trial's committed summary, None when there is none."""
    try:
        return hashlib.sha256(trial.summary_path.read_bytes()).hexdigest()
    except OSError:
        return None


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def _sentence(text: str) -> str:
    key = "." in text.split()[0].rstrip(".:")  # a config key is written as it is
    return f"{text[0] if key else text[0].upper()}{text[1:].rstrip('.')}."
