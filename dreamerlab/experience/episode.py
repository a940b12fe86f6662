"""THE time-alignment convention (FACTS A1): what row t of the stream of experience holds.

An episode of three env steps that ends by itself is four rows, then the next one begins:

    call           reset()   step(a0)  step(a1)  step(a2)  reset()
    row t            0         1         2         3         4
    -----------------------------------------------------------------
    obs             o0        o1        o2        o3        o0'
    is_first       true       -         -         -        true
    reward           0        r1        r2        r3         0       received ON ARRIVING at obs of the same row
    is_last          -        -         -        true        -       no row of this episode follows
    is_terminal      -        -         -        true        -       the episode is over in the task itself
    deter, stoch   h0,z0     h1,z1     h2,z2     h3,z3     h0',z0'   latent state AFTER seeing obs of the same row
    action          a0        a1        a2         0        a0'      chosen AT obs of the same row

- The row after `action_t` is its consequence: a model that steps from row t to t+1 consumes `action_t`, so it
  reads actions shifted by one. `reward_t` and the flags of row t belong to `obs_t`, never to `action_t`.
- The final observation is a row of its own. Its action is 0 and means nothing, since `is_first` of the next row
  cuts the previous action off together with the latent state.
- A time limit gives `is_last` without `is_terminal`: the task would have gone on, so value lies beyond it.
- An episode that was abandoned (the next row is `is_first`, this one not `is_last`) is read as `is_last`.
- Rows are not env steps: the episode above has 4 rows and 3 env steps. Env steps are calls of step().
- Rows of successive episodes form one stream; windows drawn from it cross episode borders freely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import numpy as np


class Step(TypedDict):
    """One row of the stream."""

    obs: dict[str, np.ndarray]
    """Observation: an array of the spec's shape and dtype for each key."""
    action: np.ndarray
    """Action (A,) chosen at `obs`; zeros on the last row of an episode."""
    reward: float
    """Reward received on arriving at `obs`; 0 on the first row of an episode."""
    is_first: bool
    """The row came from reset()."""
    is_last: bool
    """The episode ends here, for whatever reason."""
    is_terminal: bool
    """The episode ends here because the task is over; implies `is_last`."""
    deter: np.ndarray
    """Deterministic latent state (D,) float32 the policy had at `obs`."""
    stoch: np.ndarray
    """Class indices (S,) int16 of the stochastic latent at `obs`; -1 stands for a zero vector."""
    info: NotRequired[Mapping[str, Any]]
    """What the environment said beside it; only numbers that auxiliary heads predict are ever looked at."""
