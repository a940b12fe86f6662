"""Generated files against the records: LOG.md, its volumes, the pages, their figures and the file of all scores.

All of them are rendered anew and compared; which records are damaged is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from dreamerlab.atomic import read_object, read_small
from dreamerlab.lab.finalise import ENDED_FOR_GOOD
from dreamerlab.lab.lint_findings import Books, Finding
from dreamerlab.lab.log import render_log
from dreamerlab.report.links import PAGES, is_volume
from dreamerlab.runs.scores import collect_scores
from dreamerlab.runs.status import read_status

_RENDER = "dreamerlab log writes it anew; what was written by hand belongs into a note: dreamerlab note"


def check_pages(books: Books) -> Iterator[Finding]:
    """Yield the generated files that are edited, missing, out of date, or of no record."""
    yield from _scores(books)
    protocol = books.workspace.protocol
    files = render_log(books.workspace)
    if not books.records and not any((protocol / name).exists() for name in files):
        return  # nothing was ever told here
    for name, text in sorted(files.items()):
        file = f"{protocol.name}/{name}"
        try:
            found = read_small(f"{protocol}/{name}")
        except OSError:
            yield Finding("page", file, None, "it was never rendered, or removed", "dreamerlab log")
            continue
        if found != (wanted := text.encode()):
            yield Finding("page", file, _first_difference(found, wanted), _what(found, wanted), _RENDER)
    volumes = (path for path in protocol.glob("LOG-*.md") if is_volume(path.name))
    pages = (path for path in (protocol / PAGES).glob("*") if path.suffix in (".md", ".svg"))
    for path in sorted([*volumes, *pages]):
        if path.relative_to(protocol).as_posix() not in files:
            file = path.relative_to(books.workspace.path).as_posix()
            yield Finding("page", file, None, "no record gives this page", f"remove it: git rm -f {file}")


def _scores(books: Books) -> Iterator[Finding]:
    """Compare by value: merged branches leave their lines in any order. What has not ended is written at its end."""
    path = books.workspace.scores_path
    file = path.relative_to(books.workspace.path).as_posix()
    hint = f"restore it: git checkout -- {file}; the end of the next run writes it anew"
    try:
        found = read_object(str(path))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        yield Finding("page", file, None, f"it cannot be read: {error}", hint)
        return
    wanted = collect_scores(books.workspace)
    for run_id in sorted(found.keys() | wanted.keys()):
        if found.get(run_id) != wanted.get(run_id) and not _goes_on(books, run_id):
            text = f"what it says of {run_id} is not what the trials' summaries give"
            yield Finding("page", file, None, text, hint)


def _goes_on(books: Books, run_id: str) -> bool:
    return any(read_status(trial).state not in ENDED_FOR_GOOD for trial in books.workspace.run(run_id).trials())


def _first_difference(found: bytes, wanted: bytes) -> int:
    """Return the first line that is not as it should be."""
    pairs = zip(found.split(b"\n"), wanted.split(b"\n"), strict=False)
    same = next((number for number, (left, right) in enumerate(pairs) if left != right), None)
    return 1 + (min(found.count(b"\n"), wanted.count(b"\n")) if same is None else same)


def _what(found: bytes, wanted: bytes) -> str:
    if b"<<<<<<< " in found or b">>>>>>> " in found:
        return "a merge left its marks in it"
    number = _first_difference(found, wanted)
    lines = wanted.split(b"\n")
    line = lines[number - 1].decode(errors="replace").strip() if number <= len(lines) else ""
    shown = line if len(line) <= 60 else f"{line[:57]}..."
    return f"edited by hand or out of date; the records give: {shown}" if shown else "edited by hand or out of date"
