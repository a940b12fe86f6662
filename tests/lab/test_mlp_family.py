"""Two families of world models under the protocol: compared only aloud, and no leaf proposed that does nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dreamerlab.runs.store import Workspace
from tests.lab.arms import flat, make_arm
from tests.lab.workspaces import data, inside, light_workspace

NANO = ("--env", "cartpole", "--experiment", "nano")
MLP = ("--env", "cartpole", "--experiment", "mlp_small")
TO_RISE = "-> expect eval/return to rise by 20"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return light_workspace(tmp_path / "lab")


def test_a_comparison_over_families_says_so_first(workspace: Workspace) -> None:
    make_arm(workspace, "recurrent", flat(200.0, 230.0, 260.0))
    make_arm(workspace, "modular", flat(300.0, 340.0, 320.0), "world_model.family=mlp")
    found = data(inside(workspace.path, "compare", "recurrent", "modular", "--json"))
    assert found["caveats"][0].startswith("different families: ")
    page = inside(workspace.path, "compare", "recurrent", "modular").stdout
    assert "different families" in page
    assert "world_model.family" in page


def test_a_hypothesis_over_families_is_refused_without_a_word_on_it(workspace: Workspace) -> None:
    """M-PROT-04: the gate that `check` and `run` hold the proposal to."""
    sentence = f"change world_model.family=mlp {TO_RISE}"
    made = inside(workspace.path, "propose", sentence, *NANO, "--json")
    assert made.returncode == 0, made.stderr
    check = inside(workspace.path, "check", "H1", "--json")
    assert check.returncode == 3
    assert [one["rule"] for one in data_of(check.stdout)["violations"]] == ["new-family"]
    allowed = inside(workspace.path, "check", "H1", "--new-family", "--json")
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr


def data_of(text: str) -> dict[str, list[dict[str, str]]]:
    return json.loads(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "change",
    ["model.deter=32", "free_bits.nats=0.5", "loss_scales.dyn=0.5", "behavior.bootstrap=slow", "return_norm.limit=0.1"],
)
def test_what_does_nothing_in_the_modular_family_is_not_proposed_there(workspace: Workspace, change: str) -> None:
    refused = inside(workspace.path, "propose", f"change {change} {TO_RISE}", *MLP)
    assert refused.returncode in (2, 3)
    assert change.split("=")[0] in refused.stderr
    assert "world_model.family == rssm" in refused.stderr


@pytest.mark.parametrize("change", ["mlp.state=32", "mlp.multi_step=3", "loss_scales.dynamics=0.5"])
def test_what_does_nothing_in_the_recurrent_family_is_not_proposed_there(workspace: Workspace, change: str) -> None:
    refused = inside(workspace.path, "propose", f"change {change} {TO_RISE}", *NANO)
    assert refused.returncode in (2, 3)
    assert "world_model.family == mlp" in refused.stderr


def test_a_leaf_of_the_modular_family_can_be_put_to_the_test(workspace: Workspace) -> None:
    made = inside(workspace.path, "propose", f"change mlp.multi_step=10 {TO_RISE}", *MLP, "--json")
    assert made.returncode == 0, made.stderr


def test_bins_that_are_not_there_are_too_small_for_nothing(workspace: Workspace) -> None:
    """M-CFG-12 is about two-hot bins, which the modular family does not have."""
    bins = ("twohot.support=[-2, 2]",)
    assert "support-too-small" in inside(workspace.path, "config", "audit", *NANO, *bins).stdout
    assert "support-too-small" not in inside(workspace.path, "config", "audit", *MLP, *bins).stdout
