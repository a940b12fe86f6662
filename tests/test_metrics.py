"""The catalogue of metrics: which of them are returns of the task, and are held against its levels."""

from __future__ import annotations

import pytest

from dreamerlab.errors import NotFound
from dreamerlab.metrics import ALIASES, CATALOGUE, SOMETIMES, get_metric, is_return


def test_returns_are_those_that_agents_get_and_no_others() -> None:
    """`return` in the name is not enough: behavior/return_scale must never be held against the solved level."""
    found = {name for name in [*CATALOGUE, *ALIASES] if is_return(name)}
    assert found == {"eval/return", "eval/return_mode", "eval/return_sample", "train/return"}


def test_every_metric_says_what_it_is_measured_in_DIS_21() -> None:
    assert {name for name, metric in CATALOGUE.items() if not metric.unit.strip()} == set()


@pytest.mark.parametrize("name", ["behavior/return_scale", "behavior/imagined_return", "train/returned", "return"])
def test_what_only_sounds_like_a_return_is_none(name: str) -> None:
    assert not is_return(name)


def test_metrics_of_one_dimension_are_known_and_not_listed_M_LOG_02() -> None:
    of_one = get_metric("behavior/action_std/3")
    assert (of_one.name, of_one.unit) == ("behavior/action_std/3", CATALOGUE["behavior/action_std"].unit)
    assert "dimension 3" in of_one.meaning
    assert "behavior/action_mean/0" in CATALOGUE
    assert "behavior/action_mean/0" not in list(CATALOGUE)
    assert {"behavior/action_mean/11", "wm/loss"} <= CATALOGUE.keys()
    for unknown in ("behavior/value/0", "behavior/action_mean/x", "behavior/action_mean/", "behavior/action_mean/-1"):
        with pytest.raises(NotFound):
            get_metric(unknown)


def test_conditions_are_of_metrics_that_exist() -> None:
    assert SOMETIMES.keys() <= CATALOGUE.keys()
