"""Absurd sizes are refused before any memory is touched; large but possible ones are not."""

from __future__ import annotations

import pytest

from dreamerlab.config.limits import parameters, too_large
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import from_flat
from dreamerlab.errors import ConfigError


@pytest.mark.parametrize(
    ("flat", "message"),
    [
        (
            {
                "model.deter": 32768,
                "model.hidden": 32768,
                "model.blocks": 1,
                "model.stoch": 1024,
                "model.classes": 1024,
            },
            "GiB",
        ),
        ({"train.batch_size": 65536, "train.batch_length": 128}, "8,388,608 steps in a batch, more than the limit"),
        ({"replay.capacity": 1_000_000_000}, "replay.capacity=1000000000 steps would take about"),
        ({"train.batch_size": 4096, "train.batch_length": 1024, "behavior.horizon": 1000}, "GiB of states"),
    ],
)
def test_an_absurd_size_is_refused_with_its_figure(flat: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_flat(flat)
    assert message in caught.value.message


def test_large_sizes_that_exist_are_accepted() -> None:
    """The reference's largest preset (FACTS A11), with its full replay."""
    largest = {"model.deter": 12288, "model.hidden": 1536, "model.classes": 96, "model.units": 1536}
    assert too_large(from_flat(largest)) == []


def test_the_estimate_is_near_the_counted_parameters() -> None:
    """FACTS A11 counts 0.64M, 9.7M, 21.8M and 38.6M for 18 observations and 4 actions."""
    presets = {
        640_000: {},
        9_700_000: {"model.deter": 2048, "model.hidden": 256, "model.classes": 16, "model.units": 256},
        21_800_000: {"model.deter": 3072, "model.hidden": 384, "model.classes": 24, "model.units": 384},
        38_600_000: {"model.deter": 4096, "model.hidden": 512, "model.classes": 32, "model.units": 512},
    }
    for counted, flat in presets.items():
        assert parameters(from_flat(flat)) == pytest.approx(counted, rel=0.1)
    assert parameters(Config()) > 0
