"""Films: bounded whatever the length, in the order of play, with words beside the frames."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamerlab.errors import UsageError
from dreamerlab.train import film
from dreamerlab.train.curves import MOST_CURVES, draw_curves
from dreamerlab.train.film import Reel, Shot, fitted, gif, mp4, sheet
from dreamerlab.train.watch import in_words


def square(place: int) -> np.ndarray:
    """A dark picture with a bright square that is further right at a later place."""
    picture = np.zeros((60, 200, 3), np.uint8)
    picture[20:40, 2 * place : 2 * place + 10] = (250, 200, 40)
    return picture


def shot(step: int, *, last: bool = False, episode: int = 1) -> Shot:
    return Shot(episode, step, last, "1" if step else "", float(step), lambda: square(step))


def reel_of(length: int, *, most: int = 300, every: int | None = None, episodes: int = 1) -> Reel:
    reel = Reel(most, every)
    for episode in range(1, episodes + 1):
        for step in range(length):
            if reel.wants(step, is_last=step == length - 1):
                reel.add(shot(step, last=step == length - 1, episode=episode))
    return reel


def brightest_column(frame: Image.Image) -> int:
    return int(np.asarray(frame.convert("RGB"))[30, :, 0].argmax())


def test_a_gif_plays_in_order_and_waits_at_the_end() -> None:
    data, fps = gif(reel_of(40), None, 50.0, may_thin=True)
    film_of = Image.open(io.BytesIO(data))
    columns, shown = [], []
    for place in range(film_of.n_frames):
        film_of.seek(place)
        columns.append(brightest_column(film_of))
        shown.append(film_of.info["duration"])
    assert len(columns) == 40
    assert columns == sorted(columns)
    assert len(set(columns)) == 40, "no two frames are alike"
    assert (fps, set(shown[:-1]), shown[-1]) == (25.0, {40}, 1000)
    assert film_of.info["loop"] == 0


def test_a_long_recording_is_thinned_evenly_and_keeps_its_first_and_last_moments() -> None:
    reel = reel_of(500, most=100)
    steps = [one.step for one in reel.shots]
    assert len(steps) <= 100
    assert (steps[0], steps[-1]) == (0, 499)
    assert {after - before for before, after in pairwise(steps[:-1])} == {reel.every}


def test_the_end_of_every_episode_stays() -> None:
    reel = reel_of(51, most=40, episodes=4)
    assert [one.step for one in reel.shots if one.is_last] == [50] * 4
    assert [one.episode for one in reel.shots] == sorted(one.episode for one in reel.shots)


def test_frames_that_were_asked_for_are_kept_or_refused_but_never_thinned() -> None:
    assert [one.step for one in reel_of(40, every=10).shots] == [0, 10, 20, 30, 39]
    with pytest.raises(UsageError, match=r"--every 1 keeps more than 100 frames"):
        reel_of(200, most=100, every=1)


def test_a_gif_that_would_be_too_large_is_thinned_unless_its_frames_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(film, "GIF_LIMIT", 5000)
    noise = np.random.default_rng(0).integers(0, 256, (24, 12, 80, 3), dtype=np.uint8)
    reels = [Reel(300, every) for every in (None, 1)]
    for reel in reels:
        for step, picture in enumerate(noise):
            reel.add(Shot(1, step, step == 23, "", 0.0, lambda picture=picture: picture))
    gif(reels[0], None, 30.0, may_thin=True)
    gif(reels[1], None, 30.0, may_thin=False)
    assert len(reels[0].shots) < 20 < 24 == len(reels[1].shots)


def test_a_sheet_has_a_row_an_episode_and_words_under_every_frame() -> None:
    data, frames = sheet(reel_of(30, episodes=2), "R0001-abc seed 0", whole=False)
    page = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert frames == 12
    yellow = (page[..., 0] > 200) & (page[..., 2] < 120)
    bands = np.flatnonzero(np.diff(yellow.any(1).astype(int)) == 1)
    assert len(bands) == 2, "two rows of frames"
    for band in bands:
        below = page[band + 40 : band + 100]
        assert (below.min(2) < 120).sum() > 500, "words"
    assert sheet(reel_of(5), "one", whole=True)[1] == 5
    assert sheet(reel_of(500), "long", whole=False)[1] == 12


def test_an_mp4_has_every_frame_and_a_pause(tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    assert mp4(reel_of(10), None, 20.0, tmp_path / "film.mp4") == 20.0
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))[0] == 9 + 20


def test_frames_fit_any_format() -> None:
    """Large ones shrink in proportion, tiny ones grow by whole numbers, and video wants even sides."""
    assert fitted(np.zeros((400, 600, 3), np.uint8), 300).shape == (200, 300, 3)
    assert fitted(np.zeros((64, 64, 3), np.uint8), 300).shape == (192, 192, 3)
    assert fitted(np.zeros((7, 9, 3), np.uint8), 600).shape == (126, 162, 3)
    assert fitted(np.zeros((401, 301, 3), np.uint8), 600).shape == (400, 300, 3)
    assert fitted(np.zeros((1, 2000, 3), np.uint8), 300).shape[0] >= 1


def test_curves_grow_and_never_draw_what_has_not_happened() -> None:
    values = [float(step % 7) for step in range(50)]
    early, late = (draw_curves([("speed", values)], now, 50) for now in (10, 49))
    blue = [np.flatnonzero(((one[..., 2] > 150) & (one[..., 0] < 100)).any(0)).max() for one in (early, late)]
    assert blue[0] < 130 < blue[1]
    many = [(f"x {number}", values) for number in range(20)]
    assert draw_curves(many, 3, 50).shape == draw_curves(many[:MOST_CURVES], 3, 50).shape
    flat = draw_curves([("still", [2.0, 2.0])], 1, 2)
    assert flat.shape[2] == 3


def test_actions_in_words() -> None:
    assert in_words(None) == ""
    assert in_words(np.int64(3)) == "3"
    assert in_words(np.array([0, 2])) == "0,2"
    assert in_words(np.array([0.25, -1.0], np.float32)) == "+0.25 -1.00"
    assert in_words(np.zeros(9)) == "+0.00 +0.00 +0.00 +0.00 ..."


@pytest.mark.parametrize("width", [200, 250, 300, 600])
def test_words_below_a_frame_never_run_into_each_other(width: int) -> None:
    """Three pieces with background between them, or two where there is no room for the action."""
    moment = Shot(4, 89, False, "+1.00 -1.00 +1.00 +0.00", -4.371, lambda: np.zeros((40, width, 3), np.uint8))
    strip = film._captioned(moment, widest=width)[40:]
    inked = np.flatnonzero((strip != strip[0, 0]).any(axis=(0, 2)))
    # Words have gaps of their own, of up to five columns; the pieces are further apart.
    pieces = 1 + np.count_nonzero(np.diff(inked) >= 7)
    assert pieces == (2 if width == 200 else 3)
