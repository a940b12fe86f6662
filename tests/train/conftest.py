"""What a trial switches on for its own process is switched off again before the next test.

Shapes are checked where they are the business of a test: everywhere in `tests/dreamer`, here in one whole trial of each
kind (`checked_shapes`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _process_as_before() -> Iterator[None]:
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module", autouse=True)
def _shapes_are_checked_elsewhere(unchecked_shapes: None) -> None:
    pass
