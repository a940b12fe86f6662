"""What is asked of an environment before a run is opened, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.errors import UsageError
from dreamerlab.lab.preflight import check_environment

TESTS = Path(__file__).parents[1]


def test_an_environment_is_asked_as_the_trial_will_observe_it() -> None:
    facts = check_environment([], Env(id="CartPole-v1", observe="both", image_size=32, time_limit=9))
    assert {key: obs["shape"] for key, obs in facts["observations"].items()} == {"image": [32, 32, 3], "vector": [4]}
    assert facts["time_limit"] == 9


def test_pixels_of_an_environment_that_cannot_render_are_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match="'toy_envs:Walk-v0' cannot be observed in pixels: it takes no") as caught:
        check_environment([TESTS], Env(id="toy_envs:Walk-v0", observe="pixels"))
    assert caught.value.hint == "env.observe=state needs no pictures"
