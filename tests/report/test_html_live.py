"""What trains now, in the HTML report: progress, small curves and findings, anew as long as it is followed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.lab import report_live
from dreamerlab.lab.html_report import build
from dreamerlab.lab.report_follow import fingerprint
from dreamerlab.lab.report_live import what_trains
from dreamerlab.report.live_page import refresh_tag, render_live, unfollowed
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.diagnostics.courses import Shape
from tests.lab.diagnosed import a_run, a_workspace
from tests.runs.records import a_line

SAID = "critical: The policy is pinned at the widest spread its head allows (pinned-at-ceiling)"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return a_workspace(tmp_path / "lab")


def training(workspace: Workspace, shapes: Mapping[str, Shape] = {}, **status: object) -> TrialDirectory:
    """Return a trial that this process trains, at 40 % of its budget."""
    trial = a_run(workspace, shapes, seeds=2).trial(1)
    me = own_identity()
    facts = {"pid": me.pid, "pid_start": me.start_ticks, "boot_id": me.boot_id, "host": me.host}
    running = replace(read_status(trial), state="running", spent=4000.0, env_steps=4000, **facts)
    write_status(trial, replace(running, **status))  # type: ignore[arg-type]
    return trial


def page_of(workspace: Workspace, out: Path) -> str:
    build(workspace, out, films_mb=1, curves_mb=1)
    return out.read_text()


def test_a_trial_that_trains_is_shown_with_progress_curves_and_findings(workspace: Workspace, tmp_path: Path) -> None:
    latest = {"pace/env_steps_per_s": 100.0, "pace/updates_per_s": 25.0}
    trial = training(workspace, findings=(SAID,), latest=latest, wall_s=40.0)
    page = page_of(workspace, tmp_path / "report.html")
    (live,) = re.findall(r'<section id="live".*?</section>', page, re.DOTALL)
    assert "1 trial trains." in live
    assert f'<a href="#{trial.run.id}">{trial.run.id}</a>, seed 1' in live
    assert "40 % of 10,000 env steps, 40 s trained, 1 min 00 s left, 25.0 updates a second" in live
    for metric in ("eval/return_mode", "train/return", "wm/loss", "behavior/entropy_frac"):
        assert f'aria-label="{metric} from' in live
    assert '<span class="severity critical">critical</span> The policy is pinned' in live
    assert '<nav aria-label="Sections"><a href="#live">Training now</a>' in page
    assert 'http-equiv="refresh"' not in page


def test_value_is_held_against_the_return_and_controllers_show_how_much_they_act(workspace: Workspace) -> None:
    training(workspace, {"probe/value_mean": 12.0, "probe/return_mean": 10.0, "control/focus_active_frac": 0.25})
    live = render_live(what_trains(workspace))
    assert "value, and real return <b>12.0 and 10.0</b>" in live
    assert "focus, active share <b>0.25</b>" in live
    assert "kl pause" not in live


def test_where_nothing_trains_nothing_is_said_and_no_clock_is_in_the_page(workspace: Workspace, tmp_path: Path) -> None:
    a_run(workspace, seeds=1)
    first = page_of(workspace, tmp_path / "report.html")
    assert "Training now" not in first
    assert page_of(workspace, tmp_path / "report.html") == first


def test_a_trial_without_a_readable_line_is_shown_all_the_same(workspace: Workspace) -> None:
    trial = training(workspace)
    trial.metrics_path(1).write_bytes(b'\xff\xfe\n{"env_steps": "x", "values": 3}\n')
    trial.evals_path.unlink()
    assert "Nothing was measured yet." in render_live(what_trains(workspace))


def test_more_trials_than_are_shown_are_counted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    training(workspace)
    training(workspace)
    monkeypatch.setattr(report_live, "TRIALS", 1)
    live = render_live(what_trains(workspace))
    assert "2 trials train." in live
    assert "1 more train" in live


def test_records_are_gathered_anew_only_where_one_changed(workspace: Workspace) -> None:
    trial = training(workspace)
    before = fingerprint(workspace)
    write_status(trial, replace(read_status(trial), spent=4100.0))
    append_line(trial.metrics_path(1), a_line(4100, wm__loss=1.0))
    assert fingerprint(workspace) == before, "what is shown live is read every time anyhow"
    append_line(trial.evals_path, a_line(10_100, eval__return_mode=3.0))
    evaluated = fingerprint(workspace)
    assert evaluated != before
    write_status(trial, replace(read_status(trial), state="finished"))
    assert fingerprint(workspace) != evaluated


@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM])
def test_a_followed_report_is_written_anew_and_left_as_a_still_page(
    workspace: Workspace, tmp_path: Path, asked_by: signal.Signals
) -> None:
    trial, out = training(workspace), tmp_path / "live.html"
    command = [sys.executable, "-m", "dreamerlab", "report", "-o", str(out), "--follow", "1"]
    process = subprocess.Popen(command, cwd=workspace.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        waits_for(out, '<section id="live" data-every="1"')
        assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in out.read_text()
        write_status(trial, replace(read_status(trial), spent=7700.0))
        waits_for(out, "77 % of 10,000 env steps")
    finally:
        process.send_signal(asked_by)
        told, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert told == f"{out}\n"
    assert "until Ctrl-C" in said
    assert "Traceback" not in said
    left = out.read_text()
    assert "77 % of 10,000 env steps" in left
    assert 'http-equiv="refresh"' not in left
    assert "data-every" not in re.sub(r"<script.*?</script>", "", left, flags=re.DOTALL)
    assert "reloads itself" not in left
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["live.html"]


def test_a_report_that_cannot_be_written_for_a_while_is_tried_again(workspace: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "live.html"
    command = [sys.executable, "-m", "dreamerlab", "report", "-o", str(out), "--follow", "1", "--json"]
    process = subprocess.Popen(command, cwd=workspace.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        waits_for(out, "As of ")
        assert "no trial train" in out.read_text()
        while not out.is_dir():  # it may be written once more in between
            out.unlink(missing_ok=True)
            with suppress(FileExistsError):
                out.mkdir()
        assert process.stderr is not None
        lines: list[str] = []
        while "trying again" not in "".join(lines):
            lines.append(process.stderr.readline())
            assert lines[-1], "it ended"
        out.rmdir()
        waits_for(out, "As of ")
    finally:
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(told)["path"] == str(out)


def test_a_page_that_is_not_followed_is_left_as_it_is() -> None:
    assert unfollowed("<p>words") == "<p>words"
    assert unfollowed(refresh_tag(7)) == ""


def waits_for(path: Path, words: str) -> None:
    """Wait until a file says something."""
    until = time.monotonic() + 60
    while not (path.is_file() and words in path.read_text()):
        assert time.monotonic() < until, f"'{words}' never came"
        time.sleep(0.05)
