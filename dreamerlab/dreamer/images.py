"""Pictures in and out: the convolutional encoder and decoder (FACTS A2, A4).

Pictures are (N, height, width, channels) bytes and stay in that order: a permuted view is what torch calls
channels_last, the layout its convolutions are fastest in. Enlarging a picture twofold and convolving it is computed
as one smaller convolution (`UpConv`), exactly. What is learnt from pictures is in `codecs`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.dreamer.networks import BlockLinear, Hidden, Linear, NormSiLU, init_weight
from dreamerlab.dreamer.products import rounded_to

STAGES = (2, 3, 4, 4)
"""Channels of the stages, as multiples of the depth."""
KERNEL = 5
SHRINK = 2 ** len(STAGES)
"""Height and width are divisible by this."""
PART = 2**20
"""Numbers that the largest intermediate result of a CPU may have: 4 MiB stay in the cache, and are used again without
asking the operating system for memory. A sixth faster than all pictures at once."""


def parts(rows: Tensor, largest: int) -> tuple[Tensor, ...]:
    """Return the rows in parts whose `largest` intermediate result per row fits, all at once on a GPU."""
    return rows.split(max(1, PART // largest)) if rows.device.type == "cpu" else (rows,)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Return the convolved pictures, all channels last: x (N, H, W, I), weight (O, I, taps, taps).

    Within `products.computing_in` the factors are rounded like those of every product.
    """
    x, narrow = x.permute(0, 3, 1, 2), rounded_to()
    if narrow is None:
        return functional.conv2d(x, weight, bias, stride, padding).permute(0, 2, 3, 1).contiguous()
    y = functional.conv2d(x.to(narrow), weight.to(narrow), None, stride, padding)
    return y.permute(0, 2, 3, 1).contiguous().to(x.dtype) + bias


