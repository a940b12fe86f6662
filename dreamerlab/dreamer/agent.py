"""The agent: acts in the environment and learns from batches of replay. This file is the story of one update.

    observe    windows of replay -> latent states                    world_model, rssm
    explain    reconstruct, predict reward and continue, KL          world_model
    imagine    from those states, follow the policy in the model     behavior
    judge      lambda-returns, advantages, values                    behavior
    learn      ONE backward pass of all losses, one optimiser step   optim

That is the recurrent family; which family it is only `factory` knows, and `family` says what each owes this file. The
modular one has a backward pass for each group of parameters, and may step a group several times on a batch.

Gradients stop where the reference stops them (FACTS A4, A6, A7): imagination starts from detached states, actor and
critic see detached features; only the replay value loss reaches from the critic into the world model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.actions import ActionCodec
from dreamerlab.dreamer.batch import Batch, Carry, Update, in_type
from dreamerlab.dreamer.dynamics import Losses, Observed
from dreamerlab.dreamer.factory import make_parts
from dreamerlab.dreamer.maths import averaged, worth
from dreamerlab.dreamer.optim import make_optimizer
from dreamerlab.dreamer.products import computing_in
from dreamerlab.dreamer.schedules import Learn
from dreamerlab.spaces import EnvSpec

Inspect = Callable[[Mapping[str, Tensor], Sequence[Tensor], Tensor], None]
"""(metrics of the losses by name, parameters, their gradient norms (one each)) -> None, or raises."""

LEARNERS: dict[Learn, tuple[str, ...]] = {
    "all": ("world", "actor", "critic"),
    "world": ("world",),
    "behavior": ("actor", "critic"),
}
"""Groups of parameters that an update may move."""

OWNERS = {"policy": "actor", "value": "critic", "replay_value": "critic"}
"""Whose losses those of the behavior are; all others are the world model's."""


