"""Observations: gymnasium spaces as the keys and kinds of `dreamerlab.spaces`, and values read and checked by them.

Owns what is supported and what a value must look like. Numbers (Box of 0 or 1 dimensions, or a small table of
numbers, flattened) are vectors; bytes in 2 or 3 dimensions are images; Discrete, MultiDiscrete and MultiBinary are
discrete. Dict and Tuple may nest; keys are joined with `/`. Everything else is refused by name before a trial starts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

from dreamerlab.envs.pictures import resize
from dreamerlab.errors import UsageError
from dreamerlab.spaces import ObsSpec

TABLE_LIMIT = 1024
"""Most numbers that a Box of two dimensions may have to be read as a vector."""
CHOICE_LIMIT = 65_536
"""Most choices that one key may have, over all its components: each is an input and an output of the networks."""
_DARK = 32
"""Bytes that end below this are codes or flags rather than brightness."""

_HINT = (
    "supported observations: a Box of 0 or 1 dimensions, a picture (height, width, channels) of uint8, Discrete, "
    "MultiDiscrete, MultiBinary, or a Dict or Tuple of these; wrap the environment to give one"
)


class Misfit(Exception):
    """A value is not what its space promises; the message says which and why."""


class Reader(ABC):
    """Reads one key: checks a value against its space and returns it as its spec says, always a fresh array."""

    spec: ObsSpec

    def __init__(self, name: str, promise: str = "its space promises") -> None:
        self._name, self._promise = name, promise

    @abstractmethod
    def read(self, value: Any) -> np.ndarray:
        """Return the array; raise Misfit."""

    def _array(self, value: Any, shape: tuple[int, ...], kinds: str) -> np.ndarray:
        try:
            array = np.asarray(value)
        except ValueError:  # a ragged list
            raise Misfit(f"{self._name} is no array: {show(value)}") from None
        if array.shape != shape:
            raise Misfit(f"{self._name} has shape {array.shape}, {self._promise} {shape}: {show(value)}")
        if array.dtype.kind not in kinds:
            wanted = "numeric" if "f" in kinds else "whole numbers"
            raise Misfit(f"{self._name} is not {wanted} ({array.dtype}): {show(value)}")
        return array


class VectorReader(Reader):
    """Numbers of any shape and type, flattened to float32."""

    def __init__(self, name: str, space: Box) -> None:
        super().__init__(name)
        self._shape = space.shape
        self.spec = ObsSpec.vector(int(np.prod(space.shape, dtype=int)))

    def read(self, value: Any) -> np.ndarray:
        """Return (size,) float32, finite."""
        array = self._array(value, self._shape, "biuf")
        if array.dtype == np.float64:
            with np.errstate(over="ignore"):  # too large for float32 is found below
                vector = array.astype(np.float32).reshape(-1)
        else:
            vector = array.astype(np.float32).reshape(-1)
        if np.count_nonzero(np.isfinite(vector)) < vector.size:  # twice as fast as all()
            raise Misfit(f"{self._name} is not finite in float32: {show(value)}")
        return vector


class ImageReader(Reader):
    """A picture of bytes, grey or with channels first or last, resized to `image_size`."""

    def __init__(self, name: str, shape: tuple[int, ...], image_size: int, promise: str = "its space promises") -> None:
        super().__init__(name, promise)
        self._shape, self._size = shape, image_size
        self._channels_first = channels_come_first(shape)
        channels = 1 if len(shape) == 2 else shape[0] if self._channels_first else shape[2]
        self.spec = ObsSpec.image(image_size, image_size, channels)

    def read(self, value: Any) -> np.ndarray:
        """Return (image_size, image_size, channels) uint8."""
        array = self._array(value, self._shape, "biuf")
        if array.dtype != np.uint8:
            raise Misfit(f"{self._name} has dtype {array.dtype}, not uint8: {show(value)}")
        if array.ndim == 2:
            array = array[:, :, None]
        elif self._channels_first:
            array = array.transpose(1, 2, 0)
        return resize(array, self._size)


class DiscreteReader(Reader):
    """Choices of any shape, flattened and counted from 0."""

    def __init__(self, name: str, space: Discrete | MultiDiscrete | MultiBinary) -> None:
        super().__init__(name)
        self._shape, classes, start = choices_of(space)
        self.spec = ObsSpec.discrete(*classes)
        self._classes, self._start = np.array(classes, np.int64), np.array(start, np.int64)
        self._first = start[0]

    def read(self, value: Any) -> np.ndarray:
        """Return (components,) int64, each below its number of classes."""
        if isinstance(value, int | np.integer):  # the common case, several times faster in plain numbers
            single = int(value) - self._first
            if self._shape == () and 0 <= single < self.spec.classes[0]:
                return np.array([single], np.int64)
        chosen = self._array(value, self._shape, "biu").astype(np.int64).reshape(-1) - self._start
        # Seen as unsigned, a negative number is a huge one, so one comparison finds both ends.
        outside = chosen.view(np.uint64) >= self._classes.view(np.uint64)
        if outside.any():
            worst = int(outside.argmax())
            low, high = self._start[worst], self._start[worst] + self._classes[worst] - 1
            part = f" in component {worst}" if len(chosen) > 1 else ""
            raise Misfit(f"{self._name} is outside {low} .. {high}{part}: {show(value)}")
        return chosen


class Observer:
    """Reads whole observations of a space."""

    def __init__(self, env_id: str, space: Space[Any], image_size: int) -> None:
        self._space = space
        self._readers: dict[str, tuple[tuple[Any, ...], Reader]] = {}
        for path, part in _leaves(env_id, (), space):
            reader = _reader(env_id, path, part, image_size)
            key = "/".join(map(str, path)) or reader.spec.kind
            if key in self._readers:
                raise UsageError(f"environment '{env_id}' cannot be observed: two observation keys become '{key}'")
            self._readers[key] = path, reader
        self._plain = not isinstance(space, Dict | Tuple)

    @property
    def specs(self) -> dict[str, ObsSpec]:
        """What each key holds."""
        return {key: reader.spec for key, (_, reader) in self._readers.items()}

    def read(self, obs: Any) -> dict[str, np.ndarray]:
        """Return the observation as fresh arrays by key; raise Misfit when it is not what the space promises."""
        if self._plain:
            return {key: reader.read(obs) for key, (_, reader) in self._readers.items()}
        _check_keys((), obs, self._space)
        read: dict[str, np.ndarray] = {}
        for key, (path, reader) in self._readers.items():
            value = obs
            for step in path:
                value = value[step]
            read[key] = reader.read(value)
        return read


def choices_of(space: Discrete | MultiDiscrete | MultiBinary) -> tuple[tuple[int, ...], list[int], list[int]]:
    """Return the shape of a value, and of its components in order the number of classes and the first class."""
    if isinstance(space, Discrete):
        return (), [int(space.n)], [int(space.start)]
    if isinstance(space, MultiDiscrete):
        return space.nvec.shape, space.nvec.reshape(-1).tolist(), space.start.reshape(-1).tolist()
    size = int(np.prod(space.shape, dtype=int))
    return space.shape, [2] * size, [0] * size


def channels_come_first(shape: tuple[int, ...]) -> bool:
    """Tell whether a picture of three dimensions is (channels, height, width): its first is by far the shortest."""
    return len(shape) == 3 and shape[0] < min(shape[1:]) and shape[2] > 4


def short(space: Space[Any]) -> str:
    """Return a space in a few words."""
    if isinstance(space, Box):
        return f"Box(shape={space.shape}, dtype={space.dtype})"
    text = str(space)
    return text if len(text) <= 120 else f"{text[:117]}..."


def show(value: Any) -> str:
    """Return a value in one line of at most 200 characters."""
    text = " ".join(str(value).split()) or repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _leaves(env_id: str, path: tuple[Any, ...], space: Space[Any]) -> Iterator[tuple[tuple[Any, ...], Space[Any]]]:
    """Yield the spaces an observation consists of, each with the keys that lead to it."""
    if isinstance(space, Dict | Tuple):
        inner = space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces)
        if not space.spaces:
            where = f" under key '{'/'.join(map(str, path))}'" if path else ""
            raise UsageError(
                f"environment '{env_id}' observes an empty {type(space).__name__}{where}: nothing to learn from"
            )
        for key, part in inner:
            yield from _leaves(env_id, (*path, key), part)
    else:
        yield path, space


def _reader(env_id: str, path: tuple[Any, ...], space: Space[Any], image_size: int) -> Reader:
    name = _name(path)
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        if (choices := sum(choices_of(space)[1])) <= CHOICE_LIMIT:
            return DiscreteReader(name, space)
        problem = f"{name} has {choices:,} choices, more than the {CHOICE_LIMIT:,} that can be learnt, {short(space)}"
        hint = "offer what the number stands for, its coordinates for instance, as MultiDiscrete or a Box"
    elif not isinstance(space, Box):
        problem, hint = f"{name} is {short(space)}", _HINT
    elif 0 in space.shape:
        problem, hint = f"{name} is empty, {short(space)}", _HINT
    elif space.dtype == np.uint8 and len(space.shape) in (2, 3):
        brightest = int(space.high.max())
        if brightest >= _DARK:
            return ImageReader(name, space.shape, image_size)
        problem = f"{name} is a picture of bytes up to {brightest}, {short(space)}: read as brightness, all is black"
        hint = "scale brightness to 0 .. 255, or offer codes and flags as MultiDiscrete or MultiBinary"
    elif len(space.shape) < 2 or (len(space.shape) == 2 and np.prod(space.shape) <= TABLE_LIMIT):
        return VectorReader(name, space)
    else:
        problem = f"{name} has {len(space.shape)} dimensions, {short(space)}"
        hint = "a picture must be uint8, 0 .. 255; numbers that are no picture must be flattened to one dimension"
    raise UsageError(f"environment '{env_id}' cannot be observed: {problem}", hint=hint)


def _check_keys(path: tuple[Any, ...], obs: Any, space: Space[Any]) -> None:
    """Raise Misfit unless `obs` has the keys of `space`, at every level."""
    parts: Any = obs
    if isinstance(space, Dict):
        if not isinstance(obs, Mapping) or obs.keys() != space.spaces.keys():
            got = f"keys {sorted(map(str, obs))}" if isinstance(obs, Mapping) else f"{type(obs).__name__} {show(obs)}"
            raise Misfit(f"{_name(path)} has {got}, its space promises keys {sorted(map(str, space.spaces))}")
        inner = space.spaces.items()
    elif isinstance(space, Tuple):
        if not isinstance(obs, tuple | list) or len(obs) != len(space.spaces):
            got = f"{type(obs).__name__} {show(obs)}"
            raise Misfit(f"{_name(path)} is {got}, its space promises {len(space.spaces)} parts")
        inner = enumerate(space.spaces)
    else:
        return
    for key, part in inner:
        if isinstance(part, Dict | Tuple):
            _check_keys((*path, key), parts[key], part)


def _name(path: tuple[Any, ...]) -> str:
    return f"observation key '{'/'.join(map(str, path))}'" if path else "the observation"
