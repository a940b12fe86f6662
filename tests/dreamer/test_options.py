"""Every leaf that shapes the agent acts: another value changes what three updates compute (M-CFG-01, M-GATE-01).

`ACTS` names for each leaf another value, the task it is seen on and the leaves it needs beside it. Leaves of collecting
and replaying are turned in `tests/train/test_leaves.py`; `ELSEWHERE` names the tests that turn the few that are left.
Together they are all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.diff import canonical
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.config.zones import Zone
from dreamerlab.dreamer.schedules import what_learns
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.oracles.cases import CONTINUOUS, DISCRETE, VECTORS, random_agent, random_batch
from tests.pointers import turns
from tests.train import test_leaves

BASE: dict[str, Any] = {
    "model.deter": 16, "model.hidden": 12, "model.stoch": 3, "model.classes": 4, "model.blocks": 2, "model.units": 10,
    "model.prior_layers": 1, "model.encoder_layers": 1, "model.decoder_layers": 1, "model.policy_layers": 1,
    "model.value_layers": 1, "behavior.horizon": 4, "train.batch_size": 3, "train.batch_length": 5,
    "optimizer.warmup_updates": 0, "optimizer.lr_world": 1e-3, "optimizer.lr_actor": 1e-3, "optimizer.lr_critic": 1e-3,
    "behavior.entropy_scale": 0.1, "return_norm.rate": 0.5,
}  # fmt: skip

TASKS: dict[str, EnvSpec] = {
    "choices": EnvSpec(VECTORS, DISCRETE),
    "numbers": EnvSpec(VECTORS, CONTINUOUS),
    "pictures": EnvSpec({"map": ObsSpec.image(16, 16, 1)}, DISCRETE),
    "one choice": EnvSpec(VECTORS, ActionSpec.discrete(3)),
}

MLP: dict[str, Any] = {"world_model.family": "mlp"}

Act = tuple[Any, str, dict[str, Any]]
ACTS: dict[str, Act] = {
    **{f"model.{name}": (value, "choices", {}) for name, value in {
        "deter": 24, "hidden": 8, "stoch": 2, "classes": 5, "blocks": 4, "dyn_layers": 2, "prior_layers": 2,
        "posterior_layers": 2, "units": 12, "encoder_layers": 2, "decoder_layers": 2, "reward_layers": 2,
        "continue_layers": 2, "policy_layers": 2, "value_layers": 2, "unimix": 0.1, "absolute_posterior": True,
    }.items()},
    "model.cnn_depth": (2, "pictures", {}),
    "model.cnn_downsample": ("stride", "pictures", {}),
    "twohot.bins": (63, "choices", {}),
    "twohot.support": ((-5.0, 5.0), "choices", {}),
    "twohot.spacing": ("symlog", "choices", {}),
    "heads.reward_grad": (False, "choices", {}),
    "heads.continue_discounted": (False, "choices", {}),
    "heads.auxiliary": (("binary:reward_within_3",), "choices", {}),
    "policy.dist": ("tanh_normal", "numbers", {}),
    "policy.std": ((0.2, 0.9), "numbers", {}),
    "policy.bins": (5, "numbers", {"policy.dist": "categorical"}),
    "policy.entropy": ("base", "numbers", {"policy.dist": "tanh_normal"}),
    **{f"loss_scales.{name}": (0.5, "choices", {}) for name in (
        "recon", "reward", "cont", "dyn", "rep", "policy", "value", "replay_value"
    )},
    "loss_scales.auxiliary": (0.5, "choices", {"heads.auxiliary": ("binary:reward_within_3",)}),
    "free_bits.nats": (3.0, "choices", {}),
    "free_bits.mode": ("straight_through", "choices", {"free_bits.nats": 3.0}),
    "behavior.horizon": (3, "choices", {}),
    "behavior.discount_horizon": (20.0, "choices", {}),
    "behavior.lam": (0.5, "choices", {}),
    "behavior.entropy_scale": (0.5, "choices", {}),
    "behavior.policy_unimix": (0.1, "choices", {}),
    "behavior.bootstrap": ("slow", "choices", {}),
    "behavior.slow_rate": (0.5, "choices", {}),
    "behavior.slow_regularizer": (0.1, "choices", {}),
    "behavior.actor_gradient": ("dynamics", "numbers", {}),
    "behavior.gradient_mix": (0.7, "numbers", {"behavior.actor_gradient": "mix"}),
    "behavior.advantage_norm": (True, "choices", {}),
    "behavior.entropy_floor": (50.0, "choices", {}),
    "behavior.entropy_target": (1.0, "choices", {}),
    "behavior.entropy_target_rate": (0.1, "choices", {"behavior.entropy_target": 1.0}),
    "behavior.entropy_schedule": ("linear to 0x over 2 updates", "choices", {}),
    "behavior.replay_value_grad": (False, "choices", {}),
    "explore.bonus": ("reward_ensemble", "choices", {}),
    **{f"explore.{name}": (value, "choices", {"explore.bonus": "latent_ensemble"}) for name, value in {
        "members": 3, "scale": 5.0, "schedule": "linear to 0.1x over 2 updates",
    }.items()},
    "return_norm.rate": (0.1, "choices", {}),
    "return_norm.limit": (1e9, "choices", {}),
    "return_norm.low": (20.0, "choices", {}),
    "return_norm.high": (70.0, "choices", {}),
    "return_norm.debias": (True, "choices", {}),
    "optimizer.lr_world": (2e-3, "choices", {}),
    "optimizer.lr_actor": (2e-3, "choices", {}),
    "optimizer.lr_critic": (2e-3, "choices", {}),
    "optimizer.warmup_updates": (10, "choices", {}),
    "optimizer.agc": (0.01, "choices", {}),
    "optimizer.agc_min_norm": (1.0, "choices", {}),
    "optimizer.beta1": (0.5, "choices", {}),
    "optimizer.beta2": (0.9, "choices", {}),
    "optimizer.eps": (0.1, "choices", {}),
    "optimizer.name": ("adam_clip", "choices", {}),
    "optimizer.max_norm": (1e-3, "choices", {"optimizer.name": "adam_clip", "optimizer.eps": 0.1}),
    "optimizer.lr_schedule": ("cosine to 0.1x over 2 updates", "choices", {}),
    "train.batch_size": (2, "choices", {}),
    "train.batch_length": (4, "choices", {}),
    "train.imagination_starts": (2, "choices", {}),
    "train.actor_every": (3, "choices", {}),
    "train.model_only_updates": (2, "choices", {}),
    "train.learn": ("behavior", "choices", {}),
    "world_model.family": ("mlp", "choices", {}),
    **{f"mlp.{name}": (value, "choices", MLP) for name, value in {
        "state": 24, "representation_layers": 2, "dynamics_layers": 1, "dynamics_loss": "gaussian", "multi_step": 2,
        "min_std": 0.5, "world_updates": 2, "actor_updates": 2, "critic_updates": 2,
    }.items()},
    "loss_scales.dynamics": (0.5, "choices", MLP),
    "loss_scales.multi_step": (0.5, "choices", {**MLP, "mlp.multi_step": 2}),
}  # fmt: skip

COLLECTORS = "tests/train/test_collectors.py::test_rows_arrive_whole_in_order_and_at_the_pace_that_was_asked_for"
START = "tests/train/test_start_from.py"
FROZEN = "tests/train/test_control.py::test_what_is_frozen_once_the_task_is_solved_and_held_stays_as_it_is_M_CP_38"
ELSEWHERE: dict[str, str] = {
    "collect.mode": COLLECTORS,
    "collect.slack": COLLECTORS,
    **dict.fromkeys(("control.freeze", "control.freeze_return", "control.freeze_hold"), FROZEN),
    "control.restore_below": "tests/train/test_control.py::test_the_best_agent_comes_back_when_an_evaluation_falls",
    "execution.dtype": (
        "tests/dreamer/test_written_out.py::test_another_type_of_number_acts_and_learns_nearly_the_same_A9"
    ),
    "init.checkpoint": f"{START}::test_a_trial_starts_from_a_named_checkpoint_and_says_so_M_PROT_13",
    "init.parts": f"{START}::test_everything_named_is_taken_and_nothing_else",
}
"""Leaves that no short training in one process can tell apart, and the test that turns them."""


def course(flat: dict[str, Any], task: str) -> Iterator[list[Tensor]]:
    """After each of three updates on the same windows: its metrics, and all parameters."""
    config, spec = from_flat(flat), TASKS[task]
    agent, batch = random_agent(spec, config, noise=0.1), random_batch(spec, config)
    generator = torch.Generator().manual_seed(0)
    for update in range(1, 4):
        metrics = agent.update(batch, generator, learn=what_learns(update, config.train)).metrics
        yield [*(metrics[name] for name in sorted(metrics)), *(p.detach().clone() for p in agent.parameters())]


def same(one: Iterable[list[Tensor]], two: Iterable[list[Tensor]]) -> bool:
    """Tell whether two trainings agree to the end; the first difference ends both."""
    return all(
        len(a) == len(b) and all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(one, two, strict=True)
    )


@pytest.fixture(scope="module")
def usual() -> dict[str, list[list[Tensor]]]:
    """Courses under the usual values, by task and what is needed beside."""
    return {}


@pytest.mark.parametrize("key", ACTS)
def test_another_value_of_the_leaf_changes_what_is_computed(key: str, usual: dict[str, list[list[Tensor]]]) -> None:
    value, task, beside = ACTS[key]
    flat = {**BASE, **beside}
    assert canonical(flatten(from_flat(flat))[key]) != canonical(value), "no other value than the usual one"
    name = f"{task} {sorted(beside.items())}"
    if name not in usual:
        usual[name] = list(course(flat, task))
    assert not same(usual[name], course({**flat, key: value}, task))


def test_what_is_compared_repeats() -> None:
    """Else everything would seem to act."""
    once = list(course(BASE, "choices"))
    assert len(once) == 3
    assert same(once, course(BASE, "choices"))
    assert same(once, course({**BASE, "log.every": 7, "policy.bins": 5}, "choices"))


def test_every_leaf_that_shapes_training_is_turned_somewhere() -> None:
    zones = (Zone.ARCHITECTURE, Zone.DYNAMICS)
    shaping = sorted(key for key, info in leaves().items() if info.zone in zones)
    assert sorted([*ACTS, *test_leaves.ACTS, *ELSEWHERE]) == shaping, "each in one place"


@pytest.mark.parametrize("key", ELSEWHERE)
def test_the_test_that_turns_a_leaf_of_other_modules_is_there(key: str) -> None:
    assert turns(ELSEWHERE[key], key), ELSEWHERE[key]


@pytest.mark.parametrize(
    "pointer",
    [
        "tests/train/test_start_from.py::test_tensors_that_do_not_fit_are_named",
        "tests/train/test_collectors.py::test_of_no_name",
        "tests/train/test_collectors.py::session_of",
    ],
    ids=["of something else", "not there", "no test"],
)
def test_a_pointer_to_a_test_of_something_else_is_found_out(pointer: str) -> None:
    assert not turns(pointer, "collect.slack")


def test_defaults_of_the_config_are_valid_here() -> None:
    assert from_flat({}) == Config()
