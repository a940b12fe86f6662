"""Environments in processes of their own, for real: order, pace, nobody left behind (M-CP-07, M-CP-08, M-PROT-21)."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamerlab.errors import TrialFailed
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.processes import alive
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.train.collector_process import QUEUE
from dreamerlab.train.opponents import Company
from dreamerlab.train.session import Session
from tests.train.trials import lines, make_trial, tiny_config


@contextmanager
def session_of(envs: int, company: Company | None = None, **sections: Any) -> Iterator[Session]:
    config = tiny_config(collect={"mode": "process", "envs": envs, "slack": 0.2}, **sections)
    session = Session(config, seed=0, company=company)
    try:
        yield session
    finally:
        session.close()


def play(session: Session, env_steps: int) -> None:
    """Go on as the loop does until so many env steps are made."""
    at = session.counters
    while at.env_steps < env_steps:
        session.collector.step(session.policy)
        at.env_steps = session.collector.env_steps
        for _ in range(session.updates_due()):
            session.update()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def pids_of(session: Session) -> list[int]:
    assert session._processes is not None
    return session._processes.pids


def test_rows_arrive_whole_in_order_and_at_the_pace_that_was_asked_for() -> None:
    """Every row of every episode is there; the ratio is kept; weights are never older than the queue; all leave."""
    with session_of(2, env={"id": "tests.toy_envs:Echo-v0"}, train={"train_ratio": 5.0}) as session:
        play(session, 200)
        pids = pids_of(session)
        for stream in range(2):
            rows = session.replay.read(stream, *session.replay.span(stream))
            first = np.flatnonzero(rows["is_first"])
            assert np.array_equal(first, np.arange(0, len(rows["reward"]), 11)), "10 steps and a reset, none missing"
            assert np.array_equal(np.flatnonzero(rows["is_last"]), np.arange(10, len(rows["reward"]), 11))
            shown, chosen = rows["obs/discrete"][:, 0], rows["action"][:, 0]
            paid = (shown == chosen)[:-1] & ~rows["is_last"][:-1]
            assert np.array_equal(rows["reward"][1:] == 1, paid), "a reward lies with the row after its action"
        due = (200 - session.ratio.state_dict()["opened_at"]) * 5.0 / 20
        assert abs(session.counters.updates - due) <= max(1, 0.2 * due)
        metrics = session.pace_metrics()
        assert metrics["replay/train_ratio_configured"] == 5.0
        # Two full queues of env steps, a quarter of an update each, and what the slack may be ahead.
        assert 0 <= metrics["replay/weights_behind"] <= 2 * (QUEUE + 1) / 4 + 0.2 * due + 2
        time.sleep(0.5)
        taken = session.collector.env_steps
        assert session._processes is not None
        assert session._processes._shared is not None
        assert sum(session._processes._shared.taken) == taken
    assert not any(alive(pid) for pid in pids)


def restarts(session: Session) -> int:
    return session.collector.state_dict()["restarts"]


def plays(session: Session, stream: int) -> bool:
    """Whether a collector has sent something since it was started."""
    assert session._processes is not None
    assert session._processes._shared is not None
    return stream not in session._processes._unheard and session._processes._shared.taken[stream] > 0


def kill(session: Session, stream: int, number: signal.Signals = signal.SIGKILL) -> int:
    """Kill a collector, unless told otherwise as the kernel does when memory runs out; return its pid."""
    pid = pids_of(session)[stream]
    os.kill(pid, number)
    return pid


PENDULUM = {"id": "Pendulum-v1", "time_limit": 50}
"""Episodes of 50 steps, many more than may be on their way from a collector."""


def require_broken_off(session: Session, abandoned: int, ended: int) -> None:
    """Streams of `PENDULUM` hold episodes that are whole but for those abandoned, and no row twice or of none."""
    broken = whole = 0
    for stream in range(session.replay.streams):
        rows = session.replay.read(stream, *session.replay.span(stream))
        starts, last = np.flatnonzero(rows["is_first"]), rows["is_last"]
        assert starts[0] == 0
        for start, stop in itertools.pairwise([*starts, len(last)]):
            assert not last[start : stop - 1].any()
            assert rows["reward"][start] == 0
            assert np.all(rows["reward"][start + 1 : stop] < 0), "that of no other episode"
            assert stop - start == 51 if last[stop - 1] else stop - start <= 50
            whole += last[stop - 1]
            broken += stop < len(last) and not last[stop - 1]
        begun = [tuple(obs) for obs in rows["obs/vector"][starts]]
        assert len(set(begun)) == len(begun), "an episode was played again"
    assert (broken, whole) == (abandoned, ended)
    assert len(session.replay) == session.collector.env_steps + ended
    assert session._processes is not None
    assert session._processes._shared is not None
    assert sum(session._processes._shared.taken) == session.collector.env_steps


@pytest.mark.slow
def test_a_killed_collector_starts_again_and_its_episode_is_abandoned(capfd: pytest.CaptureFixture[str]) -> None:
    """Every row that was sent is kept, env steps are counted once, and no random stream is used again."""
    with session_of(1, env=PENDULUM, train={"train_ratio": 1.0}) as session:
        play(session, 60)
        pid = kill(session, 0)
        play(session, 150)
        killed = f"collector 0 (pid {pid}) of environment 'Pendulum-v1' was killed by SIGKILL"
        begins = f"warning: {killed}; it is started again (restart 1 of this trial), its open episode is discarded"
        assert capfd.readouterr().err.count(begins) == 1
        metrics = session.pace_metrics()
        assert (metrics["replay/episodes_abandoned"], metrics["replay/collector_restarts"]) == (1, 1)
        require_broken_off(session, 1, session.collector.episodes)
        due = (150 - session.ratio.state_dict()["opened_at"]) * 1.0 / 20
        assert abs(session.counters.updates - due) <= max(1, 0.2 * due)
        time.sleep(0.5)
        ahead = session._processes._pipes[0] if session._processes is not None else None
        assert ahead is not None
        sent = [ahead.recv() for _ in range(QUEUE + 5) if ahead.poll()]
        assert 0 < len(sent) <= QUEUE, "the new one waits as the old one did"


@pytest.mark.slow
def test_collectors_killed_at_random_leave_replay_whole_and_the_trial_goes_on() -> None:
    rng = np.random.default_rng(0)
    kills = 6
    with session_of(3, env=PENDULUM, train={"train_ratio": 1.0}) as session:
        ended, due, killed = 0, 50, 0
        while restarts(session) < kills or not all(plays(session, stream) for stream in range(3)):
            ended += len(session.collector.step(session.policy))
            session.counters.env_steps = session.collector.env_steps
            for _ in range(session.updates_due()):
                session.update()
            victim = int(rng.integers(3))
            if killed < kills and session.collector.env_steps >= due and plays(session, victim):
                # So far apart that no collector dies too often.
                due, killed = session.collector.env_steps + 550, killed + 1
                kill(session, victim)
        abandoned = session.collector.state_dict()["abandoned"]
        assert kills - 2 <= abandoned <= kills, "one may die between two episodes"
        require_broken_off(session, abandoned, ended)
        state = session.state_dict()
        assert state["collector"]["restarts"] == kills
        open_now, pids = sum(state["collector"]["under_way"]), pids_of(session)
    assert not any(alive(pid) for pid in pids)
    with session_of(3, env=PENDULUM, train={"train_ratio": 1.0}) as session:
        session.load_state_dict(state)
        metrics = session.pace_metrics()
        assert metrics["replay/collector_restarts"] == kills
        assert metrics["replay/episodes_abandoned"] == abandoned + open_now


def play_past(session: Session, stream: int, count: int, *, heard: bool = True) -> None:
    """Go on until so many collectors were started again, and this one, if it shall be `heard`, plays."""
    while restarts(session) < count or (heard and not plays(session, stream)):
        session.collector.step(session.policy)
        for _ in range(session.updates_due()):
            session.update()


@pytest.mark.slow
def test_a_collector_that_dies_again_and_again_ends_the_trial_by_name_and_the_others_with_it() -> None:
    with session_of(2) as session:
        play(session, 40)
        for count in range(2):
            play_past(session, 1, count)
            kill(session, 1)
        play_past(session, 1, 2)
        pid, pids = kill(session, 1), pids_of(session)
        name = rf"collector 1 \(pid {pid}\) of environment 'CartPole-v1'"
        with pytest.raises(TrialFailed, match=f"{name} was killed by SIGKILL, 3 times within 1000 env steps"):
            play(session, 100_000)
    assert not any(alive(pid) for pid in pids)


@pytest.mark.slow
def test_a_collector_that_dies_before_it_has_played_or_crashes_ends_the_trial() -> None:
    with session_of(1) as session:
        play(session, 40)
        kill(session, 0)
        play_past(session, 0, 1, heard=False)
        kill(session, 0)
        with pytest.raises(TrialFailed, match="was killed by SIGKILL before its first env step, having been started"):
            play(session, 100_000)
    with session_of(1) as session:
        play(session, 40)
        kill(session, 0, signal.SIGSEGV)
        with pytest.raises(TrialFailed, match=r"'CartPole-v1' was killed by SIGSEGV\n"):
            play(session, 100_000)


@pytest.mark.slow
def test_a_collector_that_was_started_again_keeps_to_the_curriculum_of_the_trial() -> None:
    hockey = {"curriculum": ("0 shooting weak", "500 defense weak"), "opponent": ("weak",)}
    env = {"id": "dreamerlab/HockeyOne-v0", "time_limit": 20}
    with session_of(1, env=env, hockey=hockey, train={"train_ratio": 1.0}) as session:
        modes: list[tuple[int, str]] = []
        killed = False
        while session.collector.env_steps < 700:
            ends = session.collector.step(session.policy)
            modes += [(session.collector.env_steps, end.game["mode"]) for end in ends if end.game is not None]
            for _ in range(session.updates_due()):
                session.update()
            if session.collector.env_steps >= 310 and not killed:
                killed = kill(session, 0) > 0
        assert restarts(session) == 1
        assert {mode for at, mode in modes if at <= 500} == {"shooting"}
        # A game that began before the change ends after it.
        assert {mode for at, mode in modes if at > 500 + 20 + QUEUE + 20} == {"defense"}


@pytest.mark.slow
def test_games_in_processes_meet_past_selves_and_a_killed_one_is_counted_M_HK_02(tmp_path: Path) -> None:
    """M-HK-02: members join on the way; who is killed, or resumes, starts new games and says how many were given up."""
    hockey = {"opponent": ("self", "weak:0.2"), "pool_every": 100, "pool_size": 3, "mode": "shooting"}
    sections = {"env": {"id": "dreamerlab/HockeyOne-v0"}, "hockey": hockey, "train": {"train_ratio": 1.0}}
    company = Company(pool=tmp_path, belongs={"run": "R0001-abc", "seed": 0, "family": "f"})
    with session_of(2, company, **sections) as session:
        met: set[str] = set()
        while session.collector.env_steps < 700:
            met |= {end.game["opponent"] for end in session.collector.step(session.policy) if end.game is not None}
            session.counters.env_steps = session.collector.env_steps
            for _ in range(session.updates_due()):
                session.update()
        assert len([name for name in met if name.startswith("self@")]) > 1, met
        state = session.state_dict()
        open_games = sum(state["collector"]["under_way"])
        results = state["collector"]["matchmaker"]["points"]
        assert results.keys() <= met
        kill(session, 1)
        play_past(session, 1, 1)
        play(session, session.collector.env_steps + 200)
        lost = session.collector.state_dict()["abandoned"]
        assert lost <= 1
        for stream in range(2):
            rows = session.replay.read(stream, *session.replay.span(stream), ("is_first", "is_last"))
            lost -= int(np.sum(rows["is_first"][1:] & ~rows["is_last"][:-1]))
        assert lost == 0
    with session_of(2, company, **sections) as session:
        session.load_state_dict(state)
        play(session, 760)
        if open_games:
            assert session.pace_metrics()["replay/episodes_abandoned"] == open_games
        assert session.collector.state_dict()["abandoned"] == open_games


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env_id", "said"),
    [("RaiseInStep", "the engine stalled"), ("NanReward", "the reward is not finite"), ("HangInStep", "longer than")],
)
def test_a_fault_of_an_environment_reaches_the_trainer_in_its_own_words(env_id: str, said: str) -> None:
    env = {"id": f"tests.toy_envs:{env_id}-v0"}
    with session_of(1, env=env, execution={"step_timeout_s": 3.0}) as session:
        with pytest.raises(TrialFailed) as caught:
            play(session, 100_000)
        assert f"environment 'tests.toy_envs:{env_id}-v0'" in caught.value.message
        assert caught.value.message.endswith("(in collector 0)")
        if env_id != "HangInStep":
            assert said in caught.value.message


def start(trial: TrialDirectory) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dreamerlab.train", str(trial.path)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def family_of(pid: int) -> list[int]:
    """All living descendants of a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(entry.name), *family_of(int(entry.name))]
    return found


