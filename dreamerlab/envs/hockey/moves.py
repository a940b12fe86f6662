"""What an action has to be, and the words for one that is not."""

from __future__ import annotations

import numpy as np

from dreamerlab.envs.hockey.rules import BadInput


def misshapen(given: np.ndarray, num_actions: int) -> BadInput:
    """Return the error for an action that does not have the numbers of both players."""
    return BadInput(
        f"an action of both players has shape ({2 * num_actions},); got {given.shape}",
        hint=f"player one's {num_actions} numbers first, then player two's",
    )


def cut(moves: list[float]) -> list[float]:
    """Return the numbers of an action within [-1, 1]; raise BadInput where one is none."""
    if any(number != number for number in moves):
        raise BadInput(
            f"an action holds nan: {moves}",
            hint="find out where it comes from before it gets here; numbers beyond -1 and 1 are cut, nan cannot be",
        )
    return [min(max(number, -1.0), 1.0) for number in moves]
