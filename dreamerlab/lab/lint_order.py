"""Lint against git: every proposal is older than its first trial record, no record was rewritten, none is gone.

A chain alone can be forged by whoever writes all of it anew; a commit that others have cannot. Proven is, for every
hypothesis with a committed trial record: some commit holds its lines up to the launch exactly as they are today, and
is an ancestor of every commit that added a file of its run. Commits are compared by ancestry, never by their dates,
so branches and merges are fine and a squashed branch proves nothing. One `git log` answers for all records at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.lint_findings import Books, Finding, Source
from dreamerlab.lab.records import in_git
from dreamerlab.protocol.registry import SUFFIX
from dreamerlab.protocol.state import LAUNCHED
from dreamerlab.protocol.verdict import ORDER_UNPROVEN
from dreamerlab.runs.directory import MANIFEST, TRIAL, parse_run_id
from dreamerlab.tracking.git_history import Commit, blob_id, contents, history, is_shallow
from dreamerlab.tracking.git_state import GitSilent

_UNSQUASHED = (
    "proposal and trials must reach this branch as separate commits: merge the branch again, without squashing"
)


@dataclass
class GitReport:
    """What git shows: findings, and what could not be checked."""

    findings: list[Finding] = field(default_factory=list[Finding])
    not_checked: list[str] = field(default_factory=list[str])


@dataclass
class _Versions:
    """What the history says about one path: (index of the commit, content hash) as it changed, and its removals."""

    held: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    removed: list[int] = field(default_factory=list[int])


@dataclass
class _Past:
    """The history, sorted by what it is about."""

    commits: list[Commit]
    records: dict[str, _Versions] = field(default_factory=dict[str, _Versions])
    """File name in the registry -> its versions."""
    manifests: dict[str, _Versions] = field(default_factory=dict[str, _Versions])
    """Run id -> the versions of its manifest."""
    first_trials: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """Run id -> the commits that added a file of one of its trials."""


def check_order(books: Books) -> GitReport:
    """Return what the history of the workspace proves and contradicts; outside git nothing is checked."""
    report = GitReport()
    workspace = books.workspace
    registry, runs = (path.relative_to(workspace.path).as_posix() for path in _folders(books))
    try:
        if not in_git(workspace.path):
            report.not_checked.append("git order: this workspace is not in a git repository")
            return report
        if is_shallow(workspace.path):
            text = "git order: this clone lacks older commits (git fetch --unshallow; in CI: fetch-depth: 0)"
            report.not_checked.append(text)
            return report
        past = _sort(history(workspace.path, [registry, runs]), registry, runs)
        report.findings += _gone(books, past)
        proofs = _Proofs(books, past)
        report.findings += proofs.rewritten
        report.findings += proofs.out_of_order
        report.not_checked += proofs.open_questions
    except GitSilent as silence:
        report.not_checked.append(f"git order: {silence}")
    return report


def _folders(books: Books) -> tuple[Path, Path]:
    return registry_of(books.workspace).folder, books.workspace.runs


def _sort(commits: list[Commit], registry: str, runs: str) -> _Past:
    past = _Past(commits)
    for index, commit in enumerate(commits):
        for change in commit.changes:
            folder, _, name = change.path.rpartition("/")
            versions = None
            if folder == registry and name.endswith(SUFFIX):
                versions = past.records.setdefault(name, _Versions())
            elif change.path.startswith(f"{runs}/"):
                run_id, _, inside = change.path.removeprefix(f"{runs}/").partition("/")
                if inside == MANIFEST and parse_run_id(run_id):
                    versions = past.manifests.setdefault(run_id, _Versions())
                elif inside.startswith(TRIAL) and change.kind == "A":
                    past.first_trials.setdefault(run_id, []).append(index)
            if versions is None:
                continue
            if change.blob is None:
                versions.removed.append(index)
            else:
                versions.held.append((index, change.blob))
    return past


def _gone(books: Books, past: _Past) -> Iterator[Finding]:
    registry, runs = _folders(books)
    candidates = [(f"the record {name.removesuffix(SUFFIX)}", registry / name, v) for name, v in past.records.items()]
    candidates += [(f"the run {run}", runs / run / MANIFEST, versions) for run, versions in past.manifests.items()]
    for what, path, versions in candidates:
        if not versions.held or path.exists():
            continue
        file = path.relative_to(books.workspace.path).as_posix()
        whole = file if what.startswith("the record") else path.parent.relative_to(books.workspace.path).as_posix()
        last = past.commits[versions.held[-1][0]].id
        by = f"commit {past.commits[versions.removed[-1]].id[:12]} removed it" if versions.removed else "uncommitted"
        message = f"{what} was committed and is gone ({by}); what was believed and found stays, whatever it was"
        yield Finding("gone", file, None, message, f"bring it back: git checkout {last[:12]} -- {whole}")


class _Proofs:
    """Compares every committed version of every record with the record of today, and follows ancestry."""

    def __init__(self, books: Books, past: _Past) -> None:
        self._books, self._past = books, past
        self.rewritten: list[Finding] = []
        self.out_of_order: list[Finding] = []
        self.open_questions: list[str] = []
        self._lines: dict[str, dict[int, int]] = {}
        """Record id -> index of a commit -> how many lines of the record of today it holds."""
        self._compare()
        self._order()

    def _compare(self) -> None:
        strange: list[tuple[str, Source, int, str]] = []
        for record_id, source in self._books.records.items():
            versions = self._past.records.get(Path(source.file).name)
            if versions is None:
                continue
            known = _prefixes(source.content, len(versions.held[0][1])) if versions.held else {}
            counted = self._lines.setdefault(record_id, {})
            for index, blob in versions.held:
                if blob in known:
                    counted[index] = max(known[blob], counted.get(index, 0))
                else:
                    strange.append((record_id, source, index, blob))
        found = contents(self._books.workspace.path, [blob for *_, blob in strange])
        told: set[tuple[str, int]] = set()
        for record_id, source, index, blob in strange:
            then = _whole_lines(found.get(blob, b""))
            now = _whole_lines(source.content)
            same = next(
                (i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(map(len, (then, now)))
            )
            if same == len(then):  # an unfinished line followed, or line ends were converted
                self._lines[record_id][index] = max(same, self._lines[record_id].get(index, 0))
            elif (record_id, same) not in told:
                told.add((record_id, same))
                self.rewritten.append(_rewriting(source, same + 1, self._past.commits[index].id, same >= len(now)))

    def _order(self) -> None:
        launches = {
            one.id: (launch, one.run)
            for one in self._books.folded.values()
            if one.run is not None and (launch := _launch_line(self._books.hypotheses[one.id])) is not None
        }
        enough = {
            record_id: {i for i, lines in self._lines.get(record_id, {}).items() if lines >= launch - 1}
            for record_id, (launch, _) in launches.items()
        }
        ancestors = _ancestors(self._past.commits, {index for proofs in enough.values() for index in proofs})
        uncommitted = 0
        for record_id, (launch, run) in launches.items():
            trials = self._past.first_trials.get(run, [])
            if not trials:
                uncommitted += run in self._books.runs
                continue
            if not any(all(ancestors.holds(one, trial) for trial in trials) for one in enough[record_id]):
                self._unproven(record_id, launch, run, trials[0])
        if uncommitted:
            records = "records of 1 run are" if uncommitted == 1 else f"records of {uncommitted} runs are"
            self.open_questions.append(f"git order: the trial {records} not committed yet")

    def _unproven(self, record_id: str, launch: int, run: str, trial: int) -> None:
        hypothesis = self._books.folded[record_id]
        source = self._books.hypotheses[record_id]
        verdict = hypothesis.verdict
        if hypothesis.launch.get("proposal_commit") is None and (
            verdict is None or ORDER_UNPROVEN in verdict.get("qualifiers", ())
        ):
            text = f"git order: {record_id} was launched before its proposal was in git, and its verdict says so"
            self.open_questions.append(text)
            return
        commit = self._past.commits[trial].id[:12]
        message = (
            f"commit {commit} holds trial records of {run}, and no commit before it holds lines 1-{launch - 1} of this"
            " record as they are: nothing shows that the prediction came first"
        )
        self.out_of_order.append(Finding("order", source.file, launch, message, _UNSQUASHED))


@dataclass
class _Ancestry:
    bits: Mapping[int, int]
    """Commit that may prove something -> its bit."""
    above: list[int]
    """Per commit, the bits of its proper ancestors."""

    def holds(self, ancestor: int, descendant: int) -> bool:
        return bool(self.above[descendant] & self.bits[ancestor])


def _ancestors(commits: list[Commit], marked: set[int]) -> _Ancestry:
    """Return who descends from whom, for the marked commits only: one pass, as parents come before children."""
    bits = {index: 1 << place for place, index in enumerate(sorted(marked))}
    position = {commit.id: index for index, commit in enumerate(commits)}
    above: list[int] = []
    for commit in commits:
        mask = 0
        for parent in (position[one] for one in commit.parents if one in position):
            mask |= above[parent] | bits.get(parent, 0)
        above.append(mask)
    return _Ancestry(bits, above)


def _prefixes(content: bytes, length: int) -> dict[str, int]:
    """Return content hash -> number of lines, for every beginning of a record that ends with a whole line."""
    found: dict[str, int] = {}
    end = 0
    for count in range(1, content.count(b"\n") + 1):
        end = content.index(b"\n", end) + 1
        found[blob_id(content[:end], length)] = count
    if not content.endswith(b"\n"):
        found[blob_id(content, length)] = content.count(b"\n")
    return found


def _whole_lines(content: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in content.split(b"\n")[:-1]]


def _rewriting(source: Source, line: int, commit: str, removed: bool) -> Finding:
    what = "was removed" if removed else "is not what it was"
    message = f"line {line} {what} in commit {commit[:12]}: records are only ever added to"
    hint = f"compare: git diff {commit[:12]} -- {source.file}; restore it: git checkout {commit[:12]} -- {source.file}"
    return Finding("rewritten", source.file, line, message, hint)


def _launch_line(source: Source) -> int | None:
    return next((line for line, event in source.numbered() if event.event == LAUNCHED), None)
