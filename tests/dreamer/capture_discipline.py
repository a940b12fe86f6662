"""What may not happen while a CUDA graph is recorded, watched for on machines without a GPU.

A recorded update is replayed without Python: whatever asked the device for a number, whatever had a shape that depends
on one, and whatever was made on the CPU meanwhile would be frozen as it was at the recording, or refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKS_THE_DEVICE = frozenset(
    {
        *("_local_scalar_dense", "item", "is_nonzero", "equal", "allclose", "is_pinned", "_pin_memory"),
        *("nonzero", "nonzero_numpy", "argwhere", "masked_select", "masked_scatter", "bincount", "multinomial"),
        *("unique_dim", "unique_consecutive", "unique_dim_consecutive", "_unique", "_unique2"),
    }
)
"""Operations that wait for the device, or whose result has as many elements as the device says."""


class Undisciplined(AssertionError):
    """An operation that a recording would refuse, or freeze."""


class CaptureDiscipline(TorchDispatchMode):
    """Raises Undisciplined at the first operation of the block that has no place in a recorded update.

    Every tensor has to live on `device` (give `meta` to see those that are made on the CPU meanwhile), and random
    numbers have to come from `generator`, whose state a replay goes on from. `story` is what a recording would hold:
    every operation with the shapes and plain numbers it was given.
    """

    def __init__(self, device: str, generator: torch.Generator) -> None:
        super().__init__()
        self.device, self.generator = device, generator
        self.story: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.story.append((str(func), *(_told(leaf) for leaf in tree_leaves((args, kwargs)))))
        name = func.overloadpacket.__name__
        if name in ASKS_THE_DEVICE or (name == "repeat_interleave" and kwargs.get("output_size") is None):
            raise Undisciplined(f"{func} waits for the device")
        if name in ("index", "index_put", "index_put_", "_index_put_impl_") and _masks(args[1]):
            raise Undisciplined(f"{func} with a mask: how many elements that picks only the device knows")
        if torch.Tag.nondeterministic_seeded in func.tags and not self._draws_from_ours((*args, *kwargs.values())):
            raise Undisciplined(f"{func} does not draw from the update's generator")
        result = func(*args, **kwargs)
        for tensor in tree_leaves((args, kwargs, result)):
            if isinstance(tensor, Tensor) and tensor.device.type != self.device:
                raise Undisciplined(f"{func} with a tensor on {tensor.device}, not on {self.device}")
        return result

    def _draws_from_ours(self, given: Iterable[Any]) -> bool:
        # The dispatcher hands on another object for the same generator: it is known by its seed.
        drawn = [one for one in given if isinstance(one, torch.Generator)]
        return [one.initial_seed() for one in drawn] == [self.generator.initial_seed()]


def _masks(indices: Iterable[Tensor | None]) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _told(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return tuple(leaf.shape), leaf.dtype
    return None if isinstance(leaf, torch.Generator) else leaf
