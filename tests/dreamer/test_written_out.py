"""Gradients written out against those of autograd: the scan, the stacks, gathered one-hots, products (FACTS A3, F13).

Both ways see the same random numbers, so they draw the same latents and the same actions.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer import products, scan, stack
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.networks import MLP
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.dreamer.products import add_product, affine, computing_in, packed, product, weight_gradient
from dreamerlab.dreamer.stack import Layer, plain_gradients, run_stack

MakeConfig = Callable[..., Config]
MakeAgent = Callable[..., Agent]
MakeBatch = Callable[..., Batch]

MODELS: dict[str, dict[str, Any]] = {
    "blocks": {"blocks": 4},
    "dense": {"blocks": 1},
    "many classes": {"stoch": 16, "classes": 8},
    "deep": {"policy_layers": 3, "value_layers": 2, "reward_layers": 2, "dyn_layers": 2, "posterior_layers": 2},
}


@pytest.fixture
def doubles() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def losses_and_gradients(agent: Agent, batch: Batch) -> tuple[dict[str, Tensor], list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(5)
    agent.behavior.return_scale.low.zero_()
    agent.behavior.return_scale.high.zero_()
    losses, observed = agent.losses(batch, generator)
    total = torch.stack([loss.mean() for loss in losses.terms.values()]).sum()
    parameters = agent.optimizer.parameters_in_order
    grads = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
    return {name: loss.detach() for name, loss in losses.terms.items()}, list(grads), observed.stoch


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("doubles")
def test_losses_and_gradients_are_those_of_autograd_in_float64(
    name: str, make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "rows_at_once", lambda width: 7)  # several parts, the last one short
    if name == "many classes":
        monkeypatch.setattr(scan, "SMALL", 0)  # product by product, as large models go
    config = make_config(model=MODELS[name], train={"imagination_starts": "all"})
    agent, batch = make_agent(config, noise=0.1), make_batch(config)
    with plain_gradients():
        plain_losses, plain, plain_stoch = losses_and_gradients(agent, batch)
    losses, written, stoch = losses_and_gradients(agent, batch)
    assert torch.equal(stoch, plain_stoch)
    for key, loss in losses.items():
        assert torch.allclose(loss, plain_losses[key], rtol=1e-9, atol=1e-12), key
    for a, b in zip(written, plain, strict=True):
        assert (a - b).norm() <= 1e-9 * b.norm() + 1e-14
    assert sum(g.norm() > 0 for g in written) > len(written) * 0.9


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_autograd_in_float32(
    name: str, make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    config = make_config(model=MODELS[name])
    agent, batch = make_agent(config, noise=0.1), make_batch(config)
    with plain_gradients():
        _, plain, plain_stoch = losses_and_gradients(agent, batch)
    _, written, stoch = losses_and_gradients(agent, batch)
    assert torch.equal(stoch, plain_stoch)
    for a, b in zip(written, plain, strict=True):
        assert (a - b).norm() <= 1e-3 * b.norm() + 1e-7


def random_layers(sizes: list[int]) -> list[Layer]:
    g = torch.Generator().manual_seed(1)

    def parameter(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g).requires_grad_()

    *hidden, output = pairwise(sizes)
    layers = [Layer(parameter(i, o), parameter(o), parameter(o)) for i, o in hidden]
    return [*layers, Layer(parameter(*output), parameter(output[1]), None)]


@pytest.mark.usefixtures("doubles")
def test_a_stack_passes_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "rows_at_once", lambda width: 2)
    layers = random_layers([3, 4, 5, 2])
    tensors = [tensor for layer in layers for tensor in layer if tensor is not None]

    def run(x: Tensor, *_: Tensor) -> Tensor:
        return run_stack(x, layers)

    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(run, (x, *tensors))


@pytest.mark.parametrize("start", [0, 3])
def test_gathered_rows_of_a_weight_are_the_product_with_one_hots(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output and gradients, in parts of two rows and one; no row has class 0 of the first place or 2 of the other."""
    monkeypatch.setattr(stack, "rows_at_once", lambda width: 2)
    layers = random_layers([start + 8, 4, 2])
    columns = torch.tensor([[1, 4], [3, 7], [1, 5]])
    x = torch.randn(3, start + 8, generator=torch.Generator().manual_seed(5))
    x[:, start:] = torch.zeros(3, 8).scatter_(1, columns, 1.0)
    known = OneHots(start, columns + start)
    tensors = [tensor for layer in layers for tensor in layer if tensor is not None]
    with torch.no_grad():
        assert torch.allclose(run_stack(x, layers, known), run_stack(x, layers), atol=1e-5)
    gathered, wanted = run_stack(x, layers, known), run_stack(x, layers)
    assert torch.allclose(gathered, wanted, atol=1e-5)
    back = torch.randn(3, 2, generator=torch.Generator().manual_seed(6))
    for got, exact in zip(
        torch.autograd.grad(gathered, tensors, back), torch.autograd.grad(wanted, tensors, back), strict=True
    ):
        assert torch.allclose(got, exact, atol=1e-5)


