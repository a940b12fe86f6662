"""What every family of world models owes the agent: one list of tests, run for each of them (DESIGN section 7).

What is particular to the recurrent core is in `test_rssm.py`, to the modular learner in `test_mlp_*.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.config.validation import from_flat
from dreamerlab.dreamer.agent import LEARNERS, Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.dynamics import Dynamics, Observed
from dreamerlab.dreamer.family import Behavior, World
from dreamerlab.dreamer.maths import shift_actions
from dreamerlab.dreamer.prediction import predict, prediction_error
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.dreamer.capture_discipline import CaptureDiscipline
from tests.oracles.cases import CONTINUOUS, DISCRETE, VECTORS, random_agent, random_batch

SMALL: dict[str, Any] = {
    "model.deter": 16, "model.hidden": 12, "model.stoch": 3, "model.classes": 4, "model.blocks": 2, "model.units": 10,
    "mlp.state": 14, "model.encoder_layers": 1, "model.decoder_layers": 1, "behavior.horizon": 4,
    "train.batch_size": 3, "train.batch_length": 6, "optimizer.warmup_updates": 0, "optimizer.lr_world": 1e-3,
    "optimizer.lr_actor": 1e-3, "optimizer.lr_critic": 1e-3,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "rssm": {},
    "mlp": {"world_model.family": "mlp"},
    "mlp gaussian": {"world_model.family": "mlp", "mlp.dynamics_loss": "gaussian", "mlp.multi_step": 3},
}
ACTIONS = {"choices": DISCRETE, "one choice": ActionSpec.discrete(3), "numbers": CONTINUOUS}
SPEC = EnvSpec(VECTORS, DISCRETE)


@pytest.fixture(params=FAMILIES)
def config(request: pytest.FixtureRequest) -> Config:
    return from_flat({**SMALL, **FAMILIES[request.param]})


@pytest.fixture
def agent(config: Config) -> Agent:
    return random_agent(SPEC, config, noise=0.1)


def batch_for(agent: Agent, spec: EnvSpec = SPEC, **sizes: Any) -> Batch:
    """Random windows with a context of the sizes that the family carries."""
    batch, core = random_batch(spec, agent.config, **sizes), agent.world.dynamics
    deter, stoch = batch.context_deter[:, : core.deter], batch.context_stoch[:, : core.stoch]
    return Batch(**{**vars(batch), "context_deter": deter, "context_stoch": stoch})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def replaced(batch: Batch, **values: Any) -> Batch:
    return Batch(**{**vars(batch), **values})


@torch.no_grad()
def states(agent: Agent, batch: Batch) -> Tensor:
    return agent.world.observe(batch, generator()).features


# -- the core


def test_both_halves_keep_to_their_contract_M_ML_25(agent: Agent) -> None:
    """FACTS A13.15: a family of its own under world_model.family, not a set of options."""
    assert isinstance(agent.world, World)
    assert isinstance(agent.world.dynamics, Dynamics)
    assert isinstance(agent.behavior, Behavior)


@torch.no_grad()
def test_a_window_is_its_rows_one_after_the_other(agent: Agent) -> None:
    batch, core = batch_for(agent), agent.world.dynamics
    whole = agent.world.observe(batch, generator())
    tokens, before = agent.world.encoder(batch.obs), shift_actions(batch.prev_action, batch.action)
    deter, stoch, draws = batch.context_deter, batch.context_stoch, generator()
    for t in range(batch.reward.shape[1]):
        now = core.advance(tokens[:, t], before[:, t], batch.is_first[:, t], deter, stoch, draws)
        deter, stoch = now.deter, now.stoch
        assert torch.allclose(now.features, whole.features[:, t], atol=1e-5), t
        assert torch.allclose(deter, whole.deter[:, t], atol=1e-5), t
        assert torch.equal(stoch, whole.stoch[:, t]), t


def test_what_is_carried_has_the_sizes_the_core_names(agent: Agent) -> None:
    core, batch = agent.world.dynamics, batch_for(agent)
    observed, carry = agent.world.observe(batch, generator()), agent.initial_carry(5)
    assert isinstance(observed, Observed)
    assert observed.features.shape == (3, 6, core.feature_size)
    assert observed.deter.shape == (3, 6, core.deter)
    assert observed.stoch.shape == (3, 6, core.stoch)
    assert (carry.deter.shape, carry.stoch.shape) == ((5, core.deter), (5, core.stoch))


def test_nothing_before_an_episode_matters_in_it_F9(agent: Agent) -> None:
    batch = batch_for(agent)
    first = torch.zeros_like(batch.is_first)
    first[:, 3] = True
    other_obs = {key: value.clone() for key, value in batch.obs.items()}
    for value in other_obs.values():
        value[:, :3] += 1.0
    other_action = batch.action.clone()
    other_action[:, :3] = 0
    a = replaced(batch, is_first=first)
    b = replaced(a, obs=other_obs, action=other_action, context_deter=batch.context_deter + 0.5)
    assert not torch.equal(states(agent, a)[:, :3], states(agent, b)[:, :3])
    assert torch.equal(states(agent, a)[:, 3:], states(agent, b)[:, 3:])


def test_nothing_later_leaks_into_a_state_F10(agent: Agent) -> None:
    batch = replaced(batch_for(agent), is_first=torch.zeros(3, 6, dtype=torch.bool))
    later = {key: value.clone() for key, value in batch.obs.items()}
    for value in later.values():
        value[:, 4:] += 1.0
    before, after = states(agent, batch), states(agent, replaced(batch, obs=later))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4:], after[:, 4:])


def test_a_rollout_starts_where_it_is_told_and_goes_where_actions_lead(agent: Agent) -> None:
    start, seen = states(agent, batch_for(agent)).flatten(0, 1), []
    given = random_batch(SPEC, agent.config, seed=2).action.flatten(0, 1)

    def policy(now: Tensor, t: int) -> tuple[Tensor, None]:
        seen.append(now.clone())
        return (given + t) % 2, None

    def rolled(shift: int = 0, seed: int = 0) -> tuple[Tensor, Tensor]:
        def moved(now: Tensor, t: int) -> tuple[Tensor, None]:
            return (given + t + (shift if t == 2 else 0)) % 2, None

        with torch.no_grad():
            return agent.world.dynamics.imagine(start, moved, 4, generator(seed))

    with torch.no_grad():
        features, actions = agent.world.dynamics.imagine(start, policy, 4, generator())
    assert features.shape == (5, *start.shape)
    assert torch.equal(features[0], start)
    assert torch.equal(torch.stack(seen), features[:-1])
    assert torch.equal(actions[1], (given + 1) % 2)
    assert not features.requires_grad
    assert torch.equal(rolled()[0], features), "the same draws give the same rollout"
    other = rolled(shift=1)[0]
    assert torch.equal(other[:3], features[:3])
    assert not torch.equal(other[3:], features[3:])


@pytest.mark.parametrize("action", ACTIONS)
def test_a_rollout_carries_gradient_from_states_back_to_encoded_actions(config: Config, action: str) -> None:
    spec = EnvSpec(VECTORS, ACTIONS[action])
    agent = random_agent(spec, config, noise=0.1)
    start = states(agent, batch_for(agent, spec)).flatten(0, 1)
    given = random_batch(spec, config, seed=2).action.flatten(0, 1)
    encoded = agent.actions.encode(given).requires_grad_()
    features, _ = agent.world.dynamics.imagine(start, lambda _, t: (given, encoded), 3, generator())
    (grad,) = torch.autograd.grad(features[-1].square().sum() + features[-1].sum(), encoded)
    assert (grad != 0).any(0).all()


# -- losses and heads


def test_every_loss_has_a_scale_and_a_row_for_every_step(agent: Agent) -> None:
    losses, _ = agent.losses(batch_for(agent), generator())
    scales = agent.config.loss_scales.model_dump()
    world = agent.world.losses(batch_for(agent), agent.world.observe(batch_for(agent), generator())).terms
    assert world.keys() <= set(agent.world.terms) <= scales.keys()
    assert losses.terms.keys() <= scales.keys()
    for name, term in world.items():
        assert term.shape == (3, 6), name
        assert term.min() >= 0.0, f"{name}: rows are ranked by their loss"
    assert {losses.terms[name].shape for name in ("policy", "value")} == {(4, 18)}


def test_heads_speak_in_rewards_discounts_and_values(agent: Agent) -> None:
    rows = states(agent, batch_for(agent)).flatten(0, 1)
    reward, going = agent.world.predict_reward(rows), agent.world.predict_continue(rows)
    assert reward.shape == going.shape == agent.behavior.predict_value(rows).shape == (18,)
    assert (going >= 0).all()
    assert (going <= 1).all()


def test_the_probability_of_going_on_is_discounted_where_it_is_used_A13_7() -> None:
    for family in FAMILIES.values():
        bare = from_flat({**SMALL, **family, "heads.continue_discounted": False, "behavior.discount_horizon": 10.0})
        agent = random_agent(SPEC, bare, noise=0.0)
        with torch.no_grad():
            for parameter in agent.world.cont.parameters():  # type: ignore[attr-defined]  # both families have it
                parameter.zero_()
        rows = states(agent, batch_for(agent)).flatten(0, 1)
        assert torch.allclose(agent.world.predict_continue(rows), torch.tensor(0.5 * 0.9))


def test_open_loop_prediction_asks_nothing_else(agent: Agent) -> None:
    batch = replaced(batch_for(agent), is_first=torch.zeros(3, 6, dtype=torch.bool))
    prediction = predict(agent.world, batch, generator(), context=2)
    assert torch.allclose(prediction.features[:, :2], states(agent, batch)[:, :2], atol=1e-5)
    errors = prediction_error(agent.world, batch, prediction, steps=(1, 3))
    assert all(0.0 < error < 1e3 for error in errors.values())


# -- the agent


def test_every_parameter_belongs_to_exactly_one_group(agent: Agent) -> None:
    groups = {name: {id(p) for p in agent.optimizer.parameters_of((name,))} for name in LEARNERS["all"]}
    assert groups["world"] == {id(p) for p in agent.world.parameters()}
    assert groups["critic"] == {id(p) for p in agent.behavior.critic.parameters()}
    assert groups["actor"] == {id(p) for p in agent.behavior.policy.parameters()}
    assert sum(map(len, groups.values())) == len(set.union(*groups.values()))


@pytest.mark.parametrize("learn", ["world", "behavior"])
def test_a_part_that_does_not_learn_stays_bit_for_bit(agent: Agent, learn: Any) -> None:
    before = {name: p.clone() for name, p in agent.named_parameters()}
    agent.update(batch_for(agent), generator(), learn=learn)
    moved = {name.split(".")[0] for name, p in agent.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {learn}


def test_saved_agents_go_on_as_if_they_had_not_been(agent: Agent, config: Config) -> None:
    batch, ours = batch_for(agent), generator(3)
    agent.update(batch, ours)
    again, theirs = random_agent(SPEC, config, seed=9), generator()
    again.load_state_dict(agent.state_dict())
    theirs.set_state(ours.get_state())
    one, two = agent.update(batch, ours), again.update(batch, theirs)
    assert {name: float(x) for name, x in one.metrics.items()} == {name: float(x) for name, x in two.metrics.items()}
    assert all(torch.equal(a, b) for a, b in zip(agent.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("action", ACTIONS)
def test_acting_and_learning_with_every_kind_of_action(config: Config, action: str) -> None:
    spec = EnvSpec(VECTORS, ACTIONS[action])
    agent = random_agent(spec, config, noise=0.1)
    batch, carry = batch_for(agent, spec), agent.initial_carry(2)
    obs = {key: value[:2, 0] for key, value in batch.obs.items()}
    first = torch.ones(2, dtype=torch.bool)
    modes = [agent.act(obs, first, carry, mode=True, generator=generator())[0] for _ in range(2)]
    assert modes[0].shape == batch.action[:2, 0].shape
    assert torch.equal(*modes)
    chosen, after = agent.act(obs, first, carry, mode=False, generator=generator())
    assert torch.equal(after.prev_action, chosen)
    update = agent.update(batch, generator())
    assert all(torch.isfinite(value) for value in update.metrics.values())
    assert update.deter.shape[:2] == update.stoch.shape[:2] == update.model_loss.shape == (3, 6)


def test_pictures_are_learnt_like_numbers(config: Config) -> None:
    """M-ML-04: reconstruction of pictures through the same bottleneck."""
    spec = EnvSpec({"map": ObsSpec.image(16, 16, 1), "speed": ObsSpec.vector(2)}, DISCRETE)
    agent = random_agent(spec, config, noise=0.05)
    metrics = agent.update(batch_for(agent, spec), generator()).metrics
    assert metrics["wm/image_loss"] > 0
    assert metrics["wm/recon_loss"] > 0


def test_an_update_can_be_recorded(agent: Agent) -> None:
    """Nothing in it waits for the device or draws from elsewhere (see `capture_discipline`)."""
    draws = generator()
    agent.update(batch_for(agent), draws)
    with CaptureDiscipline("cpu", draws):
        agent.update(batch_for(agent), draws)
