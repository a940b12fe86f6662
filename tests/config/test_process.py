"""Where a trial runs: what of it goes together."""

from __future__ import annotations

import pytest

from dreamerlab.config.validation import from_flat
from dreamerlab.errors import ConfigError

GRAPHS = {"execution.device": "cuda", "execution.cuda_graphs": True}


def test_an_update_is_recorded_on_a_gpu_only() -> None:
    assert from_flat(GRAPHS).execution.cuda_graphs
    with pytest.raises(
        ConfigError, match=r"needs a GPU, but execution\.device=cpu; write execution\.device=cuda"
    ) as no:
        from_flat({"execution.cuda_graphs": True}, {"execution.cuda_graphs": "the command line"})
    assert "the command line" in no.value.message
    assert no.value.hint


def test_what_is_compiled_is_not_recorded() -> None:
    with pytest.raises(ConfigError, match=r"exclude each other.*write one of them false"):
        from_flat({**GRAPHS, "execution.compile": True})
