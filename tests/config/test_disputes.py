"""Every disagreement is there once, its positions can be set, and ours are the defaults (FACTS A13, DIS-01 to 28)."""

from __future__ import annotations

import itertools

import pytest

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.diff import canonical
from dreamerlab.config.disputes import DISPUTES, disputes_about, disputes_page, spell
from dreamerlab.config.layers import resolve, shipped_env_configs
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten, from_flat

by_id = pytest.mark.parametrize("dispute", DISPUTES, ids=lambda dispute: dispute.ids[0])


def test_every_disagreement_is_there_exactly_once() -> None:
    named = [name for dispute in DISPUTES for name in dispute.ids]
    wanted = [f"A13.{n}" for n in range(1, 23)] + [f"DIS-{n:02}" for n in range(1, 29)]
    assert sorted(named) == sorted(wanted)


@by_id
def test_every_position_is_accepted_and_differs_from_ours(dispute) -> None:
    assert len(dispute.positions) > 1
    defaults = flatten(Config())
    for position in dispute.positions:
        assert position.settings.keys() <= leaves().keys()
        accepted = flatten(from_flat(dict(position.settings)))
        assert all(canonical(accepted[key]) == canonical(value) for key, value in position.settings.items())
    for position in dispute.positions[1:]:
        assert not position.settings or any(
            canonical(defaults[key]) != canonical(value) for key, value in position.settings.items()
        )


@by_id
def test_our_position_is_the_default_and_the_reason_for_a_missing_leaf_is_given(dispute) -> None:
    defaults = flatten(Config())
    ours = dispute.positions[0].settings
    assert {key: canonical(defaults[key]) for key in ours} == {key: canonical(value) for key, value in ours.items()}
    without = [position for position in dispute.positions if not position.settings]
    assert bool(without) is bool(dispute.no_leaf)
    assert dispute.expect
    assert dispute.question.endswith("?")


@by_id
def test_a_position_can_be_typed_on_the_command_line_as_it_is_spelled(dispute) -> None:
    for position in dispute.positions:
        overrides = [f"{key}={value}" for key, value in _typed(position).items()]
        flat = resolve(shipped_env_configs().parent, None, None, overrides).flat
        assert all(canonical(flat[key]) == canonical(value) for key, value in position.settings.items())
        assert all(key in spell(position) for key in position.settings)


def _typed(position) -> dict[str, str]:
    """Read the settings back from the words that the page and `config explain` show."""
    words = spell(position)
    keys = sorted(position.settings, key=words.index)
    starts = [words.index(f"{key}=") for key in keys] + [len(words) + 1]
    pieces = [words[a : b - 1] for a, b in itertools.pairwise(starts)]
    return {piece.partition("=")[0]: piece.partition("=")[2] for piece in pieces}


def test_leaves_know_their_disputes_and_the_page_has_them_all() -> None:
    assert [dispute.ids for dispute in disputes_about("free_bits.mode")] == [("A13.10", "DIS-25")]
    assert disputes_about("log.every") == []
    page = disputes_page("COMMAND")
    for dispute in DISPUTES:
        assert f"## {dispute.question}\n\n{', '.join(dispute.ids)}\n" in page
    assert page.count("**default**") == len(DISPUTES)
