"""Pictures of predictions: what stands where, and a PNG that any reader reads."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamerlab.errors import ToolFailed
from dreamerlab.train.pictures import MOST_COLUMNS, chosen_columns, png_bytes, prediction_picture, write_picture

BLUE, ORANGE, GREY = (60, 120, 216), (230, 120, 30), (180, 180, 180)


def test_the_png_is_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    data = png_bytes(picture)
    assert (np.asarray(Image.open(io.BytesIO(data))) == picture).all()
    assert png_bytes(picture) == data


def test_truth_model_and_error_stand_below_each_other_under_bars() -> None:
    """Two frames are seen, one is foreseen, and of the last, of another episode, the model shows nothing."""
    truth = np.full((1, 4, 8, 8, 1), 100, np.uint8)
    model = np.full((1, 4, 8, 8, 1), 150, np.uint8)
    picture = prediction_picture(truth, model, np.array([[True, True, True, False]]), 2)
    # A gap of 2, a bar of 3, and three rows of 8, each after a gap of 2; frames begin every 10 pixels after 2.
    left = [2 + 10 * place for place in range(4)]
    assert [tuple(picture[2, x]) for x in left] == [BLUE, BLUE, ORANGE, GREY]
    rows = [7, 17, 27]
    assert [picture[y, left[2], 0] for y in rows] == [100, 150, (50 + 255) // 2]
    assert [picture[y, left[3], 0] for y in rows] == [100, 225, 225], "the truth stays, the rest is left out"
    assert picture.shape == (5 + 3 * 10 + 4, 4 * 10 + 2, 3)


@pytest.mark.parametrize(("length", "context"), [(16, 5), (45, 5), (200, 5), (45, 44), (45, 45), (30, 1), (17, 16)])
def test_a_long_sequence_keeps_its_ends_and_both_sides_of_the_boundary(length: int, context: int) -> None:
    chosen = chosen_columns(length, context)
    assert len(chosen) <= MOST_COLUMNS
    assert chosen == sorted(set(chosen))
    assert {context - 1, length - 1} <= set(chosen)
    assert context == length or context in chosen


def test_pictures_of_one_two_and_many_channels_are_drawn() -> None:
    for channels in (1, 2, 3, 9):
        frames = np.full((2, 3, 4, 4, channels), 7, np.uint8)
        assert prediction_picture(frames, frames, np.ones((2, 3), bool), 1).shape[2] == 3


def test_a_picture_is_written_whole_and_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    path = write_picture(tmp_path / "predictions", 4000, picture)
    assert (path.name, path.read_bytes()) == ("env-steps-000004000.png", png_bytes(picture))
    (tmp_path / "predictions" / "env-steps-000005000.png").mkdir()
    with pytest.raises(ToolFailed, match="cannot write"):
        write_picture(tmp_path / "predictions", 5000, picture)
    assert not list((tmp_path / "predictions").glob(".*"))
