"""Stored agents measured at hockey: against whom one asks for, both starts on both sides, and what was seen meanwhile.

Games are new ones, that no evaluation of the trial has seen, and follow from its seed. A witness between the game and
its wrappers counts every step, also those that action repeat passes over: how long the game was, where the puck was,
and where shots came from. Places are as the agent sees the field, its own goal on the left.

A shot is a puck that nobody holds and that begins to fly towards the space between the posts, at `FASTEST_ROLL` or
more; a flight that a wall, a post or a player turns away has ended. A goal belongs to the last shot that way, within a
second; without one the puck was pushed in, and counts as a shot from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from dreamerlab.config.opponents import parse_opponent
from dreamerlab.config.schema import Config
from dreamerlab.envs.hockey.rules import DIVISORS, FPS
from dreamerlab.envs.hockey.shaping import shot_quality
from dreamerlab.errors import UsageError
from dreamerlab.experience.balance import CELLS, balanced_game
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.evaluate import Evaluator
from dreamerlab.train.guests import Guests, Host
from dreamerlab.train.opponents import Company, find_company, find_guest, maker, plays
from dreamerlab.train.runtime import stream_seed
from dreamerlab.train.stored import StoredAgent

AT_ONCE = 100
"""Games that are open at the same time."""
FASTEST_ROLL = 4.0
"""Metres per second; a slower puck rolls."""
GRID = (40, 32)
"""Squares of the heat map, along and across the field of 10 by 8 metres."""


@dataclass
class Seen:
    """What a witness has seen of one game."""

    steps: int = 0
    places: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    shots: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Each with step, x, y, speed (m/s), `own` and `goal`; places in metres from the middle of the field."""
    flying: int = 0
    """1 while an own shot is on its way, -1 while one of the opponent's is."""


