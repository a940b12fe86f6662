"""Targets of auxiliary heads that are known at once: a number of the observation, or of the info (M-HK-15).

Targets that need the future are `finishing.py`'s. All of them are columns `target/NAME` of replay, float32, nan where
unknown; those of binary heads are 0 or 1, which is 1 for anything but 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerlab.config.heads import HeadSpec
from dreamerlab.errors import ConfigError, did_you_mean
from dreamerlab.experience.episode import Step
from dreamerlab.spaces import EnvSpec


def check_heads(heads: Sequence[HeadSpec], spec: EnvSpec) -> None:
    """Raise ConfigError when a head predicts a number that the environment does not observe."""
    for head in heads:
        if head.source != "obs":
            continue
        if head.key not in spec.observations:
            raise ConfigError(
                f"heads.auxiliary: '{head.name}': the environment observes no '{head.key}'"
                f"{did_you_mean(head.key, spec.observations)}",
                hint=f"observed here: {', '.join(sorted(spec.observations))}",
            )
        size = math.prod(spec.observations[head.key].shape)
        if head.index >= size:
            raise ConfigError(
                f"heads.auxiliary: '{head.name}': observation '{head.key}' has {size} numbers, counted from 0",
                hint=f"the last one is obs/{head.key}/{size - 1}",
            )


def instant_targets(heads: Sequence[HeadSpec], step: Step) -> dict[str, float]:
    """Return the targets of a row by column, for the heads whose source is the observation or the info."""
    targets: dict[str, float] = {}
    for head in heads:
        if head.source == "obs":
            value = float(step["obs"][head.key].reshape(-1)[head.index])
        elif head.source == "info":
            value = number_of(step.get("info", {}), head.key)
        else:
            continue
        targets[f"target/{head.name}"] = float(value != 0) if head.kind == "binary" and value == value else value
    return targets


def number_of(info: Mapping[str, Any], key: str) -> float:
    """Return the number that an environment's info has under `key`, nan where it has none."""
    value = info.get(key)
    if not isinstance(value, bool | int | float | np.generic | np.ndarray):
        return math.nan
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        return math.nan
    number = float(array.reshape(())[()])
    # Beyond float32 it would be stored as infinite.
    return number if abs(number) <= float(np.finfo(np.float32).max) else math.nan
