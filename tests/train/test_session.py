"""A trial in memory: what must repeat exactly, and how many updates are due."""

from __future__ import annotations

import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.cuda_graphs import RecordedUpdates
from dreamerlab.train import session as module
from dreamerlab.train.session import Session
from tests.dreamer.rerun import Rerun
from tests.train.trials import tiny_config


def _parameters_after(updates: int, threads: int) -> torch.Tensor:
    """Parameters of a trial whose gradients are large enough for torch to share them out among threads."""
    session = Session(
        tiny_config(
            model={"deter": 256},
            train={"batch_size": 16, "batch_length": 64, "learning_starts": 80},
            execution={"threads": threads},
        ),
        seed=0,
    )
    while not session.can_learn:
        session.collector.step(session.policy)
    for _ in range(updates):
        session.update()
    return torch.cat([parameter.detach().flatten() for parameter in session.agent.parameters()])


@pytest.mark.slow  # threads wait for each other: half a minute beside another test worker
def test_updates_repeat_bit_for_bit_with_several_threads() -> None:
    """DESIGN section 7: bit-exact on CPU for one thread count, which threads adding in any order would break."""
    first = _parameters_after(5, threads=2)
    assert all(torch.equal(first, _parameters_after(5, threads=2)) for _ in range(4))


def _after_three_updates(config: Config) -> Session:
    """Return a session after three updates, with env steps, and so acting, in between."""
    session = Session(config, seed=0)
    while not session.can_learn:
        session.collector.step(session.policy)
    for _ in range(3):
        session.update()
        session.collector.step(session.policy)
    session.close()
    return session


def test_a_trial_whose_updates_are_recorded_is_the_same_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """M-CP-21: parameters, fresh latents in replay, generators; with a stand-in for CUDA graphs."""
    config = tiny_config(train={"model_only_updates": 1})
    plain = _after_three_updates(config)
    recorders: list[Rerun] = []

    def with_stand_in(agent: Agent) -> RecordedUpdates:
        recorders.append(Rerun(agent))
        return RecordedUpdates(agent, recorders[-1])

    monkeypatch.setattr(module, "RecordedUpdates", with_stand_in)
    # Past the validation, which refuses it on a CPU.
    execution = config.execution.model_copy(update={"cuda_graphs": True})
    recorded = _after_three_updates(config.model_copy(update={"execution": execution}))
    assert [recorder.recordings for recorder in recorders] == [2], "the world model alone, and everything"
    for name, tensor in plain.agent.state_dict().items():
        assert torch.equal(tensor, recorded.agent.state_dict()[name]), name
    states = [session.state_dict() for session in (plain, recorded)]
    assert torch.equal(states[0]["update_generator"], states[1]["update_generator"])
    torch.testing.assert_close(states[1]["replay"], states[0]["replay"], rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_trial_on_a_gpu_records_its_updates(deterministic: bool) -> None:
    """Never run so far: no GPU was at hand."""
    execution = {"device": "cuda", "cuda_graphs": True, "deterministic": deterministic}
    session = _after_three_updates(tiny_config(execution=execution))
    session.check_finite()
    assert session.counters.updates == 3
