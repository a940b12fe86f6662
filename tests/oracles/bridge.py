"""The real agent as the oracle sees it: parameters, windows, the numbers an update draws, directions to move in.

The only place that knows both sides. Logits of two-hot heads are stored from the middle bin outwards by the agent and
in ascending order by the oracle; everything else has the same layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.spaces import EnvSpec
from tests.oracles.agent import AgentOracle, Draws, ReturnScale, Windows

TWO_HOT_HEADS = ("world.reward.", "behavior.critic.", "behavior.slow_critic.")


def numpy_of(tensor: Tensor) -> np.ndarray:
    array = tensor.detach().cpu().numpy()
    return array.astype(np.float64) if array.dtype.kind == "f" else array.copy()


def plain(agent: Agent, name: str, value: np.ndarray) -> np.ndarray:
    """Give a parameter (or its gradient) of the agent in the oracle's layout."""
    if name.startswith(TWO_HOT_HEADS) and value.shape[-1] == len(agent.world.twohot.bins) and _is_output(agent, name):
        return value[..., agent.world.twohot.column.numpy()]
    return value


def _is_output(agent: Agent, name: str) -> bool:
    head = next(prefix for prefix in TWO_HOT_HEADS if name.startswith(prefix))
    layers = [other for other, _ in agent.named_parameters() if other.startswith(head)]
    return name.rsplit(".", 1)[0] == layers[-1].rsplit(".", 1)[0]


def parameters_of(agent: Agent) -> dict[str, np.ndarray]:
    return {name: plain(agent, name, numpy_of(p)) for name, p in agent.named_parameters()}


def gradients_of(agent: Agent, total: Tensor) -> dict[str, np.ndarray]:
    """Give the gradient of a loss for every trained parameter, in the oracle's layout."""
    trained = {name: p for name, p in agent.named_parameters() if p.requires_grad}
    grads = torch.autograd.grad(total, list(trained.values()), allow_unused=True, materialize_grads=True)
    return {name: plain(agent, name, numpy_of(grad)) for name, grad in zip(trained, grads, strict=True)}


def windows_of(batch: Batch) -> Windows:
    return Windows(
        obs={key: numpy_of(value) for key, value in batch.obs.items()},
        targets={name: numpy_of(value) for name, value in batch.targets.items()},
        **{
            name: numpy_of(getattr(batch, name))
            for name in (
                "action", "reward", "is_first", "is_last", "is_terminal", "prev_action", "context_deter",
                "context_stoch",
            )
        },
    )  # fmt: skip


def scale_of(agent: Agent, updates: int = 0) -> ReturnScale:
    scale = agent.behavior.return_scale
    return ReturnScale(float(scale.low), float(scale.high), updates)


def oracle_of(agent: Agent, spec: EnvSpec) -> AgentOracle:
    """Give the oracle for an agent, on the agent's own bins, which are kept in float32 and must be the right ones."""
    oracle = AgentOracle(spec, agent.config)
    bins = numpy_of(agent.world.twohot.bins)
    assert bins == pytest.approx(oracle.bins, rel=2e-7, abs=1e-12)
    oracle.bins = bins
    return oracle


@contextmanager
def recorded_draws(patch: pytest.MonkeyPatch) -> Iterator[list[np.ndarray]]:
    """List everything drawn by torch.rand and torch.randn meanwhile, in order."""
    drawn: list[np.ndarray] = []
    with patch.context() as within:
        for name in ("rand", "randn"):
            real = getattr(torch, name)

            def spy(*args: object, _real: object = real, **kwargs: object) -> Tensor:
                out = _real(*args, **kwargs)  # type: ignore[operator]
                drawn.append(numpy_of(out))
                return out

            within.setattr(torch, name, spy)
        yield drawn


def draws_of(drawn: list[np.ndarray]) -> Draws:
    posterior, policy, prior = drawn
    return Draws(posterior, policy, prior)


def directions(parameters: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Give a random direction, of length 1, for every tensor."""
    rng = np.random.default_rng(seed)
    out = {}
    for name, value in parameters.items():
        direction = rng.normal(size=value.shape)
        out[name] = direction / np.sqrt((direction**2).sum())
    return out


def parts_of(parameters: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """Group the names of parameters by what they belong to: encoder, core, posterior, prior, decoder, heads."""
    parts: dict[str, list[str]] = {}
    for name in parameters:
        words = name.split(".")
        if words[1] == "dynamics":
            part = words[2] if words[2] in ("posterior", "prior") else "core"
        else:
            part = words[1]
        parts.setdefault(part, []).append(name)
    return parts
