"""What the words mean: keys by their tails, values by the schema, changes that could never have an effect."""

from __future__ import annotations

import pytest

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.layers import Resolved, resolve, shipped_env_configs
from dreamerlab.errors import GateRefused, LabError
from dreamerlab.protocol.hypothesis import Change
from dreamerlab.protocol.reading import changed, read_changes, read_metric
from dreamerlab.protocol.sentence import parse_sentence


def nano(*overrides: str) -> Resolved:
    return resolve(shipped_env_configs().parent, "cartpole", "nano", overrides)


def read(change: str, control: Resolved | None = None) -> tuple[Change, ...]:
    return read_changes(parse_sentence(f"{change} -> expect eval/return to rise by 20%"), control or nano())


@pytest.mark.parametrize(
    ("said", "key", "before", "after"),
    [
        ("change lr_actor=3e-4", "optimizer.lr_actor", 1e-4, 3e-4),
        ("change optimizer.lr_actor to 0.0003", "optimizer.lr_actor", 1e-4, 3e-4),
        ("change train.train_ratio=64", "train.train_ratio", 128.0, 64.0),
        ("change replay.capacity=30k", "replay.capacity", 5_000_000, 30_000),
        ("change replay.capacity from 5M to 30_000", "replay.capacity", 5_000_000, 30_000),
        ("change train_ratio=0.5k", "train.train_ratio", 128.0, 500.0),
        ("change replay.online=false", "replay.online", True, False),
        ("change bootstrap from fast to slow", "behavior.bootstrap", "fast", "slow"),
        ("change imagination_starts=all", "train.imagination_starts", 2, "all"),
        ("change twohot.support=[-5, 5]", "twohot.support", (-20.0, 20.0), (-5.0, 5.0)),
        ("change learning_starts=null", "train.learning_starts", 50, None),
        ("change execution.threads=2", "execution.threads", 1, 2),
    ],
)
def test_a_change_is_read_by_the_schema(said: str, key: str, before: object, after: object) -> None:
    (found,) = read(said)
    assert found == Change(key, before, after)
    assert type(found.after) is type(after)
    assert changed(nano(), [found]).flat == {**nano().flat, key: after}


def test_the_start_is_the_bases_resolved_value_also_when_it_is_overridden() -> None:
    assert read("change lr_actor from 2e-4 to 3e-4", nano("lr_actor=2e-4"))[0].before == 2e-4
    with pytest.raises(GateRefused) as refused:
        read("change lr_actor from 1e-4 to 3e-4", nano("lr_actor=2e-4"))
    assert "command line: lr_actor=2e-4" in refused.value.message


def test_a_bundle_may_switch_a_leaf_on_together_with_its_value() -> None:
    control = nano("slow_regularizer=0")
    with pytest.raises(GateRefused, match="acts only when"):
        read("change slow_rate=0.5", control)
    found = read("change slow_rate=0.5 and bootstrap=slow", control)
    assert [one.key for one in found] == ["behavior.slow_rate", "behavior.bootstrap"]


@pytest.mark.parametrize("zone", ["BUDGET", "EVALUATION", "BOOKKEEPING"])
def test_no_leaf_that_would_part_the_arms_can_be_the_change(zone: str) -> None:
    control = nano()
    keys = [key for key, info in leaves().items() if info.zone.value == zone]
    assert keys
    for key in keys:
        value = "77"
        if isinstance(current := control.flat[key], bool):
            value = str(not current).lower()
        elif key == "budget.unit":
            value = "updates"
        elif key == "hockey.eval_opponents":
            value = "strong"
        with pytest.raises(GateRefused) as refused:
            read(f"change {key}={value}", control)
        assert zone in refused.value.message
        assert refused.value.hint is not None
        assert f"--set {key}=" in refused.value.hint


def test_values_that_do_not_fit_together_are_refused_in_the_schemas_words() -> None:
    with pytest.raises(LabError, match="not divisible"):
        read("change model.deter=65 and model.blocks=8")


def test_metrics_are_known_by_name_and_alias() -> None:
    for name, full in (("eval/return", "eval/return_mode"), ("wm/loss", "wm/loss")):
        sentence = parse_sentence(f"nothing -> expect {name} >= 1")
        assert sentence.expectation is not None
        assert read_metric(sentence.expectation, sentence) == full
