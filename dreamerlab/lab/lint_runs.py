"""Lint of the runs, and of what the registry says about them: nothing missing, nothing that contradicts, sizes right.

Works from the committed text alone; artifacts that are not here, dropped ones too, are counted and not checked.
Damage that harms the next command, such as a dead trainer or a half-made run, is the business of `doctor`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dreamerlab.atomic import read_object, read_small
from dreamerlab.ids import letter_of
from dreamerlab.lab.finalise import ENDED_FOR_GOOD
from dreamerlab.lab.lint_findings import Books, Finding
from dreamerlab.protocol.state import TRIAL_FINISHED, TRIAL_KILLED, Hypothesis
from dreamerlab.report.wording import seeds_text, size
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.runs.summary import check_artifacts
from dreamerlab.runs.tombstone import dropped_files

_MEND = "dreamerlab doctor --fix"


@dataclass
class RunReport:
    """Findings, and in how many trials artifacts could not be looked at."""

    findings: list[Finding] = field(default_factory=list[Finding])
    trials: int = 0
    without_artifacts: int = 0


def check_runs(books: Books, *, deep: bool) -> RunReport:
    """Return what is missing or damaged in the runs; `deep` also hashes every artifact that is here."""
    report = RunReport()
    for run_id, manifest in books.runs.items():
        run = books.workspace.run(run_id)
        if manifest is None:
            report.findings.append(_missing(books, run.manifest_path, "the manifest is missing or damaged"))
            continue
        for path in (run.config_path, run.origins_path):
            if not path.is_file():
                report.findings.append(_missing(books, path, f"{run_id} lacks its {path.name}"))
        for seed in manifest.seeds:
            report.trials += 1
            report.findings += _trial(books, run.trial(seed), report, deep=deep)
    return report


def check_references(books: Books) -> Iterator[Finding]:
    """Yield where registry and runs contradict each other, and runs that no record speaks of."""
    spoken_of = {one for entry in books.notes.values() for one in entry.about}
    for entry in books.notes.values():
        source = books.entries[entry.id]
        wanted = [*entry.about, *([entry.filed] if entry.filed else [])]
        for one in wanted:
            if not _exists(books, one):
                text = f"it speaks of {one}, which is not there"
                yield Finding("missing", source.file, source.lines[0], text, f"look for it: git log --all -- '*{one}*'")
    for hypothesis in books.folded.values():
        yield from _hypothesis(books, hypothesis)
        spoken_of |= {run for run in (hypothesis.run, hypothesis.baseline_run) if run}
    for run_id, manifest in books.runs.items():
        file = _relative(books, books.workspace.run(run_id).manifest_path)
        if manifest is not None and manifest.hypothesis is not None:
            yield from _claimed(books, run_id, manifest.hypothesis, file)
        elif manifest is not None and run_id not in spoken_of:
            text = f"no hypothesis and no entry speaks of {run_id}, a {manifest.kind}: why was it made?"
            yield Finding("unclaimed", file, None, text, f'say it: dreamerlab note {run_id} "..."')


def _trial(books: Books, trial: TrialDirectory, report: RunReport, *, deep: bool) -> Iterator[Finding]:
    where = f"{trial.run.id} seed {trial.seed}"
    status = read_status(trial)
    state = effective_state(status)
    if state == "unreadable":
        yield _missing(books, trial.status_path, f"{where}: {status.reason}")
        return
    if state not in ENDED_FOR_GOOD:
        return  # at work, or to be resumed; nothing of it reads as a result
    wanted = [trial.attempts_path, trial.curves_path] + ([trial.evals_path] if state == "finished" else [])
    for path in wanted:
        if not path.is_file():
            yield _missing(books, path, f"{where} is {state} and lacks its {path.name}")
    try:
        summary = read_object(str(trial.summary_path))
    except (OSError, ValueError) as error:
        hint = _MEND if isinstance(error, FileNotFoundError) else None
        yield _missing(books, trial.summary_path, f"{where} is {state} and has no readable summary.json", hint)
        return
    if summary.get("attempts") != len(read_attempts(trial)) or summary.get("state") != state:
        yield _missing(books, trial.summary_path, f"{where}: the summary is older than the end of the trial", _MEND)
    elif not trial.artifacts.is_dir():
        report.without_artifacts += bool(summary.get("files"))
    else:
        dropped, files = dropped_files(trial.run), cast("dict[str, Any]", summary.get("files") or {})
        report.without_artifacts += not dropped.isdisjoint(files)
        here = {name: facts for name, facts in files.items() if name not in dropped}
        yield from _artifacts(books, trial, here, deep=deep)


def _artifacts(
    books: Books, trial: TrialDirectory, files: Mapping[str, Mapping[str, Any]], *, deep: bool
) -> Iterator[Finding]:
    hint = f"fetch the stored ones: move them away, then dreamerlab data pull {trial.run.id}"
    wrong: set[str] = set()
    for name, recorded in files.items():
        path = trial.run.path / name
        try:
            found: int | None = path.stat().st_size
        except OSError:
            found = None
        if found != recorded.get("size"):
            wrong.add(name)
            has = "is missing" if found is None else f"has {size(found)} ({found} bytes)"
            text = f"{trial.run.id} seed {trial.seed}: {has}; recorded are {recorded.get('size')} bytes"
            yield Finding("artifact", _relative(books, path), None, text, hint)
    if deep:
        rest = {name: recorded for name, recorded in files.items() if name not in wrong}
        for fault in check_artifacts(trial, rest):
            name, _, what = fault.partition(": ")
            text = f"{trial.run.id} seed {trial.seed}: it {what}"
            yield Finding("artifact", _relative(books, trial.run.path / name), None, text, hint)


def _hypothesis(books: Books, hypothesis: Hypothesis) -> Iterator[Finding]:
    source = books.hypotheses[hypothesis.id]
    launched = next((line for line, event in source.numbered() if event.data is hypothesis.launch), None)
    for role, run_id in (("treatment", hypothesis.run), ("baseline", hypothesis.baseline_run)):
        if run_id is None:
            continue
        manifest = books.runs.get(run_id)
        if run_id not in books.runs:
            file = _relative(books, books.workspace.run(run_id).path)
            text = f"its {role} {run_id} is not there"
            yield Finding("missing", source.file, launched, text, f"bring it back: git log --all -- {file}")
        elif manifest is not None and role == "treatment":
            yield from _as_planned(hypothesis, manifest, source.file, launched)
    yield from _summaries(books, hypothesis)


def _as_planned(hypothesis: Hypothesis, manifest: Manifest, file: str, line: int | None) -> Iterator[Finding]:
    """Yield where the treatment run was not set up as the frozen plan says."""
    plan = hypothesis.proposal.plan
    hint = f"the plan is frozen and the run is what it is: dreamerlab withdraw {hypothesis.id}, and propose anew"
    if set(manifest.seeds) != set(plan.seeds):
        text = f"{manifest.id} has the seeds {seeds_text(manifest.seeds)}, planned were {seeds_text(plan.seeds)}"
        yield Finding("mismatch", file, line, text, hint)
    asked, made = (plan.budget_unit, plan.budget_amount), (manifest.budget.unit, manifest.budget.amount)
    if asked != made:
        text = f"{manifest.id} has the budget {made[1]} {made[0]}, planned were {asked[1]} {asked[0]}"
        yield Finding("mismatch", file, line, text, hint)


def _summaries(books: Books, hypothesis: Hypothesis) -> Iterator[Finding]:
    """Yield trials whose summary is no longer the one that the registry recorded when they ended."""
    source = books.hypotheses[hypothesis.id]
    newest: dict[tuple[str, int], tuple[int, str]] = {}
    for line, event in source.numbered():
        if event.event in (TRIAL_FINISHED, TRIAL_KILLED) and event.data.get("summary_sha256"):
            key = (str(event.data.get("run")), int(event.data.get("seed", -1)))
            newest[key] = (line, str(event.data["summary_sha256"]))
    for (run_id, seed), (line, recorded) in newest.items():
        if seed < 0 or run_id not in books.runs:
            continue
        path = books.workspace.run(run_id).trial(seed).summary_path
        try:
            found = hashlib.sha256(read_small(str(path))).hexdigest()
        except OSError:
            text = f"it records the end of {run_id} seed {seed}, whose summary.json is not there"
            yield Finding("missing", source.file, line, text, f"restore it: git checkout -- {_relative(books, path)}")
            continue
        if found != recorded:
            text = f"{run_id} seed {seed} has another summary.json than when it ended (sha256 {recorded[:12]})"
            file = _relative(books, path)
            yield Finding("mismatch", source.file, line, text, f"see who changed it: git log -p -- {file}")


def _claimed(books: Books, run_id: str, hypothesis_id: str, file: str) -> Iterator[Finding]:
    owner = books.folded.get(hypothesis_id)
    if hypothesis_id not in books.hypotheses:
        text = f"{run_id} says that it belongs to {hypothesis_id}, which is not there"
        yield Finding("missing", file, None, text, f"look for it: git log --all -- '*{hypothesis_id}*'")
    elif owner is not None and run_id not in (owner.run, owner.baseline_run):
        text = f"{run_id} says that it belongs to {hypothesis_id}, which knows only {owner.run or 'no run'}"
        yield Finding("mismatch", file, None, text, f"see both: dreamerlab show {run_id}; dreamerlab show {owner.id}")


def _exists(books: Books, one: str) -> bool:
    known = {"R": books.runs, "H": books.hypotheses, "E": books.entries}.get(letter_of(one) or "", {})
    return one in known


def _missing(books: Books, path: Path, message: str, hint: str | None = None) -> Finding:
    file = _relative(books, path)
    return Finding("missing", file, None, message, hint or f"restore it: git checkout -- {file}")


def _relative(books: Books, path: Path) -> str:
    return path.relative_to(books.workspace.path).as_posix()
