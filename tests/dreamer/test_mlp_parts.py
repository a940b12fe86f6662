"""The six interfaces of the modular learner, with shapes, and parts that take the place of others (M-ML-25)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dreamerlab.config.catalogue import inactive_leaves
from dreamerlab.config.lineage import unfit_leaves
from dreamerlab.config.validation import flatten
from dreamerlab.dreamer.gaussian import Normal
from dreamerlab.dreamer.mlp_model import MlpWorldModel
from dreamerlab.dreamer.mlp_parts import Representation, Transition
from dreamerlab.dreamer.networks import Linear
from dreamerlab.metrics import CATALOGUE, SOMETIMES
from tests.dreamer.mlp_cases import CHOICES, generator, halves, mlp_agent, mlp_batch, mlp_config, reached


def test_the_six_interfaces_have_the_shapes_they_say_M_ML_25() -> None:
    agent = mlp_agent()
    (world, behavior), batch = halves(agent), mlp_batch(agent)
    rows = {key: value[:, 0] for key, value in batch.obs.items()}
    features = world.encoder(rows)
    assert features.shape == (3, 10)  # [B, F]
    state = world.dynamics.representation(features)
    assert state.shape == (3, 14)  # [B, D]
    following = world.dynamics.transition(state, agent.actions.encode(batch.action[:, 0]))
    assert (following.mean.shape, following.std) == ((3, 14), None)
    reward = world.reward(state)
    assert reward.std is not None
    assert reward.mean.shape == reward.std.shape == (3, 1)
    assert world.cont(state).shape == (3,)
    assert behavior.policy(state).shape == (3, 3)
    assert behavior.critic(state).shape == (3,)


def test_a_gaussian_transition_is_a_distribution_over_states_M_ML_25() -> None:
    world, _ = halves(mlp_agent(mlp__dynamics_loss="gaussian"))
    following = world.dynamics.transition(torch.randn(5, 14), torch.zeros(5, 3))
    assert following.std is not None
    assert following.std.shape == (5, 14)
    assert (following.std >= 0.1).all()
    start = torch.randn(5, 14)
    one, two = (
        world.dynamics.imagine(start, lambda now, _: (torch.zeros(5, 1, dtype=torch.int64), None), 3, generator(seed))
        for seed in (0, 1)
    )
    assert not torch.equal(one[0], two[0]), "imagination draws"


class Bounded(nn.Module):
    """Another representation: one linear map, bounded by tanh, half as wide."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.size = 7
        self.map = Linear(features, self.size)

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(self.map(features))


class Still(nn.Module):
    """Another transition: a linear change, with a deviation that is known."""

    def __init__(self, state: int, action: int) -> None:
        super().__init__()
        self.map = Linear(state + action, state)

    def forward(self, state: Tensor, action: Tensor) -> Normal:
        return Normal(state + self.map(torch.cat([state, action], -1)))


def test_another_representation_takes_the_place_of_the_first_M_ML_25() -> None:
    torch.manual_seed(0)
    config = mlp_config()
    features, transition = Bounded(10), Still(7, 3)
    assert isinstance(features, Representation)
    assert isinstance(transition, Transition)
    world = MlpWorldModel(CHOICES, config, representation=features, transition=transition)
    assert world.dynamics.feature_size == 7

    agent = mlp_agent()
    batch = mlp_batch(agent)
    observed = world.observe(batch, generator())
    assert observed.features.shape == (3, 6, 7)
    assert (observed.features.abs() <= 1).all()
    losses = world.losses(batch, observed)
    assert {term.shape for term in losses.terms.values()} == {(3, 6)}
    total = torch.stack([term.mean() for term in losses.terms.values()]).sum()
    grads = torch.autograd.grad(total, list(world.dynamics.parameters()))
    assert all((grad != 0).any() for grad in grads)
    ahead, _ = world.dynamics.imagine(
        observed.features[:, 0], lambda now, t: (batch.action[:, t], None), 4, generator()
    )
    assert ahead.shape == (5, 3, 7)


def test_an_agent_learns_with_a_part_that_was_put_in_M_ML_25() -> None:
    agent = mlp_agent()
    world, _ = halves(agent)
    assert "world.dynamics" in reached(agent.losses(mlp_batch(agent), generator())[0].terms["recon"].mean(), agent)
    # Put into the place of the one the optimiser knows, of the same parameters: nothing else has to change.
    first = world.dynamics.representation

    class Doubled(nn.Module):
        size = 14

        def __init__(self) -> None:
            super().__init__()
            self.inner = first

        def forward(self, features: Tensor) -> Tensor:
            return -self.inner(features)

    world.dynamics.representation = Doubled()
    metrics = agent.update(mlp_batch(agent), generator()).metrics
    assert all(torch.isfinite(value) for value in metrics.values())


def test_metrics_are_those_of_the_catalogue() -> None:
    """What the recurrent family alone has is missing: its latents, its bins, its return scale and slow critic."""
    known = {name for name in CATALOGUE if name.split("/")[0] in ("wm", "behavior", "optim")}
    agent = mlp_agent(mlp__dynamics_loss="gaussian", mlp__multi_step=2)
    found = set(agent.update(mlp_batch(agent), generator()).metrics)
    assert found <= known
    ours = {name for name, when in SOMETIMES.items() if "mlp" in when}
    assert ours <= found
    assert known - found - set(SOMETIMES) == {
        *(f"wm/{name}" for name in (
            "reward_loss", "reward_excess", "kl_nats", "kl_dyn_nats", "kl_rep_nats", "free_bits_frac",
            "prior_entropy_nats", "posterior_entropy_nats", "latent_agreement_frac",
        )),
        *(f"behavior/{name}" for name in (
            "return_p5", "return_p95", "return_scale_raw", "return_scale", "return_scale_at_limit", "value_loss",
            "value_excess", "value_ceiling_frac", "replay_value_loss",
        )),
    }  # fmt: skip


def test_compiling_is_not_offered_where_each_group_has_a_pass_of_its_own() -> None:
    agent = mlp_agent(execution__compile=True)
    assert "execution.compile" in inactive_leaves(flatten(agent.config))
    assert all(torch.isfinite(x) for x in agent.update(mlp_batch(agent), generator()).metrics.values())


def test_nothing_is_taken_over_from_the_other_family() -> None:
    """M-PROT-13: neither networks nor what replay keeps of them; what does nothing on either side may differ."""
    ours, theirs = flatten(mlp_config()), {**flatten(mlp_config()), "world_model.family": "rssm"}
    for parts in (("world",), ("behavior",), ("replay",)):
        assert "world_model.family" in {one.key for one in unfit_leaves(theirs, ours, parts)}, parts
    assert unfit_leaves({**ours, "model.deter": 32}, ours, ("world", "behavior", "replay")) == []
    assert unfit_leaves({**ours, "mlp.state": 32}, ours, ("world",)) != []
