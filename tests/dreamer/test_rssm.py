"""The recurrent core against the formulas written out step by step (FACTS A3, F8, F9, F10, F11)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dreamerlab.config.schema_learning import FreeBits
from dreamerlab.config.schema_model import Model
from dreamerlab.dreamer.distributions import categorical, kl_divergence
from dreamerlab.dreamer.dynamics import Observed
from dreamerlab.dreamer.networks import BlockLinear, Hidden
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.dreamer.rssm import RSSM
from dreamerlab.spaces import ActionSpec

TOKEN, ACTIONS = 6, 3
SIZES: dict[str, Any] = {"deter": 12, "hidden": 7, "stoch": 3, "classes": 4, "units": 6}


def build(free_nats: float = 1.0, noise: float = 0.2, **sizes: Any) -> RSSM:
    torch.manual_seed(3)
    rssm = RSSM(TOKEN, ActionSpec.discrete(ACTIONS), Model(**{**SIZES, "blocks": 2, **sizes}), FreeBits(nats=free_nats))
    with torch.no_grad():
        for parameter in rssm.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return rssm


def window(rssm: RSSM, batch: int = 4, length: int = 6, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {
        "tokens": torch.randn(batch, length, TOKEN, generator=g),
        "prev_action": torch.randint(-1, ACTIONS, (batch, length, 1), generator=g),
        "is_first": torch.rand(batch, length, generator=g) < 0.3,
        "deter": torch.rand(batch, rssm.deter, generator=g) * 2 - 1,
        "stoch": torch.randint(-1, rssm.classes, (batch, rssm.stoch), generator=g),
    }


def observe(rssm: RSSM, data: dict[str, Tensor], seed: int = 1) -> Observed:
    return rssm.observe(**data, generator=torch.Generator().manual_seed(seed))


# -- the formulas of FACTS A3, one row and one group at a time


def naive_block(layer: BlockLinear, groups: list[Tensor]) -> list[Tensor]:
    return [x @ w + b for x, w, b in zip(groups, layer.weight, layer.bias.chunk(len(groups)), strict=True)]


def naive_hidden(linear: Tensor, norm_scale: Tensor) -> Tensor:
    return functional.silu(linear / (linear.square().mean() + 1e-4).sqrt() * norm_scale)


def naive_core(rssm: RSSM, h: Tensor, z: Tensor, action: int) -> Tensor:
    """One step of one row: three branches, block layers, GRU with the reset on the candidate."""
    a = torch.zeros(ACTIONS)
    if action >= 0:
        a[action] = 1.0
    a = a / a.abs().clamp(min=1.0)
    branches = [
        naive_hidden(x @ linear.weight + linear.bias, norm.scale)
        for x, linear, norm in (
            (h, rssm.deter_input, rssm.deter_norm),
            (z, rssm.stoch_input, rssm.stoch_norm),
            (a, rssm.action_input, rssm.action_norm),
        )
    ]
    shared = torch.cat(branches)
    slices = list(h.chunk(rssm.groups))
    x = torch.cat(naive_block(rssm.core, [torch.cat([own, shared]) for own in slices]))
    x = naive_hidden(x, rssm.core_norm.scale)
    for layer in rssm.core_rest:
        linear, norm = layer
        x = naive_hidden(torch.cat(naive_block(linear, list(x.chunk(rssm.groups)))), norm.scale)
    out = []
    for own, gates in zip(slices, naive_block(rssm.gates, list(x.chunk(rssm.groups))), strict=True):
        reset, candidate, update = gates.chunk(3)
        c = torch.tanh(torch.sigmoid(reset) * candidate)
        u = torch.sigmoid(update - 1.0)
        out.append(u * c + (1 - u) * own)
    return torch.cat(out)


def naive_draw(rssm: RSSM, logits: Tensor, uniform: Tensor) -> Tensor:
    """Class of each latent: the first whose mixed cumulative probability exceeds the uniform number."""
    probs = (1 - rssm.unimix) * logits.softmax(-1) + rssm.unimix / rssm.classes
    return (probs.cumsum(-1) <= uniform[:, None]).sum(-1).clamp(max=rssm.classes - 1)


def naive_mlp(first: Tensor, mlp: Any) -> Tensor:
    x = naive_hidden(first @ mlp.first.linear.weight + mlp.first.linear.bias, mlp.first.norm.scale)
    for layer in mlp.rest:
        if isinstance(layer, Hidden):
            x = naive_hidden(x @ layer.linear.weight + layer.linear.bias, layer.norm.scale)
        else:
            x = x @ layer.weight + layer.bias
    return x


def naive_observe(rssm: RSSM, data: dict[str, Tensor], seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    batch, length = data["is_first"].shape
    uniform = torch.rand(length, batch, rssm.stoch, generator=torch.Generator().manual_seed(seed))
    deters, classes, all_logits = [], [], []
    for b in range(batch):
        h, drawn = data["deter"][b], data["stoch"][b]
        for t in range(length):
            z, action = rssm.one_hot[drawn].flatten(), int(data["prev_action"][b, t])
            if data["is_first"][b, t]:
                h, z, action = torch.zeros_like(h), torch.zeros_like(z), -1
            h = naive_core(rssm, h, z, action)
            logits = naive_mlp(torch.cat([h, data["tokens"][b, t]]), rssm.posterior).view(rssm.stoch, rssm.classes)
            drawn = naive_draw(rssm, logits, uniform[t, b])
            deters.append(h)
            classes.append(drawn)
            all_logits.append(logits)
    shape = (batch, length)
    stacked = [torch.stack(x).unflatten(0, shape) for x in (deters, classes, all_logits)]
    return stacked[0], stacked[1], stacked[2]


VARIANTS: list[dict[str, Any]] = [
    {"blocks": 1},
    {"blocks": 2},
    {"blocks": 4, "dyn_layers": 3, "posterior_layers": 2, "prior_layers": 1},
    {"blocks": 3, "unimix": 0.0, "stoch": 1, "classes": 2},
]


@pytest.mark.parametrize("sizes", VARIANTS)
def test_observe_is_the_formulas_step_by_step_F8(sizes: dict[str, Any]) -> None:
    rssm = build(**sizes)
    data = window(rssm)
    got = observe(rssm, data)
    deter, stoch, logits = naive_observe(rssm, data)
    assert torch.equal(got.stoch, stoch)
    assert torch.allclose(got.deter, deter, atol=1e-5)
    assert torch.allclose(got.posterior_logits, logits, atol=1e-4)
    one_hot = functional.one_hot(stoch, rssm.classes).flatten(2).float()
    assert torch.allclose(got.features, torch.cat([deter, one_hot], -1), atol=1e-5)
    assert rssm.feature_size == got.features.shape[-1]


@pytest.mark.parametrize("sizes", VARIANTS)
def test_gradients_are_those_of_the_formulas_F8(sizes: dict[str, Any]) -> None:
    """Deterministic path only: a single step, whose state does not pass through a sample."""
    rssm = build(**sizes)
    data = window(rssm, length=1)
    parameters = [p for name, p in rssm.named_parameters() if not name.startswith("prior")]

    def gradients(deter: Tensor, logits: Tensor) -> list[Tensor]:
        total = deter.square().sum() + (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum()
        return list(torch.autograd.grad(total, parameters))

    observed = observe(rssm, data)
    deter, _, logits = naive_observe(rssm, data)
    fast, slow = gradients(observed.deter, observed.posterior_logits), gradients(deter, logits)
    for a, b in zip(fast, slow, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("sizes", VARIANTS)
def test_imagine_is_the_prior_step_by_step_F8(sizes: dict[str, Any]) -> None:
    rssm = build(**sizes)
    rows, horizon = 5, 3
    actions = torch.randint(0, ACTIONS, (horizon, rows, 1))
    start = observe(rssm, window(rssm, batch=rows)).features[:, -1].detach()
    seen = []

    def policy(features: Tensor, t: int) -> tuple[Tensor, None]:
        seen.append(features.clone())
        return actions[t], None

    with torch.no_grad():
        features, chosen = rssm.imagine(start, policy, horizon, torch.Generator().manual_seed(2))
    assert torch.equal(chosen, actions)
    assert torch.equal(torch.stack(seen), features[:-1])
    assert not features.requires_grad
    uniform = torch.rand(horizon, rows, rssm.stoch, generator=torch.Generator().manual_seed(2))
    for n in range(rows):
        h, z = start[n].split([rssm.deter, rssm.feature_size - rssm.deter])
        assert torch.equal(features[0, n], start[n])
        for t in range(horizon):
            h = naive_core(rssm, h, z, int(actions[t, n]))
            logits = naive_mlp(h, rssm.prior).view(rssm.stoch, rssm.classes)
            z = rssm.one_hot[naive_draw(rssm, logits, uniform[t, n])].flatten()
            assert torch.allclose(features[t + 1, n], torch.cat([h, z]), atol=1e-5)


WIDE: dict[str, Any] = {"stoch": 16, "classes": 8}


@pytest.mark.parametrize("blocks", [1, 2])
def test_imagining_apart_is_imagining_with_the_one_hots_told_of(blocks: int) -> None:
    rssm = build(**WIDE, blocks=blocks)
    rows, horizon = 5, 3
    start = observe(rssm, window(rssm, batch=rows)).features[:, -1].detach()
    actions, told = torch.randint(0, ACTIONS, (horizon, rows, 1)), []

    def policy(now: Tensor, known: OneHots | None, t: int) -> tuple[Tensor, None]:
        assert known is not None
        told.append((now.clone(), known))
        return actions[t], None

    with torch.no_grad():
        whole, _ = rssm.imagine(start, lambda _, t: (actions[t], None), horizon, torch.Generator().manual_seed(2))
        apart = rssm.imagine_apart(start, policy, horizon, torch.Generator().manual_seed(2))
    assert apart is not None
    assert apart.one_hots is not None
    assert torch.equal(apart.action, actions)
    assert apart.one_hots.start == rssm.deter
    assert torch.allclose(apart.features, whole[..., : rssm.deter], atol=1e-6)
    ones = torch.zeros((horizon + 1) * rows, rssm.feature_size).scatter_(1, apart.one_hots.columns, 1.0)
    assert torch.equal(ones[:, rssm.deter :], whole.flatten(0, 1)[:, rssm.deter :])
    for t, (now, known) in enumerate(told):
        assert torch.equal(now, apart.features[t])
        assert torch.equal(known.columns, apart.one_hots.rows(t * rows, (t + 1) * rows).columns)


def test_where_latents_are_few_nothing_is_imagined_apart() -> None:
    rssm = build()
    start = observe(rssm, window(rssm)).features[:, -1].detach()
    with torch.no_grad():
        assert rssm.imagine_apart(start, lambda *_: pytest.fail("asked"), 3, torch.Generator()) is None


# -- properties


def test_the_update_gate_starts_at_sigmoid_of_minus_one_A3() -> None:
    rssm = build(noise=0.0)
    with torch.no_grad():
        rssm.gates.weight.zero_()
    data = window(rssm, length=1)
    data["is_first"][:] = False
    # Candidate 0, update gate sigmoid(-1) = 0.27: the state shrinks by that share.
    assert torch.allclose(observe(rssm, data).deter[:, 0], data["deter"] * (1 - 0.26894), atol=1e-5)


def test_the_state_stays_when_the_update_gate_is_shut_F8() -> None:
    rssm = build()
    with torch.no_grad():
        rssm.gates.bias.view(rssm.groups, 3, -1)[:, 2] = -1e4
    data = window(rssm)
    data["is_first"][:] = False
    assert torch.equal(observe(rssm, data).deter, data["deter"][:, None].expand(-1, 6, -1))


def test_a_group_of_gates_moves_its_own_slice_only_F8() -> None:
    rssm = build()
    data = window(rssm, length=1)
    before = observe(rssm, data).deter
    with torch.no_grad():
        rssm.gates.weight[1] += 1.0
    changed = (observe(rssm, data).deter != before).view(-1, rssm.groups, rssm.deter // rssm.groups).any(-1)
    assert not changed[:, 0].any()
    assert changed[:, 1].all()


def test_nothing_before_a_reset_matters_after_it_F9() -> None:
    rssm = build()
    data = window(rssm)
    data["is_first"] = torch.zeros_like(data["is_first"])
    data["is_first"][:, 3] = True
    other = {key: value.clone() for key, value in data.items()}
    other["tokens"][:, :3] += 1.0
    other["prev_action"][:, :4] = (other["prev_action"][:, :4] + 2) % ACTIONS  # including the action before the reset
    other["deter"] += 0.5
    other["stoch"][:] = 0
    a, b = observe(rssm, data), observe(rssm, other)
    assert not torch.equal(a.deter[:, :3], b.deter[:, :3])
    assert torch.equal(a.features[:, 3:], b.features[:, 3:])


def test_no_gradient_crosses_a_reset_F9() -> None:
    rssm = build()
    data = window(rssm)
    data["is_first"] = torch.zeros_like(data["is_first"])
    data["is_first"][:, 3] = True
    data["tokens"].requires_grad_()
    (grad,) = torch.autograd.grad(observe(rssm, data).features[:, 3:].square().sum(), data["tokens"])
    assert (grad[:, :3] == 0).all()
    assert (grad[:, 3:] != 0).any()


def test_a_window_may_be_split_anywhere_given_the_state_between_F9() -> None:
    rssm = build()
    data = window(rssm)
    whole = observe(rssm, data)
    deter, stoch, generator = data["deter"], data["stoch"], torch.Generator().manual_seed(1)
    for t in range(data["is_first"].shape[1]):
        now = {k: data[k][:, t : t + 1] for k in ("tokens", "prev_action", "is_first")}
        step = rssm.observe(**now, deter=deter, stoch=stoch, generator=generator)
        deter, stoch = step.deter[:, 0], step.stoch[:, 0]
        assert torch.equal(stoch, whole.stoch[:, t])
        assert torch.allclose(deter, whole.deter[:, t], atol=1e-6)


def test_latents_depend_on_the_action_before_them_and_on_no_later_one_F10() -> None:
    rssm = build()
    data = window(rssm)
    data["is_first"][:] = False
    before = observe(rssm, data)
    data["prev_action"][:, 2] = (data["prev_action"][:, 2] + 1) % ACTIONS
    after = observe(rssm, data)
    assert torch.equal(before.features[:, :2], after.features[:, :2])
    assert (before.deter[:, 2] != after.deter[:, 2]).any(-1).all()


def test_nothing_later_leaks_into_a_state_F10() -> None:
    rssm = build()
    data = window(rssm)
    before = observe(rssm, data)
    data["tokens"][:, 4:] += 1.0
    data["prev_action"][:, 4:] = -1
    data["is_first"][:, 5] = True
    after = observe(rssm, data)
    assert torch.equal(before.features[:, :4], after.features[:, :4])
    assert not torch.equal(before.features[:, 4:], after.features[:, 4:])


def test_no_action_and_the_zero_latent_are_zero_vectors() -> None:
    rssm = build()
    assert (rssm.one_hot[-1] == 0).all()
    assert (rssm.codec.rows[-1] == 0).all()
    data = window(rssm, length=1)
    data["is_first"][:] = True
    reset = observe(rssm, data)
    data["is_first"][:] = False
    data["deter"] = torch.zeros_like(data["deter"])
    data["stoch"][:] = -1
    data["prev_action"][:] = -1
    assert torch.equal(observe(rssm, data).features, reset.features)


# -- losses


def observed_with(rssm: RSSM, logits: Tensor, deter: Tensor) -> Observed:
    return Observed(torch.zeros(*deter.shape[:2], rssm.feature_size), deter, logits.argmax(-1), logits)


@torch.no_grad()
def test_what_acting_keeps_of_the_weights_follows_every_change_of_them() -> None:
    rssm = build()
    data = window(rssm, length=1)
    for name, parameter in rssm.named_parameters():
        observe(rssm, data)
        parameter.mul_(1.5)
        fresh = build()
        fresh.load_state_dict(rssm.state_dict())
        expected = observe(fresh, data)
        for _ in range(2):
            assert torch.equal(observe(rssm, data).features, expected.features), name
    before = observe(rssm, data).features
    rssm.load_state_dict(build(noise=0.5).state_dict())
    assert not torch.equal(observe(rssm, data).features, before)


def test_dyn_and_rep_are_the_same_kl_clipped_per_element_after_the_sum_A4_F11() -> None:
    rssm = build(free_nats=1.0)
    observed = observe(rssm, window(rssm, batch=16))
    prior = categorical(rssm.prior(observed.deter).unflatten(-1, (3, 4)), rssm.unimix)
    raw = kl_divergence(categorical(observed.posterior_logits, rssm.unimix), prior)
    assert (raw < 1.0).any()
    assert (raw > 1.0).any()
    losses = rssm.losses(observed)
    for name in ("dyn", "rep"):
        assert losses.terms[name].shape == (16, 6)
        assert torch.allclose(losses.terms[name], raw.clamp(min=1.0))
    torch.testing.assert_close(losses.metrics["wm/kl_nats"], raw)
    torch.testing.assert_close(losses.metrics["wm/kl_dyn_nats"], raw.clamp(min=1.0))
    assert torch.equal(losses.metrics["wm/free_bits_frac"], (raw < 1.0).float())


def test_an_element_under_the_free_bits_has_no_gradient_F11() -> None:
    rssm = build(free_nats=1.0)
    deter = observe(rssm, window(rssm, batch=16)).deter.detach()
    logits = (0.7 * torch.randn(16, 6, 3, 4)).requires_grad_()
    losses = rssm.losses(observed_with(rssm, logits, deter))
    raw = losses.terms["rep"]
    under = raw == 1.0
    assert under.any()
    assert not under.all()
    (grad,) = torch.autograd.grad(raw.sum(), logits)
    assert (grad[under] == 0).all()
    assert (grad[~under] != 0).flatten(1).any(1).all()


def test_without_free_bits_the_whole_kl_has_a_gradient_F11() -> None:
    rssm = build(free_nats=0.0)
    deter = observe(rssm, window(rssm, batch=16)).deter.detach()
    logits = (0.1 * torch.randn(16, 6, 3, 4)).requires_grad_()
    losses = rssm.losses(observed_with(rssm, logits, deter))
    assert (losses.terms["rep"] < 1.0).any()
    (grad,) = torch.autograd.grad(losses.terms["rep"].sum(), logits)
    assert (grad != 0).flatten(2).any(-1).all()
    assert not losses.metrics["wm/free_bits_frac"].any()


def test_dyn_trains_the_prior_and_rep_the_posterior_F11() -> None:
    rssm = build(free_nats=0.0)
    deter = torch.randn(2, 3, rssm.deter)
    logits = torch.randn(2, 3, 3, 4, requires_grad=True)
    weight = rssm.prior.first.linear.weight
    terms = rssm.losses(observed_with(rssm, logits, deter)).terms
    for name, to_posterior, to_prior in (("dyn", False, True), ("rep", True, False)):
        grads = torch.autograd.grad(terms[name].sum(), [logits, weight], allow_unused=True, retain_graph=True)
        assert [g is not None and bool((g != 0).any()) for g in grads] == [to_posterior, to_prior]


def test_equal_prior_and_posterior_cost_nothing_F11() -> None:
    rssm = build(free_nats=0.0)
    deter = torch.randn(2, 3, rssm.deter)
    logits = rssm.prior(deter).unflatten(-1, (3, 4)).detach()
    terms = rssm.losses(observed_with(rssm, logits, deter)).terms
    assert terms["dyn"].abs().max().item() < 1e-6
    assert terms["rep"].abs().max().item() < 1e-6


def test_entropies_are_summed_over_latents() -> None:
    rssm = build(noise=0.0)
    logits = torch.zeros(2, 3, 3, 4)
    metrics = rssm.losses(observed_with(rssm, logits, torch.zeros(2, 3, rssm.deter))).metrics
    expected = 3 * torch.log(torch.tensor(4.0)).item()
    assert metrics["wm/posterior_entropy_nats"].item() == pytest.approx(expected, rel=1e-5)
    assert metrics["wm/prior_entropy_nats"].item() <= expected + 1e-5


def test_an_absolute_posterior_reads_the_token_alone_A3() -> None:
    logits = {}
    for absolute in (True, False):
        rssm = build(absolute_posterior=absolute)
        given = window(rssm, length=1)
        given["is_first"][:] = False
        other = given | {"deter": -given["deter"], "stoch": given["stoch"].roll(1, 0)}
        logits[absolute] = [
            rssm.observe(**x, generator=torch.Generator().manual_seed(0)).posterior_logits for x in (given, other)
        ]
        grads = torch.autograd.grad(logits[absolute][0].sum(), rssm.posterior.parameters())
        assert all((grad != 0).any() for grad in grads)
    assert torch.equal(*logits[True])
    assert not torch.allclose(*logits[False], atol=1e-3)
