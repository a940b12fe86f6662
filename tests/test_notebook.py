"""The example notebook: it runs as it is committed, in a real kernel, and says again what it says there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "runs-in-pandas.ipynb"


def said(notebook: Any) -> list[list[str]]:
    """Return the text that every cell of code printed or ended in, blanks left out: their number is layout."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    texts = [
        [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell["outputs"]] for cell in cells
    ]
    return [[" ".join("".join(text).split()) for text in outputs] for outputs in texts]


def test_it_is_committed_with_what_it_says() -> None:
    outputs = said(json.loads(NOTEBOOK.read_text()))
    assert outputs
    assert all(outputs), "a cell of code has no output"
    assert "REFUTED (equivalent), underpowered difference +7.4, 95 % interval [-74.9, +89.7]" in outputs[2][0]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of the kernel's libraries are not ours
def test_it_runs_and_says_the_same() -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = said(notebook)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    assert said(notebook) == before
