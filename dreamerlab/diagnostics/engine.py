"""From the courses of all seeds to findings: which rules fire, in how many seeds, and which of them is the cause.

A rule is asked of every seed by itself. A finding that another one explains, in at least half of its seeds, is a
consequence and stands behind its cause; what is left are the roots, worst first. So the first finding answers
whether a symptom is a cause or a consequence (M-DIAG-19). Pure: no files, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dreamerlab.diagnostics.conditions import Seen, named
from dreamerlab.diagnostics.rule import SEVERITIES, Rule
from dreamerlab.diagnostics.series import Course, median
from dreamerlab.diagnostics.table import ORDER, RULES

SKETCH = 48
"""Points of the small curve that comes with a piece of evidence."""


@dataclass(frozen=True)
class Evidence:
    """What one condition saw, over the seeds in which the rule fired."""

    metric: str
    value: float
    """Median over those seeds."""
    low: float
    high: float
    wanted: str
    since: int
    until: int
    """The env steps that were looked at, in the first of those seeds."""
    sketch: Sequence[float] = field(default_factory=tuple[float, ...])
    """The metric over the whole run in that seed, thinned."""


@dataclass(frozen=True)
class Finding:
    """One rule that fired."""

    rule: Rule
    subject: str
    """What a pattern was asked of, `control/camp_active_frac`; empty for all other rules."""
    seeds: Sequence[int]
    judged: Sequence[int]
    """Seeds in which everything it needs was measured."""
    evidence: Sequence[Evidence]
    also: Sequence[Evidence] = ()
    """Metrics that are shown beside the evidence, over the last half of the run."""
    explained_by: Sequence[str] = ()
    """Rules that fired as well, and whose consequence this is."""

    @property
    def key(self) -> str:
        """What tells it from the other findings of a run: its rule, and what that was asked of."""
        return f"{self.rule.id} of {self.subject}" if self.subject else self.rule.id

    @property
    def is_root(self) -> bool:
        """Whether nothing that fired explains it."""
        return not self.explained_by


@dataclass(frozen=True)
class Diagnosis:
    """Everything the rules say about one run."""

    findings: Sequence[Finding]
    """Causes first, worst first; each is followed by what it explains."""
    healthy: Sequence[Finding]
    silent: Mapping[str, Sequence[str]]
    """Rules that could not be asked in any seed -> the metrics that were missing or too few."""

    def consequences(self, root: Finding) -> list[Finding]:
        """Return the findings that `root` explains, directly or through others."""
        reached, waiting = set[str](), [root.rule.id]
        while waiting:
            now = waiting.pop()
            for one in self.findings:
                if now in one.explained_by and one.rule.id not in reached:
                    reached.add(one.rule.id)
                    waiting.append(one.rule.id)
        return [one for one in self.findings if one.rule.id in reached]


def diagnose(courses: Mapping[int, Course], rules: Sequence[Rule] = RULES) -> Diagnosis:
    """Return what `rules` find in the courses of a run, by seed."""
    found: list[Finding] = []
    silent: dict[str, list[str]] = {}
    for rule in rules:
        asked = False
        for subject, one in _subjects(rule, courses):
            seen = {seed: answers for seed, course in courses.items() if (answers := _ask(one, course)) is not None}
            asked = asked or bool(seen)
            fired = {seed: answers for seed, answers in seen.items() if all(answer.holds for answer in answers)}
            if fired:
                found.append(_finding(one, subject, fired, sorted(seen), courses))
        if not asked:
            silent[rule.id] = _missing(rule, courses)
    real = [one for one in found if one.rule.severity != "healthy"]
    return Diagnosis(_ordered(real), [one for one in found if one.rule.severity == "healthy"], silent)


def _subjects(rule: Rule, courses: Mapping[int, Course]) -> Iterator[tuple[str, Rule]]:
    if rule.each is None:
        yield "", rule
        return
    for name in rule.each.split("|"):
        yield name, replace(rule, when=tuple(named(one, name) for one in rule.when))


def _ask(rule: Rule, course: Course) -> list[Seen] | None:
    """Return what every condition of a rule saw; None where one of them was not measured, or an exception holds."""
    if course.spent < rule.from_spent:
        return None
    answers: list[Seen] = []
    for condition in rule.when:
        seen = condition.look(course)
        if seen is None:
            return None
        answers.append(seen)
        if not seen.holds:
            return answers
    if any((other := one.look(course)) is not None and other.holds for one in rule.unless):
        return [replace(answers[0], holds=False)] if answers else None
    return answers


def _missing(rule: Rule, courses: Mapping[int, Course]) -> list[str]:
    wanted = [names for names in rule.watches() if "*" not in names]
    lacking = [names for names in wanted if not any(len(course.of(names)[1]) for course in courses.values())]
    return [names.partition("|")[0] for names in lacking or (rule.each.split("|") if rule.each else wanted)]


def _finding(
    rule: Rule, subject: str, fired: Mapping[int, list[Seen]], judged: list[int], courses: Mapping[int, Course]
) -> Finding:
    seeds = sorted(fired)
    first = courses[seeds[0]]
    evidence: list[Evidence] = []
    for place, seen in enumerate(fired[seeds[0]]):
        values = [fired[seed][place].value for seed in seeds]
        evidence.append(
            Evidence(
                *(seen.metric, median(values), min(values), max(values)),
                *(seen.wanted, seen.since, seen.until, _sketch(first, seen.metric)),
            )
        )
    known = {one.metric for one in evidence}
    also = [one for name in rule.also if name not in known and (one := _beside(name, seeds, courses)) is not None]
    return Finding(rule, subject, seeds, judged, evidence, also)


def _beside(name: str, seeds: Sequence[int], courses: Mapping[int, Course]) -> Evidence | None:
    windows = [window for seed in seeds if len(window := courses[seed].tail(name, 0.5)[1])]
    if not windows:
        return None
    values = [median(window.values) for window in windows]
    first = windows[0]
    ends = (first.steps[0], first.steps[-1])
    sketch = _sketch(courses[seeds[0]], name)
    return Evidence(name, median(values), min(values), max(values), "", *ends, sketch)


def _sketch(course: Course, metric: str) -> tuple[float, ...]:
    _, whole = course.of(metric.partition(" / ")[0])
    if len(whole) <= SKETCH:
        return tuple(whole.values)
    return tuple(whole.values[round(i * (len(whole) - 1) / (SKETCH - 1))] for i in range(SKETCH))


def _ordered(found: Sequence[Finding]) -> list[Finding]:
    """Return the findings with what explains them, every cause before its consequences, the worst cause first."""
    explained = [replace(one, explained_by=_causes(one, found)) for one in found]
    by_id: dict[str, list[Finding]] = {}
    for one in explained:
        by_id.setdefault(one.rule.id, []).append(one)

    def weight(one: Finding) -> tuple[bool, int, int, int, int]:
        """Notes last; what most seeds have before what few have; then by severity, and by how much it explains."""
        severity, reach = one.rule.severity, len(Diagnosis(explained, (), {}).consequences(one))
        few = 0 if 2 * len(one.seeds) >= len(one.judged) else 1
        return (severity == "note", few, SEVERITIES.index(severity), -reach, ORDER.get(one.rule.id, 0))

    ordered: list[Finding] = []

    def place(one: Finding) -> None:
        if one not in ordered:
            ordered.append(one)
            for other in sorted((two for two in explained if one.rule.id in two.explained_by), key=weight):
                place(other)

    for root in sorted((one for one in explained if one.is_root), key=weight):
        place(root)
    return ordered


def _causes(one: Finding, found: Sequence[Finding]) -> tuple[str, ...]:
    def shared(other: Finding) -> bool:
        return 2 * len(set(one.seeds) & set(other.seeds)) >= len(one.seeds)

    return tuple(
        dict.fromkeys(other.rule.id for other in found if one.rule.id in other.rule.explains and shared(other))
    )
