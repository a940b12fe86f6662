"""The real command line with trainers that learn nothing in no time: for what has to be run, and killed, very often.

`python -m tests.lab.standin WORDS` is `dreamerlab WORDS` where the trainer is `train` below. What each
seed scores stands in `recipe.json` of the workspace. The variable KILL_AT ends the command by SIGKILL at its n-th
step that is meant to last: a file synced or renamed, a process started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from dreamerlab.runs.attempts import close_attempt, open_attempt
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.processes import SUPERVISOR_VARIABLE, TRAINER_MODULE, alive, own_identity
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import ROOT, git, inside, light_workspace

SETTINGS = ("budget.amount=60", "eval.every=20")
BASE = ("--env", "cartpole", "--experiment", "nano", *(word for leaf in SETTINGS for word in ("--set", leaf)))
BASE_WORDS = ("--env", "cartpole", "--experiment", "nano", *SETTINGS)
SENTENCE = "change optimizer.lr_actor=1e-3 -> expect eval/return to rise by 50"
EVALUATIONS = (20, 40, 60)


def workspace_with(path: Path, **recipe: Any) -> Workspace:
    """Make a workspace whose trainers follow `recipe`: level by kind of run and seed, `pace` in seconds."""
    workspace = light_workspace(path)
    write_recipe(workspace, **recipe)
    return workspace


def write_recipe(workspace: Workspace, **recipe: Any) -> None:
    levels = {"baseline": [100.0, 102.0, 104.0, 103.0, 101.0], "treatment": [200.0, 202.0, 204.0, 203.0, 201.0]}
    levels["pilot"] = [50.0]
    (workspace.path / "recipe.json").write_text(json.dumps({**levels, "pace": 0.0, **recipe}))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.lab.standin", *words]


def lab(folder: Path, *words: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `dreamerlab WORDS` with stand-in trainers in `folder`."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        command(*words), cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )


def start(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        command(*words), cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def proposed(path: Path, *more: str, **recipe: Any) -> Workspace:
    """Make a workspace in git with one proposed hypothesis, H1."""
    workspace = workspace_with(path, **recipe)
    ignored = (".dreamerlab/", "runs/.new-*", "runs/**/.*.tmp", "protocol/**/.*.tmp")  # as `init` has them
    (path / ".gitignore").write_text("\n".join([*ignored, "order.txt", "recipe.json", ""]))
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", "start")
    done = inside(path, "propose", SENTENCE, *BASE, *more)
    assert done.returncode == 0, done.stderr
    return workspace


def train(path: Path, attempt: int) -> int:
    """Be the trainer of one attempt: evaluate at the level of the recipe, stop when asked or left alone."""
    trial = TrialDirectory(path)
    manifest, recipe = read_manifest(trial.run.manifest_path), json.loads(Path("recipe.json").read_text())
    level = recipe[manifest.kind][manifest.seeds.index(trial.seed)]
    before, me = read_status(trial), own_identity()
    began, asked = before.env_steps, []
    signal.signal(signal.SIGTERM, lambda *_: asked.append("asked to stop"))
    with Path("order.txt").open("a") as order:
        order.write(f"{manifest.kind} {trial.seed}\n")
    supervisor = int(os.environ[SUPERVISOR_VARIABLE].partition(":")[0])
    open_attempt(trial, attempt, start_env_steps=began, checkpoint=f"ckpt-{began}.pt" if began else None)
    mine = {"pid": me.pid, "pid_start": me.start_ticks, "boot_id": me.boot_id, "host": me.host, "attempt": attempt}
    status = replace(before, state="running", reason=None, **mine)
    write_status(trial, status)
    for at in (steps for steps in EVALUATIONS if steps > began):
        deadline = time.monotonic() + recipe["pace"]
        while not asked and time.monotonic() < deadline:
            time.sleep(0.01)
            if not alive(supervisor):
                asked.append("left alone")
        if asked:
            return finish(trial, status, attempt, "interrupted", asked[0])
        clocks = {"time": 1e9 + at, "env_steps": at, "updates": at, "episodes": 2, "wall_s": at / 100}
        if level is None:
            return finish(trial, replace(status, diverged=True), attempt, "failed", "the loss is not finite")
        if level == "breaks":
            raise SystemExit("the engine fell out")
        append_line(trial.evals_path, {**clocks, "attempt": attempt, "values": {"eval/return_mode": level}})
        metrics = {"wm/loss": level + manifest.seeds.index(trial.seed)}
        append_line(trial.metrics_path(attempt), {**clocks, "attempt": attempt, "values": metrics})
        status = replace(status, env_steps=at, updates=at, spent=float(at), latest={"eval/return_mode": level})
        write_status(trial, status)
    return finish(trial, status, attempt, "finished", None)


def finish(trial: TrialDirectory, status: Any, attempt: int, state: str, reason: str | None) -> int:
    close_attempt(trial, attempt, state, reason)
    write_status(trial, replace(status, state=state, reason=reason))
    return 0 if state == "finished" else 1


def _die_at(step: int) -> None:
    """Make this process kill itself at its n-th step that is meant to last."""
    steps = 0

    def counted(function: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return wrapper

    os.fsync = counted(os.fsync)
    os.link = counted(os.link)
    Path.rename = counted(Path.rename)
    Path.replace = counted(Path.replace)
    subprocess.Popen.__init__ = counted(subprocess.Popen.__init__)


def main() -> int:
    if sys.argv[1:2] == ["--trainer"]:
        return train(Path(sys.argv[2]), int(sys.argv[3]))
    from dreamerlab.cli.main import main as dreamerlab
    from dreamerlab.lab import launch_hypothesis
    from dreamerlab.launch import trainer

    def trainer_command(trial: TrialDirectory, attempt: int) -> list[str]:
        # The snapshot lacks what this module needs. The last words make it known as a trainer among the processes.
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.lab import standin; sys.exit(standin.main())"
        return [
            sys.executable,
            "-c",
            code,
            "--trainer",
            str(trial.path),
            str(attempt),
            "-m",
            TRAINER_MODULE,
            str(trial.path),
        ]

    trainer.trainer_command = trainer_command
    # What an environment looks like takes seconds to find out, and is none of these tests' business.
    launch_hypothesis.check_environment = lambda *_: {}
    if "KILL_AT" in os.environ:
        _die_at(int(os.environ.pop("KILL_AT")))
    return dreamerlab()


if __name__ == "__main__":
    sys.exit(main())
