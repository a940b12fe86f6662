"""Families: defined by architecture and task alone, and stable while the schema grows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.config.catalogue import FAMILY_ZONES, leaves
from dreamerlab.config.record import Rename, load_recorded, to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.protocol.families import family, family_hash

DEFAULTS = flatten(Config())
CHANGED: dict[str, object] = {
    "model.deter": 64,
    "model.units": 128,
    "twohot.support": (-5.0, 5.0),
    "behavior.policy_unimix": 0.01,
    "env.id": "Acrobot-v1",
    "env.time_limit": 200,
}


def test_the_name_is_the_environment_and_four_digits() -> None:
    name = family("cartpole", DEFAULTS)
    assert re.fullmatch(r"cartpole/[0-9a-f]{4}", name)
    assert name == f"cartpole/{family_hash(DEFAULTS)[:4]}"
    assert family("ALE/Pong-v5", DEFAULTS).startswith("ALE-Pong-v5/")


def test_the_family_of_the_defaults_never_changes() -> None:
    """Recorded families are compared with computed ones; a change here orphans every record (M-GATE-02)."""
    assert family_hash(DEFAULTS)[:16] == "ab63ae6e54f41d48"


@pytest.mark.parametrize("key", list(CHANGED))
def test_an_architecture_or_environment_change_opens_another_family(key: str) -> None:
    """M-GATE-01 and M-GATE-03: latent shape, widths, bins and task define the family."""
    assert leaves()[key].zone in FAMILY_ZONES
    assert family_hash(DEFAULTS | {key: CHANGED[key]}) != family_hash(DEFAULTS)


@given(st.sampled_from([key for key, info in leaves().items() if info.zone not in FAMILY_ZONES]))
@settings(max_examples=30, deadline=None)
def test_no_other_leaf_matters(key: str) -> None:
    assert family_hash(DEFAULTS | {key: "anything"}) == family_hash(DEFAULTS)


def test_the_family_survives_being_written_and_read(tmp_path: Path) -> None:
    config = from_flat({key: CHANGED[key] for key in CHANGED})
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert family_hash(load_recorded(tmp_path / "config.yaml")) == family_hash(flatten(config))
    as_json = {key: list(v) if isinstance(v, tuple) else v for key, v in flatten(config).items()}
    assert family_hash(as_json) == family_hash(flatten(config))


def test_a_leaf_added_later_leaves_old_families_alone() -> None:
    """DESIGN section 2: only a value other than `absent_means` counts."""
    wings = replace(leaves()["model.unimix"], key="model.wings", absent_means=0.0)
    grown = {"model.wings": wings, **leaves()}
    before = family_hash(DEFAULTS)
    assert family_hash(DEFAULTS, grown) == before
    assert family_hash(DEFAULTS | {"model.wings": 0}, grown) == before
    assert family_hash(DEFAULTS | {"model.wings": 0.5}, grown) != before
    founding = {"model.wings": leaves()["model.unimix"], **leaves()}
    assert family_hash(DEFAULTS | {"model.wings": 0.0}, founding) != before


def test_a_rename_leaves_families_alone() -> None:
    renamed = {("model.width" if key == "model.deter" else key): info for key, info in leaves().items()}
    flat = {("model.width" if key == "model.deter" else key): value for key, value in DEFAULTS.items()}
    assert family_hash(flat, renamed, (Rename(2, "model.deter", "model.width"),)) == family_hash(DEFAULTS)
    assert family_hash(flat, renamed, ()) != family_hash(DEFAULTS)


def test_order_of_keys_does_not_matter() -> None:
    assert family_hash(dict(reversed(DEFAULTS.items()))) == family_hash(DEFAULTS)
