"""The parts of a comparison that tell of code, machine and software, and of what was configured beside what was done.

Lays out what `evidence.py` holds: one row a difference, marked where it can change the numbers that come out.
"""

from __future__ import annotations

from collections.abc import Sequence

from dreamerlab.report.comparison_section import Section
from dreamerlab.report.evidence import Evidence, RunEvidence
from dreamerlab.report.facts import NOT_AS_CONFIGURED, NOT_RECORDED, FactDifference
from dreamerlab.tables import Table

_SAME = ("torch", "numpy", "gymnasium", "cpu", "device", "threads")
_MOST_PACKAGES = 8


def what_differs(evidence: Evidence) -> Section:
    """Return every difference of code, machine, software, threads, variables and load."""
    heading = "What differs: code and machine"
    first = evidence.runs[0]
    differing = {fact.name for fact in evidence.facts}
    same = [f"{name} {first.machine[name]}" for name in _SAME if name in first.machine and name not in differing]
    code = [] if "code identity" in differing else [f"code {first.manifest.code.identity[:16]}"]
    lines = [f"the same: {', '.join([*code, *same])}", *_lacking(evidence.runs)]
    rows = [fact for fact in evidence.facts if fact.section != "packages"]
    lines += _packages([fact for fact in evidence.facts if fact.section == "packages"])
    if not rows:
        nothing = "nothing that is recorded" if not evidence.facts else "nothing but packages that change no number"
        return Section(heading, [nothing, *lines], in_log=False)
    table = Table(("", "can change numbers", *(run.id for run in evidence.runs)))
    for fact in rows:
        name = fact.name if fact.section in ("code", "threads", "load") else f"{fact.section}: {fact.name}"
        table.add(name, "yes" if fact.bits else "", *fact.values)
    return Section(heading, lines, table, in_log=False)


def configured_and_done(evidence: Evidence) -> Section | None:
    """Return what each run was told to do beside what it did (M-HK-18); None when none was trained."""
    told = [{line.name: line for line in run.effective} for run in evidence.runs]
    names = list(dict.fromkeys(name for one in told for name in one))
    if not names:
        return None
    table = Table(("", "run", "configured", "effective"))
    plain: list[str] = []
    for name in names:
        lines = [one.get(name) for one in told]
        alike = all(line == lines[0] for line in lines)
        if alike and lines[0] is not None and lines[0].configured == lines[0].effective:
            plain.append(f"{name} {lines[0].configured}")
            continue
        for run, line in zip(evidence.runs, lines, strict=True):
            if line is not None:
                table.add(name, run.id, line.configured, line.marked)
    notes = [f"as configured in all: {'; '.join(plain)}"] if plain else []
    if any(line.agrees is False for run in evidence.runs for line in run.effective):
        notes.append(NOT_AS_CONFIGURED)
    return Section("Configured beside effective", notes, table if table.rows else None, in_log=False)


def _lacking(runs: Sequence[RunEvidence]) -> list[str]:
    return [f"{NOT_RECORDED} in {run.id}: {', '.join(run.not_recorded)}" for run in runs if run.not_recorded]


def _packages(differing: Sequence[FactDifference]) -> list[str]:
    if not differing:
        return []
    shown = [f"{fact.name} ({' | '.join(fact.values)})" for fact in differing[:_MOST_PACKAGES]]
    more = len(differing) - len(shown)
    return [f"other packages: {', '.join(shown)}" + (f" and {more} more (--json lists them)" if more else "")]
