"""A dead process is never shown as running, a killed one never as finished, a damaged file never as anything else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.processes import own_identity, start_ticks
from dreamerlab.runs.status import ONGOING, STATES, Status, effective_state, read_status, write_status

WRITER = """
import sys, time
from pathlib import Path
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.status import Status, write_status
me = own_identity()
write_status(TrialDirectory(Path(sys.argv[1])), Status(
    "running", 3, 1, me.pid, me.start_ticks, me.boot_id, me.host, heartbeat_at=time.time()))
print("written", flush=True)
time.sleep(60)
"""


@pytest.fixture
def trial(tmp_path: Path) -> TrialDirectory:
    found = TrialDirectory(tmp_path / "runs" / "R0001-abc" / "seed-3")
    found.path.mkdir(parents=True)
    return found


def mine(state: str = "running") -> Status:
    me = own_identity()
    return Status(state, 3, 1, me.pid, me.start_ticks, me.boot_id, me.host, heartbeat_at=time.time())


def test_a_status_reads_back_as_written(trial: TrialDirectory) -> None:
    status = replace(mine(), env_steps=10, latest={"wm/loss": 1.5, "eval/return_mode": float("inf")}, message="hello")
    write_status(trial, status)
    assert read_status(trial) == status


def test_a_killed_trainer_is_killed_even_before_it_is_reaped(trial: TrialDirectory) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(trial.path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"written\n"
        assert effective_state(read_status(trial)) == "running"
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but a zombie: nobody has collected it
        assert effective_state(read_status(trial)) == "killed"
        process.wait()
        assert effective_state(read_status(trial)) == "killed"


def test_a_reused_pid_is_another_process() -> None:
    status = mine()
    assert effective_state(status) == "running"
    assert effective_state(replace(status, pid_start=(status.pid_start or 0) + 1)) == "killed"
    assert effective_state(replace(status, boot_id="another boot")) == "killed"
    assert effective_state(replace(status, pid=None)) == "killed"


def test_a_queue_without_its_supervisor_waits(trial: TrialDirectory) -> None:
    status = mine("queued")
    assert effective_state(status) == "queued"
    assert effective_state(replace(status, pid_start=1)) == "waiting"
    assert effective_state(Status("queued", 3)) == "waiting"
    assert "waiting" not in ONGOING


def test_on_another_host_the_heartbeat_decides() -> None:
    status = replace(mine(), host="elsewhere", pid=1, heartbeat_at=1000.0)
    assert effective_state(status, now=1059.0) == "running"
    assert effective_state(status, now=1061.0) == "killed"
    assert effective_state(replace(status, heartbeat_at=None), now=1000.0) == "killed"
    assert effective_state(replace(status, state="queued"), now=9999.0) == "queued"


@pytest.mark.parametrize("state", ["finished", "interrupted", "failed"])
def test_an_end_stays_an_end(state: str) -> None:
    assert effective_state(replace(mine(state), pid=1, boot_id="long ago")) == state


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"state": "finis', "damaged"),
        ("", "damaged"),
        ("[]", "not a JSON object"),
        ("{}", "damaged: 'state'"),
        ('{"state": "paused", "seed": 3}', "unknown state 'paused'"),
        ('{"state": "running", "seed": 3, "env_steps": "many"}', "'env_steps' is 'many'"),
        ('{"state": "running", "seed": 3, "wall_s": null}', "'wall_s' is None"),
        ('{"state": "running", "seed": 3, "latest": [1]}', "damaged"),
        (b'{"state": "\xff"}', "damaged"),
    ],
)
def test_a_damaged_status_is_unreadable_and_never_an_exception(
    trial: TrialDirectory, text: str | bytes, said: str
) -> None:
    trial.status_path.write_bytes(text if isinstance(text, bytes) else text.encode())
    status = read_status(trial)
    assert (status.state, status.seed) == ("unreadable", 3)
    assert said in (status.reason or "")
    assert effective_state(status) == "unreadable"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(sorted(vars(Status("queued", 1)))), JSON, st.sampled_from(["queued", "running", "finished"]))
def test_any_value_in_any_place_is_read_or_reported(key: str, value: object, state: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trial = TrialDirectory(Path(folder) / "seed-3")
        trial.path.mkdir()
        trial.status_path.write_text(json.dumps({**vars(mine(state)), key: value}))
        status = read_status(trial)
        assert effective_state(status) in {*STATES, "killed", "waiting", "unreadable"}
        assert (status.state == "unreadable") == bool(status.reason and "damaged" in status.reason)


def test_a_missing_status_is_unreadable(trial: TrialDirectory) -> None:
    assert read_status(trial).reason == "status.json is missing"


def test_keys_of_a_later_version_are_ignored(trial: TrialDirectory) -> None:
    trial.status_path.write_text('{"state": "finished", "seed": 3, "mood": "fine", "spent": 7}')
    status = read_status(trial)
    assert (status.state, status.spent) == ("finished", 7.0)


def test_the_writer_may_only_write_states_a_trial_can_be_in(trial: TrialDirectory) -> None:
    with pytest.raises(AssertionError):
        write_status(trial, replace(mine(), state="killed"))
    assert start_ticks(os.getpid()) is not None
