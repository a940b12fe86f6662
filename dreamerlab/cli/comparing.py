"""The command `compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dreamerlab.cli import completion, output

if TYPE_CHECKING:
    from dreamerlab.report.evidence import Evidence
    from dreamerlab.runs.store import Workspace

_Forms = Mapping[str, Callable[[], Any]]
_Draw = Callable[[Path, str, str], None]


def compare(
    records: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORD ...",
            help="A hypothesis (its run beside its baseline), or two and more hypotheses and runs: H7, R12, names.",
            autocompletion=completion.record_ids,
        ),
    ],
    reducer: Annotated[
        str | None,
        typer.Option("--reducer", metavar="TEXT", help="Score all runs by this, such as 'auc of eval/return'."),
    ] = None,
    level: Annotated[
        list[float] | None,
        typer.Option("--level", metavar="N", help="Also time how long the metric takes to N; may be repeated."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png|svg", help="Draw a picture of all runs.")
    ] = None,
    plot_kind: Annotated[
        str | None,
        typer.Option("--plot-kind", metavar="KIND", help="curves (default), intervals, profile, tradeoff or lag."),
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option("--x", metavar="CLOCK", help="Draw curves against env_steps (default), updates or wall_clock."),
    ] = None,
    lag: Annotated[
        str | None,
        typer.Option(
            "--lag",
            metavar="METRIC",
            help="Instead: does this metric move before the score or after it? Also of one run.",
        ),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print markdown.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print one row per run and seed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    no_log: Annotated[bool, typer.Option("--no-log", help="Leave no entry in the log.")] = False,
) -> None:
    """Set runs side by side: what differs, scores, uncertainty.

    Shows evidence and gives no verdict; that of a hypothesis is quoted. The tables become an entry of the log, once
    for the same records (never with --json, --csv, --no-log or --lag).
    """
    from dreamerlab.errors import UsageError
    from dreamerlab.lab import compare as use_case
    from dreamerlab.lab.compare_choice import choose
    from dreamerlab.lab.comparison_entry import enter
    from dreamerlab.runs.store import Workspace

    if as_markdown + as_csv + as_json > 1:
        raise UsageError("--md, --csv and --json exclude each other", hint="choose one of them")
    kind = _kind(plot, plot_kind, clock, lag)
    workspace = Workspace.find()
    choice = choose(workspace, records, fewest=2 if lag is None else 1)
    evidence = use_case.compare(workspace, choice, reducer=reducer, levels=level or ())
    forms, draw = _comparison(evidence) if lag is None else _lags(workspace, evidence, lag)
    if plot is not None:
        draw(plot, kind, clock or "env_steps")
        output.say(f"drew {plot}")
    if as_json:
        output.emit_json(forms["json"]())
    else:
        output.emit(forms["csv" if as_csv else "markdown" if as_markdown else "text"]())
    if not (as_json or as_csv or no_log or lag):
        enter(workspace, evidence, output.say, output.warn)


def _kind(plot: Path | None, kind: str | None, clock: str | None, lag: str | None) -> str:
    """Return the kind of picture that is wanted; UsageError for options that do not go together."""
    from dreamerlab.errors import UsageError
    from dreamerlab.report.comparison_plots import CLOCKS, KINDS, LAG, one_of

    if kind is not None:
        one_of(kind, (*KINDS, LAG), "kind of picture")
    if clock is not None:
        one_of(clock, CLOCKS, "clock")
    for option, value in (("--plot-kind", kind), ("--x", clock)):
        if value is not None and plot is None:
            raise UsageError(f"{option} {value} says how to draw, and nothing is drawn", hint="add --plot FILE.png")
    if kind == LAG and lag is None:
        raise UsageError("a lag is that of a metric, and none is named", hint="add --lag behavior/entropy_nats")
    if lag is not None and kind not in (None, LAG):
        raise UsageError(f"--lag draws lags, not {kind}", hint=f"leave out --lag or --plot-kind {kind}")
    chosen = kind or ("curves" if lag is None else LAG)
    if clock is not None and chosen != "curves":
        raise UsageError(f"--x is of learning curves; {chosen} has axes of its own", hint=f"leave out --x {clock}")
    return chosen


def _comparison(evidence: Evidence) -> tuple[_Forms, _Draw]:
    """Return how a comparison is said, and how it is drawn; what draws is imported when something is drawn."""
    from dreamerlab.report import comparison, comparison_data

    def draw(path: Path, kind: str, clock: str) -> None:
        from dreamerlab.report import comparison_plots

        comparison_plots.draw(evidence, path, kind, clock)

    forms: _Forms = {
        "text": lambda: comparison.to_text(evidence),
        "markdown": lambda: comparison.to_markdown(evidence),
        "csv": lambda: comparison_data.to_csv(evidence),
        "json": lambda: comparison_data.to_data(evidence),
    }
    return forms, draw


def _lags(workspace: Workspace, evidence: Evidence, metric: str) -> tuple[_Forms, _Draw]:
    """Return how lagged correlations are said, and how they are drawn."""
    from dreamerlab.lab.lagging import lags_of
    from dreamerlab.report import lag_table

    found = lags_of(workspace, evidence, metric)

    def draw(path: Path, kind: str, clock: str) -> None:
        from dreamerlab.report.lag_plots import draw_lags

        draw_lags(found, path)

    forms: _Forms = {
        "text": lambda: lag_table.to_text(found),
        "markdown": lambda: lag_table.to_markdown(found),
        "csv": lambda: lag_table.to_csv(found),
        "json": lambda: lag_table.to_data(found),
    }
    return forms, draw
