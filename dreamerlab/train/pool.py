"""The pool of self-play: agents of the trial's own past, kept on disk and played against by name (M-HK-02).

`self@20000` is the agent as it was after 20,000 env steps, in the folder `opponents` of the trial's artifacts, written
and verified as checkpoints are, without what acting has no use for. Who is in the pool is part of the trial's state.
Somebody who has left stays on disk as long as there is a checkpoint from which the trial could go on with that one;
those who are in the pool at the end of a trial stay for good.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from dreamerlab.atomic import atomic_write_json
from dreamerlab.config.schema_hockey import Hockey
from dreamerlab.dreamer.agent import Agent
from dreamerlab.errors import Conflict
from dreamerlab.runs.checkpoints import KEPT, Damaged, describe, name_of, names
from dreamerlab.train import checkpoint

SELF = "self@"
LEFT_OUT = ("optimizer.", "behavior.critic.", "behavior.slow_critic.", "behavior.return_scale.")
LEFT_OUT += ("world.decoder.", "world.reward.", "world.cont.")
"""How the names of what acting has no use for begin."""
_LIST = "members.json"
_WAIT_S = 60.0


class Pool:
    """The members of one trial's pool; `agent` is the one that learns, `belongs` says whose it is."""

    def __init__(self, settings: Hockey, folder: Path, agent: Agent, belongs: Callable[[], Mapping[str, Any]]) -> None:
        self._settings, self._folder, self._agent, self._belongs = settings, folder, agent, belongs
        self._members: dict[int, str] = {}
        """Env steps of each member, ascending, and the sha256 of its file."""
        self._due = 0
        self._needed: dict[str, set[int]] = {}
        """Members that each checkpoint of the trial knows of, of those written by this process."""

    def names(self, env_steps: int) -> list[str]:
        """Return who can be played; saves the agent as it is first when that is due."""
        if env_steps >= self._due or not self._members:
            self._join(env_steps)
        return [f"{SELF}{member}" for member in self._members]

    def state_dict(self) -> dict[str, Any]:
        """Return who is in the pool, and when the next one joins."""
        return {"members": [[member, digest] for member, digest in self._members.items()], "due": self._due}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly; Conflict when a member's file is not there as it was written."""
        problem = missing(state, self._folder)
        if problem is not None:
            raise Conflict(problem, hint="dreamerlab data pull fetches stored artifacts")
        self._members = {int(member): str(digest) for member, digest in state["members"]}
        self._due = int(state["due"])
        self._publish()

    def sweep(self, checkpoints: Collection[str]) -> None:
        """Remove files of former members that none of the checkpoints knows of; the newest was written just now.

        What a checkpoint of an earlier process knows of is not known here: as long as there is one all files stay.
        """
        if not self._members:
            return  # it was never loaded, or nobody has joined yet
        newest = max(checkpoints, default=None)
        known = {name: self._needed.get(name) for name in checkpoints}
        if newest is not None:
            known[newest] = set(self._members)
        self._needed = {name: some for name, some in known.items() if some is not None}
        if len(self._needed) == len(known):
            kept = set(self._members).union(*self._needed.values())
            checkpoint.prune(self._folder, KEPT, [name_of(member, KEPT) for member in kept])

    def _join(self, env_steps: int) -> None:
        state = self._agent.state_dict()
        kept = {key: value for key, value in state.items() if not key.startswith(LEFT_OUT)}
        stored = {"session": {"agent": kept, "left_out": list(LEFT_OUT)}}
        facts = {**self._belongs(), "env_steps": env_steps, "wall_s": 0.0, "has_replay": False}
        info = checkpoint.save(self._folder, stored, None, kind=KEPT, **facts)
        self._members[env_steps] = info.sha256
        self._due = env_steps + self._settings.pool_every
        while len(self._members) > self._settings.pool_size:
            # The first is the second to go only where there is room for a single one.
            place = 1 if self._settings.pool_size > 1 else 0
            del self._members[list(self._members)[place]]
        self._publish()

    def _publish(self) -> None:
        """Write down who is in the pool, for collectors in processes of their own."""
        self._folder.mkdir(parents=True, exist_ok=True)
        atomic_write_json(self._folder / _LIST, {"members": list(self._members)})


class PoolMembers:
    """The pool as a collector in a process of its own sees it: it looks, and changes nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, env_steps: int) -> list[str]:
        """Return who can be played now; waits for the trainer to write down the first."""
        until = time.monotonic() + _WAIT_S
        while not (self._folder / _LIST).exists() and time.monotonic() < until:
            time.sleep(0.01)
        members: list[int] = json.loads((self._folder / _LIST).read_text(encoding="utf-8"))["members"]
        return [f"{SELF}{member}" for member in members]

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the trainer has it all."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing is kept here."""


def missing(state: Mapping[str, Any], folder: Path) -> str | None:
    """Return which member of a saved pool cannot be played any more, in words; None where all can."""
    there = set(names(folder, KEPT))
    for member, digest in state["members"]:
        name = name_of(int(member), KEPT)
        try:
            if name not in there:
                raise Damaged("its description is missing")
            if describe(folder, name).sha256 != digest:
                raise Damaged("it is not the one that was written")
            if not (folder / f"{name}.pt").exists():
                raise Damaged("the tensor file is missing")
        except Damaged as damage:
            return f"{SELF}{member} of the pool cannot be played: {folder / name}.pt: {damage}"
    return None
