"""One attempt in this process: what it leaves behind when it ends well, badly, or half-way."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path

import pytest
import torch

from dreamerlab.errors import Conflict, Interrupted, LabError, ToolFailed, TrialFailed
from dreamerlab.metrics import CATALOGUE
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.train import attempt, checkpoint
from dreamerlab.train.attempt import execute
from dreamerlab.train.recorder import Recorder
from dreamerlab.train.runtime import StopRequest
from dreamerlab.train.session import Session
from tests.shapes import checking
from tests.train.trials import lines, make_trial, timeless, tiny_config, without_probes


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)


def _stop_after(monkeypatch: pytest.MonkeyPatch, env_steps: int) -> None:
    """Request a stop when the trial has made this many env steps."""
    written = Recorder.heartbeat

    def heartbeat(self, at, spent):
        written(self, at, spent)
        stops[-1].reason = "stopped by SIGTERM" if at.env_steps == env_steps else None

    stops: list[StopRequest] = []
    monkeypatch.setattr(StopRequest, "listen", lambda self: stops.append(self))
    monkeypatch.setattr(Recorder, "heartbeat", heartbeat)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    """A trial that ended well, to be looked at only."""
    trial = make_trial(tmp_path_factory.mktemp("finished"), tiny_config())
    with pytest.MonkeyPatch.context() as patch, checking(True):
        patch.setattr(StopRequest, "listen", lambda self: None)
        execute(trial.path, None, None)
    return trial


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    """The same with its replay, to be looked at only."""
    trial = make_trial(tmp_path_factory.mktemp("kept"), tiny_config(checkpoint={"keep_replay": True}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopRequest, "listen", lambda self: None)
        execute(trial.path, None, None)
    return trial


def test_a_finished_trial_leaves_everything(finished: TrialDirectory) -> None:
    """Also both policies in every evaluation (FACTS A13.22)."""
    trial, status = finished, read_status(finished)
    assert effective_state(status) == "finished"
    assert (status.env_steps, status.spent, status.attempt) == (60, 60, 1)
    assert status.updates == lines(trial.metrics_path(1))[-1]["updates"] > 20
    assert [line["env_steps"] for line in lines(trial.metrics_path(1))] == [10, 20, 30, 40, 50, 60]
    assert [line["env_steps"] for line in lines(trial.evals_path)] == [30, 60]
    assert all(len(line["returns"][policy]) == 2 for line in lines(trial.evals_path) for policy in ("mode", "sample"))
    episodes = lines(trial.episodes_path)
    assert [line["episode"] for line in episodes] == list(range(1, len(episodes) + 1))
    assert status.episodes == len(episodes)
    (best,) = (path.stem for path in trial.checkpoints.glob("best-*.pt"))
    assert sorted(path.name for path in trial.checkpoints.iterdir()) == [
        *(f"{best}.json", f"{best}.pt"),
        *("ckpt-000000060.json", "ckpt-000000060.pt"),
    ]
    assert not checkpoint.load_newest(trial.checkpoints).info.has_replay
    (record,) = json.loads(trial.attempts_path.read_text())
    assert (record["state"], record["start_env_steps"], record["threads"]) == ("finished", 0, 1)
    assert (record["dtype"], record["device"], record["gpu"]) == ("float32", "cpu", None)
    assert record["libraries"]["blas"]
    for when in ("start", "end"):
        assert record[when].keys() == {"load", "other_trainers", "siblings"}
    assert record["config_sha256"] == hashlib.sha256(trial.run.config_path.read_bytes()).hexdigest()
    assert not list(trial.artifacts.glob(".*"))


def test_only_metrics_of_the_catalogue_are_emitted(finished: TrialDirectory) -> None:
    paths = finished.metrics_path(1), finished.evals_path
    emitted = {name for path in paths for line in lines(path) for name in line["values"]}
    assert emitted <= set(CATALOGUE)
    areas = ("eval/", "pace/")  # of those every trial has them all, but for the outcomes of games
    assert {name for name in CATALOGUE if name.startswith(areas) and "_rate_" not in name} - emitted == set()


def test_keep_replay_keeps_it(kept: TrialDirectory) -> None:
    assert checkpoint.load_newest(kept.checkpoints).info.has_replay
    assert len(list(kept.checkpoints.glob("ckpt-*.pt"))) == 2


@pytest.mark.parametrize(
    "unit, amount, reached",
    [("updates", 7, lambda s: s.updates == 7), ("actor_updates", 5, lambda s: s.updates == 5)],
)
def test_budgets_in_other_units(tmp_path: Path, unit: str, amount: int, reached) -> None:
    trial = make_trial(tmp_path, tiny_config(budget={"unit": unit, "amount": amount}))
    execute(trial.path, None, None)
    status = read_status(trial)
    assert reached(status), status
    assert lines(trial.evals_path)[-1]["env_steps"] == status.env_steps, "evaluated at the end"


def test_wall_clock_budget_counts_all_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make_trial(tmp_path, tiny_config(budget={"unit": "wall_clock", "amount": 1}))
    execute(trial.path, None, None)
    assert 1 <= read_status(trial).spent < 3


def test_stop_and_resume_equal_one_go(kept: TrialDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FACTS F20: n steps + stop + resume + n steps equal 2n steps in parameters, metrics and evaluations."""
    whole, parts = kept, make_trial(tmp_path, tiny_config(checkpoint={"keep_replay": True}))
    with monkeypatch.context() as patch:
        _stop_after(patch, 37)
        with pytest.raises(Interrupted, match="SIGTERM"):
            execute(parts.path, None, None)
    assert effective_state(read_status(parts)) == "interrupted"
    torch.rand(3)  # a new process would not share the global generator's state either
    execute(parts.path, None, None)

    records = json.loads(parts.attempts_path.read_text())
    assert [(r["attempt"], r["state"], r["start_env_steps"]) for r in records] == [
        (1, "interrupted", 0),
        (2, "finished", 37),
    ]
    assert records[1]["checkpoint"] == "ckpt-000000037.pt"
    joined = lines(parts.metrics_path(1)) + lines(parts.metrics_path(2))
    assert timeless(joined) == timeless(lines(whole.metrics_path(1)))
    assert timeless(lines(parts.evals_path)) == timeless(lines(whole.evals_path))
    assert timeless(lines(parts.episodes_path)) == timeless(lines(whole.episodes_path))
    states = [checkpoint.load_newest(trial.checkpoints).state["session"] for trial in (whole, parts)]
    for state in states:
        state["counters"].pop("wall_s")
    assert flat(states[0]) == flat(states[1])