class Agent(nn.Module):
    """World model, behavior and optimiser; `state_dict` holds everything that training changes.

    Parameters are drawn from torch's global generator, which the caller seeds; everything random afterwards comes
    from the generator passed to `act` and `update`.
    """

    def __init__(self, spec: EnvSpec, config: Config) -> None:
        super().__init__()
        self.config = config
        self._scales: dict[str, float] = config.loss_scales.model_dump()
        self.actions = ActionCodec(spec.action)
        self.world, self.behavior, self._isolated, self.repeats = make_parts(spec, config)
        rates = config.optimizer
        self.optimizer = make_optimizer(
            {
                "world": (self.world.parameters(), rates.lr_world),
                "actor": (self.behavior.policy.parameters(), rates.lr_actor),
                "critic": (self.behavior.critic.parameters(), rates.lr_critic),
            },
            config.optimizer,
        )

        # Under bfloat16 everything is kept in float32, and the factors of products are rounded.
        self._products_in = torch.bfloat16 if config.execution.dtype == "bfloat16" else torch.float32
        if config.execution.dtype == "float64":
            self.double()
        # What is compiled has one backward pass for all it returns, and isolated groups have one each.
        compiled = config.execution.compile and not self._isolated
        self._compiled = torch.compile(self.losses) if compiled else None

    def initial_carry(self, batch: int) -> Carry:
        """Return the memory before any step: zero state, no action."""
        core, like = self.world.dynamics, self.optimizer.momentum
        nothing = torch.full((batch, core.stoch), -1, dtype=torch.int64, device=like.device)
        return Carry(like.new_zeros(batch, core.deter), nothing, self.actions.none(batch))

    @torch.inference_mode()
    def act(
        self,
        obs: Mapping[str, Shaped[Tensor, " B *shape"]],
        is_first: Bool[Tensor, " B"],
        carry: Carry,
        *,
        mode: bool,
        generator: torch.Generator,
    ) -> tuple[Tensor, Carry]:
        """Return an action (B, A) for each observation and the memory for the next call.

        `mode` picks the most likely action instead of drawing one; latents are drawn either way.
        """
        obs = {key: in_type(value, carry.deter.dtype) for key, value in obs.items()}
        with computing_in(self._products_in):
            tokens = self.world.encoder(obs)
            now = self.world.dynamics.advance(tokens, carry.prev_action, is_first, carry.deter, carry.stoch, generator)
            action = self.behavior.act(now.features, mode=mode, generator=generator)
        return action, Carry(now.deter, now.stoch, action)

    def update(
        self, batch: Batch, generator: torch.Generator, *, learn: Learn = "all", inspect: Inspect | None = None
    ) -> Update:
        """Learn from one batch: world model, actor and critic, slow critic, return scale, or a part of them.

        Whatever is not in `learn` stays bit for bit as it is, its moments and counts in the optimiser too. Returns
        metrics and the batch's fresh latent states. Determined by parameters, batch and generator. `inspect` is shown
        the losses' metrics, the parameters and their gradient norms, and may raise before any has moved.
        """
        batch = batch.in_type(self.optimizer.momentum.dtype)
        done: Update | None = None
        for learning, groups in self._rounds(learn):
            with computing_in(self._products_in):
                losses, observed = (self._compiled or self.losses)(batch, generator, learn=learning)
                parameters = self.optimizer.parameters_of(groups)
                grads = self._gradients(losses.terms, groups)
            look = None if inspect is None else partial(inspect, losses.metrics, parameters)
            metrics = losses.metrics | self.optimizer.step(grads, look, groups=groups)
            if done is None:
                deter, stoch = observed.deter.detach(), observed.stoch.to(torch.int16)
                assert losses.model is not None
                done = Update(metrics, deter, stoch, losses.model, losses.model if losses.rank is None else losses.rank)
            else:  # what is reported is how the batch was met, not how well it is known after some steps on it
                done = done._replace(metrics=metrics | done.metrics)
        if learn != "world":
            self.behavior.follow()
        assert done is not None
        return done

    def _rounds(self, learn: Learn) -> Iterator[tuple[Learn, tuple[str, ...]]]:
        """Give what each optimiser step on a batch has to compute, and which groups it moves: all of them at first."""
        allowed = LEARNERS[learn]
        for made in range(max(self.repeats[group] for group in allowed)):
            groups = tuple(group for group in allowed if self.repeats[group] > made)
            if groups == LEARNERS["all"]:
                yield "all", groups
                continue
            if "world" in groups:
                yield "world", LEARNERS["world"]
            if rest := tuple(group for group in groups if group != "world"):
                yield "behavior", rest

    def _gradients(self, terms: Mapping[str, Tensor], groups: tuple[str, ...]) -> list[Tensor]:
        """Return the gradient of the weighted losses for every parameter of `groups`.

        A loss of scale 0 is left out altogether, so that it costs no backward pass; a frozen one has no gradient.
        """
        scales = self._scales
        assert terms.keys() <= scales.keys(), (terms.keys(), scales.keys())
        weighed = {name: x for name, x in terms.items() if x.requires_grad and scales[name] > 0.0}
        assert weighed, "every loss has scale 0"
        grads: list[Tensor] = []
        for part in [(group,) for group in groups] if self._isolated else [groups]:
            own = [name for name in weighed if not self._isolated or OWNERS.get(name, "world") in part]
            parameters = self.optimizer.parameters_of(part)
            if not own:
                grads += [torch.zeros_like(parameter) for parameter in parameters]
                continue
            # The gradient of the sum of all scaled means, without asking autograd for it operation by operation.
            losses = [weighed[name] for name in own]
            seeds = [x.new_full((), scales[name] / x.numel()).expand_as(x) for name, x in zip(own, losses, strict=True)]
            grads += torch.autograd.grad(losses, parameters, seeds, allow_unused=True, materialize_grads=True)
        return grads

    def losses(self, batch: Batch, generator: torch.Generator, *, learn: Learn = "all") -> tuple[Losses, Observed]:
        """Return every loss by the name of its scale, unscaled and per element, and the states of the batch.

        Without the behavior nothing is imagined; without the world model its losses are there to be looked at and have
        no gradient. The return scale moves as a side effect; parameters do not.
        """
        with torch.set_grad_enabled(learn != "behavior"):
            observed = self.world.observe(batch, generator)
            world = self.world.losses(batch, observed)
        model_loss = self._model_loss(world.terms)
        metrics = averaged({"wm/loss": model_loss, **world.metrics})
        by_worth = self.config.replay.priority == "xp"
        if learn == "world":
            rank = worth(world.terms["recon"]) if by_worth else None
            return Losses(world.terms, metrics, rank, model_loss), observed

        starts = self.config.train.imagination_starts
        kept = batch.action.shape[1] if starts == "all" else starts
        features = observed.features[:, -kept:]
        imagined = self.behavior.imagine(self.world, features.detach().flatten(0, 1), generator)
        behavior, returns = self.behavior.losses(imagined, self.optimizer.made("actor"))

        shape = features.shape[:2]
        slow_value = imagined.slow_value[0].detach().view(shape)
        replay = self.behavior.replay_loss(features, batch, returns.view(shape), slow_value)
        terms = world.terms | behavior.terms | replay.terms
        rank = None
        if by_worth:
            rank = worth(terms["recon"], returns.view(shape), terms["value"].detach().mean(0).view(shape))
        return Losses(terms, metrics | behavior.metrics | replay.metrics, rank, model_loss), observed

    @torch.no_grad()
    def _model_loss(self, terms: Mapping[str, Tensor]) -> Float[Tensor, "B T"]:
        """Return the weighted sum of the world model's losses among `terms`, per element."""
        return torch.stack([self._scales[name] * terms[name] for name in self.world.terms if name in terms]).sum(0)
