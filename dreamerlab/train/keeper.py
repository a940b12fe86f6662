"""Which checkpoints a trial keeps, and what is in each: the newest few, the best, and one every so often (M-CP-35).

The newest hold everything and are what a trial goes on from. The best by evaluation, and those kept every so many env
steps, hold the agent alone: they are for measuring, watching and starting other trials from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamerlab.runs.checkpoints import BEST, KEPT, LATEST, names
from dreamerlab.train import checkpoint
from dreamerlab.train.recorder import Recorder
from dreamerlab.train.session import Session


class KeepAll:
    """Writes the checkpoints of one trial into `folder`; `belongs` says whose they are: run, seed and family."""

    def __init__(self, folder: Path, session: Session, recorder: Recorder, belongs: Mapping[str, Any]) -> None:
        self._folder, self._session, self._recorder, self._belongs = folder, session, recorder, belongs
        self._settings = session.config.checkpoint
        self._best: dict[str, Any] | None = None
        """Stem and score of the best checkpoint so far."""
        self._recorded: str | None = None
        """Stem of the best one that the newest checkpoint knows of; kept until that one is replaced."""

    def latest(self) -> None:
        """Save everything, to go on from."""
        self._save_all(with_replay=True, keep=self._settings.keep)

    def final(self) -> None:
        """Save the last state of a finished trial: without replay, and alone, unless told to keep them."""
        keep_replay = self._settings.keep_replay
        self._save_all(with_replay=keep_replay, keep=self._settings.keep if keep_replay else 1)

    def milestone(self) -> None:
        """Save the agent, to be kept for good."""
        self._save_agent(KEPT, keep=None)

    def evaluated(self, score: float) -> None:
        """Save the agent if no evaluation was better so far."""
        if not self._settings.keep_best or not math.isfinite(score):
            return
        if self._best is None or score > self._best["score"]:
            info = self._save_agent(BEST, keep=None, score=score)
            self._best = {"name": info.file.removesuffix(".pt"), "score": score}
            self._drop_beaten(self._recorded)

    def restore_best(self) -> None:
        """Give the session the agent of the best evaluation back, optimiser included; where none is kept, nothing."""
        if self._best is not None:
            state = checkpoint.open_exactly(self._folder, self._best["name"])
            self._session.agent.load_state_dict(state["session"]["agent"])

    def state_dict(self) -> dict[str, Any]:
        """Return which is the best so far."""
        return {"best": self._best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint: better ones of the stretch after it, which does not count any more, are removed."""
        self._best = state["best"]
        self._recorded = None if self._best is None else self._best["name"]
        self._drop_beaten(None)

    def _drop_beaten(self, also: str | None) -> None:
        best = None if self._best is None else self._best["name"]
        checkpoint.prune(self._folder, BEST, [name for name in (best, also) if name is not None])

    def _save_all(self, *, with_replay: bool, keep: int) -> None:
        session = self._session.state_dict(with_replay=with_replay)
        state = {"session": session, "recorder": self._recorder.state_dict(), "keeper": self.state_dict()}
        self._save(LATEST, state, keep=keep, has_replay=with_replay)
        self._session.sweep(names(self._folder) if with_replay else [])
        self._recorded = None if self._best is None else self._best["name"]
        self._drop_beaten(None)

    def _save_agent(self, kind: str, *, keep: int | None, score: float | None = None) -> checkpoint.Checkpoint:
        return self._save(kind, {"session": self._session.agent_state()}, keep=keep, score=score, has_replay=False)

    def _save(self, kind: str, state: dict[str, Any], *, keep: int | None, **facts: Any) -> checkpoint.Checkpoint:
        self._session.check_finite()
        at = self._session.counters
        counts = {"env_steps": at.env_steps, "updates": at.updates, "episodes": at.episodes, "wall_s": at.wall_s}
        return checkpoint.save(self._folder, state, keep, kind=kind, **self._belongs, **counts, **facts)
