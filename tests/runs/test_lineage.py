"""A run named by `init.checkpoint` is looked for as any other run is, in the folder of runs alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dreamerlab.errors import Conflict, LabError, NotFound, UsageError
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.finding import find_run_in
from dreamerlab.runs.lineage import find_origin
from dreamerlab.runs.store import Workspace, find_run
from tests.runs.records import make_run, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three runs: R0001-abc called `ref`, and two of number 2, as two clones make them."""
    made = make_workspace(tmp_path / "lab")
    for name, run_id in (("ref", "R0001-abc"), (None, "R0002-abd"), ("late", "R0002-xyz")):
        run = make_run(made, name=name)
        run.manifest_path.write_text(run.manifest_path.read_text().replace(run.id, run_id))
        run.path.rename(made.runs / run_id)
    return made


def answer(ask: Callable[[], RunDirectory]) -> RunDirectory | LabError:
    try:
        return ask()
    except LabError as error:
        return error


TYPED = ["ref", "R1", "r1", "R0001-abc", "R2-x", "late", "R2", "reff", "R9", "H1", "R0002-", "nobody", "a b"]


@pytest.mark.parametrize("text", TYPED)
def test_the_same_run_is_meant_and_the_same_is_said(workspace: Workspace, text: str) -> None:
    """One answer for whoever asks; of a starting point it begins with the leaf. None of these has seed 0."""
    found = answer(lambda: find_run(workspace, text))
    with pytest.raises(LabError) as caught:
        find_origin(workspace.runs, text, 0)
    if isinstance(found, LabError):
        assert type(caught.value) is type(found)
        assert str(caught.value) == f"init.checkpoint={text}: {found}"
    else:
        assert find_run_in(workspace.runs, text) == found
        assert caught.value.message.startswith(f"{found.id} has no seed 0 to start from")


def test_what_is_said_helps(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="did you mean 'ref'"):
        find_origin(workspace.runs, "reff@best", 0)
    with pytest.raises(NotFound, match="'H1' is a hypothesis, and a run is meant here"):
        find_origin(workspace.runs, "H1", 0)
    with pytest.raises(Conflict, match="R0002-abd or R0002-xyz"):
        find_origin(workspace.runs, "R2", 0)
    with pytest.raises(UsageError, match="is not a run id"):
        find_origin(workspace.runs, "../R0001-abc", 0)
