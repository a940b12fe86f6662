"""What environments are accepted, how they look from outside, and where an episode ends."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.make import describe, make_env, time_limit
from dreamerlab.envs.random_play import random_action
from dreamerlab.errors import UsageError
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.envs import odd_envs


def env_of(name: str, **settings: int):
    return make_env(Env(id=f"tests.envs.odd_envs:odd/{name}-v0", **settings))


def test_a_plain_box_becomes_one_vector() -> None:
    env = make_env(Env(id="CartPole-v1"))
    spec = describe(env)
    assert spec == EnvSpec({"vector": ObsSpec.vector(4)}, ActionSpec.discrete(2))
    obs, _ = env.reset(seed=3)
    assert obs.keys() == {"vector"}
    assert obs["vector"].dtype == np.float32
    stepped, reward, terminated, truncated, _ = env.step(np.array([1]))
    assert stepped["vector"].shape == (4,)
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)


@pytest.mark.parametrize("name", odd_envs.SUPPORTED)
def test_supported_spaces_give_arrays_as_described(name: str) -> None:
    env = env_of(name)
    spec = describe(env)
    obs, _ = env.reset(seed=0)
    action = random_action(spec.action, np.random.default_rng(0))
    assert (action.shape, action.dtype) == ((spec.action.components,), spec.action.dtype)
    for observed in (obs, env.step(action)[0]):
        assert {key: (value.shape, value.dtype) for key, value in observed.items()} == {
            key: (part.shape, part.dtype) for key, part in spec.observations.items()
        }
        assert env.observation_space.contains(observed)


@pytest.mark.parametrize(
    "name, expected",
    {
        "Number": {"vector": ObsSpec.vector(1)},
        "Integers": {"vector": ObsSpec.vector(5)},
        "Switches": {"vector": ObsSpec.vector(3)},
        "Nested": {
            "arm/angle": ObsSpec.vector(3),
            "arm/grip": ObsSpec.discrete(2),
            "camera": ObsSpec.image(64, 64, 3),
        },
        "Parts": {"0": ObsSpec.discrete(3), "1/speed": ObsSpec.vector(3)},
        "Table": {"vector": ObsSpec.vector(20)},
        "Pixels": {"image": ObsSpec.image(64, 64, 3)},
        "Grey": {"image": ObsSpec.image(64, 64, 1)},
        "ChannelsFirst": {"image": ObsSpec.image(64, 64, 3)},
        "State": {"discrete": ObsSpec.discrete(7)},
        "States": {"discrete": ObsSpec.discrete(2, 3, 4, 5)},
        "Bits": {"discrete": ObsSpec.discrete(2, 2, 2, 2)},
    }.items(),
)
def test_observations_have_the_kind_of_their_space(name: str, expected: dict[str, ObsSpec]) -> None:
    assert describe(env_of(name)).observations == expected


@pytest.mark.parametrize(
    "name, expected",
    {
        "StartsAtFive": ActionSpec.discrete(3),
        "Torques": ActionSpec.continuous(4),
        "Unbounded": ActionSpec.continuous(2),
        "Joint": ActionSpec.discrete(2, 3),
        "Buttons": ActionSpec.discrete(2, 2, 2, 2),
    }.items(),
)
def test_actions_are_choices_or_numbers(name: str, expected: ActionSpec) -> None:
    assert describe(env_of(name)).action == expected


@pytest.mark.parametrize("size", [16, 128])
def test_pictures_have_the_configured_size(size: int) -> None:
    """M-CP-15: resized before anything else sees them."""
    env = env_of("Grey", image_size=size)
    assert describe(env).observations == {"image": ObsSpec.image(size, size, 1)}
    assert env.reset(seed=0)[0]["image"].shape == (size, size, 1)


@pytest.mark.parametrize(
    "name, said",
    {
        "FloatPixels": "the observation has 3 dimensions, Box(shape=(8, 8, 3), dtype=float32)",
        "BigTable": "the observation has 2 dimensions, Box(shape=(40, 40), dtype=float32)",
        "Film": "the observation has 4 dimensions, Box(shape=(4, 8, 8, 3), dtype=uint8)",
        "Dark": "the observation is a picture of bytes up to 1, Box(shape=(8, 8, 3), dtype=uint8)",
        "Empty": "the observation is empty",
        "EmptyDict": "observes an empty Dict: nothing",
        "EmptyWithin": "observes an empty Dict under key 'arm'",
        "TwoOfOneName": "two observation keys become 'arm/angle'",
        "FloatPixelsInDict": "observation key 'camera' has 3 dimensions",
        "Words": "the observation is Text(",
        "Many": "the observation is Sequence(",
        "Net": "the observation is Graph(",
        "WholeNumbers": "unsupported actions: Box(shape=(2,), dtype=int64) is whole numbers",
        "NoActions": "unsupported actions: Box(shape=(0,), dtype=float32) is empty",
        "OutOfReach": "unsupported actions: dimension 0 of Box(shape=(2,), dtype=float32) has one bound only",
        "DictActions": "unsupported actions: Dict(",
        "TooManyActions": "has 4,097 choices, more than the 4,096 that can be learnt",
        "TooManyStates": "observation key 'cell' has 65,537 choices, more than the 65,536",
    }.items(),
)
def test_unsupported_spaces_are_refused_by_name(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        env_of(name)
    assert f"environment 'tests.envs.odd_envs:odd/{name}-v0'" in caught.value.message
    assert said in caught.value.message
    assert name == "TwoOfOneName" or name.startswith("Empty") or caught.value.hint


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
    assert caught.value.hint == "pip install 'dreamerlab[env]'"


@pytest.mark.parametrize("configured, expected", [(None, 500), (7, 7), (600, 600)])
def test_the_configured_time_limit_replaces_the_registered_one(configured: int | None, expected: int) -> None:
    assert time_limit(make_env(Env(id="Acrobot-v1", time_limit=configured))) == expected


def test_a_time_limit_truncates_and_does_not_terminate() -> None:
    env = make_env(Env(id="Acrobot-v1", time_limit=7))
    env.reset(seed=0)
    flags = [env.step(np.array([0]))[2:4] for _ in range(7)]
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
