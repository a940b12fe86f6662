"""One holder at a time, whatever dies when."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dreamerlab.errors import Conflict, ToolFailed
from dreamerlab.runs.lock import lock_holder, owned_lock
from dreamerlab.runs.processes import own_identity

HOLDER = """
import sys, time
from pathlib import Path
from dreamerlab.runs.lock import owned_lock
with owned_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(120)
"""

COUNTER = """
import os, random, sys, time
from pathlib import Path
from dreamerlab.runs.lock import owned_lock
lock, file, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for _ in range(rounds):
    with owned_lock(lock, timeout_s=60):
        value = int(file.read_text())
        time.sleep(random.random() / 500)
        file.write_text(str(value + 1))
"""


def start_holder(lock: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.stdout.close()
    return process


def test_it_is_released_also_by_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "lock"
    with owned_lock(lock):
        assert lock_holder(lock) == os.getpid()
    with pytest.raises(ZeroDivisionError), owned_lock(lock):
        print(1 // 0)
    assert lock_holder(lock) is None
    assert [p.name for p in lock.parent.iterdir()] == []


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = start_holder(lock)
    try:
        with pytest.raises(Conflict, match=f"process {holder.pid} ") as caught, owned_lock(lock, timeout_s=0.1):
            pass
        assert str(lock) in (caught.value.hint or "")
    finally:
        holder.kill()
        holder.wait()


def test_the_lock_of_a_killed_process_is_broken_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = start_holder(lock)
    os.kill(holder.pid, signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    assert lock_holder(lock) is None
    with owned_lock(lock, timeout_s=5.0):
        assert lock_holder(lock) == os.getpid()
    holder.wait()


@pytest.mark.parametrize("changes", [{"boot_id": "before the restart"}, {"start_ticks": 1}, {"pid": 2**22 + 1}])
def test_a_lock_from_before_a_restart_or_with_a_reused_pid_is_broken(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    lock = tmp_path / "lock"
    lock.write_text(json.dumps({**vars(own_identity()), "token": "old", **changes}))
    with owned_lock(lock, timeout_s=1.0):
        pass


def test_a_lock_taken_anew_while_we_were_about_to_break_it_stays(tmp_path: Path) -> None:
    """The breaker has seen a dead owner and waits its turn; when it comes, somebody living holds the lock."""
    lock = tmp_path / "lock"
    lock.write_text(json.dumps({**vars(own_identity()), "token": "dead", "start_ticks": 1}))
    answer: list[str] = []

    def wait_for_it() -> None:
        try:
            with owned_lock(lock, timeout_s=0.1):
                answer.append("taken")
        except Conflict:
            answer.append("refused")

    with lock.with_name("lock.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        time.sleep(0.2)
        lock.write_text(json.dumps({**vars(own_identity()), "token": "alive"}))
    waiting.join(30)
    assert answer == ["refused"]
    assert json.loads(lock.read_text())["token"] == "alive"


def test_only_our_own_lock_is_released(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with owned_lock(lock):
        lock.write_text(json.dumps({**vars(own_identity()), "token": "somebody broke ours"}))
    assert lock.exists()


def test_a_lock_held_on_another_host_is_never_broken(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(json.dumps({**vars(own_identity()), "token": "t", "host": "elsewhere", "pid": 1}))
    with pytest.raises(Conflict, match="process 1 on elsewhere"), owned_lock(lock, timeout_s=0.1):
        pass
    assert lock.exists()


def test_a_damaged_lock_is_broken_once_it_is_surely_not_being_written(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("")
    with pytest.raises(Conflict), owned_lock(lock, timeout_s=0.1):
        pass
    os.utime(lock, (time.time() - 10, time.time() - 10))
    with owned_lock(lock, timeout_s=1.0):
        pass


def test_a_folder_that_cannot_be_written_is_a_tool_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolFailed, match="cannot write"), owned_lock(tmp_path / "file" / "lock"):
        pass


def test_counting_under_the_lock_loses_nothing_while_holders_are_killed(tmp_path: Path) -> None:
    """Three counters, and a fourth process that is killed again and again while it holds the lock."""
    lock, file = tmp_path / "lock", tmp_path / "count"
    file.write_text("0")
    command = [sys.executable, "-c", COUNTER, str(lock), str(file), "50"]
    counters = [subprocess.Popen(command) for _ in range(3)]
    for _ in range(3):
        holder = start_holder(lock)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert [process.wait(60) for process in counters] == [0, 0, 0]
    assert file.read_text() == "150"
