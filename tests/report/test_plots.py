"""Pictures: what is averaged, what is refused, and that a file appears whole."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.errors import NotFound, UsageError
from dreamerlab.report.palette import LOOKS
from dreamerlab.report.plots import (
    Arm,
    Curve,
    Picture,
    draw_curves,
    mean_and_interval,
    mean_and_range,
    resampled,
)

CURVES = [Curve(0, [100, 200, 300], [10.0, 20.0, 30.0]), Curve(1, [100, 200], [30.0, 40.0])]


def test_the_mean_is_taken_only_where_every_seed_was_evaluated() -> None:
    assert mean_and_range(CURVES) == ([100, 200], [20.0, 30.0], [10.0, 20.0], [30.0, 40.0])


def test_seeds_evaluated_at_different_moments_have_no_mean() -> None:
    assert mean_and_range([Curve(0, [1], [1.0]), Curve(1, [2], [1.0])])[0] == []


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_written_in_the_format_its_name_asks_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curve{suffix}"
    draw_curves(Picture("R0001-abc, cartpole", [Arm("R0001-abc", CURVES)], random=22.5, solved=475.0), path)
    beginning = path.read_bytes()[:5]
    assert beginning in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_one_seed_with_one_point_can_be_drawn(tmp_path: Path) -> None:
    draw_curves(Picture("one", [Arm("one", [Curve(7, [100], [9.0]), Curve(8, [], [])])]), tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot draw into 'curve\.jpeg2'"):
        draw_curves(Picture("x", [Arm("a", CURVES)]), tmp_path / "curve.jpeg2")
    with pytest.raises(NotFound, match="no seed has an evaluation"):
        draw_curves(Picture("x", [Arm("a", [Curve(0, [], [])])]), tmp_path / "curve.png")


def test_matplotlib_is_imported_only_when_something_is_drawn() -> None:
    code = "import sys, dreamerlab.report.plots; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"


def test_every_run_is_named_and_drawn_with_a_line_of_its_own_kind(tmp_path: Path) -> None:
    arms = [Arm("R0001-abc first", CURVES), Arm("R0002-xyz", [Curve(0, [100], [5.0])]), Arm("R0003-new", [])]
    draw_curves(Picture("cartpole", arms, random=22.5, solved=475.0), tmp_path / "runs.svg")
    drawn = (tmp_path / "runs.svg").read_text()
    for label in ("R0001-abc first", "R0002-xyz", "R0003-new", "solved (475)", "random play (22.5)"):
        assert f"<!-- {label} -->" in drawn
    for look in LOOKS[:3]:
        assert look.light in drawn, "the colours are those of the palette"
    assert "stroke-dasharray" in drawn
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs.svg"]


def test_equal_curves_give_equal_files_without_a_date(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_curves(Picture("x", [Arm("a", CURVES)]), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "<dc:date>" not in (tmp_path / "a.svg").read_text()


def test_runs_that_cannot_be_told_apart_are_not_drawn(tmp_path: Path) -> None:
    many = [Arm(str(i), CURVES) for i in range(len(LOOKS) + 1)]
    with pytest.raises(UsageError, match="7 runs in one picture"):
        draw_curves(Picture("x", many), tmp_path / "runs.png")
    assert not list(tmp_path.iterdir())


def test_the_band_is_the_t_interval_of_the_mean_and_never_made_up() -> None:
    curves = [Curve(seed, [100, 200], [10.0 * seed, 500.0]) for seed in range(3)]
    xs, means, lows, highs = mean_and_interval(curves)
    assert (xs, means) == ([100, 200], [10.0, 500.0])
    reach = 4.302653 * 10.0 / math.sqrt(3)  # t of two degrees of freedom
    assert (lows[0], highs[0]) == (pytest.approx(10 - reach), pytest.approx(10 + reach))
    assert math.isnan(lows[1]), "seeds that all agree have no spread, and no interval"
    assert all(map(math.isnan, mean_and_interval(curves[:2])[2])), "two seeds have none that says anything"


def test_on_another_clock_means_are_taken_of_straight_lines_over_what_all_seeds_cover() -> None:
    one, other = resampled([Curve(0, [0.0, 10.0], [0.0, 100.0]), Curve(1, [5.0, 20.0, 25.0], [7.0, 7.0, 9.0])])
    assert one.xs == other.xs == [5.0, 7.5, 10.0]
    assert one.ys == [50.0, 75.0, 100.0]
    assert other.ys == [7.0, 7.0, 7.0]
    assert resampled([Curve(0, [0.0, 1.0], [0.0, 0.0]), Curve(1, [2.0, 3.0], [0.0, 0.0])]) == []
