"""The catalogue of metrics: which of them are returns of the task, and are held against its levels."""

from __future__ import annotations

import pytest

from dreamerlab.metrics import ALIASES, CATALOGUE, is_return


def test_returns_are_those_that_agents_get_and_no_others() -> None:
    """`return` in the name is not enough: behavior/return_scale must never be held against the solved level."""
    found = {name for name in [*CATALOGUE, *ALIASES] if is_return(name)}
    assert found == {"eval/return", "eval/return_mode", "eval/return_sample", "train/return"}


def test_every_metric_says_what_it_is_measured_in_DIS_21() -> None:
    assert {name for name, metric in CATALOGUE.items() if not metric.unit.strip()} == set()


@pytest.mark.parametrize("name", ["behavior/return_scale", "behavior/imagined_return", "train/returned", "return"])
def test_what_only_sounds_like_a_return_is_none(name: str) -> None:
    assert not is_return(name)