@pytest.fixture(params=["oneDNN", "MKL"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who takes large products: either library can on any processor with AVX, whichever is the faster on this one."""
    if request.param == "oneDNN" and not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("oneDNN is used on processors with AVX")
    monkeypatch.setattr(products, "_ONEDNN", request.param == "oneDNN")
    return str(request.param)


@pytest.mark.parametrize("one_bias", [True, False])
@pytest.mark.parametrize("outputs", [1, 2, 48])
@pytest.mark.parametrize("rows", [3, 700, 3000])
def test_products_of_any_size_have_the_right_gradients(rows: int, outputs: int, one_bias: bool, library: str) -> None:
    """3 rows are MKL's everywhere, many of 48 outputs oneDNN's where it is used, few outputs a case of their own."""
    g = torch.Generator().manual_seed(rows)
    x, weight = (torch.randn(shape, generator=g).requires_grad_() for shape in ((rows, 64), (64, outputs)))
    bias = torch.randn((outputs,) if one_bias else (rows, outputs), generator=g).requires_grad_()
    back = torch.randn(rows, outputs, generator=g)
    exact = [t.detach().double().requires_grad_() for t in (x, weight, bias)]
    wanted = exact[0] @ exact[1] + exact[2]
    got = affine(x, weight, bias)
    assert torch.allclose(got.double(), wanted, atol=1e-3)
    grads = torch.autograd.grad(got, (x, weight, bias), back)
    for a, b in zip(grads, torch.autograd.grad(wanted, exact, back.double()), strict=True):
        assert (a.double() - b).norm() <= 1e-5 * b.norm()


@pytest.mark.parametrize("outputs", [2, 48])
@pytest.mark.parametrize("rows", [3, 2000])
def test_products_are_added_to_what_is_there(rows: int, outputs: int, library: str) -> None:
    g = torch.Generator().manual_seed(rows)
    wide, weight = torch.randn(rows, 96, generator=g), torch.randn(64, outputs, generator=g)
    total, bias = torch.randn(rows, outputs, generator=g), torch.randn(outputs, generator=g)
    x = wide[:, :64]
    wanted = total + x @ weight
    assert torch.allclose(add_product(total.clone(), x, weight), wanted, atol=1e-3)
    assert torch.allclose(add_product(total.clone(), x, weight, bias), wanted + bias, atol=1e-3)
    grads, back = torch.randn(64, outputs, generator=g), torch.randn(rows, outputs, generator=g)
    added = weight_gradient(packed(x), back, grads.clone())
    assert (added - (grads + x.t() @ back)).norm() <= 1e-5 * added.norm()


def test_an_evened_layer_says_the_same_and_has_the_same_gradient() -> None:
    """Outputs of -inf behind the others: their probability is 0, and no gradient comes from there."""
    torch.manual_seed(0)
    network = MLP(6, 8, 1, 21)
    x = torch.randn(5, 6)
    plain, even = network(x), network.logits(x)
    assert even.shape == (5, 32)
    assert torch.equal(even[:, 21:], torch.full((5, 11), -torch.inf))
    assert torch.allclose(even[:, :21], plain, atol=1e-6)
    probs = even.softmax(-1)
    assert torch.allclose(probs[:, :21], plain.softmax(-1), atol=1e-6)
    assert (probs[:, 21:] == 0.0).all()
    weights = torch.randn(5, 21)
    parameters = list(network.parameters())
    wanted = torch.autograd.grad((plain.softmax(-1) * weights).sum(), parameters)
    for got, exact in zip(torch.autograd.grad((probs[:, :21] * weights).sum(), parameters), wanted, strict=True):
        assert torch.allclose(got, exact, atol=1e-6)


@pytest.mark.parametrize("known", [True, False])
def test_what_is_read_out_in_parts_is_read_out_of_all(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first layer's bias shared out to the rows of its weight that one-hots pick, and without."""
    monkeypatch.setattr(stack, "rows_at_once", lambda width: 2)
    torch.manual_seed(3)
    network, columns = MLP(3 + 8, 6, 2, 21), torch.tensor([[1, 4], [3, 7], [1, 5], [0, 6], [2, 4]])
    with torch.no_grad():
        network.first.linear.bias.normal_()
    x = torch.cat([torch.randn(5, 3), torch.zeros(5, 8).scatter_(1, columns, 1.0)], 1)
    one_hots = OneHots(3, columns + 3) if known else None
    seen: list[int] = []

    def most(logits: Tensor) -> Tensor:
        seen.append(len(logits))
        return logits.softmax(-1).max(-1).values

    with torch.no_grad():
        parts = network.read_out(x, one_hots, most)
        assert seen == [2, 2, 1]
        assert torch.allclose(parts, network(x).softmax(-1).max(-1).values, atol=1e-6)
    whole = network.read_out(x, one_hots, most)
    assert whole.requires_grad
    assert torch.allclose(whole, parts, atol=1e-6)


def test_large_products_are_given_to_onednn_where_it_is_used(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, ...]] = []
    onednn = products._onednn

    def note(x: Tensor, transposed: Tensor, bias: Tensor | None) -> Tensor:
        given.append(tuple(x.shape))
        return onednn(x, transposed, bias)

    monkeypatch.setattr(products, "_onednn", note)
    x, weight = torch.randn(2000, 64), torch.randn(64, 48)
    product(x, weight)
    product(x[:3], weight)
    assert given == ([(2000, 64)] if library == "oneDNN" else [])


@pytest.mark.parametrize(
    ("listing", "intel"), [("vendor_id\t: GenuineIntel\n", True), ("vendor_id\t: AuthenticAMD\n", False)]
)
def test_the_maker_is_read_from_the_kernels_listing(tmp_path: Path, listing: str, intel: bool) -> None:
    (tmp_path / "cpuinfo").write_text(listing)
    assert products.is_intel(tmp_path / "cpuinfo") is intel


@pytest.mark.parametrize(
    ("name", "intel"), [("Intel64 Family 6 Model 143 Stepping 8, GenuineIntel", True), ("arm", False), ("", False)]
)
def test_without_a_listing_the_name_of_the_processor_tells_the_maker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, intel: bool
) -> None:
    monkeypatch.setattr(platform, "processor", lambda: name)
    assert products.is_intel(tmp_path / "none") is intel


