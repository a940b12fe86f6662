"""The command `note`: words of people into the log.

One option per named field of an entry; which fields and kinds there are is `protocol.entries`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output

NoCommitOption = Annotated[bool, typer.Option("--no-commit", help="Write the record and leave git alone.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _kinds(incomplete: str) -> list[str]:
    from dreamerlab.protocol.entries import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


def _statuses(incomplete: str) -> list[str]:
    from dreamerlab.protocol.entries import STATUSES

    return [status for status in STATUSES if status.startswith(incomplete)]


def _field(name: str, meaning: str) -> typer.models.OptionInfo:
    return typer.Option(f"--{name}", metavar="TEXT", help=meaning)


def note(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ABOUT]... TEXT",
            help="What it is about (H7, R12, E3 or a name), then the text in quotes; - reads it from stdin.",
            autocompletion=completion.record_ids,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", "-k", metavar="KIND", help="What sort of note (default: observation).", autocompletion=_kinds
        ),
    ] = None,
    observation: Annotated[str | None, _field("observation", "What was seen.")] = None,
    cause: Annotated[str | None, _field("cause", "Root cause, as far as it is known.")] = None,
    possible_causes: Annotated[str | None, _field("possible-causes", "What else it may be.")] = None,
    conclusion: Annotated[str | None, _field("conclusion", "What it is taken to mean.")] = None,
    decision: Annotated[str | None, _field("decision", "What follows from it.")] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="WORD",
            help="Where the matter stands: open, waiting, killed, fixed ...",
            autocompletion=_statuses,
        ),
    ] = None,
    next_step: Annotated[str | None, _field("next", "The next step.")] = None,
    setup: Annotated[str | None, _field("setup", "Configuration, where it is not a run's own.")] = None,
    change: Annotated[str | None, _field("change", "What was changed.")] = None,
    expected: Annotated[str | None, _field("expected", "What was expected beforehand.")] = None,
    checkpoint: Annotated[str | None, _field("checkpoint", "Checkpoint it started from, with its step.")] = None,
    baseline: Annotated[str | None, _field("baseline", "What it is held against, at which steps.")] = None,
    results: Annotated[str | None, _field("results", "Figures that stand in no record.")] = None,
    files: Annotated[str | None, _field("files", "Files modified.")] = None,
    tool: Annotated[str | None, _field("tool", "What it was seen or measured with.")] = None,
    tradeoff: Annotated[str | None, _field("tradeoff", "What is gained and what is paid.")] = None,
    source: Annotated[str | None, _field("source", "Where an idea or a claim comes from.")] = None,
    needs: Annotated[str | None, _field("needs", "Why an idea cannot be run yet.")] = None,
    dated: Annotated[
        str | None, typer.Option("--dated", metavar="DATE", help="The day it is about, when that is not today.")
    ] = None,
    corrects: Annotated[
        str | None,
        typer.Option("--corrects", metavar="E3", help="Replace the words of this entry; the old ones stay readable."),
    ] = None,
    no_commit: NoCommitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write an observation, a decision or an idea into the log.

    A figure is cited as {R12 eval/return final_mean(5)} and filled in from the records. A note of the kind idea waits
    in the queue.
    """
    from dreamerlab.lab.notes import note_from_words, to_data, write_note
    from dreamerlab.runs.store import Workspace

    said = {
        "observation": observation,
        "cause": cause,
        "possible-causes": possible_causes,
        "conclusion": conclusion,
        "decision": decision,
        "status": status,
        "next": next_step,
        "setup": setup,
        "change": change,
        "expected": expected,
        "checkpoint": checkpoint,
        "baseline": baseline,
        "results": results,
        "files": files,
        "tool": tool,
        "tradeoff": tradeoff,
        "source": source,
        "needs": needs,
        "dated": dated,
    }
    fields = {name: text for name, text in said.items() if text is not None}
    wanted = note_from_words(_from_stdin(words or []), kind=kind, fields=fields, corrects=corrects)
    entry = write_note(Workspace.find(), wanted, output.warn, wanted=not no_commit)
    if as_json:
        output.emit_json(to_data(entry))
        return
    about = f" about {', '.join(entry.about)}" if entry.about else ""
    output.emit(f"{entry.id}  {entry.kind}{about}")


def _from_stdin(words: list[str]) -> list[str]:
    """Return the words with a last one of - replaced by what stdin holds."""
    if words[-1:] != ["-"]:
        return words
    import sys

    return [*words[:-1], sys.stdin.buffer.read().decode(errors="surrogateescape")]
