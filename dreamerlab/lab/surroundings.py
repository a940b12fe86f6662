"""Where and by what a run was trained, read back from its records: manifest, attempts, `freeze.txt`.

One list of facts serves `show --provenance`, `compare` and `reproduce`; which of them can change the bits of a training
is said here once. Records are read as they are: what an older one lacks is left out, and what is damaged as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from dreamerlab.report.facts import NOT_RECORDED, SECTIONS, Fact, FactDifference, Surroundings
from dreamerlab.report.wording import seeds_named
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.surroundings import changes_numbers

Record = Mapping[str, Any]
BITS_PACKAGES = ("torch", "numpy", "gymnasium", "box2d", "pygame")
"""Packages below the code whose version can change what comes out."""
_PINNED = frozenset({"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"})
"""Set by the launcher for every trainer, whatever the shell had; older records have the shell's."""


def of_run(run: RunDirectory, manifest: Manifest) -> Surroundings:
    """Return everything that is recorded of the surroundings of all attempts of a run."""
    attempts = [attempt for seed in manifest.seeds for attempt in read_attempts(run.trial(seed))]
    return of_records(manifest, attempts, _installed(run))


def of_records(
    manifest: Manifest, attempts: Sequence[Record], packages: Mapping[str, str] | None = None
) -> Surroundings:
    """Return the facts in a manifest and in the records of attempts; where attempts differ, all their values.

    What an attempt recorded of itself goes before what was recorded where the run was created.
    """
    environment = manifest.environment
    facts = [*_code(manifest), *_machine(environment, attempts), *_software(environment, attempts)]
    facts += [*_threads(attempts), *_load(environment, attempts)]
    seen = [_mapping(one["variables"]) for one in attempts if isinstance(one.get("variables"), dict)]
    if not seen:
        before = {k: v for k, v in _mapping(environment.get("threads")).items() if k not in _PINNED}
        seen = [_mapping(environment["variables"])] if isinstance(environment.get("variables"), dict) else []
        facts += [Fact("variables", f"${k}", _text(v), changes_numbers(k)) for k, v in before.items()] if before else []
    names = sorted({name for one in seen for name in one})
    variables = {name: _joined([_text(one.get(name, "unset")) for one in seen]) for name in names} if seen else None
    others = {name: version for name, version in (packages or {}).items() if name.lower() not in BITS_PACKAGES}
    return Surroundings({fact.name: fact for fact in facts}, variables, others)


def differences(sides: Sequence[Surroundings]) -> list[FactDifference]:
    """Return what is not the same in all of several runs, by section; a run that lacks it has `not recorded`.

    Two that lack a fact, or one that alone has it, are no difference.
    """
    found: list[FactDifference] = []
    for name in dict.fromkeys(name for side in sides for name in side.facts):
        known = [side.facts.get(name) for side in sides]
        first = next(fact for fact in known if fact is not None)
        if len({fact.key for fact in known if fact is not None}) > 1:
            values = [NOT_RECORDED if fact is None else fact.value for fact in known]
            found.append(FactDifference(name, values, first.section, first.bits))
    told = [side.variables for side in sides]
    for name in sorted({name for one in told if one is not None for name in one}):
        values = [NOT_RECORDED if one is None else one.get(name, "unset") for one in told]
        if len(set(values) - {NOT_RECORDED}) > 1:
            found.append(FactDifference(f"${name}", values, "variables", changes_numbers(name)))
    listed = [side.packages for side in sides]
    own = {name.lower() for side in sides for name in side.facts}
    others = {name for one in listed for name in one if name.lower() not in own}
    for name in sorted(others, key=str.lower):
        values = [one.get(name, "not installed") if one else NOT_RECORDED for one in listed]
        if len(set(values) - {NOT_RECORDED}) > 1:
            found.append(FactDifference(name, values, "packages"))
    order = [*SECTIONS, "packages"]
    return sorted(found, key=lambda fact: order.index(fact.section))


def flat(side: Surroundings) -> dict[str, str]:
    """Return the facts and variables of a run but those of its code, name -> text."""
    facts = {fact.name: fact.value for fact in side.facts.values() if fact.section != "code"}
    return facts | {f"${name}": value for name, value in (side.variables or {}).items()}


def unrecorded(sides: Sequence[Surroundings]) -> list[list[str]]:
    """Return for every run the names of facts that another run has and it lacks."""
    names = list(dict.fromkeys(name for side in sides for name in side.facts))
    names += ["environment variables"] if any(side.variables is not None for side in sides) else []
    return [
        [n for n in names if n not in side.facts and (n != "environment variables" or side.variables is None)]
        for side in sides
    ]


