"""Pictures of environments that draw none: what was observed, done and earned, as curves that grow with time.

Used by `watch.py` where an environment neither renders nor shows images. Needs Pillow, as films do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MOST_CURVES = 8
_WIDTH, _LANE, _LEFT, _RIGHT = 300, 30, 74, 46
_TEXT, _FAINT, _PAPER, _INK = (40, 40, 40), (225, 225, 225), (255, 255, 255), (40, 90, 180)


def draw_curves(curves: Sequence[tuple[str, Sequence[float]]], now: int, length: int) -> np.ndarray:
    """Return (height, width, 3) uint8: one lane a curve, drawn up to index `now` on an axis of `length` points.

    Each curve is (name, values); its scale is that of all its values, also those not drawn yet. At most MOST_CURVES
    are drawn; the last two are kept in any case.
    """
    if len(curves) > MOST_CURVES:
        curves = [*curves[: MOST_CURVES - 2], *curves[-2:]]
    page = Image.new("RGB", (_WIDTH, _LANE * len(curves) + 6), _PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    right = _WIDTH - _RIGHT
    for lane, (name, values) in enumerate(curves):
        top, bottom = _LANE * lane + 5, _LANE * (lane + 1) - 2
        low, high = min(values), max(values)
        draw.text((4, top + 5), name[:11], _TEXT, font)
        draw.line((_LEFT, bottom, right, bottom), _FAINT)
        points = [
            (_LEFT + place * (right - _LEFT) / max(1, length - 1), _height(value, low, high, top, bottom))
            for place, value in enumerate(values[: now + 1])
        ]
        if len(points) > 1:
            draw.line(points, _INK, 1)
        x, y = points[-1]
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), _INK)
        draw.text((right + 6, top + 5), f"{values[now]:.3g}", _TEXT, font)
    return np.asarray(page)


def _height(value: float, low: float, high: float, top: int, bottom: int) -> float:
    return bottom - 2 - (bottom - top - 4) * ((value - low) / (high - low) if high > low else 0.5)
