"""Goals and catches, noted down as the engine tells of them (specification, section 6)."""

from __future__ import annotations

from typing import Any

from dreamerlab.envs.hockey.bodies import SPEED_X, Mover
from dreamerlab.envs.hockey.engine import Box2D


class Contacts(Box2D.b2ContactListener):
    """Goals and catches, told by the engine at the start of a step (specification, section 6).

    What is told is noted down; the speed that decides on a catch is the puck's of that moment.
    """

    def __init__(self, goals: tuple[Any, Any]) -> None:
        super().__init__()
        self.told: list[str] = []
        self._goals = goals

    def watch(self, player1: Any, player2: Any, puck: Mover) -> None:
        """Note down what happens to these bodies from now on."""
        self._player1, self._player2, self._puck, self._cells = player1, player2, puck.body, puck.cells
        self.told.clear()

    def BeginContact(self, contact: Any) -> None:
        """Note down what two bodies that begin to touch mean; the engine calls this."""
        puck = self._puck
        other, body = contact.fixtureA.body, contact.fixtureB.body
        if other == puck:
            other = body
        elif body != puck:
            return
        if other == self._player1:
            if self._cells[SPEED_X] < 0.1:
                self.told.append("catch 1")
        elif other == self._player2:
            if self._cells[SPEED_X] > -0.1:
                self.told.append("catch 2")
        elif other == self._goals[1]:
            self.told.append("goal 2")
        elif other == self._goals[0]:
            self.told.append("goal 1")
