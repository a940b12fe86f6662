"""Faults that are planted into real runs, and the findings that name them; beside them runs with nothing planted.

    python -m tests.diagnostics.plants train FOLDER --seeds 60-61 [NAME...]   train them in a workspace of their own
    python -m tests.diagnostics.plants keep FOLDER INTO [NAME...]             keep their series for the tests

Which finding names which fault was written down before any run of the scored set was trained, together with the
thresholds. A plant may be named by more than one rule where the same cause shows in two ways.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.runs.store import Workspace, find_run
from tests.diagnostics.recordings import record

ROOT = Path(__file__).parents[2]
_BROKEN = "tests.diagnostics.broken_envs:"


@dataclass(frozen=True)
class Plant:
    """One fault, or none, and how it is trained."""

    words: str
    """What was planted, for people."""
    env: str
    budget: int
    """Env steps."""
    named_by: tuple[str, ...]
    """Rules that name it; empty where nothing was planted."""
    set: tuple[str, ...] = ()
    experiment: str = "nano"
    after: str | None = None
    """The plant whose run of the same seed this one starts from."""


_CEILING = "policy.std=[0.1353, 7.389]"
PLANTS: dict[str, Plant] = {
    "cartpole-nano": Plant("nothing", "cartpole", 4000, ()),
    "cartpole-eta": Plant(
        "an entropy bonus of 0.3, a thousand times the reference",
        *("cartpole", 3000, ("entropy-scale-too-high",), ("behavior.entropy_scale=0.3",)),
    ),
    "cartpole-actor-rate": Plant(
        "an actor rate of 0.1, a thousand times the preset's",
        *("cartpole", 3000, ("actor-rate-too-high",), ("optimizer.lr_actor=0.1",)),
    ),
    "cartpole-bins": Plant(
        "bins that end at a return of 19", "cartpole", 3000, ("value-at-ceiling",), ("twohot.support=[-3, 3]",)
    ),
    "cartpole-prior": Plant(
        "a prior that nothing trains", "cartpole", 3000, ("prior-not-learning",), ("loss_scales.dyn=0",)
    ),
    "cartpole-free-bits": Plant(
        "free bits of 4 nats, more than there is to learn",
        *("cartpole", 3000, ("free-bits-no-gradient",), ("free_bits.nats=4",)),
    ),
    "cartpole-focus-always": Plant(
        "focus above a surprise of 0.02, in stretches of 500 updates without a pause, the actor held back meanwhile",
        *("cartpole", 3000, ("controller-always-on", "actor-withheld")),
        (
            *("control.focus_threshold=0.02", "control.focus_duration=500"),
            *("control.focus_cooldown=0", "control.focus_actor_every=null"),
        ),
    ),
    "cartpole-focus-never": Plant(
        "focus above a surprise that never comes, 2 nats",
        *("cartpole", 3000, ("controller-inert",), ("control.focus_threshold=2",)),
    ),
    "cartpole-endless": Plant(
        "a wrapper that pays 1 at every step and swallows the fall",
        *(f"{_BROKEN}Endless-v0", 3000, ("reward-says-nothing", "no-learning-signal")),
    ),
    "cartpole-unpaid": Plant(
        "a wrapper that loses the reward", f"{_BROKEN}Unpaid-v0", 3000, ("reward-says-nothing", "no-learning-signal")
    ),
    "cartpole-floor": Plant(
        "a lower limit of 0.0001 of the return scale, where no reward comes through",
        *(f"{_BROKEN}Unpaid-v0", 3000, ("scale-amplifies-noise",), ("return_norm.limit=0.0001",)),
    ),
    "cartpole-fresh-actor": Plant(
        "a continuation that took over the world model and not the behaviour",
        *("cartpole", 3000, ("behavior-fresh", "behavior-reset"), ("init.parts=[world]",), "nano", "cartpole-nano"),
    ),
    "pendulum-ceiling": Plant(
        "a spread of up to 7.389 under tanh and a bonus on the entropy before it",
        *("pendulum", 4000, ("pinned-at-ceiling",)),
        ("policy.dist=tanh_normal", _CEILING, "policy.entropy=base", "behavior.entropy_scale=0.03"),
    ),
    "pendulum-eta": Plant(
        "an entropy bonus of 1, over three thousand times the reference",
        *("pendulum", 4000, ("entropy-scale-too-high",), ("behavior.entropy_scale=1",)),
    ),
    "pendulum-actor-rate": Plant(
        "an actor rate of 0.1, a thousand times the preset's",
        *("pendulum", 4000, ("actor-rate-too-high",), ("optimizer.lr_actor=0.1",)),
    ),
    "pendulum-bins": Plant(
        "bins that end at a return of 19 below zero",
        *("pendulum", 4000, ("value-at-ceiling",), ("twohot.support=[-3, 3]",)),
    ),
    "pendulum-prior": Plant(
        "a prior that nothing trains", "pendulum", 4000, ("prior-not-learning",), ("loss_scales.dyn=0",)
    ),
    "cartpole-small": Plant("nothing", "cartpole", 9000, (), (), "small"),
    "pendulum-nano": Plant("nothing", "pendulum", 12000, ()),
}


def train(folder: Path, seeds: str, names: list[str]) -> None:
    """Train plants one after another in the workspace at `folder`, which is made where there is none."""
    if not Workspace(folder).marker.is_file():
        _dreamerlab(folder.parent, "init", str(folder))
    for name in names:
        plant = PLANTS[name]
        settings = [*plant.set, f"budget.amount={plant.budget}"]
        if plant.after is not None:
            settings.append(f"init.checkpoint={find_run(Workspace(folder), plant.after).id}")
        words = ("run", "--baseline", "--new-family", "--name", name, "--seeds", seeds, "--env", plant.env)
        print(f"{name}: {plant.words}", flush=True)
        _dreamerlab(folder, *words, "--experiment", plant.experiment, *settings)


def _dreamerlab(folder: Path, *words: str) -> None:
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-m", "dreamerlab", *words)
    subprocess.run(command, cwd=folder, env=settings, stdout=subprocess.DEVNULL, check=True)


def keep(folder: Path, into: Path, names: list[str]) -> None:
    """Write the series of every plant that was trained at `folder`."""
    for name in names:
        run = find_run(Workspace(folder), name)
        print(record(run.path, name, PLANTS[name].words, into))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "keep"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("rest", nargs="*", help="names; before them, for keep, the folder to write into")
    parser.add_argument("--seeds", default="0-0", help="a range, or a list with commas")
    given = parser.parse_intermixed_args()
    if given.what == "train":
        train(given.folder.absolute(), given.seeds, given.rest or list(PLANTS))
    else:
        into, *names = given.rest
        keep(given.folder.absolute(), Path(into), names or list(PLANTS))


if __name__ == "__main__":
    main()
