"""Pictures: what is averaged, what is refused, and that a file appears whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.errors import NotFound, UsageError
from dreamerlab.report.plots import (
    Arm,
    Curve,
    ManyRuns,
    Picture,
    draw_comparison,
    draw_learning_curves,
    mean_and_range,
)

CURVES = [Curve(0, [100, 200, 300], [10.0, 20.0, 30.0]), Curve(1, [100, 200], [30.0, 40.0])]


def test_the_mean_is_taken_only_where_every_seed_was_evaluated() -> None:
    assert mean_and_range(CURVES) == ([100, 200], [20.0, 30.0], [10.0, 20.0], [30.0, 40.0])


def test_seeds_evaluated_at_different_moments_have_no_mean() -> None:
    assert mean_and_range([Curve(0, [1], [1.0]), Curve(1, [2], [1.0])])[0] == []


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_written_in_the_format_its_name_asks_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curve{suffix}"
    draw_learning_curves(Picture("R0001-abc, cartpole", CURVES, random=22.5, solved=475.0), path)
    beginning = path.read_bytes()[:5]
    assert beginning in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_one_seed_with_one_point_can_be_drawn(tmp_path: Path) -> None:
    draw_learning_curves(Picture("one", [Curve(7, [100], [9.0]), Curve(8, [], [])]), tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot draw into 'curve\.jpeg2'"):
        draw_learning_curves(Picture("x", CURVES), tmp_path / "curve.jpeg2")
    with pytest.raises(NotFound, match="no seed has an evaluation"):
        draw_learning_curves(Picture("x", [Curve(0, [], [])]), tmp_path / "curve.png")


def test_matplotlib_is_imported_only_when_something_is_drawn() -> None:
    code = "import sys, dreamerlab.report.plots; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"


def test_every_run_is_named_and_drawn_with_a_line_of_its_own_kind(tmp_path: Path) -> None:
    arms = [Arm("R0001-abc first", CURVES), Arm("R0002-xyz", [Curve(0, [100], [5.0])]), Arm("R0003-new", [])]
    draw_comparison(ManyRuns("cartpole", arms, random=22.5, solved=475.0), tmp_path / "runs.svg")
    drawn = (tmp_path / "runs.svg").read_text()
    for label in ("R0001-abc first: mean, range, seeds", "R0002-xyz", "R0003-new", "solved (475)", "random (22.5)"):
        assert f"<!-- {label} -->" in drawn
    assert "stroke-dasharray" in drawn
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs.svg"]


def test_runs_that_cannot_be_told_apart_are_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6 runs in one picture"):
        draw_comparison(ManyRuns("x", [Arm(str(i), CURVES) for i in range(6)]), tmp_path / "runs.png")
    with pytest.raises(NotFound, match="no seed has an evaluation"):
        draw_comparison(ManyRuns("x", [Arm("a", [Curve(0, [], [])])]), tmp_path / "runs.png")
    assert not list(tmp_path.iterdir())
