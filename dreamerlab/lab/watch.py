"""`watch`: a film of a stored agent, as GIF, MP4 or a sheet of frames, put where the user says.

The film is made in a scratch folder and moved into place whole: an interruption leaves nothing, and a file that is
there is only replaced with `--force`. How agents are opened is `stored_agents.py`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dreamerlab.atomic import disk_failure
from dreamerlab.errors import Conflict, NotFound, ToolFailed, UsageError
from dreamerlab.lab.evaluate import require_hockey, require_opponents
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.preflight import is_installed
from dreamerlab.lab.stored_agents import find_agents, run_program
from dreamerlab.report.wording import figure, size
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.store import Workspace

FORMATS = ("gif", "mp4", "png")
_PROGRAM = "watch.py"
_NEEDS = {"gif": ("PIL",), "png": ("PIL",), "mp4": ("PIL", "imageio_ffmpeg")}
_CALLED = {"PIL": "pillow", "imageio_ffmpeg": "imageio-ffmpeg"}


@dataclass(frozen=True)
class Wish:
    """What is to be filmed, and where the film is to go."""

    seed: int | None = None
    episodes: int | None = None
    """None: one; of a prediction three windows."""
    policy: str = "mode"
    checkpoint: str = "latest"
    format: str | None = None
    out: Path | None = None
    fps: float | None = None
    every: int | None = None
    device: str | None = None
    prediction: bool = False
    force: bool = False
    compiled: bool = False
    opponents: tuple[str, ...] = ()
    """Of hockey; none named: those of the run's evaluations."""
    outcome: str | None = None
    """Of hockey: `win`, `draw` or `loss`, only such games."""

    def words(self, format_name: str, scratch: Path) -> list[str]:
        """Return the options of the program that films."""
        words = ["--out", str(scratch), "--format", format_name, "--policy", self.policy]
        words += ["--episodes", str(self.episodes or (3 if self.prediction else 1))]
        for option, value in (("--fps", self.fps), ("--every", self.every), ("--device", self.device)):
            words += [option, str(value)] if value is not None else []
        words += ["--compile"] if self.compiled else []
        for name in self.opponents:
            words += ["--opponent", name]
        words += ["--outcome", self.outcome] if self.outcome is not None else []
        return [*words, *(["--prediction"] if self.prediction else [])]


@dataclass(frozen=True)
class Film:
    """A film that was made."""

    run: str
    path: Path
    facts: dict[str, Any]
    """seed, checkpoint, env_steps, policy, device, compiled, episodes [{return, length}], shown, frames, every, fps."""
    caveats: list[str]

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        file = {"file": str(self.path), "size_bytes": self.path.stat().st_size}
        return {"run": self.run, **file, **self.facts, "caveats": self.caveats}


def watch(workspace: Workspace, text: str, wish: Wish, voice: Voice) -> Film:
    """Film a stored agent of the run meant by `text`: of `wish.seed`, or of the first that has the checkpoint.

    UsageError for a file name of no known kind, Conflict for a file that is there, ToolFailed where a package that
    draws is missing; and as `find_agents` and the program say.
    """
    kind = _format(wish)
    _require(kind)
    require_opponents(wish.opponents)
    if wish.prediction and (wish.opponents or wish.outcome):
        raise UsageError(
            "--prediction shows what the model expects, whoever plays", hint="leave out --opponent and --outcome"
        )
    if wish.out is not None:
        _require_free(_place(wish.out, "", kind), force=wish.force)
    agents = find_agents(workspace, text, wish.seed, wish.checkpoint)
    given = {"--opponent": bool(wish.opponents), "--outcome": wish.outcome is not None}
    require_hockey(agents, *(name for name, is_given in given.items() if is_given))
    trial = agents.trials[0]
    path = _place(wish.out, _name(trial, wish), kind)
    _require_free(path, force=wish.force)
    which = "what the model expects of" if wish.prediction else "filming"
    voice.say(f"{which} {agents.run.id} seed {trial.seed}, checkpoint {wish.checkpoint}")
    with tempfile.TemporaryDirectory(prefix="dreamerlab-watch-") as folder:
        scratch = Path(folder, f"film.{kind}")
        facts = cast("dict[str, Any]", run_program(agents, trial, _PROGRAM, wish.words(kind, scratch), voice))
        _move(scratch, path, force=wish.force)
    wanted = None if wish.seed is not None else len(agents.trials)
    caveats = agents.caveats if wanted is None or wanted == 1 else []
    caveats = [*caveats, *(f"passed over {line}" for line in facts.get("passed_over", []))]
    return Film(agents.run.id, path, facts, caveats)


