"""Observing what an environment renders, alone or beside its state, and environments that cannot render."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.faults import EnvironmentFault
from dreamerlab.envs.make import describe, make_env
from dreamerlab.envs.pictures import resize
from dreamerlab.errors import UsageError
from dreamerlab.spaces import ObsSpec
from tests.envs import odd_envs

LEFT = np.array([0])
ROOT = Path(__file__).parents[2]


def env_of(name: str, **settings: object):
    return make_env(Env(id=f"tests.envs.odd_envs:odd/{name}-v0", **settings))


@pytest.mark.parametrize("observe", ["pixels", "both"])
def test_the_picture_is_a_resize_of_what_is_rendered(observe: str) -> None:
    """M-CP-02, M-CP-15: 400 x 600 rendered, 64 x 64 observed, at every step and at the first."""
    env = make_env(Env(id="CartPole-v1", observe=observe))
    twin = gym.make("CartPole-v1", render_mode="rgb_array")
    assert describe(env).observations["image"] == ObsSpec.image(64, 64, 3)
    twin.reset(seed=3)
    obs, _ = env.reset(seed=3)
    for _ in range(5):
        rendered = twin.render()
        assert rendered.shape == (400, 600, 3)
        assert np.array_equal(obs["image"], resize(rendered, 64))
        obs = env.step(LEFT)[0]
        twin.step(0)


def test_both_adds_the_picture_to_the_state() -> None:
    """M-CP-04."""
    both = make_env(Env(id="CartPole-v1", observe="both", image_size=32))
    state = make_env(Env(id="CartPole-v1"))
    assert describe(both).observations == {"vector": ObsSpec.vector(4), "image": ObsSpec.image(32, 32, 3)}
    first, second = both.reset(seed=1)[0], state.reset(seed=1)[0]
    assert first.keys() == {"vector", "image"}
    assert np.array_equal(first["vector"], second["vector"])


def test_the_pole_is_seen_at_64_pixels() -> None:
    """M-CP-03: two pixels wide, yet a tilt of a few degrees moves its tip."""
    env = make_env(Env(id="CartPole-v1", observe="pixels"))
    env.reset(seed=0)
    pictures = []
    for angle in (-0.1, 0.1):
        env.unwrapped.state = np.array([0.0, 0.0, angle, 0.0])
        pictures.append(resize(env.unwrapped.render(), 64).astype(int))
    tip = slice(26, 36)  # rows above the cart
    assert np.abs(pictures[0] - pictures[1])[tip].max() > 30


def test_pixels_alone_do_not_ask_for_a_state_that_is_understood() -> None:
    env = env_of("Painter", observe="pixels")
    obs = env.reset(seed=0)[0]
    assert obs.keys() == {"image"}
    assert np.array_equal(obs["image"], resize(odd_envs.noise(40, 60, 3), 64))
    with pytest.raises(UsageError, match="the observation is Text"):
        env_of("Painter", observe="both")


def test_nothing_is_rendered_for_a_state() -> None:
    """M-CP-04: no rendering, and no mode to render in."""
    env = env_of("PainterOfState")
    env.reset(seed=0)
    env.step(LEFT)
    assert (env.unwrapped.render_mode, env.unwrapped.rendered) == (None, 0)


def test_every_step_is_rendered_once() -> None:
    env = env_of("PainterOfState", observe="both")
    before = env.unwrapped.rendered
    env.reset(seed=0)
    env.step(LEFT)
    assert env.unwrapped.rendered == before + 2
    assert env.unwrapped.render_mode == "rgb_array"


def test_pixels_need_no_display_and_say_nothing_and_a_state_not_even_pygame() -> None:
    code = (
        "import sys; from dreamerlab.config.schema_task import Env; from dreamerlab.envs.make import make_env;"
        "env = make_env(Env(id='CartPole-v1')); env.reset(seed=0); print('pygame' in sys.modules);"
        "env = make_env(Env(id='LunarLander-v3', observe='pixels')); print(env.reset(seed=0)[0]['image'].std() > 10)"
    )
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("SDL_", "PYGAME_", "DISPLAY"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environ
    )
    assert (done.stdout.split(), done.stderr) == (["False", "True"], "")


@pytest.mark.parametrize(
    "name, said",
    {
        "Honest": "cannot be observed in pixels: it takes no render_mode",
        "Printer": "cannot be observed in pixels: its render modes are ['ansi'], without rgb_array",
        "NothingToSee": "cannot be observed in pixels: render() gives NoneType",
        "FloatFrames": "cannot be observed in pixels: render() gives float64 of shape (4, 4, 3), not uint8",
        "Breaks": "cannot be observed in pixels: RuntimeError: no display",
        "NoPygame": "cannot be observed in pixels, a package is missing: pygame is not installed",
    }.items(),
)
@pytest.mark.parametrize("observe", ["pixels", "both"])
def test_what_cannot_be_seen_is_refused_by_name(name: str, said: str, observe: str) -> None:
    with pytest.raises(UsageError) as caught:
        env_of(name, observe=observe)
    assert caught.value.message.startswith(f"environment 'tests.envs.odd_envs:odd/{name}-v0' {said}")
    assert caught.value.hint == (
        "pip install 'dreamerlab[env]'" if name == "NoPygame" else "env.observe=state needs no pictures"
    )


def test_a_missing_pygame_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    for loaded in [name for name in sys.modules if name.partition(".")[0] == "pygame"]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(UsageError, match="a package is missing: pygame is not installed") as caught:
        make_env(Env(id="CartPole-v1", observe="pixels"))
    assert caught.value.hint == "pip install 'dreamerlab[env]'"


def test_a_key_that_is_taken_is_refused() -> None:
    with pytest.raises(UsageError, match="observes 'image' already"):
        env_of("PainterOfImages", observe="both")
    assert describe(env_of("PainterOfImages", observe="pixels")).observations == {"image": ObsSpec.image(64, 64, 3)}


@pytest.mark.parametrize(
    "name, said",
    [
        ("BreaksLater", "render() raised RuntimeError: no display"),
        ("Shrinks", "the rendered picture has shape (4, 3, 3), the first one had (4, 4, 3)"),
    ],
)
def test_rendering_that_goes_wrong_later_is_a_fault_with_a_place(name: str, said: str) -> None:
    env = env_of(name, observe="pixels")
    env.reset(seed=5)
    with pytest.raises(EnvironmentFault) as caught:
        env.step(LEFT)
    assert f"failed in step(0) at step 1 of the episode with reset seed 5: {said}" in caught.value.message
    assert isinstance(caught.value.__cause__, RuntimeError) == (name == "BreaksLater")
