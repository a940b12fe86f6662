"""`eval` and `watch` as they are called: right and wrong, a second time, and interrupted in the middle."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamerlab.lab.evaluate import Measured, headline, to_tables
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, dreamerlab, inside, light_workspace, without
from tests.runs.records import make_run


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_film_is_made_whole_and_never_over_another_file(ran: Ran, tmp_path: Path) -> None:
    records, out = files_of(ran.run.path), tmp_path / "agent.gif"
    done = inside(ran.workspace.path, "watch", "first", "--seed", "1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    film = Image.open(io.BytesIO(out.read_bytes()))
    first = np.asarray(film.convert("RGB")).astype(int)
    film.seek(film.n_frames - 1)
    assert film.n_frames > 3
    assert (np.abs(np.asarray(film.convert("RGB")) - first)[:200] > 60).sum() > 100, "the pole has moved"
    assert done.stdout.splitlines()[0] == str(out)
    assert "1 episode: return " in done.stdout
    assert f"filming {ran.run.id} seed 1, checkpoint latest\n" in done.stderr
    taken = inside(ran.workspace.path, "watch", "first", "--seed", "1", "--out", str(out))
    assert (taken.returncode, taken.stdout) == (4, "")
    assert f"{out} is there already\n\nhint: another --out, or --force" in taken.stderr
    assert files_of(ran.run.path) == records, "the run is as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["agent.gif"]


@pytest.mark.slow
def test_a_second_time_gives_the_same_film_in_the_place_of_the_first(ran: Ran, tmp_path: Path) -> None:
    out = tmp_path / "agent.gif"
    words = ("watch", "first", "--out", str(out), "--json")
    told = [data(dreamerlab(ran.workspace.path, *words))]
    before = out.read_bytes()
    told.append(data(dreamerlab(ran.workspace.path, *words, "--force")))
    assert told[0] == told[1]
    assert out.read_bytes() == before
    assert (told[0]["file"], told[0]["size_bytes"], told[0]["seed"], told[0]["shown"]) == (
        str(out),
        len(before),
        0,
        "rendered",
    )


@pytest.mark.slow
def test_a_sheet_of_the_best_agent_is_named_after_it(ran: Ran, tmp_path: Path) -> None:
    words = ("watch", "first", "--format", "png", "--checkpoint", "best", "--policy", "sample", "--out", str(tmp_path))
    done = inside(ran.workspace.path, *words)
    assert done.returncode == 0, done.stderr
    sheet = tmp_path / f"{ran.run.id}-seed-0-best-sample.png"
    assert Image.open(io.BytesIO(sheet.read_bytes())).size[0] > 400


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("R9",), 4, "no run is called 'R9'"),
        (("first", "--seed", "7"), 4, "has no seed 7; it has 0-1"),
        (
            ("first", "--checkpoint", "beast"),
            2,
            "no checkpoint is called 'beast' (did you mean 'best'?)\n\nhint: there are:",
        ),
        (("first", "--checkpoint", "7"), 4, "has no checkpoint of env step 7 here\n\nhint: there are: latest, best, "),
        (("first", "--out", "agent.avi"), 2, "'agent.avi' ends in no known kind of film"),
        (("first", "--out", "agent.png", "--format", "gif"), 2, "contradict each other"),
        (("first", "--out", "nowhere/agent.gif"), 4, "there is no folder nowhere"),
        (("first", "--format", "png", "--fps", "5"), 2, "--fps says how fast a film plays"),
        (("first", "--prediction", "--format", "mp4"), 2, "not as mp4"),
        (("first", "--episodes", "0"), 2, "episodes"),
    ],
)
def test_what_cannot_be_filmed_is_said_before_anything_is_opened(
    ran: Ran, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    before = sorted(ran.workspace.path.iterdir())
    done = inside(ran.workspace.path, "watch", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert sorted(ran.workspace.path.iterdir()) == before


@pytest.mark.slow
def test_what_goes_wrong_in_the_other_process_keeps_its_kind_and_its_hint(ran: Ran, tmp_path: Path) -> None:
    done = inside(ran.workspace.path, "watch", "first", "--prediction", "--out", str(tmp_path))
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "error: this agent sees no images (CartPole-v1 gives vector)" in done.stderr
    assert "\n\nhint: leave out --prediction" in done.stderr


def test_without_the_package_that_draws_the_command_that_installs_it_is_named(ran: Ran, tmp_path: Path) -> None:
    bare = without(tmp_path / "blocked", "imageio_ffmpeg")
    done = dreamerlab(ran.workspace.path, "watch", "first", "--format", "mp4", **bare)
    assert done.returncode == 5
    assert "mp4 needs imageio-ffmpeg, not installed\n\nhint: pip install 'dreamerlab[watch]'" in done.stderr


def test_ctrl_c_leaves_no_file_and_no_process(ran: Ran, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "dreamerlab", "watch", "first", "--episodes", "100", "--out", "agent.gif"]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    where = ran.copy(tmp_path / "lab").workspace.path
    process = subprocess.Popen(command, cwd=where, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "episode 1: " not in (line := process.stderr.readline()):
        assert line, "it ended by itself"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert process.stderr.read().endswith("interrupted\n")
    process.stderr.close()
    assert not list(where.glob("*agent*"))
    assert not list(where.glob(".agent*"))
    assert not list(scratch.iterdir())
    assert not filming(where)


def filming(where: Path) -> list[str]:
    """The command lines of programs that still look at a trial below `where`."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = [
            path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if alive(path)
        ]
        found = [line for line in lines if str(where) in line and "watch.py" in line]
        if not found:
            return []
        time.sleep(0.1)
    return found