def flat(value) -> object:
    """Return nested state as comparable plain values, arrays and tensors by their bytes."""
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    if isinstance(value, list):
        return [flat(item) for item in value]
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    return (str(value.dtype), value.shape, value.tobytes()) if hasattr(value, "tobytes") else value


def test_same_seed_twice_is_identical_and_another_seed_is_not(finished: TrialDirectory, tmp_path: Path) -> None:
    again, other = (make_trial(tmp_path / str(seed), tiny_config(), seed) for seed in (finished.seed, 1))
    for trial in (again, other):
        execute(trial.path, None, None)
    records = [timeless(lines(trial.metrics_path(1))) for trial in (finished, again, other)]
    assert records[0] == records[1]
    assert records[0] != records[2]


def test_evaluation_leaves_training_bit_identical(finished: TrialDirectory, tmp_path: Path) -> None:
    """FACTS F24: evaluating more often, every 7 env steps instead of every 30, changes nothing in training."""
    rare, often = finished, make_trial(tmp_path, tiny_config(eval={"every": 7, "episodes": 1}))
    execute(often.path, None, None)
    assert len(lines(often.evals_path)) > 3 * len(lines(rare.evals_path))
    assert without_probes(lines(rare.metrics_path(1))) == without_probes(lines(often.metrics_path(1)))
    assert timeless(lines(rare.episodes_path)) == timeless(lines(often.episodes_path))


def test_a_torn_checkpoint_falls_back_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make_trial(tmp_path, tiny_config())
    with monkeypatch.context() as patch:
        _stop_after(patch, 45)
        with pytest.raises(Interrupted):
            execute(trial.path, None, None)
    newest = trial.checkpoints / "ckpt-000000045.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    execute(trial.path, None, None)
    status, records = read_status(trial), json.loads(trial.attempts_path.read_text())
    assert effective_state(status) == "finished"
    assert "ckpt-000000040.pt; passed over ckpt-000000045.pt: 1000 bytes instead of" in (status.message or "")
    assert records[1]["start_env_steps"] == 40


def test_a_checkpoint_of_another_trial_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_trial(tmp_path, tiny_config(), seed=0)
    _stop_after(monkeypatch, 25)
    with pytest.raises(Interrupted):
        execute(one.path, None, None)
    other = make_trial(tmp_path, tiny_config(), seed=1, run_id="R0002-xyz")
    other.artifacts.mkdir(parents=True)
    one.checkpoints.rename(other.checkpoints)
    with pytest.raises(TrialFailed, match="belongs to R0001-abc seed 0, not to R0002-xyz seed 1") as failure:
        execute(other.path, None, None)
    assert isinstance(failure.value.__cause__, Conflict)


