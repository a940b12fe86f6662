"""The palette for every kind of sight: computed, with the simulation of Machado, Oliveira and Fernandes (2009).

Contrast is that of WCAG 2 (3 : 1 is what graphics need), distance that of CIE L*a*b* (about 2 can just be seen), a grey
print is lightness alone.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import pytest

from dreamerlab.report.palette import LOOKS, SHADES

Linear = tuple[float, ...]
# Rows give red, green and blue as somebody sees them who lacks one kind of cone altogether, in linear light.
SIGHTS = {
    "all cones": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
CARDS = {"light": 0, "dark": 1}


def dot(row: Linear, light: Linear) -> float:
    return sum(a * b for a, b in zip(row, light, strict=True))


def linear(shade: str) -> Linear:
    parts = [int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)


def luminance(shade: str) -> float:
    red, green, blue = linear(shade)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def seen(shade: str, sight: str) -> Linear:
    light = linear(shade)
    return tuple(min(1.0, max(0.0, dot(row, light))) for row in SIGHTS[sight])


def lab(light: Linear) -> Linear:
    def f(t: float) -> float:
        return t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29

    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    x, y, z = (f(dot(row, light) / white) for row, white in zip(rows, (0.95047, 1.0, 1.08883), strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def shades(card: str) -> dict[str, str]:
    return {look.name: SHADES[look.name][CARDS[card]] for look in LOOKS}


def test_the_arithmetic_is_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert lab(linear("#ff0000")) == pytest.approx((53.2, 80.1, 67.2), abs=0.2)
    assert lab(seen("#7f7f7f", "deuteranopia")) == pytest.approx(lab(linear("#7f7f7f")), abs=0.1)
    # Red and green of one brightness: far apart for most eyes, next to nothing for one in twelve men.
    red, green = "#c04040", "#607d20"
    assert math.dist(lab(linear(red)), lab(linear(green))) > 70
    assert math.dist(lab(seen(red, "deuteranopia")), lab(seen(green, "deuteranopia"))) < 20


@pytest.mark.parametrize("card", CARDS)
def test_every_line_and_word_stands_out_from_its_card(card: str) -> None:
    paper = SHADES["card"][CARDS[card]]
    for name, shade in {**shades(card), "good": SHADES["good"][CARDS[card]]}.items():
        assert contrast(shade, paper) >= 3, name
    for name in ("ink", "soft"):
        assert contrast(SHADES[name][CARDS[card]], paper) >= 4.5, name


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("card", CARDS)
def test_no_two_runs_look_alike_to_any_eye(card: str, sight: str) -> None:
    drawn = {name: lab(seen(shade, sight)) for name, shade in shades(card).items()}
    for one, other in combinations(drawn, 2):
        assert math.dist(drawn[one], drawn[other]) >= 20, (one, other)


@pytest.mark.parametrize("card", CARDS)
def test_a_grey_print_keeps_runs_apart(card: str) -> None:
    ordered = sorted((lab(linear(shade))[0], name) for name, shade in shades(card).items())
    for (darker, one), (lighter, other) in pairwise(ordered):
        assert lighter - darker >= 6, (one, other)
    ends = {name: lightness for lightness, name in ordered}
    assert abs(ends["control"] - ends["treatment"]) >= 9, "the two that most pictures are about"


def test_dash_and_marker_tell_runs_apart_without_any_shade() -> None:
    assert len({look.dash for look in LOOKS}) == len(LOOKS)
    assert len({look.marker for look in LOOKS}) == len(LOOKS)
