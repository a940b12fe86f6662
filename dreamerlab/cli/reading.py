"""The commands that only read: `status`, `list`, `show`. They import nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion, output

if TYPE_CHECKING:
    from dreamerlab.runs.store import Workspace

RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="Run id, prefix or name, such as R12.", autocompletion=completion.run_ids),
]
RecordArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RECORD]",
        help="Id, prefix or name of a hypothesis or a run, or id of an entry: H7, R12, E3.",
        autocompletion=completion.record_ids,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def status(
    run: RunArgument = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep showing until the run ends; Ctrl-C leaves.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show active and recently ended trials."""
    from dreamerlab.cli.progress import notes, status_table
    from dreamerlab.lab.status import to_data, view_recent, view_run
    from dreamerlab.runs.store import Workspace, find_run

    workspace = Workspace.find()
    if follow and (run := _follow(workspace, run)) is None:
        return
    views = [view_run(find_run(workspace, run))] if run is not None else view_recent(workspace)
    if as_json:
        output.emit_json(to_data(views))
    elif views:
        width = output.screen_width()
        output.emit(status_table(views, notes=width is None, width=width).to_text())
        if width is not None:
            for line in notes(views):
                output.emit(line)
    else:
        output.say("no trial is active or ended within a day; dreamerlab list shows all runs")


def list_records(
    hypotheses: Annotated[bool, typer.Option("--hypotheses", help="Only hypotheses.")] = False,
    runs: Annotated[bool, typer.Option("--runs", help="Only runs.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all, not only the newest 30 of each.")] = False,
    env: Annotated[
        str | None, typer.Option("--env", metavar="NAME", help="Only this environment.", autocompletion=completion.envs)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List hypotheses and runs, newest first."""
    from dreamerlab.lab.listing import first_run, hypothesis_table, run_table, select, to_data
    from dreamerlab.runs.store import Workspace

    both = hypotheses == runs
    wanted = {"hypotheses": hypotheses or both, "runs": runs or both}
    workspace = Workspace.find()
    listing = select(workspace, **wanted, everything=everything, env=env)
    of_env = f" of {env}" if env else ""
    if as_json:
        output.emit_json(to_data(listing))
    else:
        tables = [hypothesis_table(listing.hypotheses)] if listing.hypotheses else []
        tables += [run_table(listing.runs)] if listing.runs else []
        if tables:
            output.emit("\n\n".join(table.to_text() for table in tables))
        if not listing.hypotheses and listing.hypotheses is not None:
            output.say(f"no hypothesis{of_env} yet: dreamerlab propose --help")
        if not listing.runs and listing.runs is not None:
            output.say(f"no run{of_env} yet: {first_run(workspace, env)}")
    older = [f"{listing.older_hypotheses} older hypotheses"] if listing.older_hypotheses else []
    older += [f"{listing.older_runs} older runs"] if listing.older_runs else []
    if older:
        output.say(f"{' and '.join(older)} are not shown; --all shows them")


def show(
    record: RecordArgument = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the learning curves of all seeds.")
    ] = None,
    provenance: Annotated[
        bool,
        typer.Option("--provenance", help="Of a run: code, machine, software, variables, load, origins, hashes."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a hypothesis, a run or an entry of the log.

    Without RECORD: the newest run.
    """
    from dreamerlab.lab.lookup import find_record
    from dreamerlab.lab.show import choose_run
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    found = choose_run(workspace, None).id if record is None else find_record(workspace, record)
    if found.startswith("H"):
        _show_hypothesis(workspace, found, plot, provenance=provenance, as_json=as_json)
    elif found.startswith("E"):
        _show_entry(workspace, found, plotted=plot is not None, provenance=provenance, as_json=as_json)
    else:
        _show_run(workspace, found, plot, provenance=provenance, as_json=as_json)


def _show_run(workspace: Workspace, run_id: str, plot: Path | None, *, provenance: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from dreamerlab.cli.run_page import page
    from dreamerlab.lab import show as use_case
    from dreamerlab.lab.effective import of_details
    from dreamerlab.lab.show_hypothesis import hypothesis_line
    from dreamerlab.tracking.mirror_state import standing_and_cure

    details = use_case.collect(workspace, workspace.run(run_id))
    if plot is not None:
        output.say(f"drew {use_case.draw(details, plot)}")
    facts = None
    if provenance:
        from dreamerlab.lab.run_provenance import provenance as provenance_of

        facts = provenance_of(workspace, details)
    done, mirrored = of_details(details), standing_and_cure(workspace, details.run)
    if as_json:
        found = use_case.to_data(details) | {"effective": [asdict(line) for line in done], "mlflow": mirrored}
        output.emit_json(found | ({"provenance": facts} if facts else {}))
    elif facts:
        from dreamerlab.cli.provenance_page import provenance_page

        output.emit(provenance_page(details.manifest.id, facts))
    else:
        output.emit(page(details, hypothesis_line(workspace, details), mirrored, done))


def _show_hypothesis(
    workspace: Workspace, hypothesis_id: str, plot: Path | None, *, provenance: bool, as_json: bool
) -> None:
    from dreamerlab.cli.hypothesis_page import page
    from dreamerlab.lab import show_hypothesis as use_case

    details = use_case.collect_hypothesis(workspace, hypothesis_id)
    if provenance:
        use_case.refuse_provenance(details)
    if plot is not None:
        output.say(f"drew {use_case.draw_hypothesis(details, plot)}")
    if as_json:
        output.emit_json(use_case.to_data(details))
    else:
        output.emit(page(details))


def _show_entry(workspace: Workspace, entry_id: str, *, plotted: bool, provenance: bool, as_json: bool) -> None:
    from dreamerlab.cli.hypothesis_page import entry_page
    from dreamerlab.errors import UsageError
    from dreamerlab.lab.show_hypothesis import entry_data, read_entry

    if plotted or provenance:
        option = "--plot" if plotted else "--provenance"
        raise UsageError(f"{option} is told of a run, and {entry_id} is an entry of the log", hint="dreamerlab list")
    found = read_entry(workspace, entry_id)
    if as_json:
        output.emit_json(entry_data(found))
    else:
        output.emit(entry_page(found))


def _follow(workspace: Workspace, text: str | None) -> str | None:
    """Show a run until nothing in it can happen by itself any more, and return its id; None when the user left."""
    import time

    from dreamerlab.cli.progress import Progress
    from dreamerlab.lab.status import view_recent, view_run
    from dreamerlab.runs.store import find_run

    if text is None:
        active = [view for view in view_recent(workspace) if view.active]
        if not active:
            output.say("nothing is running")
            return None
        text = active[-1].run
    run = find_run(workspace, text)
    progress = Progress(lambda: [view_run(run)])
    try:
        while view_run(run).active:
            progress()
            time.sleep(0.2)
    except KeyboardInterrupt:
        return None
    finally:
        progress.close()
    return run.id
