"""`python .../train/watch.py TRIAL_DIR --out FILE`: record episodes of a stored agent as GIF, MP4 or a sheet of frames.

Plays in environments of its own, from starts of its own, with its own generators: the same command gives the same
film. What is filmed is what the environment renders; failing that the picture it observes; failing that curves of
what it observes. With `--prediction` the film is the world model's: what it expects to see, beside what is seen.
Prints one JSON line. How pictures become a film is `film.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import dreamerlab.experience
import dreamerlab.train

# This file may be newer than the code it looks through: what that code does not have yet is found beside this file.
if (_HERE := str(Path(__file__).resolve().parent)) not in dreamerlab.train.__path__:
    dreamerlab.train.__path__.append(_HERE)
    dreamerlab.experience.__path__.append(str(Path(_HERE).parent / "experience"))

from dreamerlab.envs.make import make_env
from dreamerlab.errors import Conflict, LabError, ToolFailed, UsageError
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.runtime import numpy_stream, prepare_process, torch_stream
from dreamerlab.train.stored import StoredAgent, open_agent

if TYPE_CHECKING:
    from dreamerlab.train.film import Reel
    from dreamerlab.train.predictions import Foreseen

_DEFAULT_FPS = 30.0
_PREDICTION_FPS = 8.0
_NOTHING = 225
_LEGEND = "rows: truth, model, error (grey: none); bars: blue while the model sees, orange where it foresees"


def main() -> int:
    """Record and print; return an exit code."""
    parser = argparse.ArgumentParser(prog="watch.py", description=__doc__)
    parser.add_argument("trial", type=Path, help="trial directory, such as runs/R0012-9qd/seed-3")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--format", choices=("gif", "mp4", "png"), default="gif")
    parser.add_argument("--episodes", type=int, default=1, help="of a prediction: windows")
    parser.add_argument("--policy", choices=("mode", "sample"), default="mode")
    parser.add_argument("--checkpoint", default="latest")
    parser.add_argument("--folder", type=Path, default=None, help="where checkpoints are; default: with the trial's")
    parser.add_argument("--fps", type=float, default=None)
    parser.add_argument("--every", type=int, default=None)
    parser.add_argument("--device", default=None)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--prediction", action="store_true")
    parser.add_argument("--opponent", action="append", default=[], help="hockey: who is played against")
    parser.add_argument("--outcome", choices=("win", "draw", "loss"), default=None, help="hockey: only such games")
    asked = parser.parse_args()
    try:
        stored = open_agent(
            TrialDirectory(asked.trial.resolve()), asked.checkpoint, device=asked.device, folder=asked.folder
        )
        prepare_process(stored.seed, stored.config.execution.threads)
        if asked.compile:
            from dreamerlab.train.compiled import compile_acting

            compile_acting(stored.agent)
        facts = foresee(stored, asked) if asked.prediction else record(stored, asked)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ImportError as error:
        lacking = _lacking(error)
        print(f"error: {lacking}", file=sys.stderr)
        return lacking.exit_code
    except KeyboardInterrupt:
        return 130
    how = {"policy": asked.policy, "device": str(stored.device), "compiled": asked.compile}
    print(json.dumps({**stored.facts(), **how, **facts}))
    return 0


def _lacking(error: ImportError) -> LabError:
    """Return the error for a module that is not there: of the code that trained the agent, or of a package."""
    name = error.name or str(error)
    if name.startswith("dreamerlab"):
        return Conflict(f"the code that trained this agent is older than this: it has no {name}")
    package = name.partition(".")[0]
    return ToolFailed(
        f"a film needs the package {package}, which is not installed", hint="pip install 'dreamerlab[watch]'"
    )


@dataclass(frozen=True)
class Moment:
    """What is there after `step` env steps of an episode; `action` led there, as the environment got it."""

    episode: int
    step: int
    obs: dict[str, np.ndarray]
    action: Any
    reward: float
    episode_return: float
    is_last: bool
    game: dict[str, Any] | None = None
    """Of hockey, at the end: how the game was."""


def play(
    stored: StoredAgent,
    env: Any,
    episodes: int,
    *,
    mode: bool,
    games: Sequence[dict[str, Any]] = (),
    numbers: Sequence[int] | None = None,
) -> Iterator[Moment]:
    """Yield every moment of `episodes` episodes of the agent in `env` (from `make_env`), one after the other.

    `games` are reset options of the first episodes. With `numbers` those of `games` are played, each as it is whichever
    others are.
    """
    generator = torch_stream(stored.seed, f"watched actions mode={mode}", stored.device)
    chosen = range(episodes) if numbers is None else numbers
    starts = numpy_stream(stored.seed, "watched starts").integers(2**31, size=1 + max(chosen, default=0))
    for episode, number in enumerate(chosen, start=1):
        told = {"options": games[number]} if number < len(games) else {}
        if numbers is not None:
            generator = torch_stream(stored.seed, f"watched actions mode={mode} game {number}", stored.device)
        obs, _ = env.reset(seed=int(starts[number]), **told)
        carry, first = stored.agent.initial_carry(1), torch.ones(1, dtype=torch.bool, device=stored.device)
        step, total, over = 0, 0.0, False
        yield Moment(episode, 0, obs, None, 0.0, 0.0, is_last=False)
        while not over:
            tensors = {key: torch.from_numpy(value[None]).to(stored.device) for key, value in obs.items()}
            action, carry = stored.agent.act(tensors, first, carry, mode=mode, generator=generator)
            first = torch.zeros_like(first)
            obs, reward, terminated, truncated, info = env.step(action[0].cpu().numpy())
            over, step, total = terminated or truncated, step + 1, total + float(reward)
            yield Moment(episode, step, obs, env.given, float(reward), total, over, info.get("game") if over else None)


def record(stored: StoredAgent, asked: argparse.Namespace) -> dict[str, Any]:
    """Write a film of episodes to `asked.out`; return what was filmed, as JSON-ready values."""
    from dreamerlab.train import film

    make, games, numbers = _task(stored, asked)
    env, shown = renderable(stored, make)
    limit = film.MOST_FRAMES[asked.format]
    reel = film.Reel(limit, asked.every)
    told: list[dict[str, Any]] = []
    trace: list[Moment] = []
    mode = asked.policy == "mode"
    for moment in play(stored, env, asked.episodes, mode=mode, games=games, numbers=numbers):
        if moment.step == 0 and games:
            _announce(env, stored, games[moment.episode - 1 if numbers is None else numbers[moment.episode - 1]], told)
        if shown == "curves":
            trace = [moment] if moment.step == 0 else trace
            trace += [moment] if moment.step else []
            if moment.is_last:
                _film_curves(reel, trace)
        elif reel.wants(moment.step, is_last=moment.is_last):
            picture = _picture(env, moment, stored, rendered=shown == "rendered")
            reel.add(_shot(moment, lambda picture=picture: picture))
        if moment.is_last:
            told.append({"episode": moment.episode, "return": moment.episode_return, "length": moment.step})
            told[-1] |= {key: moment.game[key] for key in ("opponent", "outcome", "side")} if moment.game else {}
            _progress(f"episode {moment.episode}: return {moment.episode_return:.6g} in {moment.step} steps")
    # A frame is a decision, which may be several steps of the environment. Older code knows no repeat.
    repeat = getattr(stored.config.env, "action_repeat", 1)
    env_fps = float(env.metadata.get("render_fps") or _DEFAULT_FPS) / repeat
    env.close()
    fps, frames = _write(reel, asked, env_fps, title_of(stored, asked.policy))
    return {"shown": shown, "episodes": told, "frames": frames, "every": reel.every, "fps": fps}


def title_of(stored: StoredAgent, policy: str) -> str:
    """Return which agent a picture shows, in one line."""
    after = f"after {stored.info.env_steps:,} env steps"
    return f"{stored.info.run} seed {stored.seed}, {stored.config.env.id}, {after}, policy {policy}"


def _task(
    stored: StoredAgent, asked: argparse.Namespace
) -> tuple[Callable[..., Any], Sequence[dict[str, Any]], Sequence[int] | None]:
    """Return what builds the agent's environment and, of hockey, how to reset it: who was asked for in turn, or the
    opponents of its evaluations; and which of these games to film. UsageError where the agent's code knows no hockey
    and somebody was asked for.
    """
    opponents, outcome = getattr(asked, "opponent", ()), getattr(asked, "outcome", None)
    if find_spec("dreamerlab.envs.hockey") is None:
        if opponents or outcome is not None:
            raise UsageError(
                f"the code that {stored.info.run} was trained by knows no hockey",
                hint="leave out --opponent and --outcome",
            )
        return partial(make_env, stored.config.env), (), None
    from dreamerlab.train import hockey_watch
    from dreamerlab.train.opponents import plays

    if not plays(stored.config) and not opponents and outcome is None:
        return partial(make_env, stored.config.env), (), None
    tried = asked.episodes if outcome is None else max(asked.episodes, hockey_watch.MOST_TRIED)
    make, games = hockey_watch.task(stored, TrialDirectory(asked.trial.resolve()), opponents, tried)
    if outcome is None:
        return make, games, None
    env = make()

    def result(number: int) -> str:
        *_, last = play(stored, env, 1, mode=asked.policy == "mode", games=games, numbers=[number])
        assert last.game is not None, last
        return str(last.game["outcome"])

    numbers = hockey_watch.find(outcome, asked.episodes, games, result, _progress)
    env.close()
    return make, games, numbers


def _announce(env: Any, stored: StoredAgent, game: dict[str, Any], before: Sequence[dict[str, Any]]) -> None:
    from dreamerlab.train.hockey_watch import announce

    scored = [[one.get("outcome") for one in before].count(outcome) for outcome in ("win", "loss")]
    announce(env, f"{stored.info.run}@{stored.info.env_steps}", game, (scored[0], scored[1]))


def _progress(line: str) -> None:
    print(f"progress: {line}", file=sys.stderr, flush=True)


def renderable(stored: StoredAgent, make: Callable[..., Any] | None = None) -> tuple[Any, str]:
    """Return an environment for the agent, and what of it can be filmed: `rendered`, `observed` or `curves`."""
    make = make or partial(make_env, stored.config.env)
    env = make()
    if "rgb_array" in (env.metadata.get("render_modes") or []):
        env.close()
        return make(render=True), "rendered"
    return env, "observed" if stored.spec.of_kind("image") else "curves"


def _write(reel: Reel, asked: argparse.Namespace, env_fps: float, title: str) -> tuple[float | None, int]:
    """Write the film, whole; return its frames per second (None of a sheet) and how many there are."""
    from dreamerlab.train import film

    if asked.format == "mp4":
        return film.mp4(reel, asked.fps, env_fps, asked.out), len(reel.shots)
    if asked.format == "png":
        data, frames = film.sheet(reel, title, whole=asked.every is not None)
        asked.out.write_bytes(data)
        return None, frames
    data, fps = film.gif(reel, asked.fps, env_fps, may_thin=asked.every is None)
    asked.out.write_bytes(data)
    return fps, len(reel.shots)


def _picture(env: Any, moment: Moment, stored: StoredAgent, *, rendered: bool) -> np.ndarray:
    if not rendered:
        key = next(iter(stored.spec.of_kind("image")))
        frame = moment.obs[key]
        return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else np.ascontiguousarray(frame[:, :, -3:])
    try:
        frame = env.render()
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"environment '{stored.config.env.id}' cannot be rendered: {type(error).__name__}: {said}",
            hint=_extra(said) or "gymnasium.make(..., render_mode='rgb_array').render() fails in the same way",
        ) from error
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        kind = f"{frame.dtype} of shape {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise UsageError(
            f"environment '{stored.config.env.id}' renders {kind}, not uint8 of shape (height, width, 3)",
            hint="mend its render(), or look at eval instead",
        )
    return frame


def _extra(said: str) -> str | None:
    """Return the pip command for the gymnasium extra that a message names."""
    import re

    found = re.search(r"gymnasium\[[\w-]+\]", said)
    return f'pip install "{found.group()}"' if found else None


def _shot(moment: Moment, picture: Callable[[], np.ndarray]) -> Any:
    from dreamerlab.train.film import Shot

    words = in_words(moment.action)
    return Shot(moment.episode, moment.step, moment.is_last, words, moment.episode_return, picture)


def in_words(action: Any) -> str:
    """Return an action as short text: `1`, `0,2`, `+0.35 -1.00`; the first four numbers of a longer one."""
    if action is None:
        return ""
    values = np.asarray(action).reshape(-1)
    some, more = values[:4], " ..." if len(values) > 4 else ""
    if values.dtype.kind in "iub":
        return ",".join(str(int(value)) for value in some) + more
    return " ".join(f"{float(value):+.2f}" for value in some) + more


def _film_curves(reel: Reel, trace: list[Moment]) -> None:
    """Add an episode as curves of its observations, actions and return."""
    from dreamerlab.train.curves import draw_curves

    curves: list[tuple[str, list[float]]] = []
    for key in sorted(trace[0].obs):
        rows = np.stack([moment.obs[key].reshape(-1) for moment in trace])
        plural = rows.shape[1] > 1
        curves += [(f"{key} {part}" if plural else key, rows[:, part].tolist()) for part in range(rows.shape[1])]
    acted = [np.asarray(0 if moment.action is None else moment.action).reshape(-1) for moment in trace]
    curves.append(("action", [float(action[0]) for action in acted]))
    curves.append(("return", [moment.episode_return for moment in trace]))
    for place, moment in enumerate(trace):
        if reel.wants(moment.step, is_last=moment.is_last):
            reel.add(_shot(moment, lambda place=place: draw_curves(curves, place, len(trace))))


def foresee(stored: StoredAgent, asked: argparse.Namespace) -> dict[str, Any]:
    """Write what the world model expects to see, beside what is seen; return what was filmed."""
    if not stored.spec.of_kind("image"):
        keys = ", ".join(sorted(stored.spec.observations))
        raise UsageError(
            f"this agent sees no images ({stored.config.env.id} gives {keys}): there is no picture to expect",
            hint="leave out --prediction; agents with env.observe=pixels see images",
        )
    from dreamerlab.train import film, predictions
    from dreamerlab.train.pictures import prediction_picture

    windows = asked.episodes
    spare = getattr(predictions, "spare", None)  # older code has none
    make = partial(make_env, stored.config.env) if spare is None else partial(spare, stored.config)
    seen = predictions.Foresight(make, stored.seed, windows).look(stored.agent)
    length, context = next(iter(seen.values())).valid.shape[1], next(iter(seen.values())).context
    facts = {"shown": "prediction", "episodes": [], "windows": windows, "length": length, "context": context}
    if asked.format == "png":
        picture = np.concatenate(
            [prediction_picture(one.truth, one.model, one.valid, context) for one in seen.values()]
        )
        asked.out.write_bytes(film.titled(picture, [title_of(stored, "sample"), _LEGEND]))
        return {**facts, "frames": length * windows, "every": 1, "fps": None}
    reel = film.Reel(film.MOST_FRAMES["gif"], asked.every)
    frames = np.concatenate([_video(one) for one in seen.values()], 2)
    frames = frames.repeat(2, 1).repeat(2, 2) if frames.shape[2] <= 320 else frames
    for step, frame in enumerate(frames):
        if reel.wants(step, is_last=step == length - 1):
            ahead = "seen" if step < context else f"{step - context + 1} ahead"
            words = (f"step {step}", "truth, model, error", ahead)
            reel.add(film.Shot(1, step, step == length - 1, "", 0.0, lambda frame=frame: frame, words))
    data, fps = film.gif(reel, asked.fps, _PREDICTION_FPS, may_thin=asked.every is None, widest=640)
    asked.out.write_bytes(data)
    return {**facts, "frames": len(reel.shots), "every": reel.every, "fps": fps}


def _video(one: Foreseen) -> np.ndarray:
    """Return (T, 3 H, N W, 3): windows side by side, truth, model and error below each other.

    Where another episode has begun, of which the model knows nothing, it shows nothing.
    """
    from dreamerlab.dreamer.prediction import prediction_video

    known = np.where(one.valid[..., None, None, None], one.model, one.truth)
    frames = prediction_video(one.truth, known)
    height, width = one.truth.shape[2:4]
    for window, valid in enumerate(one.valid):
        frames[~valid, height : 2 * height, window * width : (window + 1) * width] = _NOTHING
    return frames


if __name__ == "__main__":
    sys.exit(main())
