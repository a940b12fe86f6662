"""Presets: the reference's sizes have the reference's parameters, and the page about them is current (FACTS A11)."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.config.diff import canonical
from dreamerlab.config.layers import resolve, shipped_env_configs
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from dreamerlab.train.preset_docs import COMMAND, PIXELS, VECTOR, main, parameters

SIZES = {
    "size1m": (512, 64, 4, 4, 64),
    "size12m": (2048, 256, 16, 16, 256),
    "size25m": (3072, 384, 24, 24, 384),
    "size50m": (4096, 512, 32, 32, 512),
    "size100m": (6144, 768, 48, 48, 768),
    "size200m": (8192, 1024, 64, 64, 1024),
    "size400m": (12288, 1536, 96, 96, 1536),
}


def preset(name: str) -> Config:
    return resolve(shipped_env_configs().parent, None, name, []).config


@pytest.mark.parametrize("name", SIZES)
def test_the_references_sizes_are_the_table_and_nothing_else_A11(name: str) -> None:
    model = preset(name).model
    assert (model.deter, model.hidden, model.classes, model.cnn_depth, model.units) == SIZES[name]
    default, own = flatten(Config()), flatten(preset(name))
    assert {key for key in own if canonical(own[key]) != canonical(default[key])} <= {
        f"model.{leaf}" for leaf in ("deter", "hidden", "classes", "cnn_depth", "units")
    }
    assert (model.stoch, model.blocks) == (32, 8)


@pytest.mark.parametrize(
    ("name", "millions"), [("size1m", 0.64), ("size12m", 9.7), ("size25m", 21.8), ("size50m", 38.6)]
)
def test_their_parameters_are_the_references_A11(name: str, millions: float) -> None:
    rounded = round(parameters(VECTOR, preset(name)) / 1e6, 2 if millions < 1 else 1)
    assert rounded == millions
    assert parameters(PIXELS, preset(name)) > parameters(VECTOR, preset(name))


def test_another_implementation_has_about_as_many_A11() -> None:
    walker = EnvSpec({"vector": ObsSpec.vector(24)}, ActionSpec.continuous(6))
    assert parameters(walker, preset("size1m")) == pytest.approx(646_819, rel=0.02)


def test_the_small_presets_grow_in_order() -> None:
    counts = [parameters(VECTOR, preset(name)) for name in ("nano", "tiny", "size1m")]
    assert counts == sorted(counts)


def test_small_is_nano_with_another_pace_and_its_reference_has_the_same_networks() -> None:
    nano, small, reference = (flatten(preset(name)) for name in ("nano", "small", "small_reference"))
    assert {key for key in small if small[key] != nano[key]} == {
        *("optimizer.lr_actor", "optimizer.lr_schedule", "train.train_ratio", "budget.amount", "checkpoint.every"),
    }
    default = flatten(Config())
    apart = {key for key in reference if reference[key] != small[key]}
    assert all(canonical(reference[key]) == canonical(default[key]) for key in apart)
    assert not any(key.startswith("model.") for key in apart)


def test_the_committed_page_is_current_and_a_stale_one_is_noticed(tmp_path: Path) -> None:
    assert main(["--check"]) == 0, f"run: {COMMAND}"
    page = tmp_path / "presets.md"
    assert main(["--check", "--page", str(page)]) == 6
    assert main(["--page", str(page)]) == 0
    assert main(["--check", "--page", str(page)]) == 0