class Witness(gym.Wrapper[Any, Any, Any, Any]):
    """Passes everything on, and notes what happens in the present game; `divisors` are those of its observations."""

    def __init__(self, env: gym.Env[Any, Any], divisors: np.ndarray | None) -> None:
        super().__init__(env)
        self._divisors = np.ones(18) if divisors is None else divisors
        self.seen = Seen()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a game, and forget the one before."""
        self.seen = Seen()
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Play one step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._note(np.asarray(obs, np.float64)[12:18] * self._divisors[12:18], info["winner"])
        return obs, reward, terminated, truncated, info

    def _note(self, puck: np.ndarray, winner: int) -> None:
        """Note place, speed and keep timers `puck` (6,), and a goal."""
        x, y, speed_x, speed_y, own_timer, other_timer = puck.tolist()
        seen = self.seen
        seen.steps += 1
        seen.places.append((x, y))
        if winner:
            self._note_goal(own=winner > 0)
            return
        flying = 0
        if not own_timer and not other_timer and abs(speed_x) >= FASTEST_ROLL:
            side = 1 if speed_x > 0 else -1
            flying = side * (shot_quality(side * x, side * y, side * speed_x, side * speed_y) > 0)
        if flying and flying != seen.flying:
            speed = float(np.hypot(speed_x, speed_y))
            seen.shots.append(_shot(seen.steps, x, y, speed, own=flying > 0))
        seen.flying = flying

    def _note_goal(self, *, own: bool) -> None:
        """Note which shot went in: the last one that way, or the puck was pushed in from where it was just before."""
        seen = self.seen
        last = next((shot for shot in reversed(seen.shots) if shot["own"] is own), None)
        if last is None or seen.steps - last["step"] > FPS:
            last = _shot(seen.steps, *seen.places[-min(2, len(seen.places))], 0.0, own=own)
            seen.shots.append(last)
        last["goal"] = True


def _shot(step: int, x: float, y: float, speed: float, *, own: bool) -> dict[str, Any]:
    return {"step": step, "x": x, "y": y, "speed": speed, "own": own, "goal": False}


def measure_games(
    stored: StoredAgent,
    trial: TrialDirectory,
    opponents: Sequence[str],
    games: int,
    policies: Sequence[str],
    *,
    maps: bool = False,
    said: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Return what `games` games per policy against each of `opponents` were like; none named: those of the evaluations.

    `games` is a multiple of four. Returns `returns` and `lengths` (env steps) by policy, `games` by policy: what the
    game tells of itself, with `steps`, `shots` and `shots_against`; with `maps` `shots` and `heat`, a list of shots
    and a grid of steps for each policy and opponent. UsageError for an agent that is not one of hockey.
    """
    assert games % CELLS == 0, games
    config = stored.config
    require_hockey(trial, config, "--opponent, --maps and --outcome")
    company = company_of(trial, stored, opponents)
    names = names_of(stored, company, opponents)
    witnesses: list[Witness] = []
    divisors = np.array(DIVISORS) if config.hockey.scaling == "divisors" else None
    make, known = maker(config, company, watched=False), dict[str, StoredAgent]()
    found = {policy: _Tally() for policy in policies}
    played = 0
    while played < games:
        # Whole fours of every opponent at a time, about as many games as fit.
        count = min(games - played, max(1, AT_ONCE // (CELLS * len(names))) * CELLS)
        seed = stream_seed(trial.seed, f"games from {played}")
        told = [balanced_game(config.hockey.mode, name, number) for name in names for number in range(count)]
        for policy in policies:
            witnesses.clear()
            guests = Guests(company, config.env.action_repeat, stream_seed(seed, policy), known)
            evaluator = Evaluator(partial(_watched, make, divisors, witnesses, guests), count, seed, told)
            host: Any = Host(stored.agent, guests)
            some = evaluator.evaluate(host, policies=(policy,))[policy]
            found[policy].add(some, [witness.seen for witness in witnesses], maps=maps)
        played += count
        if played < games:
            said(f"{played} of {games} games")
    return {
        "opponents": names,
        **{
            key: {policy: getattr(tally, key) for policy, tally in found.items()}
            for key in ("returns", "lengths", "games", *(("shots", "heat") if maps else ()))
        },
    }


class _Tally:
    """What games under one policy were like."""

    def __init__(self) -> None:
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self.games: list[dict[str, Any]] = []
        self.shots: dict[str, list[dict[str, Any]]] = {}
        self.heat: dict[str, list[list[int]]] = {}

    def add(self, episodes: Any, seen: Sequence[Seen], *, maps: bool) -> None:
        """Add games with what the witnesses saw of them, in the same order."""
        self.returns.extend(episodes.returns)
        self.lengths.extend(episodes.lengths)
        for game, one in zip(episodes.games, seen, strict=True):
            own = sum(shot["own"] for shot in one.shots)
            counted = {"steps": one.steps, "shots": own, "shots_against": len(one.shots) - own}
            self.games.append({**game, **counted})
            if maps:
                name = game["opponent"]
                self.shots.setdefault(name, []).extend(one.shots)
                before = self.heat.get(name, np.zeros(GRID, int).tolist())
                self.heat[name] = (np.array(before) + heat(one.places)).tolist()


def heat(places: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return how many of the places, in metres from the middle, lie in each square of the field, `GRID`."""
    xs, ys = np.array(places).T
    return np.histogram2d(xs, ys, bins=GRID, range=((-5, 5), (-4, 4)))[0].astype(int)


def require_hockey(trial: TrialDirectory, config: Config, options: str) -> None:
    """Raise UsageError for a trial of another task, saying that `options` are for hockey."""
    if not plays(config):
        raise UsageError(
            f"{trial.run.id} was trained on {config.env.id}, where nobody is played against",
            hint=f"{options} are for runs of hockey",
        )


def company_of(trial: TrialDirectory, stored: StoredAgent, opponents: Sequence[str]) -> Company:
    """Return whom the agent meets: the runs' agents among `opponents`, or those of its evaluations.

    UsageError for the trial's changing self, and for an agent that cannot play; as `find_origin` says for one that is
    not there. The agent's own run may be named, `R12@20000`.
    """
    if not opponents:
        return find_company(trial, stored.config, training=False)
    runs = [text for text in opponents if parse_opponent(text).kind == "run"]
    guests = [find_guest(trial, text, "--opponent", itself=True) for text in runs]
    return Company(tuple(guests))


def names_of(stored: StoredAgent, company: Company, opponents: Sequence[str]) -> list[str]:
    """Return what each of `opponents`, or of those of the agent's evaluations, is called now."""
    names = [parse_opponent(text).name for text in opponents or stored.config.hockey.eval_opponents]
    return [company.resolved.get(name, name) for name in names]


def _watched(make: Callable[[], Any], divisors: np.ndarray | None, witnesses: list[Witness], guests: Guests) -> Any:
    """Return an environment with a witness at the game itself, below every wrapper, and guests at their tables."""
    outer = env = make()
    guests.sit_down(env.unwrapped)
    while isinstance(outer.env, gym.Wrapper):
        outer = outer.env
    witness = Witness(outer.env, divisors)
    outer.env = witness
    witnesses.append(witness)
    return env
