"""The agent as a whole: where gradients go, exact repetition, what is saved, acting (FACTS F10, F12, F16, F20, F22)."""

from __future__ import annotations

import gc
import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.metrics import CATALOGUE, SOMETIMES
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec

MakeConfig, MakeAgent, MakeBatch = Callable[..., Config], Callable[..., Agent], Callable[..., Batch]


def modules(agent: Agent) -> dict[str, list[Tensor]]:
    """Name the parts that a loss may or may not reach."""
    core = [p for n, p in agent.world.dynamics.named_parameters() if n.split(".")[0] not in ("posterior", "prior")]
    rest = {
        "encoder": agent.world.encoder,
        "posterior": agent.world.dynamics.posterior,
        "prior": agent.world.dynamics.prior,
        "decoder": agent.world.decoder,
        "reward": agent.world.reward,
        "cont": agent.world.cont,
        "policy": agent.behavior.policy,
        "critic": agent.behavior.critic,
    }
    return {"core": core, **{name: list(module.parameters()) for name, module in rest.items()}}


LATENTS = {"encoder", "core", "posterior"}
REACHES = {
    "recon": LATENTS | {"decoder"},
    "reward": LATENTS | {"reward"},
    "cont": LATENTS | {"cont"},
    "dyn": {"core", "prior"},  # within a step: nothing but the prior and what it reads
    "rep": LATENTS,
    "policy": {"policy"},
    "value": {"critic"},
    "replay_value": LATENTS | {"critic"},
}


