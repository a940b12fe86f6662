"""Games on record: what was done and what came of it, in arrays; recorded anew, played again, compared (M-HK-01).

A recording is an `.npz` of plain arrays. Per episode (`ep_*`): seed, mode, keep mode and start it was reset with, the
environment object it was played in, a state that was set after the reset, and which rows of the step arrays are its
own. Per step (`step_*`): the actions, both players' observations, rewards and infos. Where keep mode is off rows are
filled up with nan, actions with 0. Everything is equal to the bit but rewards and infos, which may differ by 1e-12.

Nothing but upstream's public interface is asked of a game, so that any installation can be recorded and compared.
Files are read and written in `recording_files.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dreamerlab.envs.hockey.opponents import Opponent, make_bot
from dreamerlab.envs.hockey.rules import OBSERVED

Game = Any
"""A `HockeyEnv`: ours, upstream's, or an adapter's."""
Arrays = dict[str, np.ndarray]
MakeGame = Callable[..., Game]
"""Called with `keep_mode` and `mode` (a number)."""

TOLERANCE = 1e-12
INFO_KEYS = ("reward_closeness_to_puck", "reward_touch_puck", "reward_puck_direction")
_STARTS = (None, False, True)
_ACTIONS = 8
_WITHOUT_KEEP = [0, 1, 2, 4, 5, 6]
RESULTS = ("obs1", "obs2", "info1", "info2", "reward1", "reward2", "terminated", "winner")
WIDTHS = {
    "ep_set_state": OBSERVED,
    "step_action": _ACTIONS,
    **{f"{when}_{what}": OBSERVED for when in ("reset", "step") for what in ("obs1", "obs2")},
    **{f"{when}_{what}": len(INFO_KEYS) for when in ("reset", "step") for what in ("info1", "info2")},
}
"""Numbers in a row of the arrays that have more than one."""
TYPES: dict[str, Any] = {
    "action": np.float32,
    "obs1": np.float32,
    "obs2": np.float32,
    "terminated": np.bool_,
    "winner": np.int8,
}


@dataclass(frozen=True)
class Episode:
    """How a game is begun; `one_starting` None leaves it to the environment object, whose number is `env`."""

    env: int
    seed: int
    mode: int = 0
    keep: bool = True
    one_starting: bool | None = None
    state: np.ndarray | None = None


@dataclass(frozen=True)
class Deviation:
    """Where a replay first parts from its recording; `step` is -1 at the reset, `place` an index within `what`."""

    episode: int
    step: int
    what: str
    place: int
    recorded: float
    got: float
    places: int
    """How many numbers of `what` differ there."""

    def __str__(self) -> str:
        when = "at the reset" if self.step < 0 else f"at step {self.step}"
        more = f", and {self.places - 1} more numbers of it" if self.places > 1 else ""
        values = f"{self.got!r}, recorded {self.recorded!r}"
        return f"game {self.episode} {when}: {self.what}[{self.place}] is {values}{more}"


Chooser = Callable[[int, np.ndarray, np.ndarray, bool], np.ndarray | None]
"""Returns the action (8,) of a step, given its number, both views and whether the game is over; None to stop."""


def replayed(arrays: Arrays, make: MakeGame) -> Arrays:
    """Play a recording again on games from `make`; return its arrays with what comes of it this time."""

    def follow(number: int, episode: Episode) -> Chooser:
        start = int(arrays["ep_start"][number])
        rows = arrays["step_action"][start : start + int(arrays["ep_length"][number])]
        return lambda step, seen, seen2, done: rows[step] if step < len(rows) else None

    return _play([_episode(arrays, number) for number in range(len(arrays["ep_seed"]))], make, follow)


def recorded(make: MakeGame, episodes: int, seed: int) -> Arrays:
    """Return a fresh recording: games of the bots and of random play, in every mode, with and without keep mode.

    Every third environment object plays several games, each cut off where a player holds the puck if one does, so that
    keep timers carry over; one game in eight begins from a state that was set. Everything is drawn from `seed`.
    """
    rng = np.random.default_rng(seed)
    plan: list[Episode] = []
    while len(plan) < episodes:
        env = plan[-1].env + 1 if plan else 0
        mode, keep = int(rng.choice(3, p=(0.6, 0.2, 0.2))), bool(rng.random() < 0.75)
        for _ in range(4 if keep and env % 3 == 2 else 1):
            state = _state(rng)[: OBSERVED if keep else OBSERVED - 2] if rng.random() < 0.125 else None
            start = _STARTS[rng.integers(3)]
            plan.append(Episode(env, int(rng.integers(2**31)), mode, keep, start, state))
    envs = [episode.env for episode in plan]
    shared = {env for env in envs if envs.count(env) > 1}
    return _play(plan[:episodes], make, lambda number, episode: _players(rng, episode, episode.env in shared))


def _state(rng: np.random.Generator) -> np.ndarray:
    """Return a state (18,) with both players in their halves, nobody holding the puck."""
    low = np.array((-3.0, -2.5, -0.8, -5, -5, -1, 0.7, -2.5, -0.8, -5, -5, -1, -3, -2.5, -15, -15, 0, 0))
    high = np.array((-0.7, 2.5, 0.8, 5, 5, 1, 3.0, 2.5, 0.8, 5, 5, 1, 3, 2.5, 15, 15, 0, 0))
    return rng.uniform(low, high)


def _players(rng: np.random.Generator, episode: Episode, cut_short: bool) -> Chooser:
    players: list[Opponent] = [
        make_bot(str(name), keep_mode=episode.keep) for name in rng.choice(("weak", "strong", "random"), 2)
    ]
    for player in players:
        player.reset(rng)

    def choose(step: int, seen: np.ndarray, seen2: np.ndarray, done: bool) -> np.ndarray | None:
        held = episode.keep and (seen[OBSERVED - 2] > 0 or seen2[OBSERVED - 2] > 0)
        if done or (cut_short and held and step > 20):
            return None
        action = np.zeros(_ACTIONS, np.float32)
        for player, view, first in ((players[0], seen, 0), (players[1], seen2, 4)):
            chosen = player.act(view)
            action[first : first + len(chosen)] = chosen
        return action

    return choose


def first_deviation(one: Arrays, other: Arrays) -> Deviation | None:
    """Return where `other` first parts from the recording `one`, in the order of play; None when they are equal."""
    found: list[Deviation] = []
    starts = one["ep_start"]
    for name in sorted({*one} & {*other}):
        prefix, _, what = name.partition("_")
        if what not in (*RESULTS, "one_starts_after"):
            continue
        kept, got = (np.asarray(arrays[name], np.float64).reshape(len(arrays[name]), -1) for arrays in (one, other))
        exact = not what.startswith(("info", "reward"))
        # Not-a-number stands for what is not there.
        apart = (kept != got if exact else ~(np.abs(kept - got) <= TOLERANCE)) & ~(np.isnan(kept) | np.isnan(got))
        apart |= (np.isnan(kept) != np.isnan(got)) & exact
        if not apart.any():
            continue
        row = int(apart.any(axis=1).argmax())
        place = int(apart[row].argmax())
        episode = int(starts.searchsorted(row, side="right")) - 1 if prefix == "step" else row
        step = row - int(starts[episode]) if prefix == "step" else -1
        values = float(kept[row, place]), float(got[row, place])
        found.append(Deviation(episode, step, what, place, *values, places=int(apart[row].sum())))
    return min(found, key=lambda deviation: (deviation.episode, deviation.step, _rank(deviation.what)), default=None)


def _rank(what: str) -> int:
    return RESULTS.index(what) if what in RESULTS else -1


def _episode(arrays: Arrays, number: int) -> Episode:
    state, keep = arrays["ep_set_state"][number], bool(arrays["ep_keep"][number])
    return Episode(
        int(arrays["ep_env"][number]),
        int(arrays["ep_seed"][number]),
        int(arrays["ep_mode"][number]),
        keep,
        _STARTS[int(arrays["ep_one_starting"][number]) + 1],
        None if np.isnan(state[0]) else state[: OBSERVED if keep else OBSERVED - 2],
    )


def _play(plan: Sequence[Episode], make: MakeGame, players: Callable[[int, Episode], Chooser]) -> Arrays:
    """Play a plan and return the recording of it."""
    rows: dict[str, list[Any]] = {}

    def note(prefix: str, **values: Any) -> None:
        for what, value in values.items():
            rows.setdefault(f"{prefix}_{what}", []).append(value)

    game: Game = None
    before, steps = None, 0
    for number, episode in enumerate(plan):
        if episode.env != before:
            game, before = make(keep_mode=episode.keep, mode=episode.mode), episode.env
        seen, info = game.reset(one_starting=episode.one_starting, seed=episode.seed)
        if episode.state is not None:
            game.set_state(episode.state)
            seen, info = of_player_one(game.obs_agent_two()), None
        seen2, done, length = game.obs_agent_two(), False, 0
        note("reset", obs1=seen, obs2=seen2, info1=_figures(info), info2=_figures(game.get_info_agent_two()))
        choose = players(number, episode)
        while (action := choose(length, seen, seen2, done)) is not None:
            seen, reward, terminated, truncated, info = game.step(action if episode.keep else action[_WITHOUT_KEEP])
            seen2, info2, done = game.obs_agent_two(), game.get_info_agent_two(), terminated or truncated
            note("step", action=action, obs1=seen, obs2=seen2, info1=_figures(info), info2=_figures(info2))
            note("step", reward1=reward, reward2=game.get_reward_agent_two(info2))
            note("step", terminated=terminated, winner=info["winner"])
            length += 1
        note("ep", env=episode.env, seed=episode.seed, mode=episode.mode, keep=episode.keep, start=steps, length=length)
        note("ep", one_starting=_STARTS.index(episode.one_starting) - 1, one_starts_after=game.one_starts)
        note("ep", set_state=() if episode.state is None else episode.state)
        steps += length
    return {name: _array(name, values) for name, values in rows.items()}


def of_player_one(view: np.ndarray) -> np.ndarray:
    """Return player one's view of what player two sees so: the field turned by 180 degrees, players exchanged.

    Each is the other's mirror to the bit, so an installation need not tell what player one sees after `set_state`.
    """
    turn = np.array((-1, -1, 1, -1, -1, 1))
    parts = [view[6:12] * turn, view[0:6] * turn, -view[12:16], view[16:18][::-1]]
    return np.concatenate(parts)


def _figures(info: Mapping[str, Any] | None) -> tuple[float, ...]:
    return () if info is None else tuple(info[key] for key in INFO_KEYS)


def _array(name: str, values: list[Any]) -> np.ndarray:
    """Return rows as one array, filled up to their full width."""
    width = WIDTHS.get(name, 0)
    kind = TYPES.get(name.partition("_")[2], np.float64 if width or "reward" in name else np.int32)
    if not width:
        return np.array(values, kind)
    full = np.full((len(values), width), np.nan, kind)
    for row, value in zip(full, values, strict=True):
        row[: len(value)] = value
    return full