def in_words(film: Film) -> str:
    """Return what the film shows, in one line."""
    facts = film.facts
    parts = [f"{film.path}"]
    told: Sequence[dict[str, Any]] = facts.get("episodes", [])
    if told:
        returns = ", ".join(figure(one["return"]) for one in told[:5]) + (", ..." if len(told) > 5 else "")
        steps = ", ".join(str(one["length"]) for one in told[:5]) + (", ..." if len(told) > 5 else "")
        parts.append(f"{len(told)} episode{'s' if len(told) != 1 else ''}: return {returns} in {steps} steps")
        played = [f"{one['outcome']} against {one['opponent']}" for one in told if "outcome" in one]
        parts += [", ".join(played[:5]) + (", ..." if len(played) > 5 else "")] if played else []
    pace = f" at {facts['fps']:g} a second" if facts.get("fps") else ""
    skipped = f", one env step in {facts['every']}" if facts.get("fps") and facts.get("every", 1) > 1 else ""
    parts.append(f"{facts['frames']} frames{pace}{skipped}, {size(film.path.stat().st_size)}")
    return "\n  ".join(parts)


def _format(wish: Wish) -> str:
    suffix = wish.out.suffix.removeprefix(".").lower() if wish.out is not None and not wish.out.is_dir() else ""
    if suffix and suffix not in FORMATS:
        raise UsageError(f"'{wish.out}' ends in no known kind of film", hint=f"one of .{', .'.join(FORMATS)}")
    if suffix and wish.format is not None and suffix != wish.format:
        raise UsageError(f"--format {wish.format} and --out {wish.out} contradict each other", hint="leave one out")
    kind = wish.format or suffix or ("png" if wish.prediction else "gif")
    if wish.prediction and kind == "mp4":
        raise UsageError("a prediction is drawn as gif or png, not as mp4", hint="--format gif")
    if kind == "png" and wish.fps is not None:
        raise UsageError("--fps says how fast a film plays, and a png does not", hint="--every chooses its frames")
    return kind


def _require(kind: str) -> None:
    missing = [_CALLED[name] for name in _NEEDS[kind] if not is_installed(name)]
    if missing:
        raise ToolFailed(f"{kind} needs {' and '.join(missing)}, not installed", hint="pip install 'dreamerlab[watch]'")


def _name(trial: TrialDirectory, wish: Wish) -> str:
    words = [trial.run.id, trial.path.name]
    words += [wish.checkpoint] if wish.checkpoint != "latest" else []
    words += [*wish.opponents, *([wish.outcome] if wish.outcome is not None else [])]
    words += ["prediction"] if wish.prediction else ["sample"] if wish.policy == "sample" else []
    return "-".join(words)


def _place(out: Path | None, name: str, kind: str) -> Path:
    """Return the file that is meant; in a folder, and without --out in the current one, it is named after the agent."""
    if out is None or out.is_dir():
        return (out or Path()) / f"{name}.{kind}"
    return out if out.suffix else out.with_name(f"{out.name}.{kind}")


def _require_free(path: Path, *, force: bool) -> None:
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}", hint=f"mkdir -p '{path.parent}'")
    if path.exists() and not force:
        raise Conflict(f"{path} is there already", hint="another --out, or --force to replace it")


def _move(scratch: Path, path: Path, *, force: bool) -> None:
    """Put the finished film in its place at once, over whatever file systems; never over a file without `force`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(scratch.read_bytes())
        _require_free(path, force=force)  # filming takes its time
        draft.replace(path)
    except OSError as error:
        raise disk_failure(path, error) from error
    finally:
        draft.unlink(missing_ok=True)