class Conv(nn.Module):
    """Convolution with "same" padding, (N, H, W, I) to (N, H, W, O), or half of H and W with `stride` 2."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = init_weight((outputs, inputs, KERNEL, KERNEL), inputs * KERNEL**2)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "N H W I"]) -> Float[Tensor, "N h w O"]:
        """Return the convolved pictures."""
        if self.stride == 1:
            return convolve(x, self.weight, self.bias, padding=KERNEL // 2)
        # "Same" at stride 2 pads three pixels in all, the odd one at the end.
        return convolve(functional.pad(x, (0, 0, 1, 2, 1, 2)), self.weight, self.bias, stride=2)


class UpConv(nn.Module):
    """Nearest enlargement twofold, then a convolution: (N, h, w, I) to the four phases (N, h, w, 4, O) of the result.

    Phase 2p + q holds the pixels of row 2y + p and column 2x + q. Enlarged neighbours are equal, so each phase sees
    only 3 x 3 different pixels and its kernel is the 5 x 5 one with weights that meet the same pixel added up: the
    same result with 36 instead of 100 products per small pixel, and no enlarged picture in memory.
    """

    fold: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.weight = init_weight((outputs, inputs, KERNEL, KERNEL), inputs * KERNEL**2)
        self.bias = nn.Parameter(torch.zeros(outputs))
        line = torch.zeros(2, 3, KERNEL)  # phase, small pixel before / here / after, tap
        for phase in range(2):
            for tap in range(KERNEL):
                line[phase, (phase + tap - KERNEL // 2) // 2 + 1, tap] = 1.0
        fold = torch.einsum("pau,qbv->pqabuv", line, line).reshape(4 * 9, KERNEL**2)
        self.register_buffer("fold", fold, persistent=False)

    def forward(self, x: Float[Tensor, "N h w I"]) -> Float[Tensor, "N h w 4 O"]:
        """Return the phases; `unfold_phases` makes a picture of them."""
        return self.convolve(x, *self.folded())

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight (4 * O, I, 3, 3) and bias (4 * O,) of the smaller convolution."""
        outputs, inputs = self.weight.shape[:2]
        phases = self.fold @ self.weight.view(outputs * inputs, KERNEL**2).T
        weight = phases.view(4, 9, outputs, inputs).permute(0, 2, 3, 1)
        return weight.reshape(4 * outputs, inputs, 3, 3), self.bias.repeat(4)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return `forward(x)`, given what `folded` returns: once for many parts."""
        return convolve(x, weight, bias, padding=1).unflatten(-1, (4, self.outputs))


def unfold_phases(phases: Float[Tensor, "N h w 4 C"]) -> Float[Tensor, "N 2*h 2*w C"]:
    """Return the picture whose pixels of row 2y + p and column 2x + q are phase 2p + q."""
    rows, height, width, _, channels = phases.shape
    lines = phases.unflatten(3, (2, 2)).permute(0, 1, 3, 2, 4, 5)
    return lines.reshape(rows, 2 * height, 2 * width, channels)


def fold_phases(picture: Tensor) -> Tensor:
    """Return the phases (N, h, w, 4, C) of a picture (N, 2h, 2w, C): `unfold_phases` backwards."""
    rows, height, width, channels = picture.shape
    split = picture.view(rows, height // 2, 2, width // 2, 2, channels)
    return split.permute(0, 1, 3, 2, 4, 5).reshape(rows, height // 2, width // 2, 4, channels)


class ImageEncoder(nn.Module):
    """Pictures to features: four stages of convolution, halving, norm and SiLU, then flat (FACTS A2)."""

    def __init__(self, shape: Sequence[int], depth: int, downsample: str) -> None:
        super().__init__()
        height, width, channels = shape
        sizes = [channels, *(depth * stage for stage in STAGES)]
        self.size = height // SHRINK * (width // SHRINK) * sizes[-1]
        self.pool = downsample == "maxpool"
        self.largest = height * width * sizes[1] // (1 if self.pool else 4)
        stride = 1 if self.pool else 2
        self.convs = nn.ModuleList(Conv(i, o, stride=stride) for i, o in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(NormSiLU(size) for size in sizes[1:])

    def forward(self, pictures: UInt8[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """Return one row of features for each picture; a byte x enters as x / 255 - 1/2."""
        return torch.cat([self._features(part) for part in parts(pictures, self.largest)])

    def _features(self, pictures: Tensor) -> Tensor:
        x = (pictures.to(next(self.parameters()).dtype) / 255.0).sub_(0.5)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = conv(x)
            if self.pool:
                x = functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
            x = norm(x)
        return x.flatten(1)


class ImageDecoder(nn.Module):
    """Features (h, z) to pictures: a small map of both, then four times enlarged and convolved (FACTS A4)."""

    def __init__(self, deter: int, latents: int, shape: Sequence[int], depth: int, units: int) -> None:
        super().__init__()
        height, width, channels = shape
        sizes = [*(depth * stage for stage in reversed(STAGES)), channels]
        self.small = (height // SHRINK, width // SHRINK, sizes[0])
        self.deter = deter
        size = math.prod(self.small)
        # A group of the deterministic state makes a group of channels; the reference has 8, which narrow nets lack.
        self.groups = math.gcd(8, sizes[0], deter)
        self.deter_map = BlockLinear(self.groups, deter // self.groups, size // self.groups)
        self.latent_hidden = Hidden(latents, 2 * units)
        self.latent_map = Linear(2 * units, size)
        self.largest = max(height * width // 4**stage * sizes[-1 - stage] for stage in range(len(sizes)))
        self.norms = nn.ModuleList(NormSiLU(size) for size in sizes[:-1])
        self.convs = nn.ModuleList(UpConv(i, o) for i, o in itertools.pairwise(sizes))

    def forward(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "N H W C"]:
        """Return pictures of numbers in 0 .. 1."""
        return torch.cat([unfold_phases(torch.sigmoid(part)) for part in self._phases(features)])

    def losses(self, features: Float[Tensor, "N F"], pictures: UInt8[Tensor, "N H W C"]) -> Float[Tensor, " N"]:
        """Return the squared error towards x / 255, summed over pixels and channels (FACTS A4)."""
        errors = []
        for logits, part in zip(self._phases(features), parts(pictures, self.largest), strict=True):
            target = fold_phases(part).to(logits.dtype) / 255.0
            errors.append((torch.sigmoid(logits) - target).square().flatten(1).sum(-1))
        return torch.cat(errors)

    def _phases(self, features: Tensor) -> Iterator[Tensor]:
        """Give logits of the pictures, in parts and phases (N, H / 2, W / 2, 4, C)."""
        convs = [conv for conv in self.convs if isinstance(conv, UpConv)]
        folded = [conv.folded() for conv in convs]
        for x in parts(self._map(features), self.largest):
            for conv, norm, weights in zip(convs, self.norms, folded, strict=True):
                x = norm(x)
                x = conv.convolve(x if x.ndim == 4 else unfold_phases(x), *weights)
            yield x

    def _map(self, features: Tensor) -> Tensor:
        """Return the map that pictures grow from, (N, h, w, C), before its norm."""
        height, width, channels = self.small
        deter, latents = features.split([self.deter, features.shape[-1] - self.deter], -1)
        grouped = self.deter_map(deter).view(-1, self.groups, height, width, channels // self.groups)
        from_latents = self.latent_map(self.latent_hidden(latents)).view(-1, height, width, channels)
        return grouped.permute(0, 2, 3, 1, 4).flatten(3) + from_latents