def env_steps(trial: TrialDirectory) -> int:
    return read_status(trial).env_steps


@pytest.mark.slow
def test_a_trial_with_collectors_finishes_resumes_and_leaves_nobody_behind(tmp_path: Path) -> None:
    """M-CP-10: Ctrl-C to the whole group writes a checkpoint; kill -9 of the trainer takes the collectors with it."""
    sections = {"collect": {"mode": "process", "envs": 2}, "env": {"id": "CartPole-v1"}}
    trial = make_trial(tmp_path, tiny_config(**sections, budget={"amount": 1500}, checkpoint={"every": 100}))

    process = start(trial)
    wait_until(lambda: env_steps(trial) > 150)
    family = family_of(process.pid)
    assert len(family) >= 2
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    assert effective_state(read_status(trial)) == "interrupted", read_status(trial).reason
    wait_until(lambda: not any(alive(pid) for pid in family), seconds=10)
    stopped_at = env_steps(trial)

    process = start(trial)
    wait_until(lambda: env_steps(trial) > stopped_at + 100)
    family = family_of(process.pid)
    process.kill()
    process.wait(60)
    wait_until(lambda: not any(alive(pid) for pid in family), seconds=10)

    process = start(trial)
    assert process.wait(240) == 0, read_status(trial).reason
    status = read_status(trial)
    assert (effective_state(status), status.env_steps) == ("finished", 1500)
    attempts = json.loads(trial.attempts_path.read_text())
    assert attempts[1]["start_env_steps"] == stopped_at
    assert attempts[2]["start_env_steps"] % 100 == 0
    assert attempts[2]["start_env_steps"] > stopped_at
    last = lines(trial.metrics_path(3))[-1]
    assert last["values"]["replay/train_ratio_effective"] == pytest.approx(10.0, rel=0.1)
    seeds = [line["seed"] for line in lines(trial.episodes_path)]
    assert len(set(seeds)) > 0.9 * len(seeds), "episodes after a resume start anew"
