"""Recorded updates, as far as a machine without a GPU can tell: what an update may not do, and what recording adds.

A stand-in for CUDA graphs runs the recorded function again. What is replayed on a GPU without Python is covered by the
discipline of an update instead: it asks the device for nothing, makes nothing on the CPU, changes everything in place,
and is the same list of operations with the same plain numbers every time (M-CP-21).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch, Update
from dreamerlab.dreamer.cuda_graphs import RecordedUpdates
from dreamerlab.dreamer.schedules import Learn
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.dreamer.capture_discipline import CaptureDiscipline, Undisciplined
from tests.dreamer.conftest import SMALL
from tests.dreamer.rerun import Rerun
from tests.oracles.cases import random_agent, random_batch

VECTOR, PICTURE = {"speed": ObsSpec.vector(2)}, {"view": ObsSpec.image(16, 16, 3)}
CHOICE, NUMBERS = ActionSpec.discrete(3), ActionSpec.continuous(2)
TASKS = {
    "vector-choice": EnvSpec(VECTOR, CHOICE),
    "vector-numbers": EnvSpec(VECTOR, NUMBERS),
    "picture-choice": EnvSpec(PICTURE, CHOICE),
    "picture-numbers": EnvSpec(PICTURE, NUMBERS),
}
LEARN: tuple[Learn, ...] = ("all", "world", "behavior")
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "reference": {},
    "schedules": {
        "behavior": {"entropy_schedule": "linear to 0.1x over 5 updates"},
        "optimizer": {"name": "adam_clip", "lr_schedule": "cosine to 0.1x over 5 updates", "warmup_updates": 3},
        "return_norm": {"debias": True},
    },
    "through the dynamics": {"behavior": {"actor_gradient": "dynamics", "bootstrap": "fast"}},
    "bins": {"policy": {"dist": "categorical"}, "behavior": {"actor_gradient": "mix", "gradient_mix": 0.5}},
    "squashed": {"policy": {"dist": "tanh_normal", "entropy": "squashed"}},
    "bfloat16": {"execution": {"dtype": "bfloat16"}},
    "float64": {"execution": {"dtype": "float64"}},
    "heads": {"heads": {"auxiliary": ("binary:reward_within_3", "regression:obs/speed/0")}},
}


def config_of(**sections: dict[str, Any]) -> Config:
    tiny = {"behavior": {"horizon": 2}, "train": {"batch_size": 2, "batch_length": 3}}
    base = {**SMALL, **tiny, "model": {**SMALL["model"], "cnn_depth": 2}}
    return Config.model_validate({name: {**base.get(name, {}), **sections.get(name, {})} for name in base | sections})


def agent_of(spec: EnvSpec, config: Config, device: str = "cpu") -> Agent:
    if device == "cpu":
        return random_agent(spec, config)
    with torch.device(device):
        return Agent(spec, config)


def batch_of(spec: EnvSpec, config: Config, seed: int = 0, device: str = "cpu") -> Batch:
    return random_batch(spec, config, seed).map(lambda tensor: tensor.to(device))


def watched(agent: Agent, spec: EnvSpec, device: str, learn: Learn = "all") -> CaptureDiscipline:
    generator, batch = torch.Generator().manual_seed(11), batch_of(spec, agent.config, device=device)
    with CaptureDiscipline(device, generator) as discipline:
        agent.update(batch, generator, learn=learn)
    return discipline


# -- what an update may not do


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("task", "learn"),
    [*((task, "all") for task in TASKS), *(("picture-numbers", part) for part in LEARN[1:])]
    + [pytest.param(task, part, marks=pytest.mark.slow) for task in [*TASKS][:3] for part in LEARN[1:]],
)
def test_an_update_asks_the_device_for_nothing_and_makes_nothing_elsewhere(
    task: str, learn: Learn, device: str
) -> None:
    """On `meta` there is not even anything to ask: no shape depends on a number, and no tensor is made on the CPU."""
    assert len(watched(agent_of(TASKS[task], config_of(), device), TASKS[task], device, learn).story) > 100


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("vector-choice", "schedules"),
        ("vector-choice", "through the dynamics"),
        ("vector-numbers", "bins"),
        ("vector-numbers", "squashed"),
        ("vector-choice", "heads"),
        *(
            pytest.param(task, option, marks=pytest.mark.slow)
            for task in ("picture-choice", "picture-numbers")
            for option in OPTIONS
            if option != "heads"
        ),
    ],
)
def test_neither_under_any_option(task: str, option: str, device: str) -> None:
    watched(agent_of(TASKS[task], config_of(**OPTIONS[option]), device), TASKS[task], device)


PLANTS: dict[str, Callable[[Agent], object]] = {
    "waits for the device": lambda agent: agent.optimizer.updates.sum().item(),
    "with a mask": lambda agent: agent.optimizer.momentum[agent.optimizer.momentum > 0],
    "does not draw from": lambda agent: torch.rand_like(agent.optimizer.momentum),
    "with a tensor on cpu": lambda agent: agent.optimizer.momentum.mul_(torch.tensor(1.0, device="cpu")),
}


@pytest.mark.parametrize("complaint", PLANTS)
def test_what_is_planted_in_an_update_is_found(complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, device = TASKS["vector-choice"], "meta" if "cpu" in complaint else "cpu"
    agent = agent_of(spec, config_of(), device)
    monkeypatch.setattr(agent.behavior, "follow", lambda: PLANTS[complaint](agent))
    with pytest.raises(Undisciplined, match=complaint):
        watched(agent, spec, device)


@pytest.mark.parametrize("learn", LEARN)
def test_every_update_is_the_same_story(learn: Learn) -> None:
    """A replay runs no Python: a number that Python counts on between updates would stay as it was recorded."""
    agent = agent_of(TASKS["vector-choice"], config_of(**OPTIONS["schedules"]))
    _, second, third = (watched(agent, TASKS["vector-choice"], "cpu", learn).story for _ in range(3))
    assert second == third


def test_a_number_that_python_counts_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(TASKS["vector-choice"], config_of())
    made = iter(range(10))
    monkeypatch.setattr(agent.behavior, "follow", lambda: agent.optimizer.square.mul_(1.0 + next(made)))
    stories = [watched(agent, TASKS["vector-choice"], "cpu").story for _ in range(3)]
    assert stories[1] != stories[2]


@pytest.mark.parametrize("learn", LEARN)
def test_everything_an_update_changes_is_changed_in_place_and_saved(learn: Learn) -> None:
    """A recording knows addresses only; what is not in the agent's state would not be undone after a rehearsal."""
    spec, config = TASKS["picture-choice"], config_of(**OPTIONS["schedules"])
    agent = agent_of(spec, config)
    everything = {**dict(agent.named_parameters()), **dict(agent.named_buffers())}
    places = {name: tensor.data_ptr() for name, tensor in everything.items()}
    before = {name: tensor.detach().clone() for name, tensor in everything.items()}
    agent.update(batch_of(spec, config), torch.Generator().manual_seed(0), learn=learn)
    after = {**dict(agent.named_parameters()), **dict(agent.named_buffers())}
    assert {name: tensor.data_ptr() for name, tensor in after.items()} == places
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed
    assert changed <= agent.state_dict().keys()