@pytest.mark.parametrize(
    "env_id, said",
    [
        ("tests.toy_envs:RaiseInReset-v0", "the engine did not start"),
        ("tests.toy_envs:RaiseInStep-v0", "the engine stalled"),
        ("tests.toy_envs:NanReward-v0", "nan"),
    ],
)
def test_a_faulty_environment_fails_the_trial_in_one_line(tmp_path: Path, env_id: str, said: str) -> None:
    trial = make_trial(tmp_path, tiny_config(env={"id": env_id}))
    with pytest.raises(TrialFailed, match=said):
        execute(trial.path, None, None)
    status = read_status(trial)
    assert status.state == "failed"
    assert not status.diverged, "an accident, and no outcome"
    assert said in (status.reason or "")
    assert "\n" not in (status.reason or "")
    assert env_id.rpartition(":")[2] in (status.reason or "")
    assert "Traceback" in trial.error_path(1).read_text()


def test_a_loss_that_is_not_finite_stops_the_trial_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make_trial(tmp_path, tiny_config())
    update = Session.update

    def poisoned(self):
        metrics = update(self)
        return {**metrics, "wm/loss": metrics["wm/loss"] * float("nan")} if self.counters.env_steps > 30 else metrics

    monkeypatch.setattr(Session, "update", poisoned)
    with pytest.raises(TrialFailed, match="wm/loss is nan"):
        execute(trial.path, None, None)
    status = read_status(trial)
    assert (status.state, status.diverged) == ("failed", True), "an outcome of training, and marked as one"
    assert checkpoint.load_newest(trial.checkpoints).info.env_steps == 20


def test_parameters_that_are_not_finite_are_never_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make_trial(tmp_path, tiny_config())
    update = Session.update

    def poisoned(self):
        metrics = update(self)
        if self.counters.env_steps == 40:
            with torch.no_grad():
                next(iter(self.agent.parameters())).fill_(float("inf"))
        return metrics

    monkeypatch.setattr(Session, "update", poisoned)
    with pytest.raises(TrialFailed, match="not finite"):
        execute(trial.path, None, None)
    assert checkpoint.load_newest(trial.checkpoints).info.env_steps == 20


def test_a_full_disk_stops_cleanly(tmp_path: Path) -> None:
    """/dev/full refuses every write with ENOSPC, as a full disk does."""
    trial = make_trial(tmp_path, tiny_config())
    trial.attempt_dir(1).mkdir(parents=True)
    trial.metrics_path(1).symlink_to("/dev/full")
    with pytest.raises(TrialFailed, match=r"(?i)no space left|disk is full"):
        execute(trial.path, 1, None)
    status = read_status(trial)
    assert status.state == "failed"
    assert "\n" not in (status.reason or "")
    assert json.loads(trial.attempts_path.read_text())[0]["state"] == "failed"


def test_explain_is_always_one_line() -> None:
    def raised() -> Exception:
        try:
            raise ValueError("first\nsecond")
        except ValueError as error:
            return error

    assert attempt.explain(raised()).startswith("ValueError: first (test_attempt.py:")


def test_the_last_updates_reach_a_metric_line(tmp_path: Path) -> None:
    """A budget that ends between two lines still gets its last one."""
    trial = make_trial(tmp_path, tiny_config(budget={"unit": "updates", "amount": 7}))
    execute(trial.path, None, None)
    status, last = read_status(trial), lines(trial.metrics_path(1))[-1]
    assert (last["env_steps"], last["updates"]) == (status.env_steps, status.updates)
    assert status.env_steps % 10, "the case in question"


