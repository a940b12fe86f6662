"""Sentences that cannot be read, or could never be tested: each is answered, with what was meant, and nothing is kept.

Two metrics (M-PROT-02) and tables of several changes (M-ADD-05) are among them.
Most of a command's time is Python starting, so the cases share this process; a few are repeated in one of their own.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab.workspaces import dreamerlab, inside, light_workspace

TO_RISE = "-> expect eval/return to rise by 20%"
CHANGE = "change lr_actor=3e-4 -> expect"
NANO = ("--env", "cartpole", "--experiment", "nano")
# name: sentence, exit code, pieces of the message, pieces of the hint
SENTENCES: dict[str, tuple[str, int, tuple[str, ...], str]] = {
    "no arrow": (
        "change lr_actor=3e-4",
        2,
        ("does not say what is expected", "in quotes", "change lr_actor=3e-4"),
        "->",
    ),
    "the shell took the arrow": (
        "change lr_actor=3e-4 - eval/return to rise by 20%",
        2,
        ("without quotes the shell takes '> expect'", "a file called 'expect'"),
        '"change lr_actor=3e-4 -> expect eval/return to rise by 20%"',
    ),
    "no arrow before expect": (
        "change lr_actor=3e-4 expect eval/return to rise by 20%",
        2,
        ("no arrow before 'expect'", "without quotes"),
        "3e-4 -> expect",
    ),
    "half an arrow before expect": (
        "change lr_actor=3e-4 > expect eval/return to rise by 20%",
        2,
        ("no arrow before 'expect'",),
        'dreamerlab propose "change lr_actor=3e-4 -> expect eval/return to rise by 20%"',
    ),
    "no expect": ("change lr_actor=3e-4 -> eval/return to rise by 20%", 2, ("'expect' is missing",), "-> expect eval"),
    "two expectations": (
        f"change lr_actor=3e-4 {TO_RISE} -> expect wm/loss <= 1",
        2,
        ("more than one thing",),
        TO_RISE,
    ),
    "two metrics": (
        f"{CHANGE} eval/return to rise by 20% and wm/loss to fall by 1",
        2,
        ("more than one thing", "and wm/loss to fall by 1"),
        "to rise by 20%",
    ),
    "empty": ("   ", 2, ("it is empty", "CHANGE is: change KEY=VALUE"), "dreamerlab propose"),
    "too long": (f"code: {'very ' * 300}long {TO_RISE}", 2, ("longer than 1000 characters",), ""),
    "drives the terminal": (f"code: \x1b[31m {TO_RISE}", 2, ("cannot be printed", "\\x1b"), ""),
    "nothing before the arrow": (f"change {TO_RISE}", 2, ("nothing stands before the arrow",), "nothing -> expect"),
    "rise to a level": (f"{CHANGE} eval/return to rise to 450", 2, ("names a level", ">= N"), "eval/return >= 450"),
    "fall below a level": (f"{CHANGE} wm/loss to fall below 2", 2, ("names a level",), "wm/loss <= 2"),
    "no amount": (f"{CHANGE} eval/return to rise", 2, ("by how much",), "to rise by 20%"),
    "amount without by": (f"{CHANGE} eval/return to rise 20%", 2, ("by how much",), "to rise by 20%"),
    "negative amount": (f"{CHANGE} eval/return to rise by -20", 2, ("is a fall",), "to fall by 20"),
    "zero amount": (f"{CHANGE} eval/return to rise by 0", 2, ("above 0",), "to rise by 20"),
    "amount in words": (f"{CHANGE} eval/return to rise by a lot", 2, ("'a lot' is no number",), ""),
    "decimal comma": (f"{CHANGE} eval/return to rise by 2,5%", 2, ("comma",), "by 2.5%"),
    "unit after the amount": (f"{CHANGE} eval/return to rise by 20 points", 2, ("'points'",), "to rise by 20"),
    "not finite": (f"{CHANGE} eval/return >= inf", 2, ("'inf' is no number",), ">= 20"),
    "a level in percent": (f"{CHANGE} eval/return >= 90%", 2, ("plain number",), ">= 90"),
    "strictly greater": (f"{CHANGE} eval/return > 450", 2, (">=",), "eval/return >= 450"),
    "equals": (f"{CHANGE} eval/return = 500", 2, ("never equals",), "eval/return >= 500"),
    "improve": (f"{CHANGE} wm/loss to improve by 20%", 2, ("'improve' is not one of the words",), "wm/loss to fall by"),
    "vague": (f"{CHANGE} eval/return to be stable", 2, ("what eval/return will do",), "eval/return to rise by"),
    "only a metric": (f"{CHANGE} eval/return", 2, ("what eval/return will do",), "to rise by 20%"),
    "bare steps": (f"{CHANGE} eval/return reaches 400 by 3k steps", 2, ("bare 'step'",), "by 3k env_steps"),
    "no unit": (f"{CHANGE} eval/return reaches 400 by 3k", 2, ("bare 'step'",), "by 3k env_steps"),
    "reached in updates": (f"{CHANGE} eval/return reaches 400 by 3k updates", 2, ("not in updates",), "env_steps"),
    "reached some time": (f"{CHANGE} eval/return reaches 400", 2, ("by when", ">= N"), "by 30k env_steps"),
    "reached after the end": (
        f"{CHANGE} eval/return reaches 400 by 30k env_steps",
        2,
        ("never seen", "4000"),
        "--set budget.amount=30000",
    ),
    "unknown metric": (
        f"{CHANGE} eval/retrun to rise by 20%",
        2,
        ("did you mean 'eval/return'",),
        "eval/return to rise",
    ),
    "a metric of another tool": (f"{CHANGE} accuracy to rise by 20%", 2, ("no metric is called 'accuracy'",), ""),
    "unknown key": (
        f"change lr_acto=3e-4 {TO_RISE}",
        2,
        ("no such key", "optimizer.lr_actor"),
        "optimizer.lr_actor=3e-4",
    ),
    "nonsense key": (f"change a=3e-4 {TO_RISE}", 2, ("no such key", "not understood:  a"), ""),
    "ambiguous key": (f"change every=200 {TO_RISE}", 2, ("may be any of", "eval.every", "log.every"), "every=200"),
    "a group of keys": (f"change optimizer=adam {TO_RISE}", 2, ("group of keys", "lr_actor, lr_critic"), ""),
    "value of the wrong type": (f"change lr_actor=fast {TO_RISE}", 2, ("the text 'fast'", "number > 0"), "explain"),
    "value out of range": (f"change lr_actor=7 {TO_RISE}", 2, ("got 7", "<= 1"), "config explain optimizer.lr_actor"),
    "relative value": (f"change lr_actor=x2 {TO_RISE}", 2, ("'x2'",), "explain"),
    "no value": (f"change lr_actor {TO_RISE}", 2, ("what lr_actor becomes",), "lr_actor=VALUE"),
    "no verb for values": (f"increase lr_actor {TO_RISE}", 2, ("does not say the value",), "lr_actor=VALUE"),
    "prose": (f"make the agent better {TO_RISE}", 2, ("this is no change", "make the agent better"), ""),
    "code without colon": (f"code clip free bits {TO_RISE}", 2, ("'code: WHAT'",), "code: clip free bits"),
    "code without words": (f"code: {TO_RISE}", 2, ("'code: WHAT'",), ""),
    "code and config": (f"change lr_actor=1 and code: clip {TO_RISE}", 2, ("stands alone", "change lr_actor=1"), ""),
    "points of a return": (f"{CHANGE} eval/return to rise by 5 pp", 2, ("belong to rates", "return"), "by 5%"),
    "span of a loss": (f"{CHANGE} wm/loss to fall by 20% of span", 2, ("span is that of the return",), "plain amount"),
    "within percent of nothing": (
        f"{CHANGE} eval/return stays within 5%",
        2,
        ("needs a measured baseline",),
        "of span",
    ),
    "nothing rises": (f"nothing {TO_RISE}", 2, ("only one arm",), ">= N"),
    "two changes": (
        f"change lr_actor=3e-4 and lr_critic=3e-4 {TO_RISE}",
        3,
        ("2 changes at once", "lr_actor, lr_critic", "none can be told"),
        "--reason",
    ),
    "four changes": (f"change a=1, b=2, c=3 and d=4 {TO_RISE}", 3, ("4 changes at once",), "--reason"),
    "no change": (f"change lr_actor=1e-4 {TO_RISE}", 3, ("nothing would change", "nano.yaml:24"), "explain"),
    "wrong start": (
        f"change lr_actor from 2e-4 to 3e-4 {TO_RISE}",
        3,
        ("the baseline has 0.0001", "nano.yaml:24"),
        "from",
    ),
    "budget": (f"change budget.amount=100 {TO_RISE}", 3, ("BUDGET", "cannot be compared"), "--set budget.amount=100"),
    "evaluation": (f"change eval.episodes=2 {TO_RISE}", 3, ("EVALUATION",), "--set eval.episodes=2"),
    "bookkeeping": (f"change log.every=7 {TO_RISE}", 3, ("never a result",), "--set log.every=7"),
}
# name: words after `propose`, exit code, pieces of the message, pieces of the hint
WORDS: dict[str, tuple[tuple[str, ...], int, tuple[str, ...], str]] = {
    "nothing said": ((), 2, ("nothing to propose",), "change optimizer.lr_actor=3e-4"),
    "no environment": (
        (f"change lr_actor=3e-4 {TO_RISE}",),
        2,
        ("no environment is named",),
        f'"change lr_actor=3e-4 {TO_RISE}" --env cartpole',
    ),
    "unknown environment": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--env", "cartpol"),
        4,
        ("did you mean 'cartpole'",),
        "",
    ),
    "said twice": ((f"change lr_actor=3e-4 {TO_RISE}", "--rise", "20%", *NANO), 2, ("said twice",), "leave it out"),
    "two forms": (("--change", "lr_actor=3e-4", "--rise", "1", "--fall", "1", *NANO), 2, ("--rise and --fall",), "one"),
    "two subjects": (("--change", "lr_actor=3e-4", "--nothing", "--rise", "1", *NANO), 2, ("exclude each other",), ""),
    "flags expect nothing": (("--change", "lr_actor=3e-4", *NANO), 2, ("what is expected",), "--rise"),
    "flags change nothing": (("--rise", "20%", *NANO), 2, ("what is changed",), "--nothing"),
    "by without reaches": (("--nothing", "--at-least", "3", "--by", "3k", *NANO), 2, ("--by goes with",), "--reaches"),
    "bundle by flags": (
        ("--change", "lr_actor=3e-4", "--change", "lr_critic=3e-4", "--rise", "1", *NANO),
        3,
        ("2 ",),
        "",
    ),
    "the same key twice": (
        (f"change lr_actor=1 and optimizer.lr_actor=0.5 {TO_RISE}", "--reason", "both", *NANO),
        2,
        ("changed twice",),
        "propose",
    ),
    "percent where returns are negative": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--env", "acrobot", "--experiment", "nano"),
        3,
        ("not above 0",),
        "20% of span",
    ),
    "inert leaf": (
        (f"change slow_rate=0.5 {TO_RISE}", "--set", "slow_regularizer=0", *NANO),
        3,
        ("does nothing here", "behavior.slow_regularizer > 0"),
        "explain",
    ),
    "bad seeds": ((f"change lr_actor=3e-4 {TO_RISE}", "--seeds", "3,3", *NANO), 2, ("more than once",), "--seeds"),
    "bad reducer": ((f"change lr_actor=3e-4 {TO_RISE}", "--reducer", "max", *NANO), 2, ("'max",), "final_mean(K)"),
    "too few evaluations": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--reducer", "final_mean(20)", *NANO),
        2,
        ("needs 20 evaluations", "make 8"),
        "final_mean(8)",
    ),
    "looks beyond the seeds": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--seeds", "5", "--looks", "3,7", *NANO),
        2,
        ("end at 7", "5 seeds"),
        "--looks 3,5",
    ),
    "a look at two seeds": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--seeds", "5", "--looks", "2,5", *NANO),
        2,
        ("at least 3",),
        "--looks 3,5",
    ),
    "looks in words": ((f"change lr_actor=3e-4 {TO_RISE}", "--looks", "often", *NANO), 2, ("no looks",), "ascending"),
    "no kill rule": ((f"change lr_actor=3e-4 {TO_RISE}", "--kill", "if bad", *NANO), 2, ("no rule",), "< 30 at 5000"),
    "a kill rule too late": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--kill", "eval/return < 30 at 5k env_steps", *NANO),
        2,
        ("never acts", "4000"),
        "at 2000 env_steps",
    ),
    "a kill rule on no metric": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--kill", "eval/retrun < 30 at 1k env_steps", *NANO),
        4,
        ("did you mean 'eval/return'",),
        "metrics.md",
    ),
    "bytes that are no text": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--why", "\udcff", *NANO),
        2,
        ("not UTF-8",),
        "--why",
    ),
    "no fail score": ((f"change lr_actor=3e-4 {TO_RISE}", "--fail-score", "low", *NANO), 2, ("no number",), ""),
    "a fail score of the best": (
        (f"change lr_actor=3e-4 {TO_RISE}", "--fail-score", "400", *NANO),
        3,
        ("--fail-score 400", "better than random play (22.47)"),
        "--fail-score 0",
    ),
    "a seed that never got there as the fastest": (
        (
            "change lr_actor=3e-4 -> expect eval/return to fall by 100",
            "--reducer",
            "env_steps_to(400)",
            "--fail-score",
            "0",
            *NANO,
        ),
        3,
        ("--fail-score 0", "sooner than the budget"),
        "leave --fail-score out",
    ),
    "few baseline seeds": ((f"change lr_actor=3e-4 {TO_RISE}", "--baseline-seeds", "2", *NANO), 3, ("verdict",), ""),
    "no budget": ((f"change lr_actor=3e-4 {TO_RISE}", "--budget", "long", *NANO), 2, ("no whole number",), "30k"),
    "a name like an id": ((f"change lr_actor=3e-4 {TO_RISE}", "--name", "H7", *NANO), 2, ("taken for an id",), ""),
    "follows nothing": ((f"change lr_actor=3e-4 {TO_RISE}", "--follows", "H7", *NANO), 4, ("'H7'",), "list"),
    "repeats nothing": (("--replicates", "H8"), 4, ("'H8'",), "list"),
    "unknown baseline": ((f"change lr_actor=3e-4 {TO_RISE}", "--baseline", "R7", *NANO), 4, ("'R7'",), "list"),
    "a baseline of a baseline": (("nothing", "--baseline", "R7", *NANO), 2, ("compared with nothing",), "leave"),
}
CASES = {**{name: ((said, *NANO), *rest) for name, (said, *rest) in SENTENCES.items()}, **WORDS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return light_workspace(tmp_path_factory.mktemp("lab")).path


@pytest.fixture(scope="module")
def answers() -> dict[str, subprocess.CompletedProcess[str]]:
    return {}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_answered_and_nothing_is_kept(
    name: str, folder: Path, answers: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    words, code, pieces, hint = CASES[name]
    done = answers[name] = inside(folder, "propose", *words)
    assert done.returncode == code, done.stderr
    message, _, hinted = done.stderr.partition("\n\nhint: ")
    assert message.startswith("error: ")
    assert not [piece for piece in pieces if piece not in message], message
    assert hint in hinted, done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert not (folder / "protocol" / "registry").exists()
    assert not list(folder.rglob("bug-*")), done.stderr


def test_no_two_kinds_of_mistake_get_the_same_answer(
    folder: Path, answers: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    said: dict[str, list[str]] = {}
    for name, (words, *_) in CASES.items():
        done = answers.get(name) or inside(folder, "propose", *words)
        said.setdefault(done.stderr, []).append(name)
    assert [names for names in said.values() if len(names) > 1] == [["two changes", "bundle by flags"]]


@pytest.mark.parametrize("name", ["no arrow", "rise to a level", "two changes", "unknown key"])
def test_a_process_answers_the_same(name: str, folder: Path) -> None:
    words = ("propose", *CASES[name][0])
    here, there = inside(folder, *words), dreamerlab(folder, *words)
    assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr)


def test_what_cannot_be_read_shows_the_grammar_beside_what_was_understood(folder: Path) -> None:
    done = inside(folder, "propose", f"{CHANGE} eval/return to rise to 450", *NANO)
    assert done.stderr.splitlines() == [
        "error: the sentence cannot be read: 'rise to 450' names a level, not a difference; a level is written >= N",
        "  understood:      change lr_actor=3e-4; metric eval/return",
        "  not understood:  to rise to 450",
        "it goes like this:",
        "  CHANGE -> expect METRIC to rise by N      or: to fall by N; N is 20, 20%, 20% of span, or 5 pp (of a rate)",
        "  CHANGE -> expect METRIC >= N              or: <= N",
        "  CHANGE -> expect METRIC stays within N",
        "  CHANGE -> expect METRIC reaches N by K env_steps",
        "  CHANGE is: change KEY=VALUE | change KEY to VALUE | change KEY from A to B | code: WHAT | nothing",
        "",
        'hint: dreamerlab propose "change lr_actor=3e-4 -> expect eval/return >= 450"',
    ]


def test_an_arrow_that_the_shell_takes_is_noticed(folder: Path) -> None:
    done = inside(folder, "propose", "change", "lr_actor=3e-4", "-", "eval/return", "to", "rise", "by", "20%", *NANO)
    assert done.returncode == 2
    assert "without quotes the shell takes '> expect' for itself" in done.stderr
