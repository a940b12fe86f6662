"""Pictures in and out, in float64 numpy, one picture (height, width, channels) at a time (FACTS A2, A4).

Enlarging and convolving are two steps here, padding is written out, and every output pixel sums over its taps.
"""

from __future__ import annotations

import numpy as np

from tests.oracles.formulas import sigmoid, silu
from tests.oracles.model import Array, Parameters, block_linear, hidden, linear


def convolve(x: Array, weight: Array, bias: Array, stride: int = 1) -> Array:
    """Give the "same" convolution: the output has height / stride rows; weight is (outputs, inputs, taps, taps).

    At stride 1 the padding is the same on both sides; at stride 2 one pixel fewer is needed, and missing before.
    """
    taps = weight.shape[2]
    needed = taps - stride
    before = needed // 2
    padded = np.pad(x, ((before, needed - before), (before, needed - before), (0, 0)))
    height, width = x.shape[0] // stride, x.shape[1] // stride
    out = np.zeros((height, width, weight.shape[0])) + bias
    for i in range(taps):
        for j in range(taps):
            seen = padded[i : i + stride * height : stride, j : j + stride * width : stride]
            out += seen @ weight[:, :, i, j].T
    return out


def max_pool(x: Array) -> Array:
    """Give the largest of every 2 x 2 pixels, channel by channel."""
    height, width, channels = x.shape
    return x.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


def enlarge(x: Array) -> Array:
    """Give every pixel four times: nearest, twofold."""
    return x.repeat(2, 0).repeat(2, 1)


def norm_silu(x: Array, scale: Array) -> Array:
    """Normalise over the channels of each pixel (FACTS A2)."""
    return silu(scale * x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-4))


def encode(p: Parameters, name: str, picture: Array, *, strided: bool) -> Array:
    """Give the features of a picture of bytes: convolution, halving, norm, act; four times; flat."""
    x = picture.astype(np.float64) / 255.0 - 0.5
    for stage in range(4):
        weight, bias = p[f"{name}.convs.{stage}.weight"], p[f"{name}.convs.{stage}.bias"]
        x = convolve(x, weight, bias, stride=2) if strided else max_pool(convolve(x, weight, bias))
        x = norm_silu(x, p[f"{name}.norms.{stage}.scale"])
    return x.flatten()


def decode(p: Parameters, name: str, deter: Array, latent: Array, shape: tuple[int, ...]) -> Array:
    """Give the predicted picture, numbers within 0 .. 1 (FACTS A4)."""
    height, width = shape[0] // 16, shape[1] // 16
    groups = p[f"{name}.deter_map.weight"].shape[0]
    from_deter = [
        part.reshape(height, width, -1) for part in block_linear(p, f"{name}.deter_map", np.split(deter, groups))
    ]
    inner = hidden(p, f"{name}.latent_hidden.linear", f"{name}.latent_hidden.norm", latent)
    from_latent = linear(p, f"{name}.latent_map", inner).reshape(height, width, -1)
    x = np.concatenate(from_deter, -1) + from_latent
    for stage in range(4):
        x = norm_silu(x, p[f"{name}.norms.{stage}.scale"])
        x = convolve(enlarge(x), p[f"{name}.convs.{stage}.weight"], p[f"{name}.convs.{stage}.bias"])
    return sigmoid(x)
