"""Pictures of the game, drawn by pygame: upstream's, and one that shows score, clock and who holds the puck.

Both are drawn from a `Scene` alone, so that whoever knows where things are can have a picture. The style "upstream" is
600 x 480 in the colours of the specification (section 12); "modern" has a header above the field, 600 x 544.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from math import cos, pi, sin
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from dreamerlab.envs.hockey.geometry import (
    BLACK,
    GOAL_HALF_HEIGHT,
    GOAL_HALF_WIDTH,
    GOAL_LINE,
    PLAYER_COLORS,
    PUCK_RADIUS,
    RACKET,
    RACKET_SCALE,
    SCENERY,
    WHITE,
    Color,
)
from dreamerlab.envs.hockey.rules import FPS, KEEP_STEPS, SCALE, VIEWPORT
from dreamerlab.envs.hockey.views import Scene

_HEADER = 64
"""Pixels above the field in the modern style."""
_FINE = 2
"""The modern style is drawn so many times larger and then made smaller, which smooths its edges."""
_NIGHT, _ICE, _LINE, _RED, _INK, _DIM = (
    (24, 32, 48),
    (238, 244, 250),
    (200, 214, 230),
    (222, 120, 120),
    (245, 248, 252),
    (140, 155, 180),
)
_Points = list[tuple[float, float]]


class Picture:
    """Draws scenes in a style, and shows them in a window when asked to."""

    def __init__(self, style: str = "upstream") -> None:
        self._pygame = _pygame()
        self._style = style
        self._window: Any = None
        self._rink: Any = None
        self._clock: Any = None
        self._fonts: dict[tuple[int, bool], Any] = {}

    def show(self, scene: Scene, *, window: bool = False) -> np.ndarray | None:
        """Return the picture of a scene, (height, width, 3) uint8; None when it goes to the window instead."""
        surface = self._upstream(scene) if self._style == "upstream" else self._modern(scene)
        if window:
            self._present(surface)
            return None
        return np.ascontiguousarray(self._pygame.surfarray.array3d(surface).swapaxes(0, 1))

    def close(self) -> None:
        """Close the window if there is one."""
        if self._window is not None:
            self._pygame.display.quit()
            self._window = None

    def _present(self, surface: Any) -> None:
        pygame = self._pygame
        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode(surface.get_size())
            pygame.display.set_caption("Hockey")
            self._clock = pygame.time.Clock()
        self._window.blit(surface, (0, 0))
        pygame.event.pump()
        self._clock.tick(FPS)
        pygame.display.flip()

    def _upstream(self, scene: Scene) -> Any:
        """Draw everything in the order of the bodies, filled and outlined in one colour, on white."""
        pygame = self._pygame
        surface = pygame.Surface(VIEWPORT)
        surface.fill(WHITE)
        middle_x, middle_y = VIEWPORT[0] / 2, VIEWPORT[1] / 2

        def piece(color: Color, shape: float | Sequence[tuple[float, float]], x: float, y: float) -> None:
            if isinstance(shape, float | int):
                pygame.draw.circle(surface, color, (x, y), shape)
                pygame.draw.circle(surface, color, (x, y), shape, 2)
            else:
                corners = [(x + px, y + py) for px, py in shape]
                pygame.draw.polygon(surface, color, corners)
                pygame.draw.polygon(surface, color, corners, 2)

        for fixed in SCENERY:
            piece(fixed.color, fixed.shape, middle_x + fixed.x, middle_y + fixed.y)
        for player, color in zip(_rackets(scene), PLAYER_COLORS, strict=True):
            piece(color, player, 0.0, 0.0)
        piece(BLACK, PUCK_RADIUS, scene.puck[0] * SCALE, scene.puck[1] * SCALE)
        return pygame.transform.flip(surface, False, True)

    def _modern(self, scene: Scene) -> Any:
        pygame = self._pygame
        width, height = VIEWPORT[0], VIEWPORT[1] + _HEADER
        if self._rink is None:
            self._rink = pygame.Surface((width * _FINE, height * _FINE))
            self._rink.fill(_NIGHT)
            _draw_rink(_Pen(pygame, self._rink))
        surface = self._rink.copy()
        draw = _Pen(pygame, surface)
        for number, (corners, color) in enumerate(zip(_rackets(scene), PLAYER_COLORS, strict=True)):
            draw.polygon(_mixed(_LINE, _NIGHT, 0.25), [(x + 2, y - 3) for x, y in corners])
            draw.polygon(color, corners)
            if scene.timers[number]:
                x, y, _ = scene.players[number]
                share = min(scene.timers[number] / KEEP_STEPS, 1.0)
                draw.arc(color, (x * SCALE, y * SCALE), 38, share)
        x, y = scene.puck[0] * SCALE, scene.puck[1] * SCALE
        draw.circle(_mixed(_LINE, _NIGHT, 0.25), (x + 2, y - 3), PUCK_RADIUS)
        holder = next((color for color, timer in zip(PLAYER_COLORS, scene.timers, strict=True) if timer), None)
        draw.circle(_NIGHT, (x, y), PUCK_RADIUS)
        draw.circle(holder or _mixed(_NIGHT, WHITE, 0.25), (x, y), PUCK_RADIUS * 0.55)
        surface = pygame.transform.smoothscale(surface, (width, height))
        self._header(surface, scene)
        return surface

    def _header(self, surface: Any, scene: Scene) -> None:
        """Write who plays, the score, the clock, and a bar under the name of whoever holds the puck."""
        width, middle = VIEWPORT[0], _HEADER // 2
        goals = (scene.score[0] + (scene.winner > 0), scene.score[1] + (scene.winner < 0))
        self._write(surface, f"{goals[0]} : {goals[1]}", 30, _INK, (width // 2, middle - 6), bold=True)
        clock = "" if scene.seconds_left is None else f"{scene.seconds_left:.1f} s"
        self._write(surface, clock, 15, _DIM, (width // 2, middle + 19))
        for number, (name, color) in enumerate(zip(scene.names, PLAYER_COLORS, strict=True)):
            outer, inner = (20, width // 2 - 60) if number == 0 else (width // 2 + 60, width - 20)
            place = (outer, middle - 6) if number == 0 else (inner, middle - 6)
            self._write(surface, name, 20, color, place, side=-1 if number == 0 else 1, widest=inner - outer, bold=True)
            rail = self._pygame.Rect(outer, middle + 14, inner - outer, 5)
            self._pygame.draw.rect(surface, _mixed(_NIGHT, color, 0.25), rail, border_radius=2)
            held = round(rail.width * min(scene.timers[number] / KEEP_STEPS, 1.0))
            if held > 0:
                left = rail.left if number == 0 else rail.right - held
                self._pygame.draw.rect(surface, color, (left, rail.top, held, rail.height), border_radius=2)

    def _write(
        self,
        surface: Any,
        text: str,
        size: int,
        color: Color,
        place: tuple[int, int],
        *,
        side: int = 0,
        widest: int | None = None,
        bold: bool = False,
    ) -> None:
        """Write a line around, right of (-1) or left of (1) a place, cut with dots where it is too wide."""
        font = self._fonts.get((size, bold))
        if font is None:
            self._pygame.font.init()
            font = self._fonts[size, bold] = self._pygame.font.Font(None, round(size * 1.3))
            font.set_bold(bold)
        while widest is not None and text and font.size(text)[0] > widest:
            text = text.rstrip("…")[:-1] + "…" if len(text) > 1 else ""
        drawn = font.render(text, True, color)
        rectangle = drawn.get_rect(center=place)
        if side < 0:
            rectangle.left = place[0]
        elif side > 0:
            rectangle.right = place[0]
        surface.blit(drawn, rectangle)


class _Pen:
    """Draws in pixels of the field, y up, on a surface that is `_FINE` times larger."""

    def __init__(self, pygame: Any, surface: Any) -> None:
        self._pygame, self._surface = pygame, surface

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x * _FINE, (_HEADER + VIEWPORT[1] - y) * _FINE

    def polygon(self, color: Color, corners: Sequence[tuple[float, float]]) -> None:
        self._pygame.draw.polygon(self._surface, color, [self._at(*corner) for corner in corners])

    def circle(self, color: Color, place: tuple[float, float], radius: float, line: int = 0) -> None:
        self._pygame.draw.circle(self._surface, color, self._at(*place), radius * _FINE, line * _FINE)

    def rectangle(self, color: Color, left: float, bottom: float, width: float, height: float, bend: int = 0) -> None:
        x, y = self._at(left, bottom + height)
        size = (x, y, width * _FINE, height * _FINE)
        self._pygame.draw.rect(self._surface, color, size, border_radius=bend * _FINE)

    def arc(self, color: Color, place: tuple[float, float], radius: float, share: float) -> None:
        """Draw the share of a ring that begins at the top and goes round with the clock."""
        turns = max(round(48 * share), 1)
        outer = [pi / 2 - 2 * pi * share * turn / turns for turn in range(turns + 1)]
        corners = [(place[0] + radius * cos(angle), place[1] + radius * sin(angle)) for angle in outer]
        inner = radius - 4
        corners += [(place[0] + inner * cos(angle), place[1] + inner * sin(angle)) for angle in reversed(outer)]
        self.polygon(color, corners)


def _draw_rink(draw: _Pen) -> None:
    """Draw the ice with its lines, the walls and the goals."""
    middle_x, middle_y = VIEWPORT[0] / 2, VIEWPORT[1] / 2
    for side, color in ((-1, PLAYER_COLORS[0]), (1, PLAYER_COLORS[1])):
        x = middle_x + side * (GOAL_LINE + GOAL_HALF_WIDTH)
        left = x - GOAL_HALF_WIDTH - (22 if side < 0 else 0)
        draw.rectangle(
            _mixed(_NIGHT, color, 0.55), left, middle_y - GOAL_HALF_HEIGHT, 2 * GOAL_HALF_WIDTH + 22,
            2 * GOAL_HALF_HEIGHT, 6,
        )  # fmt: skip
    draw.rectangle(_ICE, middle_x - 245, middle_y - 205, 490, 410)
    for side, color in ((-1, PLAYER_COLORS[0]), (1, PLAYER_COLORS[1])):
        crease = [
            (middle_x + side * (245 - 70 * cos(angle)), middle_y + GOAL_HALF_HEIGHT * sin(angle))
            for angle in (pi * (turn / 24 - 0.5) for turn in range(25))
        ]
        draw.polygon(_mixed(_ICE, color, 0.18), crease)
    draw.circle(_LINE, (middle_x, middle_y), 70, 3)
    draw.rectangle(_mixed(_ICE, _RED, 0.6), middle_x - 1.5, middle_y - 205, 3, 410)
    draw.circle(_mixed(_ICE, _RED, 0.8), (middle_x, middle_y), 6)
    wall = _mixed(_NIGHT, WHITE, 0.35)
    for piece in SCENERY:
        if piece.solid and isinstance(piece.shape, tuple):
            corners = [(middle_x + piece.x + x, middle_y + piece.y + y) for x, y in piece.shape]
            draw.polygon(wall, corners)


def _rackets(scene: Scene) -> tuple[_Points, _Points]:
    """Return the corners of both rackets in pixels, y up."""
    outlines: list[_Points] = []
    for side, (x, y, angle) in zip((1, -1), scene.players, strict=True):
        turn_x, turn_y = cos(angle), sin(angle)
        corners = [(side * px * RACKET_SCALE, py * RACKET_SCALE) for px, py in RACKET]
        outlines.append(
            [(x * SCALE + turn_x * px - turn_y * py, y * SCALE + turn_y * px + turn_x * py) for px, py in corners]
        )
    return outlines[0], outlines[1]


def _mixed(one: Color, other: Color, share: float) -> Color:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _pygame() -> Any:
    """Return pygame without its greeting; raise DependencyNotInstalled with the way to install it."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    with suppress(ModuleNotFoundError):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that pygame itself uses
            import pygame
            import pygame.surfarray

        return pygame
    raise DependencyNotInstalled(
        "pictures of the game are drawn by pygame, which is not installed: pip install 'dreamerlab[env]'"
    )
