"""Networks of pictures against plain loops, sizes, gradients, how bytes enter and leave (FACTS A2, A4, A11)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.config.schema import Config
from dreamerlab.dreamer import images
from dreamerlab.dreamer.codecs import Decoder, Encoder
from dreamerlab.dreamer.images import ImageDecoder, ImageEncoder, UpConv, fold_phases, unfold_phases
from dreamerlab.dreamer.products import computing_in
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.oracles.images import decode, encode

F64 = torch.float64


def moved(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give the module in float64 with every parameter moved off its initial value."""
    module = module.double()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=g, dtype=F64))
    return module


def parameters(module: nn.Module) -> dict[str, np.ndarray]:
    return {f"net.{name}": parameter.detach().numpy() for name, parameter in module.named_parameters()}


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("downsample", ["maxpool", "stride"])
@pytest.mark.parametrize("shape", [(16, 32, 3), (32, 16, 1), (16, 16, 5)])
def test_the_encoder_is_the_plain_loop_A2(shape: tuple[int, int, int], downsample: str) -> None:
    encoder = moved(ImageEncoder(shape, 2, downsample))
    x = pictures(3, *shape)
    expected = [encode(parameters(encoder), "net", one.numpy(), strided=downsample == "stride") for one in x]
    assert encoder(x).detach().numpy() == pytest.approx(np.stack(expected), abs=1e-10)


@pytest.mark.parametrize("shape", [(16, 32, 3), (32, 16, 1)])
def test_the_decoder_is_the_plain_loop_A4(shape: tuple[int, int, int]) -> None:
    decoder = moved(ImageDecoder(16, 6, shape, 4, 5))  # 8 groups of 2 channels
    features = torch.randn(3, 22, dtype=F64)
    p = parameters(decoder)
    expected = np.stack([decode(p, "net", h[:16], h[16:], shape) for h in features.numpy()])
    assert decoder(features).detach().numpy() == pytest.approx(expected, abs=1e-10)
    x = pictures(3, *shape)
    error = ((expected - x.numpy() / 255.0) ** 2).sum((1, 2, 3))
    assert decoder.losses(features, x).detach().numpy() == pytest.approx(error, rel=1e-10)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4)])
