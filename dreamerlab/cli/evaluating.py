"""The command `eval`."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output


def evaluate(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, prefix or name, such as R12.", autocompletion=completion.run_ids),
    ],
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Only this seed.")] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            "--episodes", metavar="N", min=1, max=10_000, help="Episodes per policy (default: as in the run)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Measure the newest checkpoint of each seed again.

    With the run's own number of episodes this repeats its last evaluation. Nothing in the run is changed.
    """
    from dreamerlab.lab.evaluate import measure, to_table
    from dreamerlab.lab.execute import Voice
    from dreamerlab.runs.store import Workspace

    measured = measure(Workspace.find(), run, seed, episodes, Voice(output.say, output.warn))
    if as_json:
        output.emit_json(measured.to_data())
        return
    output.emit(to_table(measured).to_text())
    for caveat in measured.caveats:
        output.warn(caveat)
