"""`reproduce`: a recorded trial trained again by its own code, and whether the same comes out, bit for bit.

What was recorded of the machine is held against this one first: exactness is promised for one torch build, CPU
capability and thread count (DESIGN section 7). Elsewhere the figures say how far apart the two trainings went.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dreamerlab.errors import LabError, NotFound, ToolFailed, UsageError
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.lab.retraining import differing, in_words, lines_of, retrain, scratch_folder, timeless
from dreamerlab.report.wording import figure, seeds_text
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.series import Line
from dreamerlab.runs.status import Status, read_status
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.tables import Table

_FACTS = ("torch", "cpu_capability", "threads", "device", "host")
_PACKAGES = ("numpy", "gymnasium", "box2d", "pygame")


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
    surroundings: list[str]
    """What is another machine or software than recorded, a line each."""
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
        return {**vars(self), "divergences": [vars(one) for one in self.divergences], "equal": self.equal}


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
    known = _known_facts(trial, manifest)
    for line in _differing_facts(known, _facts_here()):
        voice.warn(f"exactness is not promised: {line}")
    voice.say(f"training {until:,} env steps of {run.id} seed {trial.seed} again, by the code that trained it")
    with scratch_folder(workspace, "reproduce", "reproducing a run") as folder:

        def tell(now: Status) -> None:
            voice.say(f"  {now.env_steps:,} of {until:,} env steps")

        again, ended = retrain(workspace, folder, manifest, trial, code, None if whole else until, tell)
        if ended.state != "finished" and not (ended.diverged and status.diverged):
            raise ToolFailed(f"{run.id} seed {trial.seed} could not be trained again: {ended.reason}")
        produced, facts = lines_of(again), _known_facts(again, None)
    divergences, compared, missing = _compare(recorded, produced, until)
    surroundings = _differing_facts(known, facts | _facts_here())
    agent = _agent(status, ended) if whole else "not compared: trained in part only"
    identity = manifest.code.identity[:16]
    return Reproduction(run.id, trial.seed, until, identity, surroundings, compared, divergences, agent, missing)


def page(found: Reproduction) -> str:
    """Return what came out as a page: the surroundings first, then the answer, then how far apart."""
    lines = [f"{found.run} seed {found.seed}, {found.env_steps:,} env steps, by its own code ({found.code})"]
    lines += [f"not the same: {line}" for line in found.surroundings] or ["machine and software: as recorded"]
    lines.append(f"compared: {', '.join(f'{count} {kind}' for kind, count in found.compared.items() if count)}")
    lines.append(f"parameters: {found.agent}")
    if found.missing is not None:
        lines.append(f"missing: {found.missing}")
    if found.equal:
        return "\n".join([*lines, "equal bit for bit"])
    if found.divergences:
        first = found.divergences[0]
        lines.append(f"first difference: {in_words(first.key, first.env_steps, first.recorded, first.now)}")
    if len(found.divergences) > 1:
        table = Table(("figure", "differs from env step", "recorded", "now"), frozenset({"differs from env step"}))
        for one in found.divergences:
            table.add(one.key, f"{one.env_steps:,}", _shown(one.recorded), _shown(one.now))
        lines += ["", table.to_text()]
    return "\n".join(lines)


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


def _known_facts(trial: TrialDirectory, manifest: Manifest | None) -> dict[str, str]:
    """Return what was recorded of machine and software, as text; attempts that differ are all named."""
    attempts = read_attempts(trial)
    found = {
        fact: ", ".join(dict.fromkeys(str(one[fact]) for one in attempts if one.get(fact) is not None))
        for fact in _FACTS
    }
    environment: Mapping[str, Any] = {} if manifest is None else manifest.environment
    packages: object = environment.get("packages")
    if isinstance(packages, dict):
        versions = cast("dict[str, Any]", packages)
        found |= {name: str(versions[name]) for name in _PACKAGES if versions.get(name)}
    found |= {name: str(environment[name]) for name in ("python", "cpu") if environment.get(name)}
    return {name: value for name, value in found.items() if value}


def _facts_here() -> dict[str, str]:
    from dreamerlab.tracking import environment

    now = environment.capture()
    packages: Mapping[str, Any] = now["packages"]
    found = {name: packages[name] for name in ("torch", *_PACKAGES)} | {
        name: now[name] for name in ("python", "cpu", "host")
    }
    return {name: str(value) for name, value in found.items() if value}


def _differing_facts(known: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Return one line per fact that both sides tell and that is not the same; local builds of torch count as one."""
    return [
        f"{name} {value} there, {here[name]} here"
        for name, value in known.items()
        if name in here and _plain(name, value) != _plain(name, here[name])
    ]


def _plain(name: str, value: str) -> str:
    return value.partition("+")[0] if name == "torch" else value


def _shown(value: Any) -> str:
    return figure(value) if isinstance(value, int | float) else json.dumps(value)[:40]
