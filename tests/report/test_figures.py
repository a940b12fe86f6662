"""The SVG of the log: whole, deterministic, readable on both themes, whatever the numbers are."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.report.figures import CurvesFigure, EffectFigure, Level, ScoreRow, draw_curves, draw_effect
from dreamerlab.report.plots import Arm, Curve
from dreamerlab.report.svg import Scale, escape, tick_text, ticks, widened

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1e-300, 1e300, 475.0])
TAG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{TAG}text")]


def curves(*arms: list[list[float]], levels: tuple[Level, ...] = ()) -> str | None:
    found = [
        Arm(name, [Curve(seed, [100.0 * (i + 1) for i in range(len(ys))], ys) for seed, ys in enumerate(arm)])
        for name, arm in zip(("with the change", "baseline"), arms, strict=False)
    ]
    return draw_curves(CurvesFigure("H0001: curves", found, "eval/return_mode", levels))


def test_curves_name_arms_levels_and_axes() -> None:
    svg = curves([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]], levels=(Level("solved", 475.0), Level("random play", 22.47)))
    assert svg is not None
    shown = texts(svg)
    assert "with the change: mean, range and each of 2 seeds" in shown
    assert "baseline: seed 0" in shown
    assert {"solved (475)", "random play (22.47)", "env steps", "eval/return_mode"} <= set(shown)
    assert svg.count("<polyline") >= 5
    assert svg.count("<polygon") == 1


def test_both_themes_have_every_colour_that_is_used() -> None:
    svg = curves([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]])
    assert svg is not None
    light, dark = svg.split("@media (prefers-color-scheme:dark)")
    for name in set(re.findall(r'class="([fs]-\w+)', svg)):
        assert f".{name}{{" in light, name
        assert f".{name}{{" in dark.split("</style>")[0], name


def test_the_same_values_give_the_same_bytes() -> None:
    assert curves([[1.0, 2.0]], [[2.0, 1.0]]) == curves([[1.0, 2.0]], [[2.0, 1.0]])


def test_nothing_to_draw_is_no_picture() -> None:
    assert curves([]) is None
    assert curves([[math.nan, math.inf]]) is None
    assert draw_effect(EffectFigure("t", "s", [ScoreRow("a", "treatment", [])])) is None


@given(st.lists(st.lists(NUMBERS, max_size=4), max_size=3), st.lists(NUMBERS, max_size=2))
def test_any_curve_gives_whole_xml_with_finite_positions(arm: list[list[float]], levels: list[float]) -> None:
    svg = curves(arm, levels=tuple(Level("l", value) for value in levels if math.isfinite(value)))
    if svg is not None:
        ElementTree.fromstring(svg)
        assert not re.search(r'[ "](?:nan|inf|-inf)[,"\s]', svg)


@given(st.lists(NUMBERS, min_size=1, max_size=5), NUMBERS, NUMBERS, NUMBERS)
def test_any_effect_gives_whole_xml(scores: list[float], value: float, low: float, high: float) -> None:
    ends = {"low": low, "high": high} if math.isfinite(low) and math.isfinite(high) else {}
    figure = EffectFigure("t", "s", [ScoreRow("a", "treatment", scores)], "d", value, **ends, expected=(5.0, math.inf))
    svg = draw_effect(figure)
    if svg is not None:
        ElementTree.fromstring(svg)
        assert not re.search(r'[ "](?:nan|inf|-inf)[,"\s]', svg)


def test_the_effect_shows_interval_zero_and_what_was_expected() -> None:
    rows = [ScoreRow("with the change", "treatment", [310.0, 320.0]), ScoreRow("baseline", "control", [210.0, 220.0])]
    picture = EffectFigure("t", "s", rows, "difference", 100.0, 60.0, 140.0, None, (50.0, math.inf), "expected: +50")
    svg = draw_effect(picture)
    assert svg is not None
    assert {"no effect", "expected: +50", "315.0", "215.0", "with the change"} <= set(texts(svg))


def test_a_label_that_does_not_fit_is_cut() -> None:
    svg = draw_effect(EffectFigure("t", "s", [ScoreRow("a very long label " * 9, "treatment", [1.0, 2.0])]))
    assert svg is not None
    assert any(words.startswith("a very long") and words.endswith("…") for words in texts(svg))


def test_a_value_from_a_divergence_does_not_squeeze_the_others() -> None:
    svg = curves([[1.0, 2.0, 1e30], [1.0, 3.0, 2.0]])
    assert svg is not None
    assert {"1", "2", "3"} <= {words.removesuffix(".0") for words in texts(svg)}


def test_dots_that_would_hide_each_other_are_moved_aside() -> None:
    svg = draw_effect(EffectFigure("t", "s", [ScoreRow("a", "treatment", [1.0, 1.0, 1.0, 9.0])]))
    assert svg is not None
    assert len(set(re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg))) == 4


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 8))
def test_ticks_are_round_ascending_and_inside(low: float, width: float, wanted: int) -> None:
    high = low + width
    if high <= low:
        return
    found = ticks(low, high, wanted)
    assert found == sorted(set(found))
    assert len(found) <= 2 * wanted + 2
    slack = 1e-6 * max(abs(low), abs(high), width)
    assert all(low - slack <= one <= high + slack for one in found)


def test_labels_and_scales() -> None:
    assert [tick_text(0.05, 0.05), tick_text(1200, 200), tick_text(0.0, 0.1)] == ["0.05", "1,200", "0.0"]
    assert Scale(0, 10, 100, 0)(5) == 50
    assert widened([math.nan]) == (-0.5, 0.5)
    assert escape('<a & "b">\x00\ud800') == "&lt;a &amp; &quot;b&quot;&gt;  "
