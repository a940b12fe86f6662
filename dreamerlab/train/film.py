"""Films of episodes: frames collected with a bound, captioned, and put together as GIF, MP4 or a sheet of frames.

Knows pictures and words, no agents and no environments; `watch.py` plays and shoots. Needs Pillow, and imageio-ffmpeg
for MP4, which no trial needs.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dreamerlab.errors import UsageError

MOST_FRAMES = {"gif": 300, "mp4": 3000, "png": 240}
"""Frames kept of a recording; a longer one is thinned, or refused where the user says which frames to keep."""
WIDTH = {"gif": 300, "mp4": 600, "png": 200}
"""Largest width of a frame in pixels, by format."""
GIF_LIMIT = 2_000_000
"""Bytes above which a GIF is thinned further, where the user has not said which frames to keep."""
_SMALLEST = 160
_TEXT, _PAPER, _EDGE = (40, 40, 40), (255, 255, 255), (200, 200, 200)
_STRIP = (242, 242, 242)
_END_S = 1.0
_LINE = 17
_SHEET = 1080
"""Width of a sheet, unless one frame is wider."""


@dataclass(frozen=True)
class Shot:
    """One moment of an episode: what is seen after `step` env steps, and what led there."""

    episode: int
    step: int
    is_last: bool
    action: str
    """The action that led here, in words; empty after a reset."""
    episode_return: float
    picture: Callable[[], np.ndarray]
    """Gives (height, width, 3) uint8."""
    said: tuple[str, str, str] | None = None
    """Words of its own, in place of step, action and return."""

    def words(self) -> tuple[str, ...]:
        """What is written beside the frame."""
        if self.said is not None:
            return self.said
        action = f"action {self.action}" if self.action else "start"
        return (f"step {self.step}", action, f"return {self.episode_return:.4g}")


class Reel:
    """Shots with a bound: every `every`-th of an episode and its last; past the bound every other one is dropped."""

    def __init__(self, most: int, every: int | None) -> None:
        self.every = every or 1
        self._fixed, self._most = every is not None, most
        self.shots: list[Shot] = []

    def wants(self, step: int, *, is_last: bool) -> bool:
        """Tell whether a shot would be kept, so that nothing is drawn in vain."""
        return is_last or step % self.every == 0

    def add(self, shot: Shot) -> None:
        """Keep a shot that is wanted; UsageError past the bound when the user said which to keep."""
        self.shots.append(shot)
        if len(self.shots) <= self._most:
            return
        if self._fixed:
            raise UsageError(
                f"--every {self.every} keeps more than {self._most:,} frames", hint="a larger --every, or leave it out"
            )
        self.thin()

    def thin(self) -> None:
        """Keep half as many shots of every episode; its last one stays."""
        self.every *= 2
        self.shots = [shot for shot in self.shots if self.wants(shot.step, is_last=shot.is_last)]


def fitted(picture: np.ndarray, widest: int) -> np.ndarray:
    """Return (h, w, 3) at most `widest` wide, with even sides; a tiny picture is enlarged by whole numbers."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    if width > widest:
        image = image.resize((widest, max(1, round(height * widest / width))), Image.Resampling.LANCZOS)
    elif width < _SMALLEST:
        times = min(_SMALLEST // width + 1, max(1, widest // width))
        image = image.resize((width * times, height * times), Image.Resampling.NEAREST)
    even = image.crop((0, 0, image.width - image.width % 2 or 2, image.height - image.height % 2 or 2))
    return np.asarray(even)


def gif(
    reel: Reel, fps: float | None, env_fps: float, *, may_thin: bool, widest: int = WIDTH["gif"]
) -> tuple[bytes, float]:
    """Return a GIF that loops for ever, with a pause at the end of every episode, and its frames per second.

    Without `fps` it plays at the speed of the environment, but at most 25 frames a second. With `may_thin` a reel
    that would give a file beyond GIF_LIMIT is thinned.
    """
    while True:
        frames = [Image.fromarray(_captioned(shot, widest)) for shot in reel.shots]
        pace = fps or min(25.0, max(1.0, env_fps / reel.every))
        data = _gif_bytes(frames, [_shown_ms(shot, pace) for shot in reel.shots])
        if len(data) <= GIF_LIMIT or not may_thin or len(reel.shots) < 20:
            return data, pace
        reel.thin()


def mp4(reel: Reel, fps: float | None, env_fps: float, path: Path) -> float:
    """Write an H.264 film to `path`; return its frames per second."""
    import imageio_ffmpeg  # pyright: ignore[reportMissingTypeStubs]

    pace = fps or max(1.0, env_fps / reel.every)
    shape = _captioned(reel.shots[0], WIDTH["mp4"]).shape
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (shape[1], shape[0]),
        fps=pace,  # pyright: ignore[reportArgumentType]  # ffmpeg takes fractions
        codec="libx264",
        macro_block_size=2,
        quality=7,
        ffmpeg_log_level="error",
    )
    writer.send(None)
    try:
        for shot in reel.shots:
            frame = np.ascontiguousarray(_captioned(shot, WIDTH["mp4"]))
            for _ in range(round(_END_S * pace) if shot.is_last else 1):
                writer.send(frame)
    finally:
        writer.close()
    return pace


