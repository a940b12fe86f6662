"""The game replays what was recorded of upstream's: all 235 games, both players, to the bit (M-HK-01)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamerlab.envs.hockey import BasicOpponent, HockeyEnv, bodies, field, motion
from dreamerlab.envs.hockey.opponents import bot_action
from dreamerlab.envs.hockey.recording import RESULTS, Arrays, first_deviation, replayed
from dreamerlab.envs.hockey.recording_files import load

GOLDEN = Path(__file__).parent / "data" / "golden.npz"
_KEPT_OFF = slice(16, None)


@pytest.fixture(scope="module")
def golden() -> Arrays:
    return load(GOLDEN)


@pytest.fixture(scope="module")
def raw() -> Arrays:
    with np.load(GOLDEN) as stored:
        return dict(stored)


def test_every_recorded_game_is_replayed_to_the_bit(golden: Arrays) -> None:
    """M-HK-01: observations of both players, done and winner are equal; rewards and infos to 1e-12."""
    again = replayed(golden, HockeyEnv)
    assert first_deviation(golden, again) is None
    # The comparison above is the product's own; this one is not.
    assert len(golden["ep_seed"]) == 235
    assert len(golden["step_action"]) == 25_233
    for name in RESULTS:
        for when in ("reset", "step") if name in RESULTS[:4] else ("step",):
            one, other = golden[f"{when}_{name}"], again[f"{when}_{name}"]
            if name.startswith(("reward", "info")):
                there = ~np.isnan(other)
                assert np.abs(one - other)[there].max() <= 1e-12
            else:
                assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), name
    assert np.array_equal(golden["ep_one_starts_after"], again["ep_one_starts_after"])


def test_without_knowing_where_the_engine_keeps_its_numbers_games_are_the_same(
    golden: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M-HK-01: the engine's records are read in place where they lie as expected, else through its interface."""
    assert bodies.layout_is_known()
    monkeypatch.setattr(bodies, "layout_is_known", lambda: False)
    some = _first_games(golden, 90)
    assert first_deviation(some, replayed(some, HockeyEnv)) is None


@pytest.mark.parametrize("moved", ["X", "SPEED_Y", "TORQUE", "SPIN_DAMPING", "_FLAGS"])
def test_numbers_that_lie_elsewhere_are_noticed(monkeypatch: pytest.MonkeyPatch, moved: str) -> None:
    monkeypatch.setattr(bodies, moved, getattr(bodies, moved) - 1)
    assert not bodies.layout_is_known.__wrapped__()


def test_recorded_games_cover_what_is_hard(raw: Arrays) -> None:
    """M-HK-01: fresh environments, games without keep mode, timers carried over and set states are all among them."""
    assert set(raw["ep_kind"]) == {0, 1, 2, 3}
    assert set(raw["ep_mode"]) == {0, 1, 2}
    assert ((raw["ep_had_puck_before1"] > 0) | (raw["ep_had_puck_before2"] > 0)).sum() >= 10
    assert (np.abs(raw["step_action"]) > 1).any()


def _another_order(self: field.Field, second: Any, puck: Any, listener: Any) -> Any:
    made = _PLACE(self, second, puck, listener)
    world, moving = self.world, self._moving
    world.contactListener = None
    for body in made:
        world.DestroyBody(body)
    bodies: list[Any] = []
    for number, position in ((2, puck), (1, second), (0, (2.0, 4.0))):
        moving.position, moving.linearDamping = position, 0.05 * (number == 2)
        bodies.append(world.CreateBody(moving))
        bodies[-1].CreateFixture(self._fixtures[number])
    world.contactListener = listener
    self.movers = tuple(reversed(bodies))
    return self.movers


_PLACE = field.Field.place


@pytest.mark.parametrize("fault", ["order of bodies", "damping", "friction", "force"])
def test_a_planted_fault_is_found(golden: Arrays, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """M-HK-01: what would only show in contacts, or in the last digits, is found as well."""
    if fault == "order of bodies":
        monkeypatch.setattr(field.Field, "place", _another_order)
    elif fault == "damping":
        monkeypatch.setattr(motion, "MAX_PUCK_SPEED", 25.1)
    elif fault == "friction":
        monkeypatch.setattr(field, "_WALL_FRICTION", 0.1001)
    else:
        monkeypatch.setattr(motion, "single", lambda value: value)
    some = _first_games(golden, 235 if fault == "damping" else 60)
    assert first_deviation(some, replayed(some, HockeyEnv)) is not None


def _first_games(golden: Arrays, count: int) -> Arrays:
    steps = int(golden["ep_start"][count - 1] + golden["ep_length"][count - 1])
    return {name: array[: steps if name.startswith("step_") else count] for name, array in golden.items()}


def test_every_recorded_action_of_a_bot_is_reproduced(raw: Arrays) -> None:
    """M-HK-02: weak, strong, and strong that never shoots, given the recorded phase."""
    names, checked = [str(name) for name in raw["policy_names"]], 0
    for episode in range(len(raw["ep_seed"])):
        start, length = int(raw["ep_start"][episode]), int(raw["ep_length"][episode])
        keep = bool(raw["ep_keep"][episode])
        rows, width = slice(start, start + length), 4 if keep else 3
        for player, first in ((1, 0), (2, 4)):
            policy = names[raw[f"ep_pol{player}"][episode]]
            if policy not in ("weak", "strong", "hold"):
                continue
            seen = np.vstack([raw[f"reset_obs{player}"][episode], raw[f"step_obs{player}"][rows][:-1]])
            phases, actions = raw[f"step_phase{player}"][rows], raw["step_action"][rows, first : first + width]
            for view, phase, action in zip(seen if keep else seen[:, :16], phases, actions, strict=True):
                got = bot_action(view, phase, weak=policy == "weak", keep_mode=keep)
                if policy == "hold" and keep:
                    got[3] = 0.0
                assert np.array_equal(got.astype(np.float32), action)
                checked += 1
    assert checked == 24_297


def test_bots_play_recorded_games_themselves(raw: Arrays) -> None:
    """M-HK-02: from the recorded seed of numpy's global state on, nothing else given, the same game comes out."""
    names, played = [str(name) for name in raw["policy_names"]], 0
    for episode in range(len(raw["ep_seed"])):
        one, two = (names[raw[f"ep_pol{player}"][episode]] for player in (1, 2))
        if {one, two} - {"weak", "strong"} or raw["ep_kind"][episode] > 1 or played == 30:
            continue
        keep = bool(raw["ep_keep"][episode])
        game = HockeyEnv(keep_mode=keep, mode=int(raw["ep_mode"][episode]))
        start = {-1: None, 0: False, 1: True}[int(raw["ep_one_starting"][episode])]
        np.random.seed(raw["ep_np_seed"][episode])
        players = [BasicOpponent(weak=name == "weak", keep_mode=keep) for name in (one, two)]
        seen, _ = game.reset(one_starting=start, seed=int(raw["ep_seed"][episode]))
        first, length = int(raw["ep_start"][episode]), int(raw["ep_length"][episode])
        for recorded in raw["step_obs1"][first : first + length]:
            actions = [player.act(view) for player, view in zip(players, (seen, game.obs_agent_two()), strict=True)]
            seen = game.step(np.concatenate(actions))[0]
            assert np.array_equal(seen, recorded[: len(seen)])
        played += 1
    assert played == 30
