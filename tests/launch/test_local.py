"""Supervision of trainers: whatever becomes of a process, its trial ends with a true word on disk.

The trainer is a stand-in of a few lines where a real one could not be made to misbehave on demand; `tests/lab` runs
real ones. What each stand-in does is named by its seed.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from dreamerlab.launch.local import LocalPool, Plan, Rule, Task, default_jobs
from dreamerlab.launch.trainer import code_environment, mark, start_trainer
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.processes import alive
from dreamerlab.runs.status import Status, effective_state, read_status, write_status

FINISHES, IS_KILLED, BREAKS, SITS, IS_DEAF, LINGERS = range(6)
TRAINER = """
import json, os, pathlib, signal, sys, time
trial, attempt = pathlib.Path(sys.argv[1]), int(sys.argv[3])
def write(state, reason=None):
    path = trial / "status.json"
    status = json.loads(path.read_text()) | {"state": state, "reason": reason, "attempt": attempt, "pid": os.getpid()}
    (trial / "draft").write_text(json.dumps(status)); (trial / "draft").replace(path)
def stop(*_):
    if seed == LINGERS: time.sleep(0.5)
    write("interrupted", "asked"); sys.exit(130)
seed = int(trial.name.removeprefix("seed-"))
signal.signal(signal.SIGTERM, signal.SIG_IGN if seed == IS_DEAF else stop)
(trial / "environment.json").write_text(json.dumps(dict(os.environ)))
if seed == BREAKS: sys.exit("the engine fell out")
write("running")
if seed == IS_KILLED: os.kill(os.getpid(), signal.SIGKILL)
if seed == FINISHES: write("finished"); sys.exit(0)
(trial / "ready").touch()
time.sleep(60)
"""


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    package = tmp_path / "snapshot" / "dreamerlab" / "train"
    package.mkdir(parents=True)
    names = ("FINISHES", "IS_KILLED", "BREAKS", "SITS", "IS_DEAF", "LINGERS")
    constants = "".join(f"{name} = {globals()[name]}\n" for name in names)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(constants + TRAINER)
    return package.parent.parent


class Talk:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def run_in(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs" / "R0001-abc")


def pool_of(
    tmp_path: Path, snapshot: Path, *seeds: int, jobs: int = 4, look=lambda: None, rule: Rule | None = None
) -> tuple[LocalPool, Talk]:
    trials = [run_in(tmp_path).trial(seed) for seed in seeds]
    for trial in trials:
        trial.path.mkdir(parents=True)
        write_status(trial, Status("queued", trial.seed))
    mark(trials, "queued", None)
    talk = Talk()
    tasks = [Task(trial, snapshot, 1) for trial in trials]
    return LocalPool(Plan(tasks, tmp_path, jobs), talk, look, rule), talk


def run_pool(pool: LocalPool) -> dict[int, Status]:
    return {trial.seed: status for trial, status in pool.run().items()}


def after(ready: list[Path], *kicks: tuple[float, signal.Signals]) -> None:
    """Send signals to this process, each some seconds after the last, once all `ready` files are there."""

    def send() -> None:
        while not all(path.exists() for path in ready):
            time.sleep(0.02)
        for pause, number in kicks:
            time.sleep(pause)
            os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def test_every_kind_of_end_is_told_truthfully(tmp_path: Path, snapshot: Path) -> None:
    pool, talk = pool_of(tmp_path, snapshot, FINISHES, IS_KILLED, BREAKS)
    ended = run_pool(pool)
    assert ended[FINISHES].state == "finished"
    assert (ended[IS_KILLED].state, ended[IS_KILLED].reason) == (
        "failed",
        "killed by signal 9, SIGKILL (out of memory?)",
    )
    assert ended[BREAKS].state == "failed"
    assert ended[BREAKS].reason == "ended with exit code 1 before it could report: the engine fell out"
    assert {seed: read_status(RunDirectory(tmp_path / "runs" / "R0001-abc").trial(seed)) for seed in ended} == ended
    assert "seed 2 failed" in talk.text
    assert "console.txt" in talk.text
    assert not pool.interrupted


def test_trials_wait_for_a_free_worker(tmp_path: Path, snapshot: Path) -> None:
    most = 0

    def look() -> None:
        nonlocal most
        run = RunDirectory(tmp_path / "runs" / "R0001-abc")
        most = max(most, sum((trial.path / "environment.json").exists() for trial in run.trials()))
        if most == 1:
            assert effective_state(read_status(run.trial(SITS))) == "queued"

    pool, _ = pool_of(tmp_path, snapshot, FINISHES, SITS, jobs=1, look=look)
    after([tmp_path / "runs/R0001-abc" / f"seed-{SITS}" / "ready"], (0, signal.SIGINT))
    ended = run_pool(pool)
    assert (ended[FINISHES].state, ended[SITS].state) == ("finished", "interrupted")


def test_ctrl_c_asks_running_trials_to_stop_and_leaves_no_queue(tmp_path: Path, snapshot: Path) -> None:
    pool, talk = pool_of(tmp_path, snapshot, LINGERS, FINISHES, jobs=1)
    after([tmp_path / "runs/R0001-abc" / f"seed-{LINGERS}" / "ready"], (0, signal.SIGINT), (0.05, signal.SIGINT))
    ended = run_pool(pool)
    assert ended[LINGERS].reason == "asked", "two signals within one keypress are one"
    assert ended[FINISHES].state == "interrupted"
    assert ended[FINISHES].attempt == 0
    assert talk.text.count("waiting for the checkpoint of seed 5 (Ctrl-C again kills at once)") == 1
    assert pool.interrupted


def test_a_trainer_stopped_while_it_still_starts_is_interrupted_and_not_failed(tmp_path: Path, snapshot: Path) -> None:
    code = snapshot / "dreamerlab" / "train" / "__main__.py"
    code.write_text("import pathlib, sys, time; (pathlib.Path(sys.argv[1]) / 'ready').touch(); time.sleep(60)\n")
    pool, talk = pool_of(tmp_path, snapshot, SITS)
    after([tmp_path / "runs/R0001-abc" / f"seed-{SITS}" / "ready"], (0, signal.SIGINT))
    ended = run_pool(pool)
    assert (ended[SITS].state, ended[SITS].reason) == ("interrupted", "stopped before it began")
    assert "failed" not in talk.text


def test_a_second_ctrl_c_kills_at_once(tmp_path: Path, snapshot: Path) -> None:
    pool, _ = pool_of(tmp_path, snapshot, IS_DEAF)
    trial = RunDirectory(tmp_path / "runs" / "R0001-abc").trial(IS_DEAF)
    after([trial.path / "ready"], (0, signal.SIGINT), (0.8, signal.SIGINT))
    ended = run_pool(pool)
    assert (ended[IS_DEAF].state, ended[IS_DEAF].reason) == ("interrupted", "killed by a second Ctrl-C")
    assert not alive(ended[IS_DEAF].pid or 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_stop_signals_are_ctrl_c_too_and_handlers_are_given_back(
    tmp_path: Path, snapshot: Path, number: signal.Signals
) -> None:
    # Whoever runs these tests may have had it ignored (nohup), and what is ignored on purpose stays so.
    outer = signal.signal(number, signal.SIG_DFL)
    try:
        pool, _ = pool_of(tmp_path, snapshot, SITS)
        after([tmp_path / "runs/R0001-abc" / f"seed-{SITS}" / "ready"], (0, number))
        assert run_pool(pool)[SITS].reason == "asked"
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, outer)


def test_a_signal_that_is_ignored_on_purpose_stays_ignored(tmp_path: Path, snapshot: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        pool, _ = pool_of(tmp_path, snapshot, SITS)
        ready = tmp_path / "runs/R0001-abc" / f"seed-{SITS}" / "ready"
        after([ready], (0, signal.SIGHUP), (0.4, signal.SIGINT))
        started = time.monotonic()
        run_pool(pool)
        assert time.monotonic() - started > 0.4
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_rule_ends_a_trial_for_good_and_the_others_go_on(tmp_path: Path, snapshot: Path) -> None:
    asked: list[int] = []

    def rule(trial: TrialDirectory) -> str | None:
        asked.append(trial.seed)
        return "too low" if trial.seed == LINGERS and (trial.path / "ready").exists() else None

    pool, talk = pool_of(tmp_path, snapshot, LINGERS, FINISHES, rule=rule)
    ended = run_pool(pool)
    assert (ended[LINGERS].state, ended[LINGERS].reason) == ("stopped", "too low")
    assert read_status(run_in(tmp_path).trial(LINGERS)) == ended[LINGERS]
    assert ended[FINISHES].state == "finished"
    assert f"seed {LINGERS} is stopped: too low" in talk.text
    assert asked[-1] == LINGERS


def test_a_rule_counts_also_when_the_trial_ends_before_anybody_looks(tmp_path: Path, snapshot: Path) -> None:
    pool, _ = pool_of(tmp_path, snapshot, FINISHES, IS_KILLED, rule=lambda trial: "too low")
    assert {seed: status.state for seed, status in run_pool(pool).items()} == {
        FINISHES: "stopped",
        IS_KILLED: "stopped",
    }


def test_the_trials_of_several_runs_share_a_pool_in_the_order_of_the_plan(tmp_path: Path, snapshot: Path) -> None:
    trials = [RunDirectory(tmp_path / "runs" / name).trial(FINISHES) for name in ("R0002-xyz", "R0001-abc")]
    for trial in trials:
        trial.path.mkdir(parents=True)
        write_status(trial, Status("queued", trial.seed))
    other = trials[1].run.trial(BREAKS)
    other.path.mkdir()
    write_status(other, Status("queued", other.seed))
    talk = Talk()
    plan = Plan([Task(trial, snapshot, 1) for trial in [*trials, other]], tmp_path, jobs=1)
    ended = LocalPool(plan, talk, lambda: None).run()
    assert list(ended) == [*trials, other], "one after another, as planned"
    assert [status.state for status in ended.values()] == ["finished", "finished", "failed"]
    assert "R0001-abc seed 2 failed" in talk.text


def test_a_broken_display_does_not_stop_training(tmp_path: Path, snapshot: Path) -> None:
    calls = 0

    def look() -> None:
        nonlocal calls
        calls += 1
        raise OSError("the terminal is gone")

    pool, talk = pool_of(tmp_path, snapshot, FINISHES, look=look)
    assert run_pool(pool)[FINISHES].state == "finished"
    assert calls == 1
    assert "progress cannot be shown any more" in talk.text


def test_the_trainer_imports_the_snapshot_first_and_knows_its_supervisor(
    tmp_path: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["relative", "/absolute"]))
    pool, _ = pool_of(tmp_path, snapshot, FINISHES)
    run_pool(pool)
    trial = RunDirectory(tmp_path / "runs" / "R0001-abc").trial(FINISHES)
    seen = json.loads((trial.path / "environment.json").read_text())
    assert seen["PYTHONPATH"].split(os.pathsep) == [str(snapshot), str(Path("relative").absolute()), "/absolute"]
    assert seen["OMP_NUM_THREADS"] == seen["MKL_NUM_THREADS"] == seen["OPENBLAS_NUM_THREADS"] == "1"
    assert seen["DREAMERLAB_SUPERVISOR"].startswith(f"{os.getpid()}:")


def test_attempts_are_counted_on_also_where_artifacts_are_absent(tmp_path: Path, snapshot: Path) -> None:
    pool_of(tmp_path, snapshot, FINISHES)
    trial = RunDirectory(tmp_path / "runs" / "R0001-abc").trial(FINISHES)
    write_status(trial, Status("interrupted", FINISHES, attempt=4))
    trainer = start_trainer(trial, snapshot, tmp_path, threads=1)
    trainer.process.wait()
    assert trainer.attempt == 5
    assert trial.console_path(5).exists()


def test_more_workers_than_trials_or_cores_are_never_used() -> None:
    assert default_jobs(1, threads=1) == 1
    assert default_jobs(1000, threads=10_000) == 1


def test_the_environment_of_a_tool_is_this_one_with_code_in_front() -> None:
    environment = code_environment([Path("/a"), Path("/b")])
    assert environment["PYTHONPATH"].split(os.pathsep)[:2] == ["/a", "/b"]
    assert environment["PATH"] == os.environ["PATH"]
