"""The commands that hand the notebook on: `report` for people, `export` for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dreamerlab.cli import completion, output

if TYPE_CHECKING:
    from dreamerlab.lab.html_report import Report


def report(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE.html", help="Where to write (default: report.html in the workspace)."
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    films_mb: Annotated[float, typer.Option("--films-mb", metavar="N", min=0, help="Room for films, in MB.")] = 16,
    curves_mb: Annotated[
        float, typer.Option("--curves-mb", metavar="N", min=0, help="Room for curves beside those of scores, in MB.")
    ] = 32,
    follow: Annotated[
        int | None,
        typer.Option(
            "--follow", "-f", metavar="SECONDS", min=1, help="Write it anew this often; the page reloads. Ctrl-C ends."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Write everything into one HTML file that needs no network.

    What trains now, what is known per family, lineage, every hypothesis and run with curves, findings, settings and
    films. A damaged record is shown as damaged and named in a warning; whether the log holds is what lint answers.
    """
    from dreamerlab.lab.html_report import build
    from dreamerlab.lab.report_follow import follow as write_again
    from dreamerlab.runs.store import Workspace

    def told(done: Report) -> None:
        _tell(done, as_json=as_json)
        if open_it:
            _open(done.path)
        if follow is not None:
            output.say(f"written anew every {follow} s until Ctrl-C; see {done.path.as_uri()}#live")

    workspace, room = Workspace.find(), {"films_mb": films_mb, "curves_mb": curves_mb}
    if follow is None:
        told(build(workspace, out, **room))
    else:
        write_again(workspace, out, follow, **room, first=told, warn=output.warn)


def _tell(done: Report, *, as_json: bool) -> None:
    for record, faults in done.damaged.items():
        output.warn(f"{record} is damaged: {'; '.join(faults)} (dreamerlab lint says more)")
    if as_json:
        output.emit_json(done.to_data())
    else:
        from dreamerlab.protocol.violations import count_of
        from dreamerlab.report.wording import size

        output.emit(str(done.path))
        hypotheses = "1 hypothesis" if done.hypotheses == 1 else f"{done.hypotheses} hypotheses"
        output.say(f"{hypotheses} and {count_of(done.runs, 'run')}, {size(done.size_bytes)}")
        if done.films_left_out:
            output.say(f"films left out for their size: {', '.join(done.films_left_out)} (--films-mb makes room)")
        if done.runs_without_curves:
            few = count_of(done.runs_without_curves, "run")
            output.say(f"{few} with the curves of their scores only (--curves-mb makes room)")


def _open(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.as_uri()):
        output.warn(f"no browser could be started; open {path.as_uri()} in one")


def export(
    hypothesis: Annotated[
        str | None,
        typer.Argument(
            metavar="[HYPOTHESIS]",
            help="Only this one and its runs: id, prefix or name, such as H7.",
            autocompletion=completion.record_ids,
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="One table as CSV; --table says which.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All tables as JSON.")] = False,
    as_bibtex: Annotated[bool, typer.Option("--bibtex", help="A BibTeX entry for each hypothesis.")] = False,
    as_cff: Annotated[bool, typer.Option("--cff", help="A CITATION.cff for one hypothesis.")] = False,
    table: Annotated[
        Literal["hypotheses", "runs", "scores"], typer.Option("--table", help="Of --csv: scores has a row per seed.")
    ] = "scores",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write to a file instead of printing.")
    ] = None,
) -> None:
    """Give records to other programs, or cite a hypothesis.

    Hypotheses, runs and scores, as CSV or JSON; one hypothesis as BibTeX or CITATION.cff.
    """
    from dreamerlab.errors import UsageError
    from dreamerlab.lab import export as use_case
    from dreamerlab.lab.lookup import find_record
    from dreamerlab.runs.store import Workspace

    if as_csv + as_json + as_bibtex + as_cff != 1:
        raise UsageError("say in which form: one of --csv, --json, --bibtex, --cff", hint="dreamerlab export --csv")
    workspace = Workspace.find()
    full = None if hypothesis is None else find_record(workspace, hypothesis)
    if full is not None and not full.startswith("H"):
        raise UsageError(f"{full} is no hypothesis", hint="name one, such as H7: dreamerlab list --hypotheses")
    if as_cff and full is None:
        raise UsageError("--cff cites one hypothesis", hint="dreamerlab export H7 --cff -o CITATION.cff")
    if as_bibtex:
        text = use_case.bibtex(workspace, full)
    elif as_cff:
        text = use_case.cff(workspace, full or "")
    else:
        exported = use_case.export(workspace, full)
        text = exported.to_csv(table) if as_csv else output.json_text(dict(exported.tables))
    if out is None:
        output.emit(text)
        return
    use_case.write(out, text)
    output.say(f"wrote {out}")
