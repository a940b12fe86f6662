"""The conformance table: the schema's defaults are the reference, and departures are measured."""

from __future__ import annotations

import pytest

from dreamerlab.config.catalogue import inactive_leaves, leaves
from dreamerlab.config.reference import PROTECTED, REFERENCE, SIZES, compare_with_reference, reference_table
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten
from dreamerlab.config.zones import Zone

DEFAULTS = flatten(Config())


def test_the_defaults_are_the_reference() -> None:
    positions = compare_with_reference(DEFAULTS)
    assert [p.key for p in positions] == [key for key in leaves() if key in REFERENCE]
    assert {p.severity for p in positions} == {"same"}
    assert set(PROTECTED) | SIZES <= set(REFERENCE) <= set(leaves())


def test_every_leaf_of_the_algorithm_has_a_reference_value() -> None:
    """FACTS A does not say how deep the vector decoder is, and the rest differs between its own presets or is ours."""
    acting = set(leaves()) - set(inactive_leaves(DEFAULTS))
    algorithm = {key for key in acting if leaves()[key].zone in (Zone.ARCHITECTURE, Zone.DYNAMICS)}
    ours = {"collect.envs", "collect.mode", "replay.max_bytes", "init.checkpoint"}
    assert algorithm - set(REFERENCE) == {"model.decoder_layers"} | ours


@pytest.mark.parametrize(
    ("key", "own", "ratio", "severity"),
    [
        ("loss_scales.rep", 0.99, 9.9, "critical"),
        ("loss_scales.dyn", 0.99, 0.99, "small"),
        ("behavior.entropy_scale", 1e-3, 3.33, "large"),
        ("behavior.discount_horizon", 100.0, 0.300, "large"),
        ("behavior.horizon", 15, 1.0, "same"),
        ("free_bits.nats", 0.0, 0.0, "large"),
        ("model.unimix", 0.0, 0.0, "large"),
        ("model.deter", 64, 0.125, "size"),
        ("replay.online", False, None, "large"),
        ("behavior.bootstrap", "slow", None, "large"),
        ("train.learning_starts", 50, None, "large"),
        ("behavior.policy_unimix", 0.01, None, "large"),
    ],
)
def test_the_audit_of_the_sources_against_the_reference(
    key: str, own: object, ratio: float | None, severity: str
) -> None:
    """The rows of M-CFG-10 and their like."""
    (position,) = [p for p in compare_with_reference(DEFAULTS | {key: own}) if p.key == key]
    assert position.severity == severity
    assert position.ratio == (None if ratio is None else pytest.approx(ratio, abs=0.005))


def test_the_table_shows_departures_and_all_on_request() -> None:
    positions = compare_with_reference(DEFAULTS | {"loss_scales.rep": 0.99})
    assert reference_table(positions).rows == [("loss_scales.rep", "0.99", "0.1", "9.9", "critical", "FACTS A4")]
    assert len(reference_table(positions, everything=True).rows) == len(REFERENCE)


def test_a_record_that_lacks_leaves_is_compared_in_those_it_has() -> None:
    assert [p.key for p in compare_with_reference({"loss_scales.rep": 1, "unknown.leaf": 2})] == ["loss_scales.rep"]
