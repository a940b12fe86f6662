"""Observations of random spaces: what the space can give arrives as described, with its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.envs.observing import Misfit, Observer
from dreamerlab.envs.pictures import resize

NUMBERS = st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64])
SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (4, 1)])


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    dtype = draw(NUMBERS)
    shape = draw(SHAPES)
    if dtype == np.uint8 and len(shape) == 2:
        dtype = np.int64  # or else a picture
    return Box(draw(st.integers(-50, 0)) if np.dtype(dtype).kind != "u" else 0, draw(st.integers(1, 99)), shape, dtype)


LEAVES = st.one_of(
    boxes(),
    st.lists(st.integers(1, 9), min_size=2, max_size=3).map(lambda shape: Box(0, 255, shape, np.uint8)),
    st.builds(Discrete, st.integers(1, 9), start=st.integers(-9, 9)),
    st.lists(st.integers(1, 9), min_size=1, max_size=3).map(MultiDiscrete),
    st.builds(lambda n, start: MultiDiscrete([[n], [n + 1]], start=[[start], [-start]]), *[st.integers(1, 9)] * 2),
    SHAPES.filter(len).map(MultiBinary),
)
SPACES = st.recursive(
    LEAVES,
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3).map(Dict)
        | st.lists(inner, min_size=1, max_size=2).map(Tuple)
    ),
    max_leaves=4,
)


def leaves(space: Space, value: Any, path: tuple[str, ...] = ()) -> dict[str, tuple[Space, Any]]:
    """Return the plain spaces and values within, by key."""
    if isinstance(space, Dict | Tuple):
        pairs = space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces)
        found: dict[str, tuple[Space, Any]] = {}
        for key, part in pairs:
            found |= leaves(part, value[key], (*path, str(key)))
        return found
    return {"/".join(path): (space, value)}


def expected(space: Space, value: Any) -> np.ndarray:
    if isinstance(space, Discrete):
        return np.array([value - space.start])
    if isinstance(space, MultiDiscrete):
        return (value - space.start).reshape(-1)
    if isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) > 1:
        picture = value[:, :, None] if value.ndim == 2 else value
        first = value.ndim == 3 and value.shape[0] < min(value.shape[1:]) and value.shape[2] > 4
        return resize(picture.transpose(1, 2, 0) if first else picture, 16)
    return np.asarray(value).reshape(-1)


@given(SPACES, st.integers(0, 99))
def test_every_sample_arrives_as_described_with_its_values(space: Space, seed: int) -> None:
    """FACTS A2: vectors in float32, pictures in uint8, choices as int64 below their number of classes."""
    space.seed(seed)
    sample = space.sample()
    observer = Observer("env", space, 16)
    read, specs = observer.read(sample), observer.specs
    parts = leaves(space, sample)
    if not isinstance(space, Dict | Tuple):
        assert list(specs) == [next(iter(specs.values())).kind]
        parts = {next(iter(specs)): (space, sample)}
    assert read.keys() == specs.keys() == parts.keys()
    for key, (part, value) in parts.items():
        spec, got = specs[key], read[key]
        assert (got.shape, got.dtype) == (spec.shape, spec.dtype)
        assert np.array_equal(got, expected(part, value).astype(spec.dtype))
        assert all(0 <= choice < classes for choice, classes in zip(got.tolist(), spec.classes, strict=False))
        assert len(spec.classes) == (got.size if spec.kind == "discrete" else 0)
        assert not np.shares_memory(got, np.asarray(value))


@given(
    st.lists(st.floats(width=64) | st.sampled_from([1e38, -3e38, 1e39, np.inf, np.nan]), min_size=1, max_size=6),
    st.sampled_from([np.float32, np.float64]),
)
def test_numbers_pass_exactly_when_all_are_finite_in_float32(numbers: list[float], dtype: type) -> None:
    """The quick look at all numbers at once, a dot product, overflows for honest large ones."""
    with np.errstate(over="ignore"):
        array = np.array(numbers).astype(dtype)
        finite = np.isfinite(array.astype(np.float32)).all()
    observer = Observer("env", Box(-np.inf, np.inf, array.shape, dtype), 64)
    if finite:
        assert np.array_equal(observer.read(array)["vector"], array.astype(np.float32))
    else:
        with pytest.raises(Misfit, match="not finite in float32"):
            observer.read(array)


@given(st.integers(1, 20), st.integers(-20, 20), st.integers(-60, 60), st.booleans())
def test_choices_pass_exactly_when_in_their_space(classes: int, start: int, value: int, several: bool) -> None:
    space = MultiDiscrete([classes, 3], start=[start, 0]) if several else Discrete(classes, start=start)
    observer = Observer("env", space, 64)
    given_value = np.array([value, 2]) if several else np.int64(value)
    if space.contains(given_value):
        assert observer.read(given_value)["discrete"][0] == value - start
    else:
        with pytest.raises(Misfit, match=f"outside {start} .. {start + classes - 1}"):
            observer.read(given_value)


def test_plain_numbers_and_lists_are_read_like_arrays() -> None:
    assert Observer("env", Discrete(4), 64).read(3)["discrete"].tolist() == [3]
    assert Observer("env", MultiDiscrete([4, 4]), 64).read([3, 0])["discrete"].tolist() == [3, 0]
    assert Observer("env", Box(0, 9, (2,)), 64).read([3, 0])["vector"].tolist() == [3, 0]


@pytest.mark.parametrize(
    "shape, channels_first",
    [
        ((3, 64, 64), True),
        ((1, 8, 8), True),
        ((12, 84, 84), True),
        ((64, 64, 3), False),
        ((64, 64, 12), False),
        ((5, 7, 3), False),
        ((2, 4, 3), False),
        ((8, 8, 8), False),
    ],
)
def test_channels_are_found_first_or_last(shape: tuple[int, ...], channels_first: bool) -> None:
    spec = Observer("env", Box(0, 255, shape, np.uint8), 64).specs["image"]
    assert spec.shape == (64, 64, shape[0] if channels_first else shape[2])


def test_a_dict_within_is_checked_by_its_keys_too() -> None:
    space = Dict(arm=Dict(angle=Discrete(2)), eyes=Tuple((Discrete(2), Dict(a=Discrete(2)))))
    observer = Observer("env", space, 64)
    good = {"arm": {"angle": 1}, "eyes": (0, {"a": 1})}
    assert {key: value.tolist() for key, value in observer.read(good).items()} == {
        "arm/angle": [1],
        "eyes/0": [0],
        "eyes/1/a": [1],
    }
    for bad, said in (
        ({**good, "arm": {}}, r"'arm' has keys \[\], its space promises keys \['angle'\]"),
        ({**good, "eyes": (0,)}, r"'eyes' is tuple \(0,\), its space promises 2 parts"),
        ({**good, "eyes": (0, 1)}, r"'eyes/1' has int 1, its space promises keys \['a'\]"),
        ({"arm": good["arm"]}, r"the observation has keys \['arm'\], its space promises keys \['arm', 'eyes'\]"),
    ):
        with pytest.raises(Misfit, match=said):
            observer.read(bad)