def test_what_an_update_returns_carries_no_graph() -> None:
    """A graph of gradients that outlives its update would reach from one recording into the next."""
    spec, config = TASKS["vector-choice"], config_of()
    done = agent_of(spec, config).update(batch_of(spec, config), torch.Generator().manual_seed(0))
    assert not any(tensor.requires_grad for tensor in all_of(done).values())


def test_where_a_gpu_has_to_repeat_nothing_is_used_that_torch_refuses_there() -> None:
    spec = TASKS["vector-choice"]
    before = torch.are_deterministic_algorithms_enabled()
    try:
        torch.use_deterministic_algorithms(True)
        story = watched(agent_of(spec, config_of(), "meta"), spec, "meta").story
    finally:
        torch.use_deterministic_algorithms(before)
    used = {name.split(".")[1] for name, *_ in story}
    assert not used & {"cumsum", "cumsum_", "put_", "histc", "bincount", "median", "nll_loss", "_ctc_loss"}


# -- what recording adds


def all_of(done: Update) -> dict[str, Tensor]:
    return {**done.metrics, "deter": done.deter, "stoch": done.stoch, "model_loss": done.model_loss}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert list(a) == list(b)
    different = [name for name in a if not torch.equal(a[name], b[name]) or a[name].dtype != b[name].dtype]
    assert not different


def acted(agent: Agent, spec: EnvSpec) -> Tensor:
    obs = {key: value[:, 0] for key, value in batch_of(spec, agent.config).obs.items()}
    first = torch.ones(agent.config.train.batch_size, dtype=torch.bool)
    carry = agent.initial_carry(len(first))
    return agent.act(obs, first, carry, mode=True, generator=torch.Generator().manual_seed(0))[1].deter


