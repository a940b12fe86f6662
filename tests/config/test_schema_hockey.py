"""The settings of hockey as they are written: one name needs no brackets, and all names are found."""

from __future__ import annotations

from pathlib import Path

from dreamerlab.config.layers import resolve, to_yaml
from dreamerlab.config.opponents import OpponentSpec, drawn, runs_among
from dreamerlab.config.record import load_config


def test_one_opponent_needs_no_brackets(tmp_path: Path) -> None:
    words = ["opponent=R12@best", "eval_opponents=[weak, strong:2]", "curriculum=0 shooting weak:3+self"]
    resolved = resolve(tmp_path, None, None, words)
    assert resolved.flat["hockey.opponent"] == ("R12@best",)
    assert resolved.flat["hockey.curriculum"] == ("0 shooting weak:3+self",)
    (tmp_path / "config.yaml").write_text(to_yaml(resolved.config))
    assert load_config(tmp_path / "config.yaml") == resolved.config


def test_runs_are_named_with_the_leaf_that_counts() -> None:
    """A curriculum stands in place of the opponents."""
    opponents, stages, measured = ("weak", "R1@best"), ("0 normal R2+R3:2",), ("R2", "R4@20")
    assert runs_among(opponents, (), measured) == {
        "R1@best": "hockey.opponent",
        "R2": "hockey.eval_opponents",
        "R4@20": "hockey.eval_opponents",
    }
    assert runs_among(opponents, stages, measured) == {
        "R2": "hockey.curriculum",
        "R3": "hockey.curriculum",
        "R4@20": "hockey.eval_opponents",
    }


def test_each_opponent_takes_a_share_by_its_weight() -> None:
    three = (OpponentSpec("weak", "bot", 1.0), OpponentSpec("strong", "bot", 2.0), OpponentSpec("random", "bot", 1.0))
    assert [drawn(three, chance).name for chance in (0.0, 0.24, 0.25, 0.74, 0.75, 0.99)] == [
        *("weak", "weak"),
        *("strong", "strong"),
        *("random", "random"),
    ]
