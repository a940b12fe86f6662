"""Resizing pictures against a slow oracle in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.envs.pictures import resize


def weights(old: int, new: int) -> list[list[Fraction]]:
    """Return the share (new, old) of each old pixel in each new one: its overlap, or all of the nearest."""
    if old <= new:
        nearest = [(2 * i + 1) * old // (2 * new) for i in range(new)]
        return [[Fraction(k == nearest[i]) for k in range(old)] for i in range(new)]
    edge = Fraction(old, new)
    return [
        [max(Fraction(0), min((i + 1) * edge, Fraction(k + 1)) - max(i * edge, Fraction(k))) / edge for k in range(old)]
        for i in range(new)
    ]


def oracle(picture: np.ndarray, size: int) -> np.ndarray:
    height, width, channels = picture.shape
    down, across = weights(height, size), weights(width, size)
    result = np.zeros((size, size, channels), np.uint8)
    for i, j, c in product(range(size), range(size), range(channels)):
        value = sum(
            (down[i][k] * across[j][m] * int(picture[k, m, c]) for k in range(height) for m in range(width)
             if down[i][k] and across[j][m]),
            Fraction(0),
        )  # fmt: skip
        result[i, j, c] = int(value + Fraction(1, 2))
    return result


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(1, 5), st.integers(0, 99))
def test_areas_are_averaged_and_growing_axes_repeat(
    height: int, width: int, channels: int, size: int, seed: int
) -> None:
    """M-CP-15: the mean of the area that a new pixel covers, rounded half up; the nearest one where it grows."""
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    assert np.array_equal(resize(picture, size), oracle(picture, size))


def test_a_rendered_picture_keeps_its_mean() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)
    small = resize(picture, 64)
    assert (small.shape, small.dtype, small.flags.c_contiguous) == ((64, 64, 3), np.uint8, True)
    assert small.mean((0, 1)) == pytest.approx(picture.mean((0, 1)), abs=0.05)
    assert small.std() < picture.std() / 5, "noise is averaged away, not sampled"


def test_white_stays_white_at_any_size() -> None:
    assert resize(np.full((401, 599, 3), 255, np.uint8), 64).min() == 255


def test_a_picture_that_fits_is_copied_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """M-CP-18: nothing is computed when the size is right already."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    monkeypatch.setattr("dreamerlab.envs.pictures._resize_rows", None)
    same = resize(picture, 64)
    assert np.array_equal(same, picture)
    assert not np.shares_memory(same, picture)


def test_views_of_any_layout_can_be_resized() -> None:
    """Channels come last after a transpose; a renderer may hand over such a view."""
    planes = np.random.default_rng(0).integers(0, 256, (3, 20, 30), np.uint8)
    view = planes.transpose(1, 2, 0)
    assert np.array_equal(resize(view, 7), resize(np.ascontiguousarray(view), 7))
