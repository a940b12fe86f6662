"""Shapes are checked in tests, unless a module asks that they are not, unless a test of it asks that they are."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from dreamerlab.dreamer.maths import lambda_return


def passes_the_checks() -> bool:
    """Tell so of a call with continues that torch would silently repeat."""
    try:
        lambda_return(torch.ones(2, 3), torch.ones(2, 1), torch.ones(2, 3), 0.9)
    except TypeCheckError:
        return False
    return True


def test_wrong_shapes_are_refused_unless_nobody_asked(request: pytest.FixtureRequest) -> None:
    assert not passes_the_checks()
    request.getfixturevalue("unchecked_shapes")
    assert passes_the_checks()
    request.getfixturevalue("checked_shapes")
    assert not passes_the_checks()
