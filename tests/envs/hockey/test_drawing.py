"""Pictures: upstream's in its colours, and the modern one with score, clock and possession (M-HK-01)."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from dreamerlab.envs.hockey import HockeyEnv
from dreamerlab.envs.hockey.drawing import Picture
from dreamerlab.envs.hockey.views import Scene

pytest.importorskip("pygame")
PUCK_RIGHT = Scene(players=((2.0, 4.0, 0.0), (8.0, 4.0, 0.0)), puck=(7.0, 6.0))


def _pixel(picture: np.ndarray | None, x: float, y: float) -> tuple[int, ...]:
    assert picture is not None
    return tuple(int(part) for part in picture[int(480 - y), int(x)])


def test_upstreams_picture_has_its_colors_in_their_places() -> None:
    """M-HK-01: white ground, discs, patches that leave the goals orange, walls, both players, the puck; y points up."""
    picture = Picture("upstream").show(PUCK_RIGHT)
    assert picture is not None
    assert picture.shape == (480, 600, 3)
    assert picture.dtype == np.uint8
    assert _pixel(picture, 5, 470) == (255, 255, 255)
    assert _pixel(picture, 300, 240) == (204, 204, 204)
    assert _pixel(picture, 300, 339) == (204, 204, 204)  # the disc's radius is 100
    assert _pixel(picture, 300, 345) == (255, 255, 255)
    for behind, before in ((30, 65), (570, 535)):
        assert _pixel(picture, behind, 240) == (239, 203, 138)
        assert _pixel(picture, before, 240) == (255, 255, 255)
    for wall in ((300, 450), (300, 30), (55, 400), (55, 80), (545, 400), (545, 80)):
        assert _pixel(picture, *wall) == (0, 0, 0)
    assert _pixel(picture, 110, 240) == (235, 98, 53)
    assert _pixel(picture, 490, 240) == (93, 158, 199)
    assert _pixel(picture, 7 * 60, 6 * 60) == (0, 0, 0)
    used = {tuple(color) for color in np.unique(picture.reshape(-1, 3), axis=0).tolist()}
    assert used == {(255,) * 3, (204,) * 3, (239, 203, 138), (0,) * 3, (235, 98, 53), (93, 158, 199)}


def test_a_turned_racket_is_drawn_turned() -> None:
    straight = Picture().show(Scene(((3.0, 4.0, 0.0), (8.0, 4.0, 0.0)), (5.0, 5.0)))
    turned = Picture().show(Scene(((3.0, 4.0, 1.0), (8.0, 4.0, 0.0)), (5.0, 5.0)))
    assert straight is not None
    assert turned is not None
    changed = np.argwhere((straight != turned).any(-1))
    assert len(changed) > 100
    assert np.abs(changed - [240, 180]).max() < 40


def test_the_modern_picture_tells_score_clock_and_possession() -> None:
    """Each changes its own part of the header, and the holder has a ring."""
    picture = Picture("modern")
    plain = Scene(PUCK_RIGHT.players, PUCK_RIGHT.puck, seconds_left=3.2)
    base = picture.show(plain)
    assert base is not None
    assert base.shape == (544, 600, 3)

    def changed(**other: object) -> np.ndarray:
        shown = picture.show(Scene(**{**vars(plain), **other}))  # type: ignore[arg-type]
        assert shown is not None
        return np.argwhere((shown != base).any(-1))

    goal = changed(winner=1)
    assert len(goal)
    assert (goal[:, 0] < 40).all()
    assert np.array_equal(goal, changed(score=(1, 0)))
    clock = changed(seconds_left=0.1)
    assert len(clock)
    assert ((clock[:, 0] > 40) & (clock[:, 0] < 64) & (np.abs(clock[:, 1] - 300) < 40)).all()
    held = changed(timers=(9, 0))
    assert (held[:, 1] < 300).any()
    assert ((held[:, 0] > 64) & (np.abs(held[:, 1] - 120) < 45)).any()
    name = changed(names=("somebody with a name that is much too long to be written there", "player two"))
    assert name[:, 1].max() < 300
    assert not len(changed())


def test_a_game_renders_in_both_ways_of_asking() -> None:
    game = HockeyEnv(render_mode="rgb_array")
    first = game.render()
    assert isinstance(first, np.ndarray)
    assert np.array_equal(first, HockeyEnv.render(game, "rgb_array"))
    assert HockeyEnv().render() is None
    asked = HockeyEnv().render(mode="rgb_array")
    assert asked is not None
    assert asked.shape == (480, 600, 3)
    game.step(np.ones(8))
    for _ in range(5):
        game.step(np.ones(8))
    assert not np.array_equal(first, game.render())
    game.close()
    assert game.render() is not None


def test_a_window_opens_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    game = HockeyEnv(render_mode="human", style="modern")
    assert game.render() is None
    import pygame

    assert pygame.display.get_surface().get_size() == (600, 544)
    game.close()
    assert not pygame.display.get_init()


def test_without_pygame_the_error_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'dreamerlab\[env\]'"):
        HockeyEnv(render_mode="rgb_array").render()
