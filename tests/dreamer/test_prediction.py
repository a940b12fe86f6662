"""Open-loop prediction: what is seen, what is imagined, what counts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.codecs import squash
from dreamerlab.dreamer.prediction import predict, predicted_pictures, prediction_error, prediction_video
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.oracles.cases import random_agent, random_batch

SPEC = EnvSpec({"view": ObsSpec.image(16, 32, 1), "speed": ObsSpec.vector(2)}, ActionSpec.discrete(3))
CONFIG = Config.model_validate(
    {
        "model": {
            "deter": 16, "hidden": 8, "stoch": 3, "classes": 4, "blocks": 2, "units": 8, "cnn_depth": 2,
            "encoder_layers": 1, "decoder_layers": 1,
        },
        "train": {"batch_size": 2, "batch_length": 8},
    }
)  # fmt: skip


@pytest.fixture
def agent() -> Agent:
    return random_agent(SPEC, CONFIG)


@pytest.fixture
def batch() -> Batch:
    batch = random_batch(SPEC, CONFIG)
    return replace(batch, is_first=torch.zeros_like(batch.is_first))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_the_rows_seen_are_what_training_sees(agent: Agent, batch: Batch) -> None:
    predicted = predict(agent.world, batch, generator(), context=3)
    assert predicted.features.shape == (2, 8, 28)
    observed = agent.world.observe(batch, generator())
    assert torch.allclose(predicted.features[:, :3], observed.features[:, :3], atol=1e-6)


def test_what_comes_later_is_not_looked_at_but_what_was_done_is(agent: Agent, batch: Batch) -> None:
    predicted = predict(agent.world, batch, generator(), context=3).features
    later = {key: value.clone() for key, value in batch.obs.items()}
    for value in later.values():
        value[:, 3:] = 1
    assert torch.equal(predict(agent.world, replace(batch, obs=later), generator(), context=3).features, predicted)
    # The action of row 4 leads to row 5, and is the first thing to matter there; that of row 7 leads nowhere.
    for row, changed in ((4, 5), (7, 8)):
        action = batch.action.clone()
        action[:, row] = (action[:, row] + 1) % 3
        other = predict(agent.world, replace(batch, action=action), generator(), context=3).features
        assert torch.equal(other[:, :changed], predicted[:, :changed])
        assert (other[:, changed:, :16] != predicted[:, changed:, :16]).any((0, 2)).all()


def test_pictures_are_what_the_decoder_gives_as_bytes(agent: Agent, batch: Batch) -> None:
    predicted = predict(agent.world, batch, generator(), context=3)
    seen = predicted_pictures(agent.world, predicted)["view"]
    assert seen.shape == (2, 8, 16, 32, 1)
    assert seen.dtype == np.uint8
    exact = agent.world.decoder.pictures_of(predicted.features)["view"].detach().numpy()
    assert np.abs(seen - 255.0 * exact).max() <= 0.501


def test_a_video_shows_truth_model_and_error_below_each_other() -> None:
    truth = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5, 1)
    model = truth + 10
    video = prediction_video(truth, model)
    assert video.shape == (3, 12, 10, 3)
    for window in range(2):
        columns = slice(5 * window, 5 * window + 5)
        for channel in range(3):
            assert (video[:, :4, columns, channel] == truth[window, ..., 0]).all()
            assert (video[:, 4:8, columns, channel] == model[window, ..., 0]).all()
    assert (video[:, 8:] == (255 + 10) // 2).all()
    for channels in (2, 3, 4):
        stack = np.zeros((1, 2, 4, 4, channels), np.uint8)
        assert prediction_video(stack, stack).shape == (2, 12, 4, 3)


def test_errors_are_means_over_the_first_imagined_rows_of_the_episode(agent: Agent, batch: Batch) -> None:
    first = torch.zeros_like(batch.is_first)
    first[1, 5] = True  # the second window goes on in another episode from row 5
    batch = replace(batch, is_first=first)
    predicted = predict(agent.world, batch, generator(), context=3)
    assert predicted.valid.tolist() == [[True] * 8, [True] * 5 + [False] * 3]
    errors = prediction_error(agent.world, batch, predicted, steps=(1, 5, 6))
    assert errors.keys() == {1, 5}  # only 5 rows are imagined
    expected = agent.world.decoder(predicted.features) - squash(batch.obs, ["speed"])
    each = expected.detach().square().mean(-1)
    assert errors[1] == pytest.approx(each[:, 3].mean().item(), rel=1e-5)
    assert errors[5] == pytest.approx(torch.cat([each[0, 3:], each[1, 3:5]]).mean().item(), rel=1e-5)


def test_no_row_of_the_episode_left_is_no_error(agent: Agent, batch: Batch) -> None:
    first = torch.zeros_like(batch.is_first)
    first[:, 3] = True
    batch = replace(batch, is_first=first)
    errors = prediction_error(agent.world, batch, predict(agent.world, batch, generator(), context=3), steps=(1,))
    assert math.isnan(errors[1])


def test_only_numbers_have_a_numeric_error() -> None:
    spec = EnvSpec({"view": ObsSpec.image(16, 16, 3)}, ActionSpec.continuous(2))
    agent, batch = random_agent(spec, CONFIG), random_batch(spec, CONFIG)
    predicted = predict(agent.world, batch, generator())
    assert predicted.context == 5
    assert prediction_error(agent.world, batch, predicted) == {}
