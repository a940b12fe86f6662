"""`report`: the whole notebook as one HTML file that can be handed to somebody who has nothing but a browser.

The same words as LOG.md and its pages, from the same records (`log_rendering`), and every run. A damaged record is
shown as damaged and stops nothing. The file is replaced at once, so that a reader, or a killed command, never sees half
of one. How it looks is `report.html_page`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dreamerlab.atomic import atomic_write_bytes
from dreamerlab.errors import NotFound, UsageError
from dreamerlab.lab.log_rendering import Rendering, render_changed
from dreamerlab.lab.report_films import Films
from dreamerlab.lab.report_live import what_trains
from dreamerlab.lab.report_runs import RunPages
from dreamerlab.report.html_page import Content, render
from dreamerlab.report.hypothesis_words import moment
from dreamerlab.report.links import page_name
from dreamerlab.report.live_page import Live
from dreamerlab.report.markdown_html import to_html
from dreamerlab.report.notebook import Notebook
from dreamerlab.runs.processes import alive
from dreamerlab.runs.store import Workspace

NAME = "report.html"
FILMS_MB, CURVES_MB = 16, 32
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_SIZE = re.compile(r' width="[0-9.]+" height="[0-9.]+" role="img"')


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    path: Path
    size_bytes: int
    hypotheses: int
    runs: int
    damaged: Mapping[str, Sequence[str]]
    """Record id -> what is wrong with it."""
    films: Sequence[str]
    films_left_out: Sequence[str]
    runs_without_curves: int
    """Runs of which only the evaluations that make the score had room."""

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        damaged = {key: list(faults) for key, faults in self.damaged.items()}
        lists = {"films": list(self.films), "films_left_out": list(self.films_left_out)}
        return {**vars(self), **lists, "path": str(self.path), "damaged": damaged}


@dataclass(frozen=True)
class Gathered:
    """Everything the records say, ready to be written as often as is wanted."""

    content: Content
    hypotheses: int
    films: Films
    runs_without_curves: int

    def write(self, path: Path, live: Live | None) -> Report:
        """Replace the file at `path`; ToolFailed when the disk refuses."""
        data = render(replace(self.content, live=live)).encode(errors="replace")
        remove_drafts(path)
        atomic_write_bytes(path, data)
        damaged, films = self.content.book.damaged or {}, self.films
        counts = (len(data), self.hypotheses, len(self.content.run_rows))
        return Report(path, *counts, damaged, films.carried, films.left_out, self.runs_without_curves)


def build(workspace: Workspace, out: Path | None, *, films_mb: float, curves_mb: float) -> Report:
    """Write the report to `out`, by default `report.html` in the workspace; what trains now is told if something does.

    UsageError or NotFound for a place where no report can stand, ToolFailed when the disk refuses.
    """
    path = target(workspace, out)
    gathered = gather(workspace, films_mb=films_mb, curves_mb=curves_mb)
    live = what_trains(workspace)
    return gathered.write(path, live if live.trials else None)


def gather(workspace: Workspace, *, films_mb: float, curves_mb: float) -> Gathered:
    """Return everything that the records say, but not what trains now."""
    rendering = render_changed(workspace, {})
    book = rendering.book
    pages = RunPages(workspace, Films(workspace, int(films_mb * 1e6)), int(curves_mb * 1e6))
    runs = list(pages.pages(book.states))
    damaged = {**(book.damaged or {}), **{run: (fault,) for run, fault in pages.faults.items()}}
    records = list(_records(rendering, book, runs))
    title = f"Laboratory notebook: {workspace.path.name}"
    content = Content(title, _as_of(book), replace(book, damaged=damaged), pages.rows, records, _remarks(pages))
    return Gathered(content, len(book.states), pages.films, pages.without_curves)


def target(workspace: Workspace, out: Path | None) -> Path:
    """Return the file to write; UsageError or NotFound when it is no place for a report."""
    path = (workspace.path / NAME if out is None else out).absolute()
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint=f"name a file in it: dreamerlab report -o '{path / NAME}'")
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}", hint=f"mkdir -p '{path.parent}'")
    place = path.parent.resolve() / path.name
    for folder in (workspace.runs, workspace.protocol, workspace.hidden):
        if place.is_relative_to(folder.resolve()):
            raise UsageError(
                f"{path} lies in {folder.name}/, which holds records and nothing else",
                hint=f"write it beside: dreamerlab report -o '{workspace.path / NAME}'",
            )
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"'{path.name}' does not end in .html", hint=f"dreamerlab report -o {path.stem or 'report'}.html"
        )
    return path


def _records(
    rendering: Rendering, book: Notebook, runs: Sequence[tuple[str, dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the script shows of every hypothesis, entry and run."""
    arms = {state.id: [run for run in (state.run, state.baseline_run) if run] for state in book.states}
    pictures = partial(_picture, rendering.files)
    for record in rendering.digests:
        told = rendering.files.get(page_name(record), book.texts.get(record, ""))
        yield record, {"id": record, "html": to_html(told, pictures), "arms": arms.get(record, [])}
    yield from runs


def _picture(files: Mapping[str, str], name: str) -> str | None:
    """Return a figure of a page as it stands in the report: effects as they are, curves by the page's own script."""
    if name.endswith("-curves.svg"):
        return '<span class="curves"></span>'
    found = files.get(f"hypotheses/{name}")
    if found is None:
        return None
    bare = _SIZE.sub(' role="img"', _STYLE.sub("", found))  # the page has the style once, and room to be narrow
    return f'<span class="figure">{bare}</span>'


def _as_of(book: Notebook) -> str:
    times = [time for state in book.states for time in (state.proposed_at, state.launched_at, state.ended_at) if time]
    times += [one.time for one in book.entries]
    return f"the newest record is of {moment(max(times))}" if times else "there is no record yet"


def _remarks(pages: RunPages) -> list[str]:
    said: list[str] = []
    if pages.without_curves:
        many = pages.without_curves
        runs = "one older run" if many == 1 else f"{many} older runs"
        said.append(f"Of {runs} only the evaluations that make the score are in this file; --curves-mb makes room.")
    if pages.undiagnosed:
        many = pages.undiagnosed
        runs = "One older run was" if many == 1 else f"{many} older runs were"
        said.append(f"{runs} not put to the rules of diagnosis; dreamerlab diagnose names what is found in one.")
    if pages.films.left_out:
        said.append(f"Films left out for their size: {', '.join(pages.films.left_out)}; --films-mb makes room.")
    return said


def remove_drafts(path: Path, own: int | None = None) -> None:
    """Remove what a killed command, or process `own`, left beside the file; one that still writes keeps its draft."""
    for draft in path.parent.glob(".*.tmp"):
        found = re.fullmatch(rf"\.{re.escape(path.name)}\.([0-9]+)-[0-9]+\.tmp", draft.name)
        if found is not None and (int(found[1]) == own or not alive(int(found[1]))):
            with suppress(OSError):
                draft.unlink()
