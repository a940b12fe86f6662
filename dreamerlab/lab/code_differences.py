"""Which source files differ between runs of different code, for `compare`.

Told from the snapshots that trials ran from, so that it is about the code that trained and not about commits. A clone
has no snapshots of runs made elsewhere: there the commits are named, for git to tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dreamerlab.report.facts import FactDifference
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.store import Workspace

_MOST = 6


def source_files(workspace: Workspace, runs: Sequence[Manifest]) -> list[FactDifference]:
    """Return one row that names the files in which each run differs from the first; none where all code is the same."""
    from dreamerlab.tracking.code_identity import recorded_files

    if len({run.code.identity for run in runs}) == 1:
        return []
    files = [recorded_files(workspace, run.code.identity) for run in runs]
    values = ["-"]
    values += [_told(runs[0], files[0], run, own) for run, own in zip(runs[1:], files[1:], strict=True)]
    return [FactDifference("source files", values, "code", bits=True)]


def _told(first: Manifest, before: Mapping[str, str] | None, run: Manifest, after: Mapping[str, str] | None) -> str:
    if run.code.identity == first.code.identity:
        return "the same"
    if before is None or after is None:
        commits = first.code.commit, run.code.commit
        if None in commits or first.code.dirty or run.code.dirty or commits[0] == commits[1]:
            return "not told: a snapshot is not here"
        return f"not told, a snapshot is not here: git diff {str(commits[0])[:12]} {str(commits[1])[:12]}"
    changed = [name for name in before if name in after and before[name] != after[name]]
    gone = [f"without {name}" for name in before if name not in after]
    new = [f"new {name}" for name in after if name not in before]
    names = [*changed, *new, *gone]
    if not names:
        return "none: versions of libraries differ"
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
