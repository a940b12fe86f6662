"""`reproduce`: a recorded trial trained again by its own code, and whether the same comes out, bit for bit.

What was recorded of the machine is held against this one first: exactness is promised for one torch build, CPU
capability and thread count (DESIGN section 7). Elsewhere the figures say how far apart the two trainings went.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dreamerlab.errors import LabError, NotFound, ToolFailed, UsageError
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.lab.retraining import differing, in_words, lines_of, retrain, scratch_folder, timeless
from dreamerlab.lab.surroundings import differences, of_records, unrecorded
from dreamerlab.launch.trainer import code_environment
from dreamerlab.report.facts import Surroundings
from dreamerlab.report.wording import seeds_text
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.processes import hostname
from dreamerlab.runs.series import Line
from dreamerlab.runs.status import Status, read_status
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.runs.surroundings import variables
from dreamerlab.tables import Table
from dreamerlab.tracking.environment import capture


@dataclass(frozen=True)
class Mismatch:
    """One thing in which this machine and its software are not what was recorded."""

    name: str
    recorded: str
    here: str
    bits: bool
    """Whether it can change the numbers that come out."""

    @property
    def words(self) -> str:
        """The mismatch in a few words."""
        return f"{self.name} {self.recorded} there, {self.here} here"


@dataclass(frozen=True)
class Divergence:
    """Where one figure first came out otherwise."""

    key: str
    env_steps: int
    recorded: Any
    now: Any


@dataclass(frozen=True)
class Reproduction:
    """What came out of training a trial again."""

    run: str
    seed: int
    env_steps: int
    code: str
    surroundings: list[Mismatch]
    """What is another machine or software than recorded, what can change numbers first."""
    unrecorded: list[str]
    """What can change numbers and was not recorded then, so that it cannot be held against this machine."""
    compared: dict[str, int]
    """How many lines of each kind were compared."""
    divergences: list[Divergence]
    """The first difference of every figure that differs, in the order they appear."""
    agent: str
    """`equal`, `different`, or why what was learnt could not be compared."""
    missing: str | None = None
    """What of the record is absent on one side, in a line."""

    @property
    def equal(self) -> bool:
        """Whether everything that was compared is the same to the last bit."""
        return not self.divergences and self.agent != "different" and self.missing is None

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        lists = {"surroundings": self.surroundings, "divergences": self.divergences}
        told = {name: [vars(one) for one in some] for name, some in lists.items()}
        return {**vars(self), **told, "equal": self.equal}


def reproduce(workspace: Workspace, text: str, seed: int | None, env_steps: int | None, voice: Voice) -> Reproduction:
    """Train one seed of the run meant by `text` again, as far as `env_steps` (default: to its end), and compare.

    NotFound when nothing is recorded to compare with, or the code is gone (the hint restores it); ToolFailed when the
    training breaks down; Conflict while another reproduction is under way. Nothing is left behind.
    """
    from dreamerlab.tracking.code_identity import restore

    run = find_run(workspace, text)
    manifest = read_manifest(run.manifest_path)
    trial = _trial(manifest, [run.trial(one) for one in manifest.seeds], seed)
    status, recorded = read_status(trial), lines_of(trial)
    if not recorded["metrics"]:
        recorded["metrics"] = _from_curves(trial)
    reached = max([int(line["env_steps"]) for lines in recorded.values() for line in lines], default=0)
    if not reached:
        raise NotFound(f"nothing is recorded of {run.id} seed {trial.seed}", hint=f"dreamerlab status {run.id}")
    if env_steps is not None and env_steps > reached:
        raise UsageError(
            f"--steps {env_steps}: {run.id} seed {trial.seed} has a record of {reached} env steps",
            hint="leave --steps out",
        )
    require_training_parts(workspace)
    try:
        code = restore(workspace, manifest)
    except LabError as error:
        hint = error.hint and error.hint.replace("dreamerlab resume", "dreamerlab reproduce")
        raise type(error)(error.message, hint=hint) from error
    whole = env_steps is None and status.state == "finished" and status.budget_unit != "wall_clock"
    until = reached if env_steps is None else env_steps
    environment, known = capture(), of_records(manifest, read_attempts(trial))
    before = of_records(replace(manifest, environment=environment), [_trainer_here(trial)])
    for one in _mismatches(known, before):
        if one.bits:
            voice.warn(f"exactness is not promised: {one.words}")
    voice.say(f"training {until:,} env steps of {run.id} seed {trial.seed} again, by the code that trained it")
    with scratch_folder(workspace, "reproduce", "reproducing a run") as folder:

        def tell(now: Status) -> None:
            voice.say(f"  {now.env_steps:,} of {until:,} env steps")

        again, ended = retrain(workspace, folder, manifest, trial, code, None if whole else until, tell)
        if ended.state != "finished" and not (ended.diverged and status.diverged):
            raise ToolFailed(f"{run.id} seed {trial.seed} could not be trained again: {ended.reason}")
        produced, attempts = lines_of(again), read_attempts(again)
    divergences, compared, missing = _compare(recorded, produced, until)
    now = of_records(replace(manifest, environment=environment), attempts)
    agent = _agent(status, ended) if whole else "not compared: trained in part only"
    identity, lacking = manifest.code.identity[:16], _lacking(known, now)
    differing_here = _mismatches(known, now)
    return Reproduction(
        run.id, trial.seed, until, identity, differing_here, lacking, compared, divergences, agent, missing
    )


def page(found: Reproduction) -> str:
    """Return what came out as a page: the surroundings first, then the answer, then how far apart."""
    lines = [f"{found.run} seed {found.seed}, {found.env_steps:,} env steps, by its own code ({found.code})"]
    telling, rest = ([one for one in found.surroundings if one.bits == bits] for bits in (True, False))
    lines += [f"not the same: {one.words} (can change numbers)" for one in telling]
    if rest:
        lines.append(f"not the same, and changing no number: {'; '.join(one.words for one in rest)}")
    if not telling:
        lines.append(f"machine and software: as recorded{' in all that can change numbers' if rest else ''}")
    if found.unrecorded:
        lines.append(f"not recorded then, and so not held against this machine: {', '.join(found.unrecorded)}")
    lines.append(f"compared: {', '.join(f'{count} {kind}' for kind, count in found.compared.items() if count)}")
    lines.append(f"parameters: {found.agent}")
    if found.missing is not None:
        lines.append(f"missing: {found.missing}")
    if found.equal:
        return "\n".join([*lines, "equal bit for bit"])
    if found.divergences:
        first = found.divergences[0]
        lines.append(f"first difference: {in_words(first.key, first.env_steps, first.recorded, first.now)}")
        lines.append(f"what may explain it: {_explanation(found, telling)}")
    if len(found.divergences) > 1:
        table = Table(("figure", "differs from env step", "recorded", "now"), frozenset({"differs from env step"}))
        for one in found.divergences:
            table.add(one.key, f"{one.env_steps:,}", _shown(one.recorded), _shown(one.now))
        lines += ["", table.to_text()]
    return "\n".join(lines)


def _explanation(found: Reproduction, telling: Sequence[Mismatch]) -> str:
    if telling:
        return ", ".join(one.name for one in telling)
    return (
        "what was not recorded"
        if found.unrecorded
        else "nothing that is recorded; the record, or this training, is at fault"
    )


def _trial(manifest: Manifest, trials: Sequence[TrialDirectory], seed: int | None) -> TrialDirectory:
    if seed is not None and seed not in manifest.seeds:
        raise NotFound(f"{manifest.id} has no seed {seed}; it has {seeds_text(manifest.seeds)}")
    chosen = [trial for trial in trials if seed is None or trial.seed == seed]
    return next((trial for trial in chosen if trial.evals_path.exists()), chosen[0])


def _from_curves(trial: TrialDirectory) -> list[Line]:
    """Return what the committed curves hold of metric lines: of every line some figures, of some lines none."""
    found: dict[tuple[int, int], Line] = {}
    for metric, points in read_curves(trial).items():
        if metric.startswith("eval/"):
            continue
        for point in points:
            at = (point.env_steps, point.updates)
            line = found.setdefault(at, {"env_steps": at[0], "updates": at[1], "values": {}})
            line["values"][metric] = point.value
    return [found[at] for at in sorted(found)]


def _compare(
    recorded: Mapping[str, Sequence[Line]], produced: Mapping[str, Sequence[Line]], until: int
) -> tuple[list[Divergence], dict[str, int], str | None]:
    found: dict[str, Divergence] = {}
    compared: dict[str, int] = {}
    missing: str | None = None
    for kind, lines in recorded.items():
        known = [line for line in lines if int(line["env_steps"]) <= until]
        now = {_place(line): line for line in produced[kind]}
        compared[kind] = sum(_place(line) in now for line in known)
        for line in known:
            other = now.get(_place(line))
            if other is None:
                missing = missing or f"{kind}: the one at env step {line['env_steps']:,} did not come out again"
                continue
            at = int(line["env_steps"])
            for key, (before, value) in differing(timeless(line), timeless(other)).items():
                name = key if kind != "episodes" else f"episode {line.get('episode')} {key}"
                if name not in found or at < found[name].env_steps:
                    found[name] = Divergence(name, at, before, value)
    return sorted(found.values(), key=lambda one: one.env_steps), compared, missing


def _place(line: Line) -> tuple[Any, ...]:
    return (line.get("env_steps"), line.get("updates"), line.get("episode"))


def _agent(before: Status, now: Status) -> str:
    if before.agent_sha256 is None:
        return "not compared: no hash of them was recorded"
    return "equal" if before.agent_sha256 == now.agent_sha256 else "different"


def _trainer_here(trial: TrialDirectory) -> dict[str, Any]:
    """Return what a trainer started here would record of its variables and threads, before there is one."""
    from dreamerlab.config.layers import load_config

    threads = load_config(trial.run.config_path).execution.threads
    seen = variables(code_environment([], threads))
    seen.pop("PYTHONPATH", None)  # the code's own folder, which every trainer is given
    return {"variables": seen, "threads": threads, "host": hostname()}


def _mismatches(known: Surroundings, here: Surroundings) -> list[Mismatch]:
    """Return what both sides tell and that is not the same, what can change numbers first."""
    found = [
        Mismatch(one.name, one.values[0], one.values[1], one.bits)
        for one in differences([known, here])
        if one.section not in ("code", "load", "packages")
    ]
    return sorted(found, key=lambda one: not one.bits)


def _lacking(known: Surroundings, here: Surroundings) -> list[str]:
    names = unrecorded([known, here])[0]
    return [name for name in names if name not in here.facts or here.facts[name].bits]


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, int | float) else json.dumps(value)[:40]
