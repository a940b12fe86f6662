"""Every leaf is described: zone, words for what it accepts, and what happens to it when the schema grows."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel

from dreamerlab.config.catalogue import find_leaves, inactive_leaves, leaves, leaves_of, section_docstring, sections
from dreamerlab.config.schema import Config
from dreamerlab.config.section import Section
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.config.zones import Zone, leaf

DEFAULTS = flatten(Config())


def test_the_catalogue_lists_the_leaves_of_the_schema_in_its_order() -> None:
    assert list(leaves()) == list(DEFAULTS)
    assert {key: info.default for key, info in leaves().items()} == DEFAULTS


@pytest.mark.parametrize("key", list(leaves()))
def test_every_leaf_is_fully_described(key: str) -> None:
    info = leaves()[key]
    assert info.zone in Zone
    assert info.docstring.endswith((".", ")")), "a docstring is a sentence"
    assert info.accepts
    assert section_docstring(info.section)
    if info.type_text.startswith("integer"):
        assert ".." in info.range_text, "an integer leaf has both ends"
    for condition_key, _, _ in (*info.active_when, *info.only_when):
        assert condition_key in leaves()


def test_what_the_absence_of_a_later_leaf_means_is_a_value_it_accepts() -> None:
    """That this value brings the old behaviour back is for the test of the leaf's feature."""
    for key, info in leaves().items():
        if not info.founding:
            assert flatten(from_flat({key: info.absent_means}))[key] == info.absent_means


def test_what_leaves_accept_in_words() -> None:
    words = {key: leaves()[key].accepts for key in leaves()}
    assert words["model.deter"] == "integer 1..32768"
    assert words["env.time_limit"] == "integer 1..10000000000, or null"
    assert words["replay.online"] == "true or false"
    assert words["twohot.support"] == "[number, number]"
    assert words["behavior.bootstrap"] == "one of fast, slow"
    assert words["optimizer.lr_actor"] == "number > 0 and <= 1"
    assert words["loss_scales.rep"] == "number 0..1000000"
    assert words["train.imagination_starts"] == "'all' or integer"
    assert words["reference.solved"] == "number, or null"


class Wings(Section):
    """How to fly."""

    span: float = leaf(2.0, Zone.ARCHITECTURE, unit="m", gt=0, absent_means=0.0)
    """Width."""
    mode: Literal["flap", "glide"] = leaf("flap", Zone.DYNAMICS, active_when=(("wings.span", ">", 0),))
    """Manner."""


class Bird(Section):
    """Another schema."""

    wings: Wings = Wings()


def test_any_schema_of_sections_can_be_catalogued() -> None:
    found = leaves_of(Bird)
    assert list(found) == ["wings.span", "wings.mode"]
    assert (found["wings.span"].absent_means, found["wings.span"].founding) == (0.0, False)
    assert found["wings.mode"].choices == ("flap", "glide")
    assert found["wings.mode"].active_text == "wings.span > 0"


@pytest.mark.parametrize("undeclared", [{"x": (int, 3)}, {"x": (int, leaf(3, Zone.BUDGET))}])
def test_a_field_that_is_no_leaf_or_has_no_docstring_is_our_bug(undeclared: dict[str, tuple[type, object]]) -> None:
    from pydantic import create_model

    bad: type[BaseModel] = create_model("Bad", **undeclared)  # type: ignore[call-overload]
    with pytest.raises(AssertionError, match="x "):
        leaves_of(bad)


def test_a_leaf_that_does_nothing_is_named_with_what_would_make_it_act() -> None:
    by_default = inactive_leaves(DEFAULTS)
    assert not any(leaves()[key].founding for key in by_default), "nothing of the reference is inert"
    off = DEFAULTS | {"optimizer.agc": 0.0, "behavior.slow_regularizer": 0.0}
    assert {key: why for key, why in inactive_leaves(off).items() if key not in by_default} == {
        "behavior.slow_rate": "world_model.family == rssm and "
        "(behavior.slow_regularizer > 0 or behavior.bootstrap == slow)",
        "optimizer.agc_min_norm": "optimizer.agc > 0",
    }
    assert "behavior.slow_rate" not in inactive_leaves(off | {"behavior.bootstrap": "slow"})


def test_a_record_that_lacks_the_condition_is_given_the_benefit_of_the_doubt() -> None:
    partial = {key: value for key, value in DEFAULTS.items() if key != "optimizer.agc"}
    assert inactive_leaves(partial) == inactive_leaves(DEFAULTS)


def test_a_tail_finds_the_leaves_that_end_in_it() -> None:
    assert find_leaves("lr_actor") == ["optimizer.lr_actor"]
    assert find_leaves("optimizer.lr_actor") == ["optimizer.lr_actor"]
    assert find_leaves("every") == ["eval.every", "log.every", "checkpoint.every"]
    assert find_leaves("actor") == []
    assert find_leaves("x", ["x", "a.x"]) == ["x"]


def test_sections_follow_the_schema() -> None:
    assert sections() == tuple(Config.model_fields)
