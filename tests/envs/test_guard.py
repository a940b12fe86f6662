"""Environments that raise or lie end a trial with a message that leads to the place."""

from __future__ import annotations

import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.faults import EnvironmentFault
from dreamerlab.envs.make import make_env
from dreamerlab.errors import TrialFailed
from tests.envs import odd_envs

CHOICE = np.array([[0], [1]])


@pytest.mark.parametrize("name", odd_envs.LIES)
def test_a_fault_names_environment_call_place_and_value(name: str) -> None:
    env = make_env(Env(id=f"tests.envs.odd_envs:odd/{name}-v0"))
    env.reset(seed=8)  # an earlier episode does not count
    env.step(CHOICE[0])
    env.reset(seed=9)
    env.step(CHOICE[0])
    env.step(CHOICE[0])
    with pytest.raises(EnvironmentFault) as caught:
        env.step(CHOICE[1])
    place = "failed in step(1) at step 3 of the episode with reset seed 9: "
    assert caught.value.message.startswith(f"environment 'tests.envs.odd_envs:odd/{name}-v0' {place}")
    assert odd_envs.LIES[name][1] in caught.value.message
    assert "\n" not in caught.value.message
    assert isinstance(caught.value, TrialFailed)


def test_an_honest_environment_passes() -> None:
    env = make_env(Env(id="tests.envs.odd_envs:odd/Honest-v0"))
    env.reset(seed=0)
    assert [env.step(CHOICE[0])[1] for _ in range(5)] == [1.0] * 5


def test_faults_in_reset_are_named_too() -> None:
    env = make_env(Env(id="tests.envs.odd_envs:odd/NanReset-v0"))
    with pytest.raises(EnvironmentFault, match=r"failed in reset\(seed=4\) at step 0 .* not finite .* \[inf inf inf\]"):
        env.reset(seed=4)


def test_the_environments_own_error_is_kept_as_the_cause() -> None:
    env = make_env(Env(id="tests.envs.odd_envs:odd/Raises-v0"))
    env.reset(seed=0)
    env.step(CHOICE[0])
    env.step(CHOICE[0])
    with pytest.raises(EnvironmentFault) as caught:
        env.step(CHOICE[0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("leave", [SystemExit(3), SystemExit()])
def test_an_environment_that_leaves_the_program_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, leave: BaseException
) -> None:
    env = make_env(Env(id="tests.envs.odd_envs:odd/Honest-v0"))

    def step(action: int) -> None:
        raise leave

    env.reset(seed=0)
    monkeypatch.setattr(env.unwrapped, "step", step)
    with pytest.raises(EnvironmentFault, match="SystemExit"):
        env.step(CHOICE[0])


@pytest.mark.parametrize(
    "spoilt, said",
    [
        ({"speed": [0.0, 0.0]}, "the observation has keys ['speed'], its space promises keys ['angle', 'speed']"),
        ({"speed": [0.0, 0.0, 0.0], "angle": 1}, "observation key 'speed' has shape (3,), its space promises (2,)"),
        (None, "the observation has NoneType None"),
    ],
)
def test_dict_observations_are_checked_by_key(monkeypatch: pytest.MonkeyPatch, spoilt: object, said: str) -> None:
    env = make_env(Env(id="tests.envs.odd_envs:odd/Keys-v0"))
    env.reset(seed=0)
    monkeypatch.setattr(env.unwrapped, "step", lambda action: (spoilt, 0.0, False, False, {}))
    with pytest.raises(EnvironmentFault) as caught:
        env.step(CHOICE[0])
    assert said in caught.value.message


def test_fault_messages_stay_short(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_env(Env(id="tests.envs.odd_envs:odd/Honest-v0"))
    env.reset(seed=0)
    monkeypatch.setattr(env.unwrapped, "step", lambda action: (range(10_000), 0.0, False, False, {}))
    with pytest.raises(EnvironmentFault) as caught:
        env.step(CHOICE[0])
    assert len(caught.value.message) < 400
