"""The command `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamerlab.cli import completion, output


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
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the learning curves of all runs.")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print markdown.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print one row per run and seed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    no_log: Annotated[bool, typer.Option("--no-log", help="Leave no entry in the log.")] = False,
) -> None:
    """Set runs side by side: what differs, scores, uncertainty.

    Shows evidence and gives no verdict; that of a hypothesis is quoted. The tables become an entry of the log, once
    for the same records (never with --json, --csv or --no-log).
    """
    from dreamerlab.errors import UsageError
    from dreamerlab.lab import compare as use_case
    from dreamerlab.lab.compare_choice import choose
    from dreamerlab.lab.comparison_entry import enter
    from dreamerlab.report import comparison, comparison_data
    from dreamerlab.runs.store import Workspace

    if as_markdown + as_csv + as_json > 1:
        raise UsageError("--md, --csv and --json exclude each other", hint="choose one of them")
    workspace = Workspace.find()
    evidence = use_case.compare(workspace, choose(workspace, records), reducer=reducer, levels=level or ())
    if plot is not None:
        output.say(f"drew {use_case.draw(evidence, plot)}")
    if as_json:
        output.emit_json(comparison_data.to_data(evidence))
    elif as_csv:
        output.emit(comparison_data.to_csv(evidence))
    elif as_markdown:
        output.emit(comparison.to_markdown(evidence))
    else:
        output.emit(comparison.to_text(evidence))
    if not (as_json or as_csv or no_log):
        enter(workspace, evidence, output.say, output.warn)