def cautions(manifest: Manifest, trials: Sequence[tuple[int, Sequence[Record]]]) -> list[str]:
    """Return what speaks against a run in its surroundings, a line each; `trials` are seeds with their attempts.

    Other trainers that were alive beside it (M-PROT-21), and attempts of one seed that were not made alike.
    """
    found: list[str] = []
    beside = {seed: max(map(_others, attempts), default=0) for seed, attempts in trials}
    crowded = [seed for seed, most in beside.items() if most]
    if crowded:
        many = max(beside.values())
        who = "another trainer was" if many == 1 else f"up to {many} other trainers were"
        found.append(f"{who} alive beside {seeds_named(crowded)}: times by the clock are not to be believed")
    elif isinstance(many := manifest.environment.get("other_trainers"), int) and many:
        who = "another trainer was" if many == 1 else f"{many} other trainers were"
        found.append(f"{who} alive at the launch: times by the clock are not to be believed")
    for seed, attempts in trials:
        if names := _within(attempts):
            found.append(f"seed {seed}: its attempts differ in {', '.join(names)}: not one training to the bit")
    return found


def _others(attempt: Record) -> int:
    counts = [_mapping(attempt.get(when)).get("other_trainers") for when in ("start", "end")]
    return max((count for count in counts if isinstance(count, int)), default=0)


def _within(attempts: Sequence[Record]) -> list[str]:
    """Return the names of what can change the bits and was not the same in all attempts of one trial."""
    rows = [_of_attempt(attempt) for attempt in attempts]
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if len({row[name] for row in rows if name in row}) > 1]


def _code(manifest: Manifest) -> Iterator[Fact]:
    code = manifest.code
    changed = "unknown" if code.dirty is None else "yes" if code.dirty else "no"
    yield Fact("code", "code identity", code.identity[:16], bits=True)
    yield Fact("code", "commit", code.commit[:12] if code.commit else "none")
    yield Fact("code", "branch", code.branch or "-")
    yield Fact("code", "uncommitted changes", changed)
    if code.patch_sha256:
        yield Fact("code", "patch", code.patch_sha256[:16])
    if code.kept:
        digest = hashlib.sha256(json.dumps(sorted((k, v.sha256) for k, v in code.kept.items())).encode()).hexdigest()
        yield Fact("code", "files in no commit", f"{len(code.kept)} ({digest[:12]})")


def _machine(environment: Record, attempts: Sequence[Record]) -> Iterator[Fact]:
    for name in ("host", "platform"):
        if values := _told(attempts, name) or _told([environment], name):
            yield Fact("machine", name, _joined(values))
    for name, key in (("cpu", "cpu"), ("C library", "libc")):
        if values := _told(attempts, key) or _told([environment], key):
            yield Fact("machine", name, _joined(values), bits=True)
    if isinstance(environment.get("cpu_flags"), list):
        yield Fact("machine", "cpu flags", _text(environment["cpu_flags"]), bits=True)
    if values := _told(attempts, "cpu_capability"):
        yield Fact("machine", "cpu capability", _joined(values), bits=True)
    for name, key in (("cores usable", "cores_usable"), ("memory", "memory_bytes")):
        if isinstance(value := environment.get(key), int):
            yield Fact("machine", name, _gibibytes(value) if key == "memory_bytes" else str(value))
    if values := _told(attempts, "device"):
        yield Fact("machine", "device", _joined(values), bits=True)
    if isinstance(environment.get("gpus"), list):
        gpus = [_gpu(one) for one in cast("list[Any]", environment["gpus"])]
        yield Fact("machine", "gpus", ", ".join(gpus) or "none", bits=True)
    trained_on = [_gpu(one["gpu"]) for one in attempts if isinstance(one.get("gpu"), dict)]
    if trained_on:
        yield Fact("machine", "gpu trained on", _joined(trained_on), bits=True)


def _software(environment: Record, attempts: Sequence[Record]) -> Iterator[Fact]:
    packages = _mapping(environment.get("packages"))
    if values := _told(attempts, "python") or _told([environment], "python"):
        yield Fact("software", "python", _joined(values), bits=True)
    for name in (*BITS_PACKAGES, *(name for name in packages if name not in BITS_PACKAGES)):
        values = _told(attempts, name)
        if name in packages and not values:
            values = [_text(packages[name] or "not installed")]
        if values:
            # Where metadata says 2.13.0, torch itself may say 2.13.0+cu128; which build it is `torch build` tells.
            plain = _joined([value.partition("+")[0] for value in values]) if name == "torch" else None
            yield Fact("software", name, _joined(values), name in BITS_PACKAGES, plain)
    build = _mapping(environment.get("torch_build"))
    if build:
        yield Fact("software", "torch build", " ".join(f"{k} {_text(v)[:12]}" for k, v in build.items()), bits=True)
    if values := _told([environment], "numpy_blas"):
        yield Fact("software", "BLAS of numpy", _joined(values), bits=True)
    if values := [_libraries(one["libraries"]) for one in attempts if isinstance(one.get("libraries"), dict)]:
        yield Fact("software", "BLAS of torch", _joined(values), bits=True)


