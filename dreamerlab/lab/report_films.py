"""Films of agents that go into the HTML report: what `watch` made, found by the name it gives, small ones whole.

Looked for beside `protocol/`, in the folder of the run, and in `videos` of its artifacts. Only files that begin with
the id of the run count, so that nothing of the user's gets into a report that is handed on.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dreamerlab.ids import parse_id
from dreamerlab.report.wording import size
from dreamerlab.runs.store import Workspace, run_ids

_KINDS = {".gif": "image/gif", ".png": "image/png", ".mp4": "video/mp4"}


@dataclass
class Films:
    """The films of a workspace, carried as long as there is room; `carried` and `left_out` tell what became of each."""

    workspace: Workspace
    room_bytes: int
    carried: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self._of: dict[str, list[Path]] = {}
        for path in _candidates(self.workspace):
            self._of.setdefault(path.name[: path.name.index("-") + 4], []).append(path)

    def of(self, run_id: str) -> list[dict[str, Any]]:
        """Return the films of a run as JSON-ready values: the whole film as `src`, or why it is not there."""
        return [self._told(path) for path in self._of.get(run_id, ())]

    def _told(self, path: Path) -> dict[str, Any]:
        name = path.relative_to(self.workspace.path).as_posix()
        told: dict[str, Any] = {"name": path.name, "type": _KINDS[path.suffix.lower()]}
        try:
            length = path.stat().st_size
            if length <= self.room_bytes:
                content = base64.b64encode(path.read_bytes()).decode()
                self.room_bytes -= length
                self.carried.append(name)
                return {**told, "src": f"data:{told['type']};base64,{content}"}
            why = f"{size(length)}, more than there was room for; it is {name} in the workspace"
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        self.left_out.append(name)
        return {**told, "left_out": why}


def _candidates(workspace: Workspace) -> Iterator[Path]:
    folders = [workspace.path]
    for run_id in map(str, run_ids(workspace)):
        run = workspace.run(run_id)
        folders += [run.path, *(trial.artifacts / "videos" for trial in run.trials())]
    for folder in folders:
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in _KINDS and parse_id(path.name[: path.name.find("-") + 4], "R") is not None:
                    yield path
