"""What a person means by a word where a hypothesis, a run or an entry may be meant: `H7`, `R12`, `E3`, a name.

An id begins with the letter of its kind. A name that a hypothesis shares with its own run means the hypothesis, which
leads to the run; one that it shares with another run has to be told apart by the person.
"""

from __future__ import annotations

from dreamerlab.errors import Conflict, NotFound, did_you_mean
from dreamerlab.ids import letter_of, refuse_path
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.runs.store import Workspace, aliases, find_run, run_called, run_ids

RUN = "R"


def find_record(workspace: Workspace, text: str) -> str:
    """Return the full id of the hypothesis, run or entry meant by `text`; its first letter is its kind.

    UsageError for what looks like a path, Conflict for what several are called, NotFound with the nearest.
    """
    refuse_path(text, "an id", "H7, R12 or R0012-9qd")
    registry = registry_of(workspace)
    letter = letter_of(text)
    if letter == RUN:
        return find_run(workspace, text).id
    if letter in (HYPOTHESIS, ENTRY):
        return registry.find(text, letter)
    named, run = registry.called(text), run_called(workspace, text)
    if len(named) > 1:
        raise Conflict(f"'{text}' could be {' or '.join(named)}", hint="give the id")
    if named and run is not None and not _is_of(workspace, named[0], run):
        raise Conflict(f"'{text}' is the name of {named[0]} and of {run}", hint="give the id")
    if named or run is not None:
        return named[0] if named else str(run)
    ids = [*registry.ids(HYPOTHESIS), *run_ids(workspace)]
    known = [*registry.names(), *aliases(workspace), *map(str, ids)]
    near = did_you_mean(text, known)
    raise NotFound(f"no hypothesis and no run is called '{text}'{near}", hint="see what there is: dreamerlab list")


def read_hypothesis(workspace: Workspace, hypothesis_id: str) -> Hypothesis:
    """Return the hypothesis of a full id as it stands; NotFound or ToolFailed when it cannot be read."""
    return fold(registry_of(workspace).read(hypothesis_id))


def _is_of(workspace: Workspace, hypothesis_id: str, run_id: str) -> bool:
    state = read_hypothesis(workspace, hypothesis_id)
    return run_id in (state.run, state.baseline_run)
