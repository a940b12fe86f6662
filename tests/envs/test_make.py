"""What environments are accepted, how they look from outside, and where an episode ends."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.make import describe, make_env, time_limit
from dreamerlab.errors import UsageError
from tests.envs import odd_envs


def env_of(name: str, **settings: int):
    return make_env(Env(id=f"tests.envs.odd_envs:odd/{name}-v0", **settings))


def test_a_plain_box_becomes_one_vector() -> None:
    env = make_env(Env(id="CartPole-v1"))
    spec = describe(env)
    assert {key: obs.size for key, obs in spec.observations.items()} == {"vector": 4}
    assert spec.action.num_actions == 2
    obs, _ = env.reset(seed=3)
    assert obs.keys() == {"vector"}
    assert obs["vector"].dtype == np.float32
    stepped, reward, terminated, truncated, _ = env.step(1)
    assert stepped["vector"].shape == (4,)
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)


@pytest.mark.parametrize("name", odd_envs.SUPPORTED)
def test_supported_spaces_give_float32_vectors_of_the_promised_sizes(name: str) -> None:
    env = env_of(name)
    spec = describe(env)
    obs, _ = env.reset(seed=0)
    for observed in (obs, env.step(0)[0]):
        assert {key: value.shape for key, value in observed.items()} == {
            key: (part.size,) for key, part in spec.observations.items()
        }
        assert all(value.dtype == np.float32 for value in observed.values())


def test_dict_observations_keep_their_values_by_key() -> None:
    env = env_of("Keys")
    obs, _ = env.reset(seed=5)
    space = odd_envs.SUPPORTED["Keys"][0]
    space.seed(5)
    expected = space.sample()
    assert np.array_equal(obs["speed"], expected["speed"].astype(np.float32))
    assert obs["angle"].tolist() == [expected["angle"]]


def test_actions_of_a_space_that_starts_elsewhere_are_shifted() -> None:
    env = env_of("StartsAtFive")
    env.reset(seed=0)
    received = [env.step(action)[4]["action"] for action in range(3)]
    assert received == [5, 6, 7]
    assert all(odd_envs.SUPPORTED["StartsAtFive"][1].contains(action) for action in received)


@pytest.mark.parametrize(
    "name, said",
    {
        "Pixels": "the observation is an image, Box(shape=(8, 8, 3), dtype=uint8): pixels are not supported",
        "Grid": "the observation has 2 dimensions, Box(shape=(4, 4), dtype=float32)",
        "Empty": "the observation is empty",
        "EmptyDict": "observes an empty Dict",
        "PixelsInDict": "observation key 'camera' is an image",
        "Nested": "observation key 'arm' is Dict(",
        "Words": "the observation is Text(",
        "Continuous": "unsupported actions: Box(shape=(1,), dtype=float32)",
        "Joint": "unsupported actions: MultiDiscrete([2 3])",
        "Buttons": "unsupported actions: MultiBinary(4)",
    }.items(),
)
def test_unsupported_spaces_are_refused_by_name(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        env_of(name)
    assert f"environment 'tests.envs.odd_envs:odd/{name}-v0'" in caught.value.message
    assert said in caught.value.message


def test_every_odd_space_is_tried() -> None:
    marks = test_unsupported_spaces_are_refused_by_name.pytestmark[0].args[1]
    assert dict(marks).keys() == odd_envs.UNSUPPORTED.keys()


@pytest.mark.parametrize(
    "env_id, said",
    [
        ("CartPol-v1", "no environment is called 'CartPol-v1' (did you mean 'CartPole-v1'"),
        ("CartPole", "did you mean 'CartPole-v1'"),
        ("tests.envs.odd_envs:odd/Pixel-v0", "did you mean 'tests.envs.odd_envs:odd/Pixels-v0'"),
        ("no_such_module:X-v0", "importing module 'no_such_module' failed: ModuleNotFoundError"),
        ("tests.envs.odd_envs:odd/Unbuildable-v0", "cannot be built: RuntimeError: the licence has run out"),
        ("../x:X-v0", "'../x' in environment id '../x:X-v0' is no module name"),
        ("os.:X-v0", "is no module name"),
    ],
)
def test_unknown_ids_are_answered_with_what_is_wrong(env_id: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_env(Env(id=env_id))
    assert said in caught.value.message
    assert caught.value.hint


def test_a_module_that_leaves_the_program_is_a_mistake_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving_envs.py").write_text("raise SystemExit('no display')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="importing module 'leaving_envs' failed: SystemExit: no display"):
        make_env(Env(id="leaving_envs:X-v0"))


def test_a_missing_package_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    for loaded in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    with pytest.raises(UsageError) as caught:
        make_env(Env(id="LunarLander-v3"))
    assert (
        "environment 'LunarLander-v3' needs a package that is missing: Box2D is not installed" in caught.value.message
    )
    assert caught.value.hint == 'pip install swig && pip install "gymnasium[box2d]"'


@pytest.mark.parametrize("configured, expected", [(None, 500), (7, 7), (600, 600)])
def test_the_configured_time_limit_replaces_the_registered_one(configured: int | None, expected: int) -> None:
    assert time_limit(make_env(Env(id="Acrobot-v1", time_limit=configured))) == expected


def test_a_time_limit_truncates_and_does_not_terminate() -> None:
    env = make_env(Env(id="Acrobot-v1", time_limit=7))
    env.reset(seed=0)
    flags = [env.step(0)[2:4] for _ in range(7)]
    assert flags == [(False, False)] * 6 + [(False, True)]


def test_an_environment_without_a_limit_is_refused_until_it_gets_one() -> None:
    with pytest.raises(UsageError, match="has no time limit") as error:
        env_of("Endless")
    assert "env.time_limit=1000" in str(error.value)
    assert time_limit(env_of("Endless", time_limit=3)) == 3


def test_observations_are_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    env = env_of("Honest")
    buffer = np.zeros(3, np.float32)
    monkeypatch.setattr(env.unwrapped, "_first", buffer)
    obs, _ = env.reset(seed=0)
    buffer += 1
    assert obs["vector"].tolist() == [0, 0, 0]