@pytest.mark.parametrize("loss", REACHES)
def test_each_loss_reaches_its_modules_and_no_other_F12(
    loss: str, make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    config = make_config(free_bits={"nats": 0.0})
    agent = make_agent(config, noise=0.3)
    generator = torch.Generator().manual_seed(0)
    if loss in ("dyn", "rep"):
        # One step only: over several, dyn reaches the posterior of the step before through the core.
        batch = make_batch(config, batch=8, length=1)
        terms = agent.world.losses(batch, agent.world.observe(batch, generator)).terms
    else:
        terms = agent.losses(make_batch(config, batch=8, length=4), generator)[0].terms
    owners = [(name, p) for name, members in modules(agent).items() for p in members]
    tensors = [p for _, p in owners]
    grads = torch.autograd.grad(terms[loss].mean(), tensors, allow_unused=True, materialize_grads=True)
    reached = {name for (name, _), grad in zip(owners, grads, strict=True) if (grad != 0).any()}
    assert reached == REACHES[loss]


def test_every_parameter_belongs_to_exactly_one_group(make_config: MakeConfig, make_agent: MakeAgent) -> None:
    agent = make_agent(make_config())
    trained = agent.optimizer.parameters_in_order
    assert len({id(p) for p in trained}) == len(trained)
    assert {id(p) for p in trained} == {id(p) for p in agent.parameters() if p.requires_grad}
    frozen = [name for name, p in agent.named_parameters() if not p.requires_grad]
    assert frozen
    assert all(name.startswith("behavior.slow_critic.") for name in frozen)


def test_moving_the_agent_keeps_its_optimiser_on_its_parameters(make_config: MakeConfig, make_agent: MakeAgent) -> None:
    agent = make_agent(make_config()).to(torch.float64)
    assert {id(p) for p in agent.optimizer.parameters_in_order} == {
        id(p) for p in agent.parameters() if p.requires_grad
    }
    assert all(p.dtype == torch.float64 for p in agent.optimizer.parameters_in_order)
    assert agent.optimizer.momentum.dtype == torch.float64


# -- one update


def test_metrics_are_those_of_the_catalogue_as_plain_scalars(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    config = make_config()
    metrics = make_agent(config).update(make_batch(config), generator).metrics
    areas = ("wm", "behavior", "optim")
    every = {name for name in CATALOGUE if name.split("/")[0] in areas}
    assert set(metrics) - every == set()
    assert every - set(metrics) == {name for name in SOMETIMES if name in every} - {"wm/recon_loss"}
    for name, value in metrics.items():
        assert value.shape == (), name
        assert not value.requires_grad, name
        assert value.dtype == torch.float32, name
        assert math.isfinite(value), name


def test_a_metric_does_not_change_after_the_update(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    config = make_config(optimizer={"warmup_updates": 0})
    agent, batch = make_agent(config), make_batch(config)
    first = agent.update(batch, generator).metrics
    kept = {name: value.clone() for name, value in first.items()}
    agent.update(batch, generator)
    assert all(torch.equal(first[name], kept[name]) for name in kept)


def test_world_loss_is_the_weighted_sum_of_its_terms(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    config = make_config(loss_scales={"recon": 2.0, "reward": 0.5, "cont": 3.0, "dyn": 0.7, "rep": 0.2})
    m = make_agent(config).update(make_batch(config), generator).metrics
    expected = (
        2.0 * m["wm/recon_loss"]
        + 0.5 * m["wm/reward_loss"]
        + 3.0 * m["wm/continue_loss"]
        + 0.7 * m["wm/kl_dyn_nats"]
        + 0.2 * m["wm/kl_rep_nats"]
    )
    assert m["wm/loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_fresh_latents_come_back_for_replay_A10(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    config = make_config()
    agent, batch = make_agent(config), make_batch(config)
    observed = agent.world.observe(batch, torch.Generator().manual_seed(3))
    update = agent.update(batch, torch.Generator().manual_seed(3))
    assert torch.equal(update.deter, observed.deter)
    assert torch.equal(update.stoch, observed.stoch.to(torch.int16))
    assert update.stoch.dtype == torch.int16
    assert not update.deter.requires_grad


def test_a_loss_of_scale_zero_teaches_nothing(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    config = make_config(loss_scales={"policy": 0.0, "recon": 0.0}, optimizer={"warmup_updates": 0})
    agent = make_agent(config)
    before = {name: p.detach().clone() for name, p in agent.named_parameters()}
    agent.update(make_batch(config), generator)
    moved = {name for name, p in agent.named_parameters() if not torch.equal(p, before[name])}
    assert not any(name.startswith(("behavior.policy.", "world.decoder.")) for name in moved)
    assert any(name.startswith("world.encoder.") for name in moved)


def test_the_slow_critic_moves_after_the_step_F16(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    config = make_config(optimizer={"warmup_updates": 0}, behavior={"slow_rate": 0.5})
    agent = make_agent(config)
    before = [p.clone() for p in agent.behavior.slow_critic.parameters()]
    agent.update(make_batch(config), generator)
    for old, slow, fast in zip(
        before, agent.behavior.slow_critic.parameters(), agent.behavior.critic.parameters(), strict=True
    ):
        assert torch.allclose(slow, 0.5 * old + 0.5 * fast, atol=1e-6)


def test_each_group_has_its_own_rate(make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch) -> None:
    moves = {}
    for actor in (1e-4, 3e-4):
        rates = {"lr_world": 1e-3, "lr_actor": actor, "lr_critic": 1e-3, "warmup_updates": 0}
        config = make_config(optimizer=rates)
        agent = make_agent(config)
        before = {name: p.detach().clone() for name, p in agent.named_parameters()}
        agent.update(make_batch(config), torch.Generator().manual_seed(0))
        moves[actor] = {name: p.detach() - before[name] for name, p in agent.named_parameters()}
    for name, move in moves[1e-4].items():
        factor = 3.0 if name.startswith("behavior.policy.") else 1.0
        assert torch.allclose(moves[3e-4][name], factor * move, rtol=1e-2, atol=1e-7), name


OPTIONS: list[dict[str, dict[str, Any]]] = [
    {"train": {"imagination_starts": "all"}},
    {"train": {"imagination_starts": 2}},
    {"train": {"imagination_starts": 5}},
    {"behavior": {"bootstrap": "slow"}},
    {"behavior": {"slow_regularizer": 0.0}},
    {"behavior": {"policy_unimix": 0.01}},
    {"behavior": {"lam": 0.0}},
    {"behavior": {"lam": 1.0, "horizon": 1}},
    {"behavior": {"entropy_scale": 0.0}},
    {"free_bits": {"nats": 0.0}},
    {"loss_scales": {"replay_value": 0.0}},
    {"optimizer": {"agc": 0.0}},
    {"model": {"unimix": 0.0, "blocks": 1}},
    {"model": {"blocks": 8, "dyn_layers": 2, "posterior_layers": 2, "prior_layers": 3, "encoder_layers": 2}},
    {"model": {"decoder_layers": 2, "reward_layers": 2, "continue_layers": 2, "policy_layers": 2, "value_layers": 2}},
    {"twohot": {"bins": 11, "support": (-5.0, 5.0)}},
    {"return_norm": {"rate": 1.0, "limit": 0.01, "low": 0.0, "high": 100.0}},
]


@pytest.mark.parametrize("sections", OPTIONS, ids=str)
def test_every_option_trains(
    sections: dict[str, dict[str, Any]], make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    config = make_config(**sections)
    agent, batch = make_agent(config), make_batch(config)
    before = [p.detach().clone() for p in agent.optimizer.parameters_in_order]
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        metrics = agent.update(batch, generator).metrics
    assert all(math.isfinite(value) for value in metrics.values())
    after = agent.optimizer.parameters_in_order
    assert all(torch.isfinite(p).all() for p in after)
    assert any(not torch.equal(old, p) for old, p in zip(before, after, strict=True))


@pytest.mark.parametrize("sections", [{}, {"model": {"encoder_layers": 2, "blocks": 1}}], ids=str)
def test_an_update_leaves_no_tensor_to_the_collector_of_cycles(
    sections: dict[str, dict[str, Any]], make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    """What a cycle holds stays until Python looks for cycles: it cost a twentieth of an update, and half its memory."""
    config = make_config(**sections)
    agent, batch, generator = make_agent(config), make_batch(config), torch.Generator().manual_seed(0)
    agent.update(batch, generator)
    gc.collect()
    gc.disable()
    try:
        agent.update(batch, generator)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        held = [tuple(thing.shape) for thing in gc.garbage if isinstance(thing, Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert held == []


# -- exactness

TRACE: dict[str, list[float]] = {
    "wm/loss": [15.442, 13.693],
    "wm/kl_nats": [1.0898, 0.67598],
    "behavior/entropy_nats": [1.0986, 1.0986],
    "behavior/imagined_continue": [0.54079, 0.56543],
    "behavior/value_loss": [3.3214, 3.1764],
    "behavior/replay_value_loss": [7.3884, 10.152],
    "optim/grad_norm_world": [488.37, 20.458],
    "optim/grad_norm_actor": [2.467e-07, 1.3824e-05],
    "optim/grad_norm_critic": [1.1638, 1.3412],
}


def test_two_updates_repeat_exactly_F20(make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch) -> None:
    config = make_config()
    outcomes = []
    for _ in range(2):
        agent, generator = make_agent(config, seed=4), torch.Generator().manual_seed(9)
        updates = [agent.update(make_batch(config, seed=s), generator) for s in (1, 2)]
        outcomes.append((updates[-1], agent.state_dict(), generator.get_state()))
    (update_a, state_a, generator_a), (update_b, state_b, generator_b) = outcomes
    assert torch.equal(update_a.deter, update_b.deter)
    assert all(torch.equal(update_a.metrics[k], update_b.metrics[k]) for k in update_a.metrics)
    assert all(torch.equal(state_a[k], state_b[k]) for k in state_a)
    assert torch.equal(generator_a, generator_b)


def test_a_recorded_trace_guards_refactors(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    """Figures recorded once: they change only with a deliberate change of the algorithm or of its random draws.

    Two updates: in the third one a draw lies within rounding of its threshold.
    """
    config = make_config(optimizer={"warmup_updates": 0, "lr_world": 1e-3, "lr_actor": 1e-3, "lr_critic": 1e-3})
    agent, generator = make_agent(config), torch.Generator().manual_seed(0)
    trace = [agent.update(make_batch(config, seed=s), generator).metrics for s in range(2)]
    assert {name: [round(m[name].item(), 5) for m in trace] for name in TRACE} == {
        name: pytest.approx(values, rel=2e-3, abs=1e-5) for name, values in TRACE.items()
    }


def test_a_loaded_agent_continues_bit_for_bit_F20(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    config = make_config()
    batches = [make_batch(config, seed=s) for s in range(6)]
    agent, generator = make_agent(config), torch.Generator().manual_seed(9)
    for batch in batches[:3]:
        agent.update(batch, generator)
    stored = io.BytesIO()
    torch.save({"agent": agent.state_dict(), "generator": generator.get_state()}, stored)
    expected = [agent.update(batch, generator).metrics for batch in batches[3:]]

    stored.seek(0)
    loaded = torch.load(stored, weights_only=True)
    fresh, restored = make_agent(config, seed=123), torch.Generator()
    fresh.load_state_dict(loaded["agent"])
    restored.set_state(loaded["generator"])
    for batch, metrics in zip(batches[3:], expected, strict=True):
        got = fresh.update(batch, restored).metrics
        assert all(torch.equal(got[name], metrics[name]) for name in metrics)
    final = agent.state_dict()
    assert all(torch.equal(value, final[name]) for name, value in fresh.state_dict().items())
    for name in ("optimizer.updates", "optimizer.square", "optimizer.momentum", "behavior.return_scale.low"):
        assert name in final
    assert any(name.startswith("behavior.slow_critic.") for name in final)


def test_the_rate_after_loading_is_the_configs(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    old, new = (make_config(optimizer={"lr_world": rate, "warmup_updates": 0}) for rate in (1e-3, 5e-4))
    agent = make_agent(old)
    agent.update(make_batch(old), generator)
    other = make_agent(new)
    other.load_state_dict(agent.state_dict())
    assert other.update(make_batch(new), generator).metrics["optim/lr_world"].item() == pytest.approx(5e-4)


# -- acting


def test_acting_step_by_step_is_what_training_sees_F10(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    config = make_config()
    agent, batch = make_agent(config, noise=0.2), make_batch(config, batch=2, length=7)
    # Act through the stream, with the recorded actions taken at each step.
    carry = agent.initial_carry(2)._replace(
        deter=batch.context_deter, stoch=batch.context_stoch, prev_action=batch.prev_action
    )
    generator = torch.Generator().manual_seed(1)
    deters, classes = [], []
    for t in range(7):
        obs = {key: value[:, t] for key, value in batch.obs.items()}
        _, carry = agent.act(obs, batch.is_first[:, t], carry, mode=True, generator=generator)
        deters.append(carry.deter)
        classes.append(carry.stoch)
        carry = carry._replace(prev_action=batch.action[:, t])
    observed = agent.world.observe(batch, torch.Generator().manual_seed(1))
    assert torch.equal(torch.stack(classes, 1), observed.stoch)
    assert torch.allclose(torch.stack(deters, 1), observed.deter, atol=1e-6)


def test_the_first_step_forgets_everything_before_it_A1(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    config = make_config()
    agent, batch = make_agent(config), make_batch(config)
    obs = {key: value[:, 0] for key, value in batch.obs.items()}
    first = torch.ones(3, dtype=torch.bool)
    dirty = agent.initial_carry(3)._replace(
        deter=batch.context_deter, stoch=batch.context_stoch, prev_action=batch.action[:, 0]
    )
    clean = agent.initial_carry(3)
    results = [
        agent.act(obs, first, carry, mode=False, generator=torch.Generator().manual_seed(0)) for carry in (dirty, clean)
    ]
    assert torch.equal(results[0][0], results[1][0])
    assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))


def test_initial_carry_is_zero_state_and_no_action(make_config: MakeConfig, make_agent: MakeAgent) -> None:
    carry = make_agent(make_config()).initial_carry(2)
    assert (carry.deter == 0).all()
    assert carry.deter.shape == (2, 16)
    assert (carry.stoch == -1).all()
    assert carry.stoch.shape == (2, 3)
    assert carry.prev_action.tolist() == [[-1], [-1]]


def test_acting_changes_no_parameter_and_no_state(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    config = make_config()
    agent, batch = make_agent(config), make_batch(config)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    obs = {key: value[:, 0] for key, value in batch.obs.items()}
    action, carry = agent.act(obs, batch.is_first[:, 0], agent.initial_carry(3), mode=False, generator=generator)
    assert action.shape == (3, 1)
    assert action.dtype == torch.int64
    assert ((action >= 0) & (action < 3)).all()
    assert torch.equal(carry.prev_action, action)
    assert not carry.deter.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in agent.state_dict().items())


# -- sizes, learning


def test_size1m_has_as_many_parameters_as_the_reference_A11() -> None:
    # 18 observed numbers and 4 actions: FACTS A11 counts 0.64M for this preset.
    agent = Agent(EnvSpec({"vector": ObsSpec.vector(18)}, ActionSpec.discrete(4)), Config())
    assert sum(p.numel() for p in agent.optimizer.parameters_in_order) == pytest.approx(640_000, rel=0.01)


@pytest.mark.slow
def test_a_bandit_is_solved_F22(make_config: MakeConfig) -> None:
    """Episodes of two rows: action 1 is paid 1, the others nothing. Value and policy must find out.

    The value is still on its way after 400 updates: 0.78 to 0.88 in seeds 0-3, and 0.985 to 0.990 after 800.
    """
    rates = {"lr_world": 3e-3, "lr_actor": 1e-3, "lr_critic": 3e-3, "warmup_updates": 20}
    config = make_config(
        optimizer=rates, behavior={"horizon": 3}, free_bits={"nats": 0.1}, train={"batch_size": 16, "batch_length": 6},
        loss_scales={"replay_value": 0.0},  # it would pull the value towards the random behavior's
    )  # fmt: skip
    torch.manual_seed(0)
    agent = Agent(EnvSpec({"vector": ObsSpec.vector(1)}, ActionSpec.discrete(3)), config)
    generator = torch.Generator().manual_seed(0)
    first = torch.tensor([True, False] * 3).expand(16, 6)
    for _ in range(800):
        action = torch.randint(0, 3, (16, 6, 1), generator=generator) * first.unsqueeze(-1)
        paid = torch.cat([torch.zeros(16, 1), (action[:, :-1, 0] == 1).float()], 1) * ~first
        batch = Batch(
            obs={"vector": (~first).float().unsqueeze(-1)}, action=action, reward=paid, is_first=first,
            is_last=~first, is_terminal=~first, prev_action=torch.full((16, 1), -1),
            context_deter=torch.zeros(16, 16), context_stoch=torch.full((16, 3), -1),
        )  # fmt: skip
        metrics = agent.update(batch, generator).metrics
    obs = {"vector": torch.zeros(200, 1)}
    start = torch.ones(200, dtype=torch.bool)
    action, carry = agent.act(obs, start, agent.initial_carry(200), mode=False, generator=generator)
    assert (action == 1).float().mean().item() > 0.9
    one_hot = agent.world.dynamics.one_hot[carry.stoch].flatten(1)
    value_probs = agent.behavior.critic(torch.cat([carry.deter, one_hot], -1)).softmax(-1)
    value = agent.behavior.twohot.mean(value_probs)
    assert value.mean().item() == pytest.approx(1.0, abs=0.05)
    assert metrics["wm/reward_excess"].item() < 0.2


def test_batches_must_fit_the_shapes_they_promise(
    make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, generator: torch.Generator
) -> None:
    config = make_config()
    batch = make_batch(config)
    broken = replace(batch, context_deter=torch.zeros(3, 7))
    with pytest.raises((RuntimeError, TypeError)):
        make_agent(config).update(broken, generator)
