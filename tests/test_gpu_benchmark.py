"""The benchmark for a GPU, where there is none: it says so, and what it would measure can be built."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import gpu


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.measure() == []
    assert capsys.readouterr().out == "gpu: not run: no GPU\n"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", gpu.DTYPES)
def test_an_update_of_its_size_can_be_made_again_and_again(dtype: str) -> None:
    update = gpu.build("S2", dtype, "eager", "cpu")
    losses = [update().metrics["wm/loss"].item() for _ in range(3)]
    assert all(math.isfinite(loss) for loss in losses)
    assert len(set(losses)) == 3, "it learns, from other random numbers each time"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("way", gpu.WAYS)
def test_every_way_is_measured(way: str) -> None:
    """Never run so far: no GPU was at hand."""
    assert gpu._in_its_own_process("S2", "float32", way)