def _threads(attempts: Sequence[Record]) -> Iterator[Fact]:
    if values := _told(attempts, "threads"):
        yield Fact("threads", "threads", _joined(values), bits=True)
    if values := _told(attempts, "interop_threads"):
        yield Fact("threads", "interop threads", _joined(values))


def _load(environment: Record, attempts: Sequence[Record]) -> Iterator[Fact]:
    cores = environment.get("cores_usable")
    for when in ("start", "end"):
        seen = [_mapping(one[when]) for one in attempts if isinstance(one.get(when), dict)]
        if when == "start" and not seen and environment.get("other_trainers") is not None:
            seen = [environment]  # as the launcher saw it, in older records
        if counts := [one["other_trainers"] for one in seen if isinstance(one.get("other_trainers"), int)]:
            yield Fact("load", f"other trainers at the {when}", str(max(counts)))
        loads = [cast("list[Any]", one["load"])[0] for one in seen if isinstance(one.get("load"), list) and one["load"]]
        loads = [value for value in loads if isinstance(value, int | float)]
        if loads and isinstance(cores, int):
            yield _how_busy(when, min(loads), max(loads), cores)
    beside = [_mapping(one["start"]).get("siblings") for one in attempts if isinstance(one.get("start"), dict)]
    if counts := [1 + value for value in beside if isinstance(value, int)]:
        yield Fact("load", "trials at once", str(max(counts)))


def _how_busy(when: str, low: float, high: float, cores: int) -> Fact:
    """Loads never agree to the digit: runs are held against each other by how full the machine was."""
    level = "overloaded" if high > cores else "busy" if high > cores / 2 else "quiet"
    span = f"{low:.1f}" if low == high else f"{low:.1f} to {high:.1f}"
    return Fact("load", f"load at the {when}", f"{level} ({span} on {cores} cores)", compared=level)


def _of_attempt(attempt: Record) -> dict[str, str]:
    told = ("python", "torch", "numpy", "gymnasium", "libc", "cpu", "cpu_capability", "threads", "device")
    found = {name.replace("_", " "): _text(attempt[name]) for name in told if attempt.get(name) is not None}
    if isinstance(attempt.get("gpu"), dict):
        found["gpu"] = _gpu(attempt["gpu"])
    if isinstance(attempt.get("libraries"), dict):
        found["BLAS"] = _libraries(attempt["libraries"])
    if isinstance(attempt.get("variables"), dict):
        numeric = {k: v for k, v in _mapping(attempt["variables"]).items() if changes_numbers(k)}
        found["environment variables"] = _text(numeric)
    return found


def _installed(run: RunDirectory) -> dict[str, str]:
    """Return name -> version of `freeze.txt`; nothing when it is missing or no text."""
    try:
        lines = run.freeze_path.read_text().splitlines()
    except (OSError, ValueError):
        return {}
    return {name: version for name, _, version in (line.partition("==") for line in lines) if version}


def _told(records: Sequence[Record], name: str) -> list[str]:
    return [_text(one[name]) for one in records if one.get(name) is not None]


def _joined(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _libraries(value: object) -> str:
    found = {name: _text(version) for name, version in _mapping(value).items()}
    blas = " ".join(part for part in (found.get("blas"), found.get("mkl")) if part)
    rest = [f"{name} {found[name]}" for name in found if name not in ("blas", "mkl")]
    return "; ".join(part for part in (blas, *rest) if part) or "-"


def _gpu(value: object) -> str:
    told = _mapping(value)
    memory = told.get("memory_bytes")
    parts = [f"{name} {told[name]}" for name in ("capability", "driver", "cuda", "cudnn") if told.get(name)]
    parts += [_gibibytes(memory)] if isinstance(memory, int) else [_text(told["memory"])] if told.get("memory") else []
    return f"{_text(told.get('name', 'unnamed'))} ({', '.join(parts)})" if parts else _text(told.get("name", value))


def _gibibytes(value: int) -> str:
    return f"{value / 2**30:.1f} GiB"


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, cast("Sequence[object]", value))) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in sorted(cast("dict[str, Any]", value).items())) or "none"
    return "-" if value is None else str(value)