def alive(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def test_a_run_without_checkpoints_says_where_they_are(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    run = make_run(workspace, name="told")
    assert "no checkpoint here: none is written yet" in inside(workspace.path, "eval", "told").stderr
    shutil.rmtree(run.artifacts)
    for command in ("eval", "watch"):
        done = inside(workspace.path, command, "told")
        assert done.returncode == 4
        assert f"{run.id} has no checkpoint here: its artifacts were never stored" in done.stderr
    run.artifacts_dvc.touch()
    assert f"hint: dreamerlab data pull {run.id}" in inside(workspace.path, "eval", "told").stderr


def test_an_evaluation_begins_with_the_starts_of_the_trial_and_says_so(ran: Ran) -> None:
    words = ("eval", "first", "--seed", "0", "--episodes", "5", "--policy", "mode", "--checkpoint", "best", "--json")
    result = data(inside(ran.workspace.path, *words))
    (row,) = result["trials"]
    assert (row["seed"], row["episodes"], row["own_starts"], list(row["returns"])) == (0, 5, 2, ["mode"])
    evals = [json.loads(line) for line in ran.run.trial(0).evals_path.read_text().splitlines()]
    (same,) = [line for line in evals if line["env_steps"] == row["env_steps"]]
    assert row["returns"]["mode"][:2] == same["returns"]["mode"]
    assert row["intervals"]["mode"]["mean"] == pytest.approx(sum(row["returns"]["mode"]) / 5)
    assert result["reference"] == {"random": 22.47, "solved": 475.0, "fail": 0.0}
    assert result["caveats"] == [
        "best was chosen by its first 2 episodes, so their mean is too high; --fresh measures it on others"
    ]


def row_of(seed: int, mode: list[float], sample: list[float]) -> dict[str, Any]:
    returns = {"mode": mode, "sample": sample}
    return {"seed": seed, "env_steps": 1_250_000, "episodes": len(mode), "own_starts": 2, "returns": returns}


def test_a_table_tells_intervals_over_episodes_and_over_seeds_in_80_columns() -> None:
    """By hand: mean 2 of 1, 2, 3 with t(2) = 4.303 is 2 +- 2.48; of the seeds, 2 and 6, with 12.706 it is 4 +- 25.4."""
    rows = [row_of(0, [1.0, 2.0, 3.0], [5.0, 5.0, 5.0]), row_of(1, [4.0, 6.0, 8.0], [499.5, 500.0, 100.25])]
    measured = Measured("R0001-abc", "first", "latest", rows, {"random": 0.0, "solved": 8.0}, [])
    seeds, whole = to_tables(measured)
    assert seeds.rows[0] == ("0", "mode", "1,250,000", "2.00", "-0.484 to 4.48", "1.00", "3.00", "25 %")
    assert seeds.rows[1][3:6] == ("5.00", "no spread", "5.00")
    assert whole.rows[0] == ("mode", "2", "4.00", "-21.4 to 29.4", "2.00", "6.00", "50 %")
    assert max(len(line) for table in (seeds, whole) for line in table.to_text().splitlines()) <= 80
    assert headline(measured) == (
        "R0001-abc first: checkpoint latest, 3 episodes per seed and policy, 1 of them from new starts"
    )
    assert measured.to_data()["seeds"]["mode"]["n"] == 2
    assert len(to_tables(replace(measured, rows=rows[:1], reference={}))) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--checkpoint", "lattest"), 2, "no checkpoint is called 'lattest' (did you mean 'latest'?)"),
        (("--policy", "greedy"), 2, "'greedy' is not one of 'mode', 'sample', 'both'"),
    ],
)
def test_an_evaluation_that_cannot_be_made_is_refused_by_its_kind(
    ran: Ran, words: tuple[str, ...], code: int, said: str
) -> None:
    done = inside(ran.workspace.path, "eval", "first", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
