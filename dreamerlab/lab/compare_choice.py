"""Which runs a comparison is of, and which of them are set against which.

    compare R1 R2 R3     the others against the first: R2 - R1, R3 - R1
    compare H7           its treatment against its baseline
    compare H7 H9 R20    each hypothesis against its own baseline, and the others against the first: a hypothesis stands
                         for its treatment there

Refuses what is no comparison: fewer than two runs, one thing named twice, a hypothesis that was never launched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dreamerlab.errors import NotFound, UsageError
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.lookup import find_record
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.report.verdict_words import state_words
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace


@dataclass(frozen=True)
class Choice:
    """The runs in the order they are shown, the pairs (first, other) by their place, and the hypotheses named."""

    runs: Sequence[RunDirectory]
    pairs: Sequence[tuple[int, int]]
    hypotheses: Sequence[Hypothesis] = ()


@dataclass(frozen=True)
class _Item:
    """One word of the command: the run it stands for, and the baseline that comes with it."""

    text: str
    run: str
    baseline: str | None
    hypothesis: Hypothesis | None


def choose(workspace: Workspace, texts: Sequence[str], *, fewest: int = 2) -> Choice:
    """Return what `texts` mean; UsageError for fewer than `fewest` runs, NotFound for what is not here."""
    items = [_item(workspace, text) for text in texts]
    named: dict[str, str] = {}
    for item in items:
        if item.run in named:
            raise UsageError(
                f"a run cannot be compared with itself: '{named[item.run]}' and '{item.text}' both are {item.run}",
                hint="name different runs; dreamerlab list shows them",
            )
        named[item.run] = item.text
    order: list[str] = []
    for item in items:
        order += [one for one in (item.baseline, item.run) if one is not None and one not in order]
    if len(order) < fewest:
        only = items[0]
        what = f"'{only.text}' has one" if only.hypothesis is not None else f"only '{only.text}' is named"
        raise UsageError(
            f"a comparison needs two runs or more, and {what}",
            hint=f"dreamerlab compare {only.text} OTHER, or for one alone: dreamerlab show {only.text}",
        )
    place = {run: index for index, run in enumerate(order)}
    pairs = [(place[item.baseline], place[item.run]) for item in items if item.baseline is not None]
    pairs += [(place[items[0].run], place[item.run]) for item in items[1:]]
    known: list[tuple[int, int]] = []
    for pair in pairs:
        if pair not in known and pair[::-1] not in known:
            known.append(pair)
    hypotheses = [item.hypothesis for item in items if item.hypothesis is not None]
    return Choice([workspace.run(run) for run in order], known, hypotheses)


def _item(workspace: Workspace, text: str) -> _Item:
    found = find_record(workspace, text)
    if found.startswith(ENTRY):
        raise UsageError(
            f"'{text}' is {found}, an entry of the log", hint="compare hypotheses or runs: dreamerlab list"
        )
    if not found.startswith(HYPOTHESIS):
        return _Item(text, found, None, None)
    state = fold(registry_of(workspace).read(found))
    if state.run is None:
        raise NotFound(
            f"{found} has no run to compare: it is {state_words(state)}",
            hint=f"dreamerlab show {found}" if state.withdrawn is not None else f"dreamerlab run {found}",
        )
    for run in (state.run, state.baseline_run):
        if run is not None and not workspace.run(run).manifest_path.is_file():
            raise NotFound(f"{run}, a run of {found}, is not in {workspace.runs}", hint="git pull, then repeat")
    return _Item(text, state.run, state.baseline_run, state)
