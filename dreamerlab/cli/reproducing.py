"""The command `reproduce`."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import completion, output


def reproduce(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, prefix or name, such as R12.", autocompletion=completion.run_ids),
    ],
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Which seed (default: the first).")] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", min=1, help="Train so many env steps only (default: all of them)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Train a recorded seed again, by its own code, and compare.

    Every figure is compared to the last bit: metrics, evaluations, episodes, and what was learnt. Nothing of the run
    is changed. Exit code 0 when all are equal, 6 when one is not.
    """
    from dreamerlab.errors import FindingsReported
    from dreamerlab.lab.execute import Voice
    from dreamerlab.lab.reproduce import page
    from dreamerlab.lab.reproduce import reproduce as train_again
    from dreamerlab.runs.store import Workspace

    found = train_again(Workspace.find(), run, seed, steps, Voice(output.say, output.warn))
    if as_json:
        output.emit_json(found.to_data())
    else:
        output.emit(page(found))
    if not found.equal:
        raise FindingsReported(f"{found.run} seed {found.seed} did not come out the same")
