"""One rendering of the log: which records changed, what has to be told again because of them, and the result.

A hypothesis' page depends on its own record, its two runs, the entries about it, and the hypotheses it names; a note on
its own record and on what it cites. Each keeps a hash of all that it was rendered from (`log_cache.Digest.inputs`),
and is rendered again when the hash, or the file on disk, is another one. Files are written by `log.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from dreamerlab.errors import LabError
from dreamerlab.lab.log_cache import Digest, digest_of, run_stamp, slim_entry, slim_state, stamp
from dreamerlab.lab.log_records import Records, without_folder
from dreamerlab.lab.queue import waiting_items
from dreamerlab.protocol.chain import Record
from dreamerlab.protocol.entries import Entry, entry_of
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.protocol.tally import champions, tallies
from dreamerlab.report.citations import CitationFault, citations, filler
from dreamerlab.report.hypothesis_page import hypothesis_page
from dreamerlab.report.links import anchor, curves_name, effect_name, page_name
from dreamerlab.report.log_data import Reference, Story
from dreamerlab.report.log_entries import damage, entry, hypothesis_entry
from dreamerlab.report.notebook import Notebook, Waiting, index_row, render
from dreamerlab.report.seed_tables import curves_svg, effect_svg, metric_of
from dreamerlab.report.verdict_words import state_words
from dreamerlab.runs.store import Workspace, run_ids

# What a record of another version, or one that was tampered with, may raise while it is understood or put into words.
_UNREADABLE = (LabError, KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, AssertionError)


@dataclass
class Rendering:
    """What is known after a rendering, and the text of the files that were rendered in it."""

    digests: dict[str, Digest] = field(default_factory=dict[str, Digest])
    files: dict[str, str] = field(default_factory=dict[str, str])
    """Path inside `protocol` -> text."""
    book: Notebook = field(default_factory=lambda: Notebook((), (), {}, {}, {}))
    """What LOG.md was made of."""


def render_changed(workspace: Workspace, known: Mapping[str, Digest]) -> Rendering:
    """Render what is not as `known` says, and LOG.md with its volumes always."""
    work = _Work(workspace, known)
    for letter in (HYPOTHESIS, ENTRY):
        for record_id in map(str, work.records.registry.ids(letter)):
            work.done.digests[record_id] = work.read(record_id)
    for digest in work.of_kind(HYPOTHESIS):
        work.tell(digest, work.hypothesis_inputs(digest), work.hypothesis)
    for digest in work.of_kind(ENTRY):
        work.tell(digest, work.entry_inputs(digest), work.entry)
    work.done.book = work.notebook()
    work.done.files |= render(work.done.book)
    return work.done


class _Work:
    def __init__(self, workspace: Workspace, known: Mapping[str, Digest]) -> None:
        self.workspace, self.known, self.done = workspace, known, Rendering()
        self.records = Records(workspace)
        self.fill = filler(self.records)
        self.run_stamp = cache(self._run_stamp)
        self.related = cache(self._related)

    def of_kind(self, letter: str) -> list[Digest]:
        """Return the digests of hypotheses or of entries, ascending."""
        return [digest for key, digest in self.done.digests.items() if key.startswith(letter)]

    def read(self, record_id: str) -> Digest:
        """Return the digest of a record, as it was known where its file has not changed."""
        mark = stamp(str(self.records.registry.path(record_id)))
        known = self.known.get(record_id)
        if known is not None and known.stamp == mark:
            return known
        digest = Digest(record_id, mark)
        try:
            record = self.records.registry.read(record_id)
            digest.faults = self._clean(record, record.faults)
            if record_id.startswith(HYPOTHESIS):
                state = fold(record)
                digest.faults = self._clean(record, state.faults)
                digest.slim = slim_state(state)
                _ = digest.state
            else:
                found = entry_of(record)
                digest.faults = self._clean(record, found.faults)
                digest.slim, digest.cites = slim_entry(found), _cited(found)
                _ = digest.entry
        except _UNREADABLE as error:
            digest.forget()
            digest.faults = digest.faults or (without_folder(_reason(error), self.workspace),)
        return digest

    def tell(self, digest: Digest, inputs: str, told: Callable[[Digest], tuple[str, dict[str, str]]]) -> None:
        """Render the entry and the files of a record, unless they were rendered from the same and are still there."""
        protocol = self.workspace.protocol
        if digest.inputs == inputs and all(
            stamp(f"{protocol}/{path}") == mark for path, mark in digest.outputs.items()
        ):
            return
        try:
            if digest.slim is None:
                raise ValueError("; ".join(digest.faults))
            digest.text, files = told(digest)
        except _UNREADABLE as error:
            digest.forget()
            digest.faults = digest.faults or (without_folder(_reason(error), self.workspace),)
            digest.text, files = f"{anchor(digest.id)}\n\n### {digest.id}\n\n{damage(digest.faults)}", {}
        digest.inputs = inputs
        digest.outputs = dict.fromkeys(files, "")
        self.done.files |= files

    def hypothesis_inputs(self, digest: Digest) -> str:
        """Return a hash of everything the page of a hypothesis is rendered from."""
        state = digest.state
        if state is None:
            return digest_of(digest.stamp, digest.faults)
        runs = [self.run_stamp(run) for run in (state.run, state.baseline_run) if run]
        about = [(one.id, self.entry_inputs(one)) for one in self._about(state)]
        others = [(how, one.id, one.state) for how, one in self._references(state)]
        return digest_of(digest.stamp, runs, about, others)

    def entry_inputs(self, digest: Digest) -> str:
        """Return a hash of everything an entry is rendered from."""
        return digest_of(digest.stamp, digest.faults, [self._cited_stamp(one) for one in digest.cites])

    def hypothesis(self, digest: Digest) -> tuple[str, dict[str, str]]:
        """Return the entry of a hypothesis and its files: the page, and the figures that can be drawn."""
        story = self._story(digest.id)
        if digest.state is not None:  # what LOG.md will need of it must not fail there, for all
            index_row(digest.state)
            tallies([digest.state])
        page, curves, effect = page_name(digest.id), curves_svg(story), effect_svg(story)
        text = hypothesis_page(story, self.fill, has_curves=curves is not None, has_effect=effect is not None)
        files = {page: text, curves_name(digest.id): curves, effect_name(digest.id): effect}
        drawn = {path: content for path, content in files.items() if content is not None}
        return hypothesis_entry(story, has_effect=effect is not None), drawn

    def entry(self, digest: Digest) -> tuple[str, dict[str, str]]:
        """Return the text of an entry; it has no file of its own."""
        return entry(self._entry(digest.id), "", self.fill), {}

    def notebook(self) -> Notebook:
        """Return everything LOG.md is made of."""
        states = [state for digest in self.of_kind(HYPOTHESIS) if (state := digest.state) is not None]
        entries = [found for digest in self.of_kind(ENTRY) if (found := digest.entry) is not None]
        queue = [Waiting(item.id, item.text, item.needs) for item in waiting_items(states, entries)]
        told = {run for state in states for run in (state.run, state.baseline_run) if run}
        told |= {one for found in entries for one in found.about}
        loose = [run for run in map(str, run_ids(self.workspace)) if run not in told]
        damaged = {key: digest.faults for key, digest in self.done.digests.items() if digest.faults}
        texts = {key: digest.text for key, digest in self.done.digests.items()}
        return Notebook(states, entries, texts, tallies(states), champions(states), queue, damaged, loose)

    def _story(self, record_id: str) -> Story:
        record = self.records.registry.read(record_id)
        state = fold(record)
        bare = Story(state, record.events)
        metric = metric_of(bare) if state.proposal.expectation else None
        runs = [None if run is None else self.records.run(run, metric) for run in (state.run, state.baseline_run)]
        references = self._references(state)
        return Story(
            state,
            record.events,
            runs[0],
            runs[1],
            [self._entry(one.id) for one in self._about(state)],
            [one for how, one in references if how == "led to"],
            {how: one for how, one in references if how != "led to"},
        )

    def _entry(self, record_id: str) -> Entry:
        return entry_of(self.records.registry.read(record_id))

    def _about(self, state: Hypothesis) -> list[Digest]:
        """Return the entries about a hypothesis or its run, oldest first."""
        about = self.related()[0]
        found = {one.id: one for subject in (state.id, state.run) if subject for one in about.get(subject, ())}
        return sorted(found.values(), key=lambda one: (one.entry.time if one.entry else "", one.id))

    def _references(self, state: Hypothesis) -> list[tuple[str, Reference]]:
        """Return (how, hypothesis) for every hypothesis that this one names or is named by."""
        _, led_to, measured_by = self.related()
        proposal = state.proposal
        follows = "opened for" if proposal.kind == "baseline" else "follows"
        named = [(follows, proposal.follows), ("replicates", proposal.replicates)]
        named += [("baseline", measured_by.get(state.baseline_run or ""))]
        named += [("led to", one) for one in led_to.get(state.id, ())]
        found: list[tuple[str, Reference]] = []
        for how, one in named:
            other = self.done.digests.get(one or "")
            if one is not None and one != state.id:
                words = "its record is missing" if other is None else "its record is damaged"
                known = other.state if other is not None else None
                found.append((how, Reference(one, words if known is None else state_words(known))))
        return found

    def _related(self) -> tuple[dict[str, list[Digest]], dict[str, list[str]], dict[str, str]]:
        """Return what belongs together: subject -> entries, hypothesis -> those it led to, run -> its baseline one."""
        about: dict[str, list[Digest]] = defaultdict(list)
        for digest in self.of_kind(ENTRY):
            for subject in dict.fromkeys(digest.entry.about if digest.entry else ()):
                about[subject].append(digest)
        led_to: dict[str, list[str]] = defaultdict(list)
        measured_by: dict[str, str] = {}
        for digest in self.of_kind(HYPOTHESIS):
            state = digest.state
            if state is None:
                continue
            if state.proposal.kind == "baseline":
                if state.run is not None:
                    measured_by[state.run] = state.id
                continue
            for one in dict.fromkeys((state.proposal.follows, state.proposal.replicates)):
                if one is not None:
                    led_to[one].append(state.id)
        return dict(about), dict(led_to), measured_by

    def _cited_stamp(self, cited: str) -> str:
        try:
            full = self.records.full_id(cited)
        except CitationFault as fault:
            return str(fault)
        return self.run_stamp(full) if full.startswith("R") else stamp(str(self.records.registry.path(full)))

    def _run_stamp(self, run_id: str) -> str:
        return digest_of(run_id, run_stamp(str(self.workspace.run(run_id).path)))

    def _clean(self, record: Record, faults: Iterable[str]) -> tuple[str, ...]:
        torn = ("its last line is unfinished, left by a crash; it counts for nothing",) if record.torn else ()
        return tuple(without_folder(fault, self.workspace) for fault in (*faults, *torn))


def _cited(found: Entry) -> tuple[str, ...]:
    texts: Iterable[str] = (found.text, *found.fields.values())
    return tuple(dict.fromkeys(one.record for text in texts for one in citations(text)))


def _reason(error: Exception) -> str:
    if isinstance(error, LabError):
        return error.message
    return f"{error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