def sheet(reel: Reel, title: str, *, whole: bool) -> tuple[bytes, int]:
    """Return a PNG, and how many frames are on it: those of every episode in reading order, words under each.

    Of one episode at most 12 frames, of several at most 6 each, a row an episode; with `whole` all of the reel.
    """
    episodes: dict[int, list[Shot]] = {}
    for shot in reel.shots:
        episodes.setdefault(shot.episode, []).append(shot)
    several = len(episodes) > 1
    chosen = {number: shots if whole else _evenly(shots, 6 if several else 12) for number, shots in episodes.items()}
    pictures = {shot: fitted(shot.picture(), 160 if several else 200) for shots in chosen.values() for shot in shots}
    height, width = (max(picture.shape[axis] for picture in pictures.values()) for axis in (0, 1))
    head, small = ImageFont.load_default(15), ImageFont.load_default(13)
    widest = max(small.getlength(words) for shot in pictures for words in shot.words())
    cell, tall = max(width, round(widest)) + 12, height + 3 * _LINE + 14
    columns = min(max(1, _SHEET // cell), 6 if several else 4)
    rows = {number: -(-len(shots) // columns) for number, shots in chosen.items()}
    wide = max(min(columns, max(map(len, chosen.values()))) * cell, round(head.getlength(title)) + 12)
    page = Image.new("RGB", (wide + 12, 34 + sum(24 + tall * count for count in rows.values())), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((12, 8), title, _TEXT, head)
    top = 34
    for number, shots in chosen.items():
        end = episodes[number][-1]
        draw.text((12, top), f"episode {number}: return {end.episode_return:.6g} in {end.step} steps", _TEXT, small)
        for place, shot in enumerate(shots):
            left, above = 12 + place % columns * cell, top + 24 + place // columns * tall
            _put(draw, page, shot, pictures[shot], (left, above), small)
        top += 24 + tall * rows[number]
    file = io.BytesIO()
    page.save(file, "PNG", optimize=True)
    return file.getvalue(), len(pictures)


def titled(picture: np.ndarray, lines: Sequence[str]) -> bytes:
    """Return a picture as a PNG with lines of words above it."""
    head, small = ImageFont.load_default(15), ImageFont.load_default(13)
    fonts = [head, *[small] * (len(lines) - 1)]
    width = max(picture.shape[1], *(round(font.getlength(line)) for font, line in zip(fonts, lines, strict=True)))
    above = 16 + 22 * len(lines)
    page = Image.new("RGB", (width + 24, picture.shape[0] + above + 12), _PAPER)
    draw = ImageDraw.Draw(page)
    for place, (font, line) in enumerate(zip(fonts, lines, strict=True)):
        draw.text((12, 8 + 22 * place), line, _TEXT, font)
    page.paste(Image.fromarray(picture), (12, above))
    file = io.BytesIO()
    page.save(file, "PNG", optimize=True)
    return file.getvalue()


def _put(
    draw: ImageDraw.ImageDraw, page: Image.Image, shot: Shot, picture: np.ndarray, at: tuple[int, int], font: Any
) -> None:
    """Put a frame on a sheet, a hairline around it and its words below."""
    (left, top), (height, width) = at, picture.shape[:2]
    page.paste(Image.fromarray(picture), at)
    draw.rectangle((left - 1, top - 1, left + width, top + height), outline=_EDGE)
    for line, words in enumerate(shot.words()):
        draw.text((left, top + height + 3 + _LINE * line), words, _TEXT, font)


def _evenly(shots: Sequence[Shot], most: int) -> list[Shot]:
    """Return at most `most` of them, first and last included."""
    if len(shots) <= most:
        return list(shots)
    return [shots[round(place * (len(shots) - 1) / (most - 1))] for place in range(most)]


def _captioned(shot: Shot, widest: int) -> np.ndarray:
    """Return the frame with a line of words below it."""
    picture = fitted(shot.picture(), widest)
    height, width = picture.shape[:2]
    page = Image.new("RGB", (width, height + 20), _STRIP)
    page.paste(Image.fromarray(picture), (0, 0))
    step, action, total = shot.words()
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    step = step if shot.episode == 1 else f"{shot.episode}: {step}"
    draw.text((4, height + 3), step, _TEXT, font)
    draw.text((width - 4, height + 3), total, _TEXT, font, anchor="ra")
    # In the middle of the frame, or of what the other two leave where they come too near.
    left, right = 4 + font.getlength(step), width - 4 - font.getlength(total)
    bare = action.removeprefix("action ")
    # The first that there is room for; none rather than one across the others.
    choices = (action, bare, re.sub(r"(\.\d)\d+", r"\1", bare), "")
    action = next(words for words in choices if not words or font.getlength(words) <= right - left - 16)
    half = font.getlength(action) / 2
    near = width / 2 - half < left + 8 or width / 2 + half > right - 8
    draw.text(((left + right) / 2 if near else width / 2, height + 3), action, _TEXT, font, anchor="ma")
    return np.asarray(page)


def _shown_ms(shot: Shot, pace: float) -> int:
    # GIF counts in hundredths of a second, and viewers slow down what is shorter than two.
    shown = max(20, 10 * round(100 / pace))
    return round(1000 * _END_S) if shot.is_last else shown


def _gif_bytes(frames: Sequence[Image.Image], shown_ms: Sequence[int]) -> bytes:
    # One palette for all frames, from a montage of some: no flicker, and half the size of a palette each.
    some = frames[:: max(1, len(frames) // 12)]
    montage = Image.new("RGB", (some[0].width, sum(frame.height for frame in some)))
    for index, frame in enumerate(some):
        montage.paste(frame, (0, index * frame.height))
    palette = montage.quantize(colors=128, method=Image.Quantize.MEDIANCUT)
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    drawn[0].save(file, "GIF", save_all=True, append_images=drawn[1:], duration=list(shown_ms), loop=0)
    return file.getvalue()