def test_unpacked_factors_are_not_given_to_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of columns is neither packed by rows nor by columns: oneDNN would fall back to a crawl."""

    def refuse(*_: object) -> Tensor:
        raise AssertionError("not packed")

    monkeypatch.setattr(products, "_ONEDNN", True)
    monkeypatch.setattr(products, "_onednn", refuse)
    x, wide = torch.randn(2000, 64), torch.randn(64, 96)
    assert torch.allclose(product(x, wide[:, :48]), x @ wide[:, :48])
    assert torch.allclose(weight_gradient(x[:, :32], x), x[:, :32].t() @ x)


def test_rounded_products_have_rounded_factors_and_full_results() -> None:
    x, weight, bias = torch.randn(5, 8), torch.randn(8, 3).requires_grad_(), torch.randn(3)
    with computing_in(torch.bfloat16):
        got = affine(x, weight, bias)
        (grad,) = torch.autograd.grad(got.sum(), weight)
    assert got.dtype == grad.dtype == torch.float32
    assert torch.equal(got, (x.bfloat16() @ weight.bfloat16()).float() + bias)
    assert not torch.equal(got, affine(x, weight, bias))
    assert torch.allclose(got, affine(x, weight, bias), atol=0.1)


def an_update(agent: Agent, batch: Batch) -> tuple[dict[str, Tensor], list[Tensor]]:
    update = agent.update(batch, torch.Generator().manual_seed(3))
    return update.metrics, list(agent.parameters())


@pytest.mark.parametrize(("dtype", "kept_in"), [("float64", torch.float64), ("bfloat16", torch.float32)])
def test_another_type_of_number_acts_and_learns_nearly_the_same_A9(
    dtype: str, kept_in: torch.dtype, make_config: MakeConfig, make_agent: MakeAgent, make_batch: MakeBatch
) -> None:
    """bfloat16 rounds the factors of products only: parameters, losses and metrics stay float32."""
    config, other = make_config(), make_config(execution={"dtype": dtype})
    batch = make_batch(config)
    metrics, _ = an_update(make_agent(config, noise=0.1), batch)
    agent = make_agent(other, noise=0.1)
    obs = {key: value[:, 0] for key, value in batch.obs.items()}
    first = torch.ones(len(batch.reward), dtype=torch.bool)
    action, carry = agent.act(obs, first, agent.initial_carry(len(first)), mode=True, generator=torch.Generator())
    assert carry.deter.dtype == kept_in
    assert len(action) == len(first)
    changed, parameters = an_update(agent, batch)
    assert {p.dtype for p in parameters} == {kept_in}
    assert all(value.isfinite() for value in changed.values())
    assert changed["wm/loss"].dtype == kept_in
    assert changed["wm/loss"].item() == pytest.approx(metrics["wm/loss"].item(), rel=0.05)
    assert changed["wm/loss"].item() != metrics["wm/loss"].item()


@pytest.mark.slow
def test_a_compiled_update_is_the_eager_one() -> None:
    """Compiling takes minutes on a CPU; `execution.compile` is meant for a GPU (M-CP-21)."""
    script = Path(__file__).with_name("compiled_against_eager.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