def test_a_trial_killed_before_its_last_words_is_finished_by_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its final checkpoint is written and holds no replay; what is missing is only the status."""
    trial = make_trial(tmp_path, tiny_config())
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "note_progress", _die_when_the_checkpoint_is_final(trial, Recorder.note_progress))
        with pytest.raises(_Killed):
            _execute_until_killed(patch, trial)
    written = lines(trial.evals_path)
    execute(trial.path, None, None)
    status = read_status(trial)
    assert (status.state, status.env_steps, status.spent, status.attempt) == ("finished", 60, 60, 2)
    assert "reached its end" in (status.message or "")
    assert lines(trial.evals_path) == written
    record = json.loads(trial.attempts_path.read_text())[1]
    assert (record["state"], record["start_env_steps"]) == ("finished", 60)


class _Killed(BaseException):
    """Stands for SIGKILL."""


def _die_when_the_checkpoint_is_final(trial, note_progress):
    def dying(self, at, spent):
        if (trial.checkpoints / "ckpt-000000060.json").exists():
            raise _Killed
        note_progress(self, at, spent)

    return dying


def _execute_until_killed(patch: pytest.MonkeyPatch, trial) -> None:
    """A killed process writes nothing more."""
    patch.setattr(attempt, "close_attempt", lambda *args: None)
    execute(trial.path, None, None)


def test_a_finished_trial_is_left_alone(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, tiny_config(budget={"amount": 20}))
    execute(trial.path, None, None)
    before = trial.status_path.read_bytes()
    with pytest.raises(Conflict, match="R0001-abc seed 0 is finished"):
        execute(trial.path, None, None)
    assert trial.status_path.read_bytes() == before
    assert trial.attempts() == [1]


def test_an_environment_that_cannot_be_closed_does_not_spoil_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stuck(self) -> None:
        raise RuntimeError("the door is jammed")

    monkeypatch.setattr("tests.toy_envs.Walk.close", stuck, raising=False)
    trial = make_trial(tmp_path, tiny_config(env={"id": "tests.toy_envs:Walk-v0"}, budget={"amount": 20}))
    execute(trial.path, None, None)
    assert read_status(trial).state == "finished"
    assert json.loads(trial.attempts_path.read_text())[0]["state"] == "finished"
    assert "the door is jammed" in capsys.readouterr().err


def _raise_in_update(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def update(self):
        raise error

    monkeypatch.setattr(Session, "update", update)


@pytest.mark.parametrize(
    "error, said",
    [
        (SystemExit(3), "SystemExit: 3 (test_attempt.py:"),
        (KeyboardInterrupt(), "KeyboardInterrupt (test_attempt.py:"),
        (MemoryError(), "MemoryError (test_attempt.py:"),
        (RuntimeError("\n\n  first words\nmore"), "RuntimeError: first words (test_attempt.py:"),
        (TrialFailed("several\nlines"), "several lines"),
        (OSError("name \udcff"), "OSError: name \\udcff (test_attempt.py:"),
        (OSError(errno.ENOSPC, "No space left on device", "x.pt"), "the disk is full while writing x.pt; everything"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_ends_an_attempt_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str
) -> None:
    trial = make_trial(tmp_path, tiny_config())
    _raise_in_update(monkeypatch, error)
    with pytest.raises(TrialFailed):
        execute(trial.path, None, None)
    status = read_status(trial)
    assert status.state == "failed"
    assert (status.reason or "").startswith(said)
    assert "\n" not in (status.reason or "")
    assert "Traceback" in trial.error_path(1).read_text()
    assert json.loads(trial.attempts_path.read_text())[0]["state"] == "failed"
    assert not (trial.artifacts / ".reserve").exists()


@pytest.mark.parametrize("broken", ["error.txt", ".reserve", "attempts.json"])
def test_a_disk_that_refuses_one_file_still_gets_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whichever file it is, status.json does not go on saying `running`."""
    trial = make_trial(tmp_path, tiny_config())
    _raise_in_update(monkeypatch, RuntimeError("boom"))
    trial.attempt_dir(1).mkdir(parents=True)
    where = {"error.txt": trial.error_path(1), ".reserve": trial.artifacts / ".reserve"}.get(broken)
    if where is not None:
        where.symlink_to("/dev/full")
    else:
        monkeypatch.setattr(attempt, "close_attempt", _refuse)
    with pytest.raises(LabError):
        execute(trial.path, 1, None)
    status = read_status(trial)
    assert status.state == "failed"
    assert ("the disk is full" if broken == ".reserve" else "boom") in (status.reason or "")


def _refuse(*args: object) -> None:
    raise ToolFailed("cannot write attempts.json: no space left")


def test_the_number_of_an_attempt_is_never_used_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when attempts.json is damaged, or the attempt before was killed too early to enter itself there."""
    trial = make_trial(tmp_path, tiny_config(budget={"amount": 40}))
    with monkeypatch.context() as patch:
        _stop_after(patch, 25)
        with pytest.raises(Interrupted):
            execute(trial.path, None, None)
    before = trial.metrics_path(1).read_bytes()
    trial.attempts_path.write_text('[{"started_at": ')
    execute(trial.path, None, None)
    assert read_status(trial).attempt == 2
    assert trial.metrics_path(1).read_bytes() == before


def test_evaluations_give_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []
    monkeypatch.setattr(Recorder, "heartbeat", lambda self, at, spent: beats.append(at.env_steps))
    trial = make_trial(tmp_path, tiny_config(budget={"amount": 30}))
    execute(trial.path, None, None)
    assert beats.count(30) > 10
    assert beats.count(29) == 1