@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("vector-choice", "schedules"),
        ("picture-numbers", "reference"),
        pytest.param("vector-numbers", "float64", marks=pytest.mark.slow),
    ],
)
def test_ten_recorded_updates_are_ten_plain_ones(task: str, option: str) -> None:
    """To the bit: results, agent, generator, and the actions of the agent in between."""
    spec, config = TASKS[task], config_of(**OPTIONS[option])
    plain, recorded = agent_of(spec, config), agent_of(spec, config)
    updates = RecordedUpdates(recorded, Rerun(recorded))
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    kinds: tuple[Learn, ...] = ("all", "all", "world", "behavior", "all", "world", "all", "behavior", "all", "all")
    for seed, learn in enumerate(kinds):
        batch = batch_of(spec, config, seed)
        same(all_of(plain.update(batch, one, learn=learn)), all_of(updates(batch, other, learn=learn)))
        assert torch.equal(acted(plain, spec), acted(recorded, spec)), "acting looks at weights of before the replay"
    same(plain.state_dict(), recorded.state_dict())
    assert torch.equal(one.get_state(), other.get_state())


def test_a_recording_leaves_no_trace() -> None:
    spec, config = TASKS["vector-choice"], config_of()
    agent, generator = agent_of(spec, config), torch.Generator().manual_seed(3)
    before = {name: tensor.clone() for name, tensor in agent.state_dict().items()}
    state = generator.get_state()
    updates = RecordedUpdates(agent, Rerun(agent))
    updates._record(batch_of(spec, config), generator, "all")
    same(agent.state_dict(), before)
    assert torch.equal(generator.get_state(), state)


def test_other_kinds_shapes_and_generators_are_recorded_anew_and_all_others_replayed() -> None:
    spec, config = TASKS["vector-choice"], config_of()
    longer = config_of(train={"batch_size": 2, "batch_length": 4})
    agent, generator = agent_of(spec, config), torch.Generator().manual_seed(3)
    recorder = Rerun(agent)
    updates = RecordedUpdates(agent, recorder)
    batch, shapes = batch_of(spec, config), batch_of(spec, longer)
    calls: list[tuple[Batch, torch.Generator, Learn]] = [
        (batch, generator, "all"),
        (batch, generator, "all"),
        (batch, generator, "world"),
        (shapes, generator, "all"),
        (shapes, generator, "all"),
        (batch.in_type(torch.float64), generator, "all"),
        (batch, torch.Generator().manual_seed(3), "all"),
        (batch, generator, "world"),
    ]
    counts: list[int] = []
    for given, drawn, learn in calls:
        updates(given, drawn, learn=learn)
        counts.append(recorder.recordings)
    assert counts == [1, 1, 2, 3, 3, 4, 5, 5]
    assert recorder.rehearsals == 5


def test_results_are_the_callers_to_keep_and_batches_are_left_alone() -> None:
    spec, config = TASKS["vector-choice"], config_of()
    agent, generator = agent_of(spec, config), torch.Generator().manual_seed(3)
    updates = RecordedUpdates(agent, Rerun(agent))
    batch = batch_of(spec, config)
    given = {name: tensor.clone() for name, tensor in batch.tensors().items()}
    first = all_of(updates(batch, generator))
    kept = {name: tensor.clone() for name, tensor in first.items()}
    second = all_of(updates(batch_of(spec, config, 1), generator))
    same(first, kept)
    same(batch.tensors(), given)
    assert not torch.equal(first["wm/loss"], second["wm/loss"])


# -- on a GPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("option", ["reference", "schedules", "bfloat16"])
@pytest.mark.parametrize("task", TASKS)
def test_a_cuda_graph_replays_the_eager_update(task: str, option: str) -> None:
    """Never run so far: no GPU was at hand."""
    spec, config = TASKS[task], config_of(**OPTIONS[option])
    plain, recorded = agent_of(spec, config).to("cuda"), agent_of(spec, config).to("cuda")
    updates = RecordedUpdates(recorded)
    one, other = (torch.Generator("cuda").manual_seed(3) for _ in range(2))
    kinds: tuple[Learn, ...] = ("all", "world", "behavior", "all", "all")
    for seed, learn in enumerate(kinds):
        batch = batch_of(spec, config, seed, "cuda")
        a, b = all_of(plain.update(batch, one, learn=learn)), all_of(updates(batch, other, learn=learn))
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-4, msg=f"{name}, update {seed}")
        assert torch.equal(one.get_state(), other.get_state())
