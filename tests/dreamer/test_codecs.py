"""Encoder and decoder of every mix of kinds: shapes, what is in a token, what an observation costs (FACTS A2, A4)."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.codecs import Choices, Decoder, Encoder, squash
from dreamerlab.errors import UsageError
from dreamerlab.metrics import CATALOGUE
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.oracles.cases import random_batch
from tests.shapes import checking

OBSERVED = {
    "vector": {"speed": ObsSpec.vector(2), "place": ObsSpec.vector(3)},
    "image": {"left": ObsSpec.image(16, 32, 3), "right": ObsSpec.image(16, 32, 1)},
    "discrete": {"door": ObsSpec.discrete(3), "keys": ObsSpec.discrete(2, 4)},
}
METRICS = {"vector": "wm/recon_loss", "image": "wm/image_loss", "discrete": "wm/discrete_loss"}
MIXES = [mix for size in (1, 2, 3) for mix in combinations(OBSERVED, size)]
ACTION = ActionSpec.discrete(3)
CONFIG = Config.model_validate(
    {
        "model": {
            "deter": 16, "hidden": 8, "stoch": 3, "classes": 4, "blocks": 2, "units": 8, "cnn_depth": 2,
            "encoder_layers": 1, "decoder_layers": 1, "policy_layers": 1, "value_layers": 1,
        },
        "behavior": {"horizon": 2},
        "train": {"batch_size": 2, "batch_length": 3},
    }
)  # fmt: skip
FEATURES = 16 + 3 * 4


def spec_of(*kinds: str) -> EnvSpec:
    return EnvSpec({key: spec for kind in kinds for key, spec in OBSERVED[kind].items()}, ACTION)


def decoder_of(spec: EnvSpec) -> Decoder:
    return Decoder(16, FEATURES, spec, CONFIG.model)


@pytest.mark.parametrize("mix", MIXES, ids="+".join)
def test_every_mix_of_kinds_is_encoded_explained_and_learnt_from(mix: tuple[str, ...]) -> None:
    spec = spec_of(*mix)
    torch.manual_seed(0)
    agent, batch = Agent(spec, CONFIG), random_batch(spec, CONFIG)
    encoder = agent.world.encoder
    tokens = encoder(batch.obs)
    pixels = 8 * 2 if "image" in mix else 0  # a map of 1 x 2 with 4 * depth channels
    assert tokens.shape == (2, 3, encoder.token_size) == (2, 3, pixels + (8 if set(mix) != {"image"} else 0))
    losses = agent.world.decoder.losses(torch.randn(2, 3, FEATURES), batch.obs)
    assert losses.terms["recon"].shape == (2, 3)
    assert losses.metrics.keys() == {METRICS[kind] for kind in mix} <= CATALOGUE.keys()
    assert torch.allclose(losses.terms["recon"], torch.stack(list(losses.metrics.values())).sum(0), rtol=1e-6)
    before = [p.clone() for p in agent.world.encoder.parameters()]
    generator = torch.Generator().manual_seed(0)
    metrics = agent.update(batch, generator).metrics
    assert all(torch.isfinite(value) for value in metrics.values())
    assert metrics.keys() <= CATALOGUE.keys()
    assert all((a != b).any() for a, b in zip(before, agent.world.encoder.parameters(), strict=True))
    obs = {key: value[:, 0] for key, value in batch.obs.items()}
    first = torch.ones(2, dtype=torch.bool)
    action, _ = agent.act(obs, first, agent.initial_carry(2), mode=True, generator=generator)
    assert action.shape == (2, 1)


@pytest.mark.parametrize("mix", [("image",), ("vector", "image", "discrete")], ids="+".join)
def test_the_agent_works_in_float64(mix: tuple[str, ...]) -> None:
    spec = spec_of(*mix)
    agent = Agent(spec, CONFIG).double()
    metrics = agent.update(random_batch(spec, CONFIG, dtype=torch.float64), torch.Generator().manual_seed(0)).metrics
    assert all(value.dtype == torch.float64 for name, value in metrics.items() if name.startswith("wm/"))
    assert all(torch.isfinite(value) for value in metrics.values())


def test_a_token_is_the_pictures_features_then_the_rest_A2() -> None:
    spec = spec_of("vector", "image", "discrete")
    encoder = Encoder(spec, CONFIG.model)
    batch = random_batch(spec, CONFIG)
    tokens = encoder(batch.obs)
    other = dict(batch.obs)
    other["right"] = 255 - other["right"]
    assert ((encoder(other) != tokens).any((0, 1)).nonzero().max() < 16).item()
    other = {**batch.obs, "door": (batch.obs["door"] + 1) % 3}
    assert (encoder(other) != tokens).any((0, 1)).nonzero().min().item() == 16
    # Order of the mapping does not matter, order of the keys does: they are sorted.
    assert torch.equal(encoder(dict(reversed(batch.obs.items()))), tokens)
    inputs = torch.cat([squash(batch.obs, ["place", "speed"]), encoder.choices.encode(batch.obs, torch.float32)], -1)
    assert torch.equal(encoder.mlp(inputs), tokens[..., 16:])


def test_choices_are_one_hots_side_by_side_A2() -> None:
    choices = Choices(OBSERVED["discrete"])
    obs = {"keys": torch.tensor([[1, 3], [0, 0]]), "door": torch.tensor([[2], [0]])}
    expected = [[0, 0, 1, 0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 1, 0, 0, 0]]
    assert choices.encode(obs, torch.float64).tolist() == expected


def test_choices_cost_their_cross_entropy_A4() -> None:
    choices = Choices(OBSERVED["discrete"])
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0, -1.0, 0.5, 0.0, 0.0, 0.0]])
    obs = {"door": torch.tensor([[1]]), "keys": torch.tensor([[0, 2]])}
    p = [logits[0, :3].softmax(0)[1], logits[0, 3:5].softmax(0)[0], logits[0, 5:].softmax(0)[2]]
    assert choices.loss(logits, obs).item() == pytest.approx(-sum(x.log().item() for x in p), rel=1e-6)


def test_an_observation_costs_what_its_kinds_cost_A4() -> None:
    torch.manual_seed(0)
    spec = spec_of("vector", "image", "discrete")
    decoder, batch = decoder_of(spec), random_batch(spec, CONFIG)
    features = torch.randn(2, 3, FEATURES)
    losses = decoder.losses(features, batch.obs)
    numbers = (decoder(features) - squash(batch.obs, ["place", "speed"])).square().sum(-1)  # no factor one half
    seen = decoder.pictures_of(features)
    assert {key: value.shape for key, value in seen.items()} == {"left": (2, 3, 16, 32, 3), "right": (2, 3, 16, 32, 1)}
    pictures = sum(((value - batch.obs[key] / 255.0) ** 2).sum((2, 3, 4)) for key, value in seen.items())
    hidden = decoder.mlp(features)
    logits = torch.cat([output(hidden) for output in decoder.choice_outputs], -1)
    choices = decoder.choices.loss(logits, batch.obs)
    assert torch.allclose(losses.metrics["wm/recon_loss"], numbers, rtol=1e-5)
    assert torch.allclose(losses.metrics["wm/image_loss"], pictures, rtol=1e-5)
    assert torch.allclose(losses.terms["recon"], numbers + pictures + choices, rtol=1e-5)


def test_pictures_of_several_sizes_are_refused_by_name() -> None:
    spec = EnvSpec({"far": ObsSpec.image(32, 32, 3), "near": ObsSpec.image(16, 16, 3)}, ACTION)
    with pytest.raises(UsageError, match="different sizes are observed: far 32x32, near 16x16"):
        Encoder(spec, CONFIG.model)


def test_a_picture_that_cannot_be_halved_four_times_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="image view is 84x84: height and width must be divisible by 16"):
        Encoder(EnvSpec({"view": ObsSpec.image(84, 84, 3)}, ACTION), CONFIG.model)


def test_a_batch_of_pictures_can_be_learnt_by_heart_F22() -> None:
    spec = EnvSpec({"view": ObsSpec.image(16, 16, 1), "door": ObsSpec.discrete(3)}, ACTION)
    optimizer = CONFIG.optimizer.model_copy(update={"lr_world": 1e-2, "warmup_updates": 10})
    train = CONFIG.train.model_copy(update={"learn": "world"})
    config = CONFIG.model_copy(update={"optimizer": optimizer, "train": train})
    torch.manual_seed(0)
    agent, batch = Agent(spec, config), random_batch(spec, config)
    # Flat pictures of a different brightness in each row: noise would need a network larger than its data.
    batch.obs["view"] = torch.tensor([[0, 51, 102], [153, 204, 255]]).view(2, 3, 1, 1, 1).expand(2, 3, 16, 16, 1).byte()
    generator = torch.Generator().manual_seed(0)
    metrics = [agent.update(batch, generator).metrics]
    with checking(False):
        metrics += [agent.update(batch, generator).metrics for _ in range(49)]
    for name, share in (("wm/image_loss", 0.35), ("wm/discrete_loss", 0.7)):
        assert metrics[-1][name].item() < share * metrics[0][name].item(), name
