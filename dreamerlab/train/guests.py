"""Agents as opponents in an evaluation, asked all at once: those of all games act as one batch, once a decision.

An opponent is asked by its own game, one observation at a time; a network costs about as much for fifty. As an
evaluation advances all its games together, the answers are worked out beforehand: `Host` stands in for the agent that
is measured, and lets the guests think before it acts. This works where guest and agent keep to an action for as many
steps; any other guest thinks by itself (`opponents.AgentOpponent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from dreamerlab.dreamer.agent import Agent
from dreamerlab.envs.hockey.opponents import Opponent, OpponentSource
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.agent_seat import AgentSeat
from dreamerlab.train.opponents import Company, Guest
from dreamerlab.train.runtime import stream_seed
from dreamerlab.train.stored import StoredAgent, open_agent


class Place:
    """One guest in one game, which does as its table has worked out."""

    def __init__(self, table: Table, game: Any) -> None:
        self._table, self.game = table, game
        self.action = np.zeros(4)

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a game; what is random comes from the table's generator."""
        self._table.begins()

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Return (4,) numbers; the game is seen by the table."""
        return self.action


class Table:
    """All games of one guest."""

    def __init__(self, stored: StoredAgent, seed: int) -> None:
        self._seat, self._seed = AgentSeat(stored.agent, mode=False, repeat=1), seed
        self.places: list[Place] = []
        self._begun = False

    def begins(self) -> None:
        """Begin all games anew at the next decision."""
        self._begun = False

    def think(self) -> None:
        """Work out the next action of every game; those that are over stay in the batch."""
        if not self._begun:
            self._seat.begin(len(self.places), self._seed)
            self._begun = True
        seen = np.stack([place.game._view(own=False) for place in self.places]).astype(np.float32)
        for place, action in zip(self.places, self._seat.act(seen, range(len(self.places))), strict=True):
            place.action = action


class Guests:
    """The guests of an evaluation; `known` are kept open from one to the next."""

    def __init__(self, company: Company, repeat: int, seed: int, known: dict[str, StoredAgent]) -> None:
        self._guests: Mapping[str, Guest] = {guest.name: guest for guest in company.guests}
        self._repeat, self._seed, self._known = repeat, seed, known
        self.tables: dict[str, Table] = {}

    def sit_down(self, game: Any) -> None:
        """Let the guests of a game (a `HockeyOne`) play at their tables; others come from where they came from."""
        before: OpponentSource = game.opponents

        def source(name: str) -> Opponent:
            stored = self._stored(name)
            if stored is None or stored.config.env.action_repeat != self._repeat:
                return before(name)
            if name not in self.tables:
                self.tables[name] = Table(stored, stream_seed(self._seed, f"guest {name}"))
            place = Place(self.tables[name], game)
            self.tables[name].places.append(place)
            return place

        game.opponents = source

    def _stored(self, name: str) -> StoredAgent | None:
        if name not in self._guests:
            return None
        if name not in self._known:
            guest = self._guests[name]
            self._known[name] = open_agent(TrialDirectory(guest.trial), str(guest.env_steps))
        return self._known[name]


class Host:
    """Acts as `agent` does, after the guests have thought."""

    def __init__(self, agent: Agent, guests: Guests) -> None:
        self._agent, self._guests = agent, guests

    def initial_carry(self, count: int) -> Any:
        """Return what the agent begins with."""
        return self._agent.initial_carry(count)

    def act(self, *args: Any, **told: Any) -> tuple[torch.Tensor, Any]:
        """Return the agent's actions and its carry."""
        for table in self._guests.tables.values():
            table.think()
        return self._agent.act(*args, **told)
