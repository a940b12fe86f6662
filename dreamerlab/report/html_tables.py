"""The two tables of the HTML report, hypotheses and runs, with the form that filters them.

Every row is in the file as plain HTML, so that it can be read, searched and printed without the script; filtering and
sorting read the attributes written here (`site/table.js`): `data-KEY` of a row for each choice of the form, `data-v`
of a cell where its text does not sort by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dreamerlab.protocol.state import Hypothesis
from dreamerlab.report.html_text import escaped
from dreamerlab.report.hypothesis_words import short_expectation, value
from dreamerlab.report.standing import standing
from dreamerlab.report.verdict_words import effect, figures_of, is_no_result, state_words

DAMAGED = "damaged"


@dataclass(frozen=True)
class Cell:
    """One cell: safe HTML, and what it sorts by where that is not its text."""

    html: str
    sort: object = None


@dataclass(frozen=True)
class Row:
    """One row: its cells, and value by name of what the form can choose."""

    cells: Sequence[Cell]
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Column:
    """One column: its key in the page's address, its heading, whether it holds numbers."""

    key: str
    heading: str
    number: bool = False


HYPOTHESES = (
    Column("id", "hypothesis"),
    Column("change", "asked"),
    Column("expected", "believed before"),
    Column("found", "found"),
    Column("verdict", "verdict or state"),
    Column("env", "environment"),
    Column("date", "proposed"),
)
RUNS = (
    Column("id", "run"),
    Column("of", "hypothesis"),
    Column("kind", "kind"),
    Column("env", "environment"),
    Column("seeds", "seeds"),
    Column("state", "state"),
    Column("budget", "budget", number=True),
    Column("score", "mean score", number=True),
    Column("findings", "findings"),
    Column("date", "made"),
)


def hypothesis_row(state: Hypothesis) -> Row:
    """Return the row of a hypothesis; the sentence as it was typed stands with what was changed."""
    made, figures, stands = state.proposal, figures_of(state.verdict), standing(state)
    found = "" if not figures else "no result" if is_no_result(state.verdict) else effect(figures, made.expectation)
    damaged = ' <span class="tags">record damaged</span>' if state.faults else ""
    name = f"<br><small>{escaped(made.name)}</small>" if made.name else ""
    mark = f'<span class="mark m-{stands.group}" aria-hidden="true">{stands.mark}</span>'
    cells = (
        Cell(f'<a href="#{state.id}">{state.id}</a>{name}', int(state.id[1:].partition("-")[0])),
        Cell(f"{escaped(_changed(state))}<br><small>{escaped(made.sentence)}</small>"),
        Cell(escaped(short_expectation(made))),
        Cell(escaped(found), _leading_number(figures)),
        Cell(f"{mark} {escaped(state_words(state))}{damaged}"),
        Cell(f"{escaped(made.base.env)}<br><small>{escaped(made.family)}</small>"),
        Cell(escaped(state.proposed_at[:10]), state.proposed_at),
    )
    word = DAMAGED if state.faults else stands.word
    return Row(cells, {"verdict": word, "family": made.family, "env": made.base.env, "kind": made.kind})


def damaged_row(record: str, fault: str, columns: Sequence[Column]) -> Row:
    """Return the row of a record that cannot be understood."""
    link = Cell(f'<a href="#{record}">{record}</a>', int(record[1:].partition("-")[0]))
    told = Cell(f'<span class="mark m-undecided" aria-hidden="true">!</span> cannot be read: {escaped(fault)}')
    rest = [Cell("")] * (len(columns) - 2)
    return Row((link, told, *rest), {"verdict": DAMAGED, "state": DAMAGED})


def table(name: str, caption: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Return the table as HTML; every heading is a button that sorts by its column."""
    head = "".join(
        f'<th scope="col" aria-sort="none"{_class(column)}>'
        f'<button type="button" data-sort="{column.key}">{column.heading}</button></th>'
        for column in columns
    )
    body = "".join(_row(row, columns) for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escaped(caption)}">'
        f'<table id="{name}-table" class="records"><caption>{escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def filter_form(name: str, what: str, labels: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return the form above a table: words, and one choice for each of `labels` with the values that occur."""
    fields = [
        '<label>Words <input type="search" name="words" autocomplete="off" placeholder="any of the text"></label>'
    ]
    for key, label in labels.items():
        occurring = sorted({row.choices[key] for row in rows if row.choices.get(key)})
        options = "".join(f"<option>{escaped(one)}</option>" for one in occurring)
        fields.append(f'<label>{label} <select name="{key}"><option value="">any</option>{options}</select></label>')
    return (
        f'<form class="filter" id="{name}-filter" role="search" aria-label="Filter {what}">{"".join(fields)}'
        f'<button type="reset">Clear</button><button type="button" class="csv">Download as CSV</button>'
        f'<p role="status" aria-live="polite">{len(rows)} {what}</p></form>'
    )


def _row(row: Row, columns: Sequence[Column]) -> str:
    marks = "".join(f' data-{key}="{escaped(found)}"' for key, found in row.choices.items())
    first, *rest = row.cells
    sort = "" if first.sort is None else f' data-v="{escaped(first.sort)}"'
    cells = [f'<th scope="row"{sort}>{first.html}</th>']
    for cell, column in zip(rest, columns[1:], strict=True):
        sort = "" if cell.sort is None else f' data-v="{escaped(cell.sort)}"'
        cells.append(f"<td{sort}{_class(column)}>{cell.html}</td>")
    return f"<tr{marks}>{''.join(cells)}</tr>"


def _class(column: Column) -> str:
    return ' class="num"' if column.number else ""


def _changed(state: Hypothesis) -> str:
    made = state.proposal
    if made.code is not None:
        return f"code: {made.code}"
    return ", ".join(f"{one.key} {value(one.before)} → {value(one.after)}" for one in made.changes) or "nothing"


def _leading_number(figures: Mapping[str, Any]) -> float | None:
    """Return what the column of effects sorts by: the difference, else the mean."""
    arm: Mapping[str, Any] = figures.get("treatment") or {}
    found = figures.get("difference") if figures.get("difference") is not None else arm.get("mean")
    return float(found) if isinstance(found, int | float) else None
