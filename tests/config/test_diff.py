"""Differences: equal values are equal however they are written, and a young leaf does not divide old records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.diff import ABSENT, Difference, canonical, diff, diff_table, show
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.config.zones import Zone
from tests.config.strategies import any_flats

DEFAULTS = flatten(Config())


def test_differences_are_grouped_by_zone_and_carry_origins() -> None:
    a = DEFAULTS | {"checkpoint.keep": 3, "model.deter": 64, "optimizer.lr_actor": 1e-3, "env.id": "A"}
    found = diff(a, DEFAULTS, {"model.deter": "command line: deter=64"}, {"model.deter": "default"})
    assert [(d.key, d.zone) for d in found] == [
        ("model.deter", Zone.ARCHITECTURE),
        ("env.id", Zone.ENVIRONMENT),
        ("optimizer.lr_actor", Zone.DYNAMICS),
        ("checkpoint.keep", Zone.BOOKKEEPING),
    ]
    assert found[0] == Difference("model.deter", Zone.ARCHITECTURE, 64, 512, "command line: deter=64", "default")


@given(a=any_flats(), b=any_flats())
@settings(max_examples=40, deadline=None)
def test_a_difference_is_a_leaf_whose_values_differ(a: dict[str, Any], b: dict[str, Any]) -> None:
    one, two = flatten(from_flat(a)), flatten(from_flat(b))
    assert {d.key for d in diff(one, two)} == {key for key in one if one[key] != two[key]}
    assert diff(one, one) == []
    assert [(d.key, d.a, d.b) for d in diff(one, two)] == [(d.key, d.b, d.a) for d in diff(two, one)]


@pytest.mark.parametrize(
    ("a", "b"), [((-5.0, 5.0), [-5, 5]), (1, 1.0), (0.0, -0.0), (1e6, 1000000), ("x", "x"), (None, None)]
)
def test_the_same_value_written_differently_is_no_difference(a: object, b: object) -> None:
    assert canonical(a) == canonical(b)


@pytest.mark.parametrize(("a", "b"), [(True, 1), (False, 0), (None, 0), ("1", 1), (1e-5, 1.0000001e-5), ("a", "A")])
def test_different_values_differ(a: object, b: object) -> None:
    assert canonical(a) != canonical(b)


def test_a_leaf_younger_than_a_record_counts_as_what_its_absence_means() -> None:
    known = dict(leaves()) | {"model.wings": replace(leaves()["model.unimix"], key="model.wings", absent_means=0.0)}
    assert diff(DEFAULTS, DEFAULTS | {"model.wings": 0.0}, known=known) == []
    (only,) = diff(DEFAULTS, DEFAULTS | {"model.wings": 0.5}, known=known)
    assert (only.a, only.b, only.zone) == (0.0, 0.5, Zone.ARCHITECTURE)


def test_a_leaf_unknown_today_is_shown_last_and_as_absent_on_the_other_side() -> None:
    found = diff(DEFAULTS | {"old.thing": (1, "a")}, DEFAULTS | {"model.deter": 64})
    assert found[-1] == Difference("old.thing", None, (1, "a"), ABSENT)
    founding = diff({key: v for key, v in DEFAULTS.items() if key != "model.deter"}, DEFAULTS)
    assert founding == [Difference("model.deter", Zone.ARCHITECTURE, ABSENT, 512)]


def test_the_table_shows_values_as_yaml_spells_them() -> None:
    a = DEFAULTS | {"twohot.support": (-5.0, 5.0), "replay.online": False, "x.y": None}
    text = diff_table(diff(a, DEFAULTS, {"replay.online": "command line: online=no"}), "R1", "R2").to_text()
    assert "twohot.support  [-5.0, 5.0]" in text
    assert "false" in text
    assert "unknown here" in text
    assert "(absent)" in text
    assert "command line: online=no" in text
    assert show(ABSENT) == "(absent)"
