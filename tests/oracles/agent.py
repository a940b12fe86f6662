"""All losses of one update, and the update itself, in float64 numpy: FACTS A4, A6, A7, A9 on one page.

`losses` is a pure function of parameters, batch, draws and return scale. Evaluated again under the same `Stops`, it
keeps every quantity that the algorithm holds fixed (stop-gradients, drawn classes), so that differences between two
evaluations are the gradients that training should follow.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema import Config
from dreamerlab.spaces import EnvSpec
from tests.oracles import optimiser
from tests.oracles.codecs import Codecs
from tests.oracles.formulas import (
    continue_cross_entropy,
    cross_entropy,
    draw,
    kl,
    lambda_return,
    one_hot,
    percentile,
    read_out,
    replay_return,
    sigmoid,
    symexp,
    symexp_bins,
    symlog,
    two_hot,
)
from tests.oracles.model import Array, Core, Parameters, mlp
from tests.oracles.policies import encode, make_head
from tests.oracles.stops import Stops


@dataclass(frozen=True)
class Windows:
    """B windows of T rows, as numpy arrays; see `dreamerlab.dreamer.batch.Batch`."""

    obs: Mapping[str, Array]
    action: Array
    reward: Array
    is_first: Array
    is_last: Array
    is_terminal: Array
    prev_action: Array
    context_deter: Array
    context_stoch: Array
    targets: Mapping[str, Array]


@dataclass(frozen=True)
class Draws:
    """Every number that one update draws."""

    posterior: Array
    """(T, B, S) uniform."""
    policy: Array
    """(H, N, ...) uniform or normal."""
    prior: Array
    """(H, N, S) uniform."""


@dataclass
class ReturnScale:
    """Running percentiles of the imagined returns (FACTS A6)."""

    low: float = 0.0
    high: float = 0.0
    updates: int = 0


@dataclass
class State:
    """A latent state: h, z with its straight-through gradient, and the probabilities it was drawn from."""

    deter: Array
    latent: Array
    probs: Array
    classes: Array

    @property
    def feature(self) -> Array:
        return np.concatenate([self.deter, self.latent.flatten()])


@dataclass
class Rollout:
    """One imagined rollout; lists are indexed by the state, 0 .. H, actions by the state they are taken in."""

    features: list[Array]
    actions: list[Array]
    noise: Array
    reward: Array
    cont: Array
    value: Array
    slow_value: Array
    returns: Array = field(default_factory=lambda: np.zeros(0))


class AgentOracle:
    """The agent's arithmetic for one configuration."""

    def __init__(self, spec: EnvSpec, config: Config) -> None:
        self.spec, self.config = spec, config
        self.discount = 1.0 - 1.0 / config.behavior.discount_horizon
        high = config.twohot.support[1]
        self.in_symlog = config.twohot.spacing == "symlog"
        even = np.linspace(-high, high, config.twohot.bins)
        self.bins = even if self.in_symlog else symexp_bins(config.twohot.bins, high)
        self.head = make_head(spec.action, config)
        self.codecs = Codecs(spec, config.model)

    def encode(self, x: float) -> Array:
        """Give the two-hot target of a scalar (FACTS A5, A13.8)."""
        return two_hot(float(symlog(x)) if self.in_symlog else x, self.bins)

    def decode(self, logits: Array) -> float:
        mean = read_out(logits, self.bins)
        return float(symexp(mean)) if self.in_symlog else mean

    # -- world model

    def seen(self, data: Windows, b: int, t: int) -> dict[str, Array]:
        return {key: value[b, t] for key, value in data.obs.items()}

    def observe(self, p: Parameters, data: Windows, draws: Draws, stops: Stops) -> list[list[State]]:
        """Posterior states [b][t] (FACTS A1, A3)."""
        model = self.config.model
        core = Core(p, model)
        batch, length = data.reward.shape
        windows = []
        for b in range(batch):
            h = data.context_deter[b]
            z = np.stack([one_hot(int(k), model.classes) for k in data.context_stoch[b]])
            states = []
            for t in range(length):
                a = encode(self.spec.action, data.prev_action[b] if t == 0 else data.action[b, t - 1])
                if data.is_first[b, t]:
                    h, z, a = np.zeros_like(h), np.zeros_like(z), np.zeros_like(a)
                token = self.codecs.token(p, self.seen(data, b, t))
                h = core.step(h, z.flatten(), a)
                probs = core.posterior(h, token)
                uniform = draws.posterior[t, b]
                classes = stops(lambda q=probs, u=uniform: np.array([draw(q[s], u[s]) for s in range(len(q))]))
                drawn = np.stack([one_hot(int(k), model.classes) for k in classes])
                z = drawn + probs - stops(lambda q=probs: q)
                states.append(State(h, z, probs, classes))
            windows.append(states)
        return windows

    def world_losses(self, p: Parameters, data: Windows, states: list[list[State]], stops: Stops) -> dict[str, Array]:
        """Return recon, reward, cont, dyn, rep, and auxiliary if there are such heads, each (B, T) (FACTS A4)."""
        config = self.config
        core = Core(p, config.model)
        shape = data.reward.shape
        heads = parse_heads(config.heads.auxiliary)
        names = ("recon", "reward", "cont", "dyn", "rep", *(("auxiliary",) if heads else ()))
        out = {name: np.zeros(shape) for name in names}
        for b, t in np.ndindex(*shape):
            feature = states[b][t].feature
            state = states[b][t]
            out["recon"][b, t] = self.codecs.loss(p, state.deter, state.latent.flatten(), self.seen(data, b, t))

            seen = feature if config.heads.reward_grad else stops(lambda f=feature: f)
            target = self.encode(float(data.reward[b, t]))
            out["reward"][b, t] = cross_entropy(mlp(p, "world.reward", seen), target)

            going_on = 1.0 - float(data.is_terminal[b, t])
            target = going_on * self.discount if config.heads.continue_discounted else going_on
            out["cont"][b, t] = continue_cross_entropy(float(mlp(p, "world.cont", feature)[0]), target)

            for place, head in enumerate(heads):
                wanted = float(data.targets[head.name][b, t])
                if not np.isnan(wanted):
                    said = float(mlp(p, f"world.auxiliary.networks.{place}", feature)[0])
                    binary = continue_cross_entropy(said, float(wanted != 0.0))
                    out["auxiliary"][b, t] += binary if head.kind == "binary" else (said - symlog(wanted)) ** 2

            posterior, prior = states[b][t].probs, core.prior(states[b][t].deter)
            out["dyn"][b, t] = kl(stops(lambda q=posterior: q), prior)
            out["rep"][b, t] = kl(posterior, stops(lambda q=prior: q))
        for name in ("dyn", "rep"):
            out[name] = self.free_bits(out[name], stops)
        return out

    def free_bits(self, raw: Array, stops: Stops) -> Array:
        """Losses from raw KLs (B, T); only their mean is of interest to `mean_then_clip` (FACTS A4, A13.10)."""
        nats = self.config.free_bits.nats
        if self.config.free_bits.mode == "clip":
            return np.maximum(raw, nats)
        if self.config.free_bits.mode == "straight_through":
            return raw + stops(lambda: np.maximum(0.0, nats - raw))
        return np.full(raw.shape, max(nats, raw.mean()))

    def reward_of(self, p: Parameters, feature: Array) -> float:
        return self.decode(mlp(p, "world.reward", feature))

    def continue_of(self, p: Parameters, feature: Array) -> float:
        """The discount to apply on arriving at a state, whatever the head was taught to predict (FACTS A6)."""
        predicted = float(sigmoid(mlp(p, "world.cont", feature)[0]))
        return predicted if self.config.heads.continue_discounted else self.discount * predicted

    def value_of(self, p: Parameters, feature: Array, *, slow: bool = False) -> float:
        return self.decode(mlp(p, "behavior.slow_critic" if slow else "behavior.critic", feature))

    # -- behavior

    def imagine(self, p: Parameters, start: Array, noise: Array, uniform: Array) -> Rollout:
        """One rollout of the policy from a feature (FACTS A6); noise (H, ...) and uniform (H, S) are given."""
        model = self.config.model
        core = Core(p, model)
        h, z = start[: model.deter], start[model.deter :]
        features, actions = [start], []
        for t in range(self.config.behavior.horizon):
            action = self.head.sample(mlp(p, "behavior.policy", features[-1]), noise[t])
            h = core.step(h, z, encode(self.spec.action, action))
            probs = core.prior(h)
            classes = [draw(probs[s], uniform[t, s]) for s in range(model.stoch)]
            z = np.concatenate([one_hot(k, model.classes) for k in classes])
            features.append(np.concatenate([h, z]))
            actions.append(action)
        rollout = Rollout(
            features,
            actions,
            noise,
            reward=np.array([self.reward_of(p, f) for f in features]),
            cont=np.array([self.continue_of(p, f) for f in features]),
            value=np.array([self.value_of(p, f) for f in features]),
            slow_value=np.array([self.value_of(p, f, slow=True) for f in features]),
        )
        behavior = self.config.behavior
        boot = rollout.value if behavior.bootstrap == "fast" else rollout.slow_value
        rollout.returns = lambda_return(rollout.reward, rollout.cont, boot, behavior.lam)
        return rollout

    def scale_after(self, before: ReturnScale, returns: Array) -> tuple[ReturnScale, float]:
        """The running percentiles one update later, and the scale they give: update first, then use."""
        norm = self.config.return_norm
        low = (1.0 - norm.rate) * before.low + norm.rate * percentile(returns, norm.low)
        high = (1.0 - norm.rate) * before.high + norm.rate * percentile(returns, norm.high)
        updates = before.updates + 1
        weight = 1.0 - (1.0 - norm.rate) ** updates if norm.debias else 1.0
        return ReturnScale(low, high, updates), max(norm.limit, (high - low) / weight)

    def behavior_losses(self, p: Parameters, rollouts: list[Rollout], scale: float, stops: Stops) -> dict[str, Array]:
        """Return policy and value, each (H, N); nothing but policy and critic has a gradient (FACTS A6)."""
        behavior = self.config.behavior
        horizon = behavior.horizon
        advantage, weight = np.zeros((horizon, len(rollouts))), np.zeros((horizon, len(rollouts)))
        for n, rollout in enumerate(rollouts):
            boot = rollout.value if behavior.bootstrap == "fast" else rollout.slow_value
            for t in range(horizon):
                advantage[t, n] = (rollout.returns[t] - boot[t]) / scale
                if self.config.heads.continue_discounted:
                    weight[t, n] = np.prod(rollout.cont[: t + 1])
                else:
                    weight[t, n] = np.prod(rollout.cont[: t + 1]) / self.discount
        advantage, weight = stops(lambda: advantage), stops(lambda: weight)
        gain = self.gain_through_dynamics(p, rollouts, scale, stops) if behavior.actor_gradient != "reinforce" else None
        if behavior.advantage_norm:
            mean, spread = advantage.mean(), advantage.std() + 1e-8
            advantage = (advantage - mean) / spread
            gain = None if gain is None else (gain - mean) / spread
        out = {"policy": np.zeros(advantage.shape), "value": np.zeros(advantage.shape)}
        for n, rollout in enumerate(rollouts):
            for t in range(horizon):
                raw = mlp(p, "behavior.policy", rollout.features[t])
                log_prob = self.head.log_prob(raw, rollout.actions[t])
                entropy = self.head.entropy(raw, rollout.noise[t])
                objective = log_prob * advantage[t, n]
                if gain is not None:
                    share = behavior.gradient_mix if behavior.actor_gradient == "mix" else 0.0
                    objective = share * objective + (1.0 - share) * gain[t, n]
                if behavior.entropy_floor is not None:
                    entropy = max(behavior.entropy_floor, entropy)
                out["policy"][t, n] = -weight[t, n] * (objective + behavior.entropy_scale * entropy)
                logits = mlp(p, "behavior.critic", rollout.features[t])
                loss = self.critic_loss(logits, rollout.returns[t], rollout.slow_value[t])
                out["value"][t, n] = weight[t, n] * loss
        return out

    def gain_through_dynamics(self, p: Parameters, rollouts: list[Rollout], scale: float, stops: Stops) -> Array:
        """Return (H, N) scaled advantages that move with the actions (FACTS A13.14).

        Only the policy's parameters move them: the world model and the critics are those of the first pass, and so are
        the states that the policy looks at, the classes that are drawn, the baseline and the scale.
        """
        model, behavior = self.config.model, self.config.behavior
        held: Parameters = stops(lambda: dict(p))
        core = Core(held, model)
        out = np.zeros((behavior.horizon, len(rollouts)))
        for n, rollout in enumerate(rollouts):
            h, z = rollout.features[0][: model.deter], rollout.features[0][model.deter :]
            features = [rollout.features[0]]
            for t in range(behavior.horizon):
                raw = mlp(p, "behavior.policy", rollout.features[t])
                h = core.step(h, z, self.head.encoded(raw, rollout.actions[t], rollout.noise[t], stops))
                probs = core.prior(h)
                drawn = rollout.features[t + 1][model.deter :]
                z = drawn + (probs - stops(lambda q=probs: q)).flatten()
                features.append(np.concatenate([h, z]))
            reward = np.array([self.reward_of(held, f) for f in features])
            cont = np.array([self.continue_of(held, f) for f in features])
            slow = behavior.bootstrap == "slow"
            value = np.array([self.value_of(held, f, slow=slow) for f in features])
            returns = lambda_return(reward, cont, value, behavior.lam)
            baseline = rollout.slow_value if slow else rollout.value
            out[:, n] = (returns - baseline[:-1]) / stops(lambda: scale)
        return out

    def critic_loss(self, logits: Array, target: float, slow: float) -> float:
        """Cross-entropy towards the return, and towards the slow critic's scalar, encoded again (FACTS A6)."""
        regulariser = cross_entropy(logits, self.encode(slow))
        return cross_entropy(logits, self.encode(target)) + self.config.behavior.slow_regularizer * regulariser

    def replay_loss(
        self, p: Parameters, data: Windows, features: list[list[Array]], rollouts: list[Rollout], stops: Stops
    ) -> Array:
        """(B, K - 1) on the last K states, which the rollouts start from (FACTS A7)."""
        batch, kept = len(features), len(features[0])
        out = np.zeros((batch, kept - 1))
        for b in range(batch):
            mine = rollouts[b * kept : (b + 1) * kept]
            boot = np.array([rollout.returns[0] for rollout in mine])
            reward, last, terminal = (
                row[b, -kept:].astype(np.float64) for row in (data.reward, data.is_last, data.is_terminal)
            )
            returns = replay_return(reward, last, terminal, boot, self.discount, self.config.behavior.lam)
            for t in range(kept - 1):
                feature = features[b][t]
                if not self.config.behavior.replay_value_grad:
                    feature = stops(lambda f=feature: f)
                logits = mlp(p, "behavior.critic", feature)
                out[b, t] = (1.0 - last[t]) * self.critic_loss(logits, returns[t], mine[t].slow_value[0])
        return out

    # -- together

    def losses(
        self, p: Parameters, data: Windows, draws: Draws, before: ReturnScale, stops: Stops
    ) -> tuple[dict[str, Array], ReturnScale]:
        """Every loss by the name of its scale, per element, and the return scale after the update."""
        states = self.observe(p, data, draws, stops)
        world = self.world_losses(p, data, states, stops)
        starts = self.config.train.imagination_starts
        kept = data.reward.shape[1] if starts == "all" else starts
        features = [[state.feature for state in window[-kept:]] for window in states]
        flat = [feature for window in features for feature in window]
        # Imagination is held altogether: no gradient flows into starts, rollouts, returns or slow values.
        rollouts = stops(
            lambda: [self.imagine(p, start, draws.policy[:, n], draws.prior[:, n]) for n, start in enumerate(flat)]
        )
        after, scale = self.scale_after(before, np.stack([rollout.returns for rollout in rollouts], 1))
        behavior = self.behavior_losses(p, rollouts, scale, stops)
        replay = self.replay_loss(p, data, features, rollouts, stops)
        return {**world, **behavior, "replay_value": replay}, after

    def total(self, losses: Mapping[str, Array]) -> float:
        """The sum of the means, with the configured scales."""
        scales = self.config.loss_scales.model_dump()
        return sum(scales[name] * float(loss.mean()) for name, loss in losses.items())

    def learn(
        self, p: Parameters, grads: Mapping[str, Array], moments: dict[str, optimiser.Moments]
    ) -> dict[str, Array]:
        """Parameters after one step of every trained tensor and of the slow critic; moves `moments`."""
        rates = self.config.optimizer
        after = dict(copy.copy(p))
        groups = {name: name.split(".")[0 if name.startswith("world.") else 1] for name in grads}
        norms = {
            group: float(np.sqrt(sum((grads[name] ** 2).sum() for name, owner in groups.items() if owner == group)))
            for group in set(groups.values())
        }
        for name, grad in grads.items():
            kept = moments.setdefault(name, optimiser.Moments(np.zeros_like(grad), np.zeros_like(grad)))
            rate = {"world": rates.lr_world, "policy": rates.lr_actor, "critic": rates.lr_critic}[groups[name]]
            after[name] = optimiser.step(p[name], grad, kept, rate, norms[groups[name]], rates)
        for name, value in p.items():
            if ".slow_critic." in name:
                fast = after[name.replace(".slow_critic.", ".critic.")]
                after[name] = optimiser.follow(value, fast, self.config.behavior.slow_rate)
        return after
