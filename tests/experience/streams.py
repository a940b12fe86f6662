"""Streams of steps with known contents: every number in row n of a stream tells n."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerlab.experience.episode import Step
from dreamerlab.experience.replay import Replay, Sample
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec

SPEC = EnvSpec(
    {
        "angle": ObsSpec.vector(1),
        "speed": ObsSpec.vector(2),
        "view": ObsSpec.image(2, 1, 3),
        "gear": ObsSpec.discrete(9),
    },
    ActionSpec.discrete(97, 2),
)
DETER, STOCH = 3, 2


def vector_spec(size: int) -> EnvSpec:
    return EnvSpec({"vector": ObsSpec.vector(size)}, ActionSpec.discrete(2))


def make_replay(capacity: int, **options: Any) -> Replay:
    return Replay(capacity, SPEC, deter=DETER, stoch=STOCH, **options)


def row(number: int, flags: Mapping[str, bool] | None = None) -> Step:
    """Row `number`, in the middle of an episode unless `flags` says otherwise."""
    return {
        "obs": {
            "angle": np.float32([number]),
            "speed": np.float32([number + 0.25, -number]),
            "view": np.arange(number, number + 6).astype(np.uint8).reshape(2, 1, 3),
            "gear": np.int64([number % 9]),
        },
        "action": np.int64([number % 97, number % 2]),
        "reward": number / 8,
        "is_first": False,
        "is_last": False,
        "is_terminal": False,
        "deter": np.float32([number, 2 * number, 0.5]),
        "stoch": np.int16([number % 5, number % 7]),
        **(flags or {}),
    }


def fill(replay: Replay, rows: int, stream: int = 0) -> None:
    for _ in range(rows):
        replay.add(row(replay.span(stream)[1]), stream)


def window_starts(sample: Sample) -> list[int]:
    """The stream numbers of the first rows, read from the contents (not from the sample's own addresses)."""
    return [int(value) for value in sample.obs["angle"][:, 0, 0]]


def same(left: Sample, right: Sample) -> bool:
    """Bit for bit the same sample."""

    def parts(sample: Sample) -> list[bytes]:
        fields = {**vars(sample), **sample.obs, **sample.targets}
        return [value.tobytes() for key, value in sorted(fields.items()) if key not in ("obs", "targets")]

    return parts(left) == parts(right)
