"""One notebook with everything in it, made once and only looked at."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from dreamerlab.lab.log import render_log
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import light_workspace
from tests.report.notebooks import Notebook, full_story


@dataclass(frozen=True)
class Told:
    """The records, the ids by name, and every generated file by its path inside `protocol`."""

    workspace: Workspace
    ids: dict[str, str]
    files: dict[str, str]

    def page(self, name: str) -> str:
        return self.files[f"hypotheses/{self.ids[name]}.md"]

    def entry(self, name: str) -> str:
        """Return the part of LOG.md that tells of one record."""
        begin = self.files["LOG.md"].index(f'<a id="{self.ids[name].lower()}"></a>')
        end = self.files["LOG.md"].find('<a id="', begin + 1)
        return self.files["LOG.md"][begin : end if end > 0 else None]


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    workspace = light_workspace(tmp_path_factory.mktemp("told") / "lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # thousands of tiny files that need not survive a crash
        ids = full_story(Notebook(workspace))
    return Told(workspace, ids, render_log(workspace))
