"""`compare` through the real command line: right figures, every caveat, no verdict, nothing heavy."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.runs.manifest import Budget
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.stats.welch import welch
from tests.lab.arms import CODE, MACHINE, flat, make_arm
from tests.lab.workspaces import data, inside, light_workspace

SPREAD = flat(200.0, 230.0, 260.0)
HIGHER = flat(300.0, 340.0, 320.0)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    # Hundreds of small files are written here, and none of them has to survive a power cut.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return light_workspace(tmp_path / "lab")


def compared(workspace: Workspace, *words: str) -> Any:
    return data(inside(workspace.path, "compare", *(words or ("a", "b")), "--json"))


def caveats_of(workspace: Workspace, *words: str) -> str:
    return "\n".join(compared(workspace, *words)["caveats"])


def test_the_difference_comes_with_everything_that_qualifies_it(workspace: Workspace) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER, "optimizer.lr_actor=2e-3")
    (pair,) = compared(workspace)["pairs"]
    expected = welch([200.0, 230.0, 260.0], [300.0, 340.0, 320.0])
    assert pair["welch"]["difference"] == pytest.approx(90.0)
    assert (pair["welch"]["low"], pair["welch"]["high"]) == (expected.low, expected.high)
    assert (pair["permutation"]["p"], pair["least_p"], pair["improvement"]) == (0.1, 0.1, 1.0)
    assert pair["detectable_sd"] == pytest.approx(3.07, rel=0.01)
    assert expected.pooled_sd is not None
    assert pair["detectable"] == pytest.approx(3.07 * expected.pooled_sd, rel=0.01)
    assert pair["iqm_interval"] is None, "of three seeds the interquartile mean is the mean"
    page = inside(workspace.path, "compare", "a", "b").stdout
    assert "n=3 and 3 cannot give less than 0.1: 5 % is out of reach" in page
    assert re.search(r"difference +\+90\.0", page)
    assert "2 changes" not in page


def test_from_four_seeds_on_robust_figures_appear_and_repeat(workspace: Workspace) -> None:
    make_arm(workspace, "a", flat(200.0, 230.0, 260.0, 210.0))
    make_arm(workspace, "b", flat(300.0, 340.0, 320.0, 90.0))
    (pair,) = compared(workspace)["pairs"]
    assert pair["iqm_difference"] == pytest.approx(310.0 - 220.0)
    assert pair["iqm_interval"][0] < pair["iqm_difference"] < pair["iqm_interval"][1]
    assert compared(workspace)["pairs"] == [pair]


def test_what_differs_is_shown_by_zone_with_origins(workspace: Workspace) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER, "optimizer.lr_actor=2e-3", "log.every=7", "eval.episodes=3")
    leaves = compared(workspace)["differences"]["config"]
    assert [(leaf["zone"], leaf["key"]) for leaf in leaves] == [
        ("DYNAMICS", "optimizer.lr_actor"),
        ("EVALUATION", "eval.episodes"),
        ("BOOKKEEPING", "log.every"),
    ]
    assert leaves[0]["values"][1] == "0.002"
    assert leaves[0]["origins"][0].startswith("env_configs/experiments/nano.yaml:")
    assert leaves[0]["origins"][1] == "command line: optimizer.lr_actor=2e-3"
    assert compared(workspace)["differences"]["code_and_machine"] == []


def test_time_to_a_level_is_the_first_evaluation_there_and_censoring_is_said(workspace: Workspace) -> None:
    make_arm(workspace, "a", [[22.0, 260.0, 480.0, 490.0], [22.0, 249.0, 300.0, 300.0], [22.0, 30.0, 40.0, 50.0]])
    make_arm(workspace, "b", flat(30.0, 30.0, 30.0, length=4))
    first, second = compared(workspace)["runs"]
    halfway, solved = ([seed["reached"][name] for seed in first["seeds"]] for name in ("halfway", "solved"))
    assert halfway[0] == {"env_steps": 200, "updates": 100, "wall_s": 20.0, "value": 260.0}
    assert [point and point["env_steps"] for point in halfway] == [200, 200, None]
    assert [point and point["env_steps"] for point in solved] == [300, None, None]
    assert {seed["reached"]["solved"] for seed in second["seeds"]} == {None}
    page = inside(workspace.path, "compare", "a", "b").stdout
    assert "not reached in 400" in page
    assert f"halfway (248.7), {first['run']}: 2 of 3 seeds, median 200 env steps" in page
    assert f"solved (475.0), {first['run']}: 1 of 3 seeds, median not reached" in page
    assert f"env steps per second (not decisive): {first['run']} 10.0, {second['run']} 10.0" in page


def test_where_lower_is_worse_than_random_negative_returns_are_read_rightly(workspace: Workspace) -> None:
    make_arm(workspace, "a", [[-500.0, -400.0, -95.0, -90.0]] * 2, env="acrobot")
    make_arm(workspace, "b", flat(-499.5, -499.0, length=4), env="acrobot")
    found = compared(workspace)
    assert found["runs"][0]["seeds"][0]["reached"]["solved"]["env_steps"] == 300
    assert [seed["pattern"] for seed in found["runs"][1]["seeds"]] == ["stuck", "stuck"]
    assert "BELOW RANDOM" in "\n".join(found["caveats"])


def test_courses_are_labelled_by_rule(workspace: Workspace) -> None:
    falls = [22.0, 480.0, 500.0, 500.0, 100.0, 90.0, 80.0, 85.0]
    make_arm(workspace, "a", [falls, [value + 0.5 for value in falls]])
    make_arm(workspace, "b", flat(480.0, 490.0), "optimizer.lr_actor=2e-3")
    page = inside(workspace.path, "compare", "a", "b", "--no-log").stdout
    first, second = compared(workspace)["runs"]
    row = rf"{second['run']}  lr_actor=0\.002 +1  490\.0 +100 +490\.0  490\.0 +0\.25  stable plateau"
    assert re.search(row, page), "config, peak, lowest after it, last, actor loss, pattern (M-PROT-16)"
    assert [seed["pattern"] for seed in first["seeds"]] == ["collapse without recovery"] * 2
    assert [seed["pattern"] for seed in second["seeds"]] == ["stable plateau"] * 2
    assert (first["seeds"][0]["peak"], first["seeds"][0]["peak_env_steps"]) == (500.0, 300)
    assert (first["seeds"][0]["lowest_after_peak"], first["seeds"][0]["last"]) == (80.0, 85.0)
    assert first["seeds"][0]["actor_loss"] == 0.25


def other_torch() -> dict[str, Any]:
    return {**MACHINE, "packages": {**MACHINE["packages"], "torch": "2.13.0"}, "cpu": "Xeon"}


def drawn_by(pygame: str | None) -> dict[str, Any]:
    return {**MACHINE, "packages": {**MACHINE["packages"], "pygame": pygame}}


# What is unlike (arguments of the second run), and the pieces of the caveat that must say it (M-TOOL-05).
CAVEATS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "family": ({"overrides": ["model.deter=32"]}, ("different families", "cartpole/")),
    "budget": ({"budget": Budget("env_steps", 2000)}, ("unequal budget", "1,000 env steps", "2,000 env steps")),
    "unit of the budget": ({"overrides": ["budget.unit=updates"]}, ("unequal budget", "1,000 updates")),
    "evaluation": ({"overrides": ["eval.episodes=3"]}, ("different evaluation: eval.episodes",)),
    "reducer": ({"score": "final_mean(5) of eval/return_mode"}, ("different evaluation: score",)),
    "several changes": (
        {"overrides": ["optimizer.lr_actor=1e-5", "train.train_ratio=64"], "code": replace(CODE, identity="ef" * 32)},
        ("3 changes at once (optimizer.lr_actor, train.train_ratio, the code)",),
    ),
    "no change": ({}, ("the same configuration and code", "seeds 0-2 repeat those")),
    "missing seed": (
        {"curves": [*HIGHER[:2], [300.0]]},
        ("computed without seed 2", "fail score is 0.00", "seed 2 has no score: 1 of the 3 evaluations"),
    ),
    "single seed": ({"curves": HIGHER[:1]}, ("n=1: fewer than 3 seeds",)),
    "two seeds": ({"curves": HIGHER[:2]}, ("n=2: fewer than 3 seeds",)),
    "pilot": ({"kind": "pilot"}, ("pilot: one seed on a tenth of the budget",)),
    "unfinished": ({"unfinished": {1: "interrupted"}}, ("not finished (2 finished, 1 interrupted)", "so far")),
    "failed": ({"unfinished": {0: "failed"}}, ("seed 0 is failed",)),
    "dirty": ({"code": replace(CODE, dirty=True)}, ("the code differed from its commit",)),
    "no commit": ({"code": replace(CODE, commit=None)}, ("no commit is known",)),
    "machine": (
        {"environment": other_torch()},
        ("different cpu, torch: the same seed need not", "different cpu: not comparable"),
    ),
    "threads": ({"threads": 4}, ("different threads: the same seed", "taken under different threads")),
    "below random": ({"curves": flat(9.0, 10.0, 40.0)}, ("BELOW RANDOM play (22.5) in seeds 0-1",)),
    "one below random": ({"curves": flat(9.0, 100.0, 40.0)}, ("BELOW RANDOM play (22.5) in seed 0",)),
    "ceiling": ({"curves": flat(500.0, 500.0, 499.0)}, ("3 of 6 seeds solve the task (475.0), 2 of them at exactly",)),
    "other trainers": ({"environment": {**MACHINE, "other_trainers": 3}}, ("different other trainers at the start",)),
}


@pytest.mark.parametrize("name", CAVEATS)
def test_what_is_unlike_is_a_caveat(name: str, workspace: Workspace) -> None:
    """DIS-23, DIS-24 and the like are said, and figures shown all the same (M-TOOL-05)."""
    changes, pieces = CAVEATS[name]
    make_arm(workspace, "a", SPREAD)
    rest = {key: value for key, value in changes.items() if key not in ("curves", "overrides")}
    make_arm(workspace, "b", changes.get("curves", HIGHER), *changes.get("overrides", ()), **rest)
    found = compared(workspace)
    said = "\n".join(found["caveats"])
    assert [piece for piece in pieces if piece not in said] == [], said
    assert [pair["withheld"] for pair in found["pairs"]] == [None]


def test_runs_without_a_flaw_have_no_caveat(workspace: Workspace) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER, "optimizer.lr_actor=2e-3")
    assert caveats_of(workspace) == ""
    assert inside(workspace.path, "compare", "a", "b").stdout.endswith("Caveats\nnone known\n")


def test_what_draws_the_pictures_is_part_of_the_machine_where_it_was_recorded(workspace: Workspace) -> None:
    """Runs from before it was recorded go on being compared, and nothing is said that is not known."""
    for name, curves, machine in (("a", SPREAD, "2.5.2"), ("b", HIGHER, "2.6.1"), ("none", HIGHER, None)):
        make_arm(workspace, name, curves, environment=drawn_by(machine))
    make_arm(workspace, "old", HIGHER)
    assert "different pygame: the same seed need not give the same training" in caveats_of(workspace)
    for one, other, differs in (("a", "none", True), ("a", "old", False), ("old", "a", False), ("old", "none", False)):
        done = inside(workspace.path, "compare", one, other)
        assert done.returncode == 0, done.stderr
        assert ("software: pygame" in done.stdout) == differs, (one, other)


def test_a_change_that_does_nothing_is_named_and_not_counted(workspace: Workspace) -> None:
    off = "optimizer.agc=0"
    make_arm(workspace, "a", SPREAD, off)
    make_arm(workspace, "b", HIGHER, off, "optimizer.agc_min_norm=0.5", "optimizer.lr_actor=2e-3")
    said = caveats_of(workspace)
    assert "differs and does nothing in either run: optimizer.agc_min_norm" in said
    assert "changes at once" not in said
    assert "optimizer.agc_min_norm (inert)" in inside(workspace.path, "compare", "a", "b").stdout


def test_three_runs_are_set_against_the_first(workspace: Workspace) -> None:
    first = make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER, "optimizer.lr_actor=2e-3")
    third = make_arm(workspace, "c", HIGHER, "optimizer.lr_actor=2e-3", "train.train_ratio=64")
    found = compared(workspace, "a", "b", "c")
    assert [(pair["first"], pair["other"][:5]) for pair in found["pairs"]] == [(first.id, "R0002"), (first.id, "R0003")]
    (changes,) = [line for line in found["caveats"] if "changes at once" in line]
    assert changes.startswith(f"{third.id}: 2 changes at once")
    assert "by luck alone one in twenty" in inside(workspace.path, "compare", "a", "b", "c").stdout


def test_other_quantities_are_shown_and_not_subtracted(workspace: Workspace) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", flat(-100.0, -90.0, -80.0), env="acrobot")
    make_arm(workspace, "c", HIGHER, score="final_mean(3) of eval/return_sample")
    make_arm(workspace, "d", [[], [], []], unfinished=dict.fromkeys(range(3), "interrupted"))
    found = compared(workspace, "a", "b", "c", "d")
    reasons = [pair["withheld"] for pair in found["pairs"]]
    assert reasons[0].startswith("another task (Acrobot-v1, not CartPole-v1)")
    assert reasons[1].startswith("scored by eval/return_sample, not by eval/return_mode")
    assert reasons[2].endswith("has no score yet")
    assert {pair["welch"] for pair in found["pairs"]} == {None}
    said = "\n".join(found["caveats"])
    assert "different tasks" in said
    assert "not finished (interrupted); no seed has a score yet" in said
    page = inside(workspace.path, "compare", "a", "b", "c", "d").stdout
    assert page.count("no difference is computed") == 3


@pytest.mark.parametrize("level", [500.0, 100.0])
def test_without_any_spread_there_is_no_interval(workspace: Workspace, level: float) -> None:
    make_arm(workspace, "a", flat(500.0, 500.0, 500.0))
    make_arm(workspace, "b", flat(level, level, level))
    (pair,) = compared(workspace)["pairs"]
    assert (pair["welch"]["difference"], pair["welch"]["low"], pair["detectable"]) == (level - 500.0, None, None)
    assert "none: no spread in either run" in inside(workspace.path, "compare", "a", "b").stdout


def test_a_seed_that_diverged_takes_the_fail_score_and_is_never_left_out(workspace: Workspace) -> None:
    nan = float("nan")
    make_arm(workspace, "a", SPREAD)
    run = make_arm(workspace, "b", [*HIGHER[:2], [300.0, nan, nan, nan]], "optimizer.lr_actor=2e-3")
    found = compared(workspace)
    assert [seed["score"] for seed in found["runs"][1]["seeds"]] == [300.0, 340.0, 0.0]
    assert found["pairs"][0]["welch"]["num_b"] == 3
    assert "seed 2 takes the fail score 0.00: eval/return_mode is not finite" in "\n".join(found["caveats"])
    assert "2: 0.00!" in inside(workspace.path, "compare", "a", "b").stdout
    trial = run.trial(0)
    write_status(trial, replace(read_status(trial), state="failed", diverged=True, reason="a loss is not finite"))
    scores = compared(workspace)["runs"][1]["seeds"]
    assert (scores[0]["score"], scores[0]["failed"]) == (0.0, "diverged at env step 1,000")


def test_no_verdict_is_put_into_words(workspace: Workspace) -> None:
    make_arm(workspace, "a", flat(20.0, 21.0, 22.0, 20.5))
    make_arm(workspace, "b", flat(400.0, 401.0, 402.0, 400.5), "optimizer.lr_actor=2e-3")
    judging = re.compile(
        r"\b(significan\w*|better|worse|best|wins?|winner|loses?|loser|beats?|superior|supported|refuted|inconclusive"
        r"|confirm\w*|proves?|proven|verdict)\b",
        re.IGNORECASE,
    )
    for words in ((), ("--md",), ("--csv",), ("--json",)):
        assert judging.findall(inside(workspace.path, "compare", "a", "b", *words).stdout) == []


def test_the_same_records_give_the_same_bytes(workspace: Workspace) -> None:
    make_arm(workspace, "a", flat(200.0, 230.0, 260.0, 210.0))
    make_arm(workspace, "b", flat(300.0, 340.0, 320.0, 90.0))
    for words in (("--md",), ("--json",)):
        pages = [inside(workspace.path, "compare", "a", "b", *words).stdout for _ in range(2)]
        assert pages[0] == pages[1]


def test_csv_has_one_row_a_seed(workspace: Workspace) -> None:
    make_arm(workspace, "first", SPREAD)
    make_arm(workspace, "b", [[300.0, 480.0, 480.0], [300.0, 300.0, 300.0], [9.0]])
    rows = list(csv.DictReader(io.StringIO(inside(workspace.path, "compare", "R1", "R2", "--csv").stdout)))
    assert [(row["name"], row["seed"]) for row in rows] == [
        *(("first", str(seed)) for seed in range(3)),
        *(("b", str(seed)) for seed in range(3)),
    ]
    assert [row["score"] for row in rows[3:]] == ["420.0", "300.0", ""]
    assert [row["solved_env_steps"] for row in rows[3:]] == ["200", "", ""]
    assert rows[0]["replayed_steps"] == str(500 * 32 * 8)


# Words after `compare`, exit code, piece of the message.
REFUSED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "itself": (("a", "a"), 2, "a run cannot be compared with itself: 'a' and 'a' both are R0001-"),
    "itself by another name": (("a", "b", "R1"), 2, "'a' and 'R1' both are R0001-"),
    "one run": (("a",), 2, "a comparison needs two runs or more, and only 'a' is named"),
    "unknown": (("a", "R9"), 4, "no run is called 'R9'"),
    "a path": (("a", "../b"), 2, "is not an id"),
    "two formats": (("a", "b", "--md", "--csv"), 2, "--md, --csv and --json exclude each other"),
    "unknown picture": (("a", "b", "--plot", "x.pgn"), 2, "cannot draw into 'x.pgn' (did you mean '.png'?)"),
    "unknown kind": (("a", "b", "--plot", "x.png", "--plot-kind", "profil"), 2, "(did you mean 'profile'?)"),
    "unknown clock": (("a", "b", "--plot", "x.png", "--x", "update"), 2, "(did you mean 'updates'?)"),
    "a kind of nothing": (("a", "b", "--plot-kind", "profile"), 2, "says how to draw, and nothing is drawn"),
    "a clock of scores": (
        ("a", "b", "--plot", "x.png", "--plot-kind", "profile", "--x", "updates"),
        2,
        "leave out --x",
    ),
    "a lag of nothing": (("a", "b", "--plot", "x.png", "--plot-kind", "lag"), 2, "add --lag"),
    "two kinds": (("a", "b", "--lag", "wm/loss", "--plot", "x.png", "--plot-kind", "curves"), 2, "--lag draws lags"),
    "unknown metric": (("a", "--lag", "behaviour/entropy"), 2, "no metric is called 'behaviour/entropy'"),
    "a metric that was not logged": (("a", "--lag", "wm/loss"), 4, "'wm/loss' was not logged by R0001-"),
    "the score itself": (("a", "b", "--lag", "eval/return"), 2, "'eval/return' is what the runs are scored by"),
    "no run": ((), 2, "missing argument"),
}


def test_another_kind_of_picture_can_be_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER)
    words = ("compare", "a", "b", "--plot", str(tmp_path / "x.svg"), "--plot-kind", "profile", "--csv")
    done = inside(workspace.path, *words)
    assert done.returncode == 0, done.stderr
    assert "share of seeds with score above tau" in (tmp_path / "x.svg").read_text()


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_answered(name: str, workspace: Workspace) -> None:
    words, code, message = REFUSED[name]
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER)
    done = inside(workspace.path, "compare", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_its_config_is_not_compared(workspace: Workspace) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER).config_path.unlink()
    done = inside(workspace.path, "compare", "a", "b")
    assert done.returncode == 4
    assert "there is no recorded config" in done.stderr


def test_a_torn_line_is_said_and_costs_nothing_else(workspace: Workspace) -> None:
    make_arm(workspace, "a", SPREAD)
    path = make_arm(workspace, "b", HIGHER, "optimizer.lr_actor=2e-3").trial(0).evals_path
    path.write_bytes(path.read_bytes() + b'{"env_steps": 99')
    append_line(path, {"env_steps": 1100, "updates": 550, "wall_s": 110.0, "attempt": 1, "values": {}})
    found = compared(workspace)
    assert "torn line" in "\n".join(found["caveats"])
    assert found["pairs"][0]["welch"]["difference"] == pytest.approx(90.0)


def test_the_picture_shows_all_runs(workspace: Workspace, tmp_path: Path) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER, unfinished={0: "interrupted"})
    done = inside(workspace.path, "compare", "a", "b", "--plot", str(tmp_path / "curves.svg"), "--csv")
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "curves.svg").read_text()
    assert "<svg" in drawn
    assert f"drew {tmp_path / 'curves.svg'}" in done.stderr


def test_comparing_imports_nothing_heavy(workspace: Workspace) -> None:
    make_arm(workspace, "a", SPREAD)
    make_arm(workspace, "b", HIGHER)
    traced = [sys.executable, "-X", "importtime", "-m", "dreamerlab", "compare", "a", "b", "--json"]
    done = subprocess.run(traced, capture_output=True, text=True, check=True, cwd=workspace.path)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported, "the trace does not show what was imported"
    assert not imported & {"numpy", "scipy", "pandas", "matplotlib", "torch", "gymnasium", "dvc", "mlflow"}
    assert json.loads(done.stdout)["pairs"]
