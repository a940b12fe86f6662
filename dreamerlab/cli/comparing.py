"""The command `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamerlab.cli import completion, output


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN ...",
            help="Two or more run ids, prefixes or names; the others are set against the first.",
            autocompletion=completion.run_ids,
        ),
    ],
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the learning curves of all runs.")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print markdown.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print one row per run and seed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Set runs side by side: what differs, scores, uncertainty.

    Shows evidence and gives no verdict.
    """
    from dreamerlab.errors import UsageError
    from dreamerlab.lab import compare as use_case
    from dreamerlab.report import comparison, comparison_data
    from dreamerlab.runs.store import Workspace

    if as_markdown + as_csv + as_json > 1:
        raise UsageError("--md, --csv and --json exclude each other", hint="choose one of them")
    workspace = Workspace.find()
    evidence = use_case.compare(workspace, use_case.choose_runs(workspace, runs))
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
