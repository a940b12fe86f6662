"""Open-loop prediction: the world model sees the first steps of recorded windows, then only the recorded actions.

Owns what the model expects, as arrays, and how wrong its numbers are. A window may run on into the next episode,
which no model can foresee: `Prediction.valid` marks the rows up to there. Pictures for people are laid out and
written by the trainer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.codecs import squash
from dreamerlab.dreamer.family import World
from dreamerlab.dreamer.maths import shift_actions

CONTEXT = 5
"""Steps that are seen."""


@dataclass(frozen=True)
class Prediction:
    """States of windows, inferred while the model sees (posterior) and foreseen afterwards (prior)."""

    features: Float[Tensor, "B T F"]
    valid: Bool[Tensor, "B T"]
    """Whether a row belongs to the episode of the last row seen, or was seen itself."""
    context: int
    """Rows that were seen."""


@torch.no_grad()
def predict(world: World, batch: Batch, generator: torch.Generator, context: int = CONTEXT) -> Prediction:
    """Return the states of a batch whose rows from `context` on are imagined with the recorded actions."""
    length = batch.action.shape[1]
    assert 0 < context < length, (context, length)
    first = batch.is_first
    prev_action = shift_actions(batch.prev_action, batch.action)[:, :context]
    tokens = world.encoder({key: value[:, :context] for key, value in batch.obs.items()})
    seen = world.dynamics.observe(
        tokens, prev_action, first[:, :context], batch.context_deter, batch.context_stoch, generator
    ).features
    # The action of a row leads to the next one, so the last row seen already acts.
    actions = batch.action[:, context - 1 :]
    ahead, _ = world.dynamics.imagine(seen[:, -1], lambda _, t: (actions[:, t], None), length - context, generator)
    features = torch.cat([seen, ahead[1:].transpose(0, 1)], 1)
    begun = first[:, context:].cumsum(1) > 0
    return Prediction(features, torch.cat([torch.ones_like(first[:, :context]), ~begun], 1), context)


@torch.no_grad()
def predicted_pictures(world: World, prediction: Prediction) -> dict[str, UInt8[np.ndarray, "B T H W _"]]:
    """Return what the model expects to see, by image key; what is imagined as well as what was seen."""
    expected = world.decoder.pictures_of(prediction.features)
    return {key: (255.0 * value).round_().to(torch.uint8).cpu().numpy() for key, value in expected.items()}


def prediction_video(
    truth: UInt8[np.ndarray, "B T H W C"], model: UInt8[np.ndarray, "B T H W C"]
) -> UInt8[np.ndarray, "T 3*H B*W 3"]:
    """Return frames with the windows side by side and truth, model and error below each other.

    The error is grey where both agree and brighter where the model is brighter. Grey pictures get three equal
    channels; of more than three the last three are shown.
    """
    assert truth.shape == model.shape, (truth.shape, model.shape)
    error = ((model.astype(np.int16) - truth.astype(np.int16) + 255) // 2).astype(np.uint8)
    bands = [_coloured(band) for band in (truth, model, error)]
    # (B, T, H, W, 3) -> (T, H, B, W, 3): the windows of a frame next to each other.
    lines = [band.transpose(1, 2, 0, 3, 4).reshape(band.shape[1], band.shape[2], -1, 3) for band in bands]
    return np.concatenate(lines, 1)


@torch.no_grad()
def prediction_error(
    world: World, batch: Batch, prediction: Prediction, steps: Sequence[int] = (5, 15, 50)
) -> dict[int, float]:
    """Return the mean squared error per observed number, after symlog, over the first so many imagined rows.

    Rows beyond the episode do not count: nan where none is left. Only those of `steps` that the windows are long
    enough for, and nothing where no numbers are observed.
    """
    keys = world.decoder.vectors
    if not keys:
        return {}
    begin = prediction.context
    expected = world.decoder(prediction.features[:, begin:])
    error = (expected - squash(_rows_from(batch.obs, keys, begin), keys)).square().mean(-1)
    valid = prediction.valid[:, begin:].to(error.dtype)
    errors: dict[int, float] = {}
    for ahead in steps:
        if ahead <= error.shape[1]:
            known = valid[:, :ahead].sum()
            errors[ahead] = float((error * valid)[:, :ahead].sum() / known)
    return errors


def _rows_from(obs: Mapping[str, Tensor], keys: Sequence[str], begin: int) -> dict[str, Tensor]:
    return {key: obs[key][:, begin:] for key in keys}


def _coloured(frames: np.ndarray) -> np.ndarray:
    """Return (..., 3) of any number of channels."""
    channels = frames.shape[-1]
    if channels == 1:
        return np.repeat(frames, 3, axis=-1)
    if channels == 2:
        return np.concatenate([frames, frames[..., :1] // 2 + frames[..., 1:] // 2], -1)
    return frames[..., -3:]
