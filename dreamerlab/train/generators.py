"""The generators that belong to the whole process: Python's `random`, numpy's and torch's global ones.

Nothing of ours draws from them, but environments and their opponents do. So that a trial stays a function of its seed
they are seeded with it and saved with it, evaluation puts them back as they were, and every reset of an environment
seeds them anew from its reset seed: an episode then follows from its reset seed and actions, which is what an exact
resume rests on. Streams with names, which everything of ours draws from, are in `runtime.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from dreamerlab.train.runtime import stream_seed

Env = gym.Env[dict[str, np.ndarray], np.ndarray]
# Two of its functions are missing from its stubs: the bit generator can be exchanged.
_numpy: Any = np.random


def seed_globals(seed: int) -> None:
    """Seed the three global generators, each with a stream of its own of this seed."""
    random.seed(stream_seed(seed, "python, global"))
    _numpy.set_bit_generator(np.random.MT19937(stream_seed(seed, "numpy, global")))
    torch.manual_seed(stream_seed(seed, "torch, global"))


def globals_state() -> dict[str, Any]:
    """Return the state of the three global generators, as checkpoints can hold it."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": {"version": version, "words": list(words), "gauss": gauss},
        "numpy": {"name": name, "keys": keys, "position": position, "has_gauss": has_gauss, "cached": cached},
        "torch": torch.get_rng_state(),
    }


def set_globals(state: dict[str, Any]) -> None:
    """Put the three global generators back to a state from `globals_state`."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    keys = np.asarray(numpy["keys"], np.uint32)
    _numpy.set_bit_generator(np.random.MT19937())
    np.random.set_state((numpy["name"], keys, numpy["position"], numpy["has_gauss"], numpy["cached"]))
    torch.set_rng_state(state["torch"])


@contextmanager
def undisturbed_globals() -> Generator[None]:
    """Leave the three global generators as they were, whatever the block draws."""
    before = globals_state()
    try:
        yield
    finally:
        set_globals(before)


class OwnGenerators(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose episodes depend on their reset seeds alone, even where it draws from global generators.

    A reset with a seed seeds them. With `alternating`, for environments that take turns in one process, each call finds
    them as the environment's own last call left them (about 40 microseconds a call).
    """

    def __init__(self, env: Env, *, alternating: bool) -> None:
        super().__init__(env)
        self._alternating = alternating
        self._python: tuple[Any, ...] | None = None
        self._numpy: np.random.BitGenerator | None = None
        self._torch: torch.Tensor | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; a seed is that of the global generators too."""
        if seed is not None:
            seed_globals(seed)
        else:
            self._enter()
        try:
            return self.env.reset(seed=seed, options=options)
        finally:
            self._leave()

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Make one step."""
        self._enter()
        try:
            return self.env.step(action)
        finally:
            self._leave()

    def _enter(self) -> None:
        if self._python is not None and self._numpy is not None and self._torch is not None:
            random.setstate(self._python)
            _numpy.set_bit_generator(self._numpy)
            torch.set_rng_state(self._torch)

    def _leave(self) -> None:
        if self._alternating:
            self._python = random.getstate()
            self._numpy = _numpy.get_bit_generator()
            self._torch = torch.get_rng_state()


def with_own_generators(make: Callable[[], Env], *, alternating: bool) -> Env:
    """Return a new environment from `make` inside `OwnGenerators`."""
    return OwnGenerators(make(), alternating=alternating)