def test_a_folded_convolution_is_enlarging_and_convolving_A4(size: tuple[int, int]) -> None:
    conv = moved(UpConv(5, 3))
    x = torch.randn(2, *size, 5, dtype=F64, requires_grad=True)
    enlarged = functional.interpolate(x.permute(0, 3, 1, 2), scale_factor=2, mode="nearest")
    plain = functional.conv2d(enlarged, conv.weight, conv.bias, padding=2).permute(0, 2, 3, 1)
    folded = unfold_phases(conv(x))
    assert torch.allclose(folded, plain, rtol=0, atol=1e-12)
    # The gradients too: of what is convolved, of the 5 x 5 kernel and of the bias.
    weights = torch.randn_like(plain)
    both = (torch.autograd.grad((y * weights).sum(), [x, conv.weight, conv.bias]) for y in (folded, plain))
    for ours, theirs in zip(*both, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_phases_are_pixels_of_even_and_odd_rows_and_columns() -> None:
    picture = pictures(2, 4, 6, 3)
    phases = fold_phases(picture)
    for p in range(2):
        for q in range(2):
            assert torch.equal(phases[:, :, :, 2 * p + q], picture[:, p::2, q::2])
    assert torch.equal(unfold_phases(phases.float()), picture.float())


def test_gradients_are_those_of_finite_differences() -> None:
    encoder, decoder = moved(ImageEncoder((16, 16, 1), 2, "stride")), moved(ImageDecoder(8, 2, (16, 16, 1), 2, 3))
    x, features = pictures(2, 16, 16, 1), torch.randn(2, 10, dtype=F64, requires_grad=True)

    def loss(features: Tensor) -> Tensor:
        return encoder(x).square().mean() + decoder.losses(features, x).mean()

    tensors = [features, *encoder.parameters(), *decoder.parameters()]
    grads = torch.autograd.grad(loss(features), tensors)
    g, h = torch.Generator().manual_seed(1), 1e-6
    for tensor, grad in zip(tensors, grads, strict=True):
        direction = torch.randn(tensor.shape, generator=g, dtype=F64)
        with torch.no_grad():
            tensor += h * direction
            above = loss(features)
            tensor -= 2 * h * direction
            below = loss(features)
            tensor += h * direction
        assert (grad * direction).sum().item() == pytest.approx(((above - below) / (2 * h)).item(), rel=1e-5, abs=1e-8)


def test_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, decoder = moved(ImageEncoder((16, 16, 3), 2, "maxpool")), moved(ImageDecoder(8, 2, (16, 16, 3), 2, 3))
    x, features = pictures(7, 16, 16, 3), torch.randn(7, 10, dtype=F64, requires_grad=True)

    def all_of() -> list[Tensor]:
        tokens, errors, seen = encoder(x), decoder.losses(features, x), decoder(features)
        total = tokens.square().sum() + errors.sum()
        return [tokens, errors, seen, *torch.autograd.grad(total, [*encoder.parameters(), features])]

    whole = all_of()
    monkeypatch.setattr(images, "PART", 2 * encoder.largest)
    assert len(images.parts(x, encoder.largest)) == 4
    for one, other in zip(whole, all_of(), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_convolutions_are_rounded_like_every_product_A9() -> None:
    torch.manual_seed(0)
    encoder, x = ImageEncoder((16, 16, 3), 8, "maxpool"), pictures(4, 16, 16, 3)
    exact = encoder(x)
    with computing_in(torch.bfloat16):
        rounded = encoder(x)
        grads = torch.autograd.grad(rounded.square().sum(), list(encoder.parameters()))
    plain = torch.autograd.grad(exact.square().sum(), list(encoder.parameters()))
    assert rounded.dtype == torch.float32
    assert 1e-4 < (rounded - exact).norm() / exact.norm() < 3e-2
    for ours, theirs in zip(grads, plain, strict=True):
        assert (ours - theirs).norm() < 0.3 * theirs.norm()  # rounding moves some maxima elsewhere


def test_bytes_enter_around_zero_and_leave_within_one_A2_A4() -> None:
    seen: list[Tensor] = []
    encoder = ImageEncoder((16, 16, 1), 2, "maxpool")
    encoder.convs[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 16, 16, 1)
    encoder(levels)
    assert [row.unique().item() for row in seen[0]] == pytest.approx([-0.5, -0.3, 0.5])
    decoder = ImageDecoder(8, 2, (16, 16, 1), 2, 3)
    with torch.no_grad():
        decoder.convs[-1].weight.zero_()
    predicted = decoder(torch.randn(2, 10))
    assert (predicted == 0.5).all()  # the sigmoid of 0
    white = torch.full((2, 16, 16, 1), 255, dtype=torch.uint8)
    assert decoder.losses(torch.randn(2, 10), white).tolist() == [64.0, 64.0]  # 256 pixels, each off by one half


def test_initial_weights_count_every_tap_as_input_A3() -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder((64, 64, 3), 16, "maxpool")
    weight = encoder.convs[2].weight
    fan_in = 48 * 25
    assert weight.std().item() == pytest.approx(1 / math.sqrt(fan_in), rel=0.02)
    assert weight.abs().max().item() <= 2 * 1.1368 / math.sqrt(fan_in)
    assert (encoder.convs[2].bias == 0).all()


PRESETS = {
    "1M": (512, 64, 4, 4),
    "12M": (2048, 256, 16, 16),
    "25M": (3072, 384, 24, 24),
    "50M": (4096, 512, 32, 32),
    "100M": (6144, 768, 48, 48),
    "200M": (8192, 1024, 64, 64),
    "400M": (12288, 1536, 96, 96),
}
"""deter, hidden and units, classes, cnn_depth (FACTS A11)."""


# Tensors without memory cost seconds once, by what torch loads for them.
LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in PRESETS if name not in ("1M", "12M")]


@pytest.mark.parametrize("preset", ["1M", "12M", *LARGE])
def test_parameters_of_pixels_at_every_preset_A11(preset: str) -> None:
    deter, units, classes, depth = PRESETS[preset]
    model = {"deter": deter, "hidden": units, "units": units, "classes": classes, "cnn_depth": depth}
    spec = EnvSpec({"image": ObsSpec.image(64, 64, 3)}, ActionSpec.discrete(6))
    config = Config.model_validate({"model": model}).model
    with torch.device("cpu" if preset in ("1M", "12M") else "meta"):
        nets = {"encoder": Encoder(spec, config), "decoder": Decoder(deter, deter + 32 * classes, spec, config)}
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}

    def hidden(inputs: int, outputs: int, taps: int = 1) -> int:
        return taps * inputs * outputs + 2 * outputs  # weights, biases, norm scales

    d = depth
    ends = [(3, 2 * d), (2 * d, 3 * d), (3 * d, 4 * d), (4 * d, 4 * d)]
    assert counts["encoder"] == sum(hidden(i, o, 25) for i, o in ends)
    small, latents = 16 * 4 * d, 32 * classes
    from_deter = deter * small // 8 + small
    from_latents = hidden(latents, 2 * units) + 2 * units * small + small
    back = [(4 * d, 4 * d), (4 * d, 3 * d), (3 * d, 2 * d), (2 * d, 3)]
    norms = 4 * d + 4 * d + 3 * d + 2 * d
    assert counts["decoder"] == from_deter + from_latents + sum(25 * i * o + o for i, o in back) + norms
