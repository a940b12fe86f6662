"""`log`: pages in step with the records, whatever happened in between and whoever else is at work."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.lab.log import render_log, write_log
from dreamerlab.lab.publish import publish
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import data, dreamerlab, git, inside, light_workspace, without
from tests.report.notebooks import RISE, Notebook, a_run, leaf, rising


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without git: a baseline, a judged hypothesis, one in the queue, and notes."""
    workspace = light_workspace(tmp_path_factory.mktemp("written") / "lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # hundreds of tiny files that need not survive a crash
        _write(Notebook(workspace))
    return workspace.path


def _write(book: Notebook) -> None:
    workspace = book.workspace
    base = a_run(workspace, "base", rising(200, seeds=3, seed=1))
    run = a_run(workspace, "run", rising(300, seeds=3, seed=2))
    measured = book.propose("nothing", None, kind="baseline", changes=(), seeds=(0, 1, 2))
    book.launch(measured, base)
    book.finish(measured, base)
    book.judge(measured, base)
    judged = book.propose("change optimizer.lr_actor=1e-4 -> expect eval/return to rise by 50", seeds=(0, 1, 2))
    book.launch(judged, run, base)
    book.finish(judged, run)
    book.judge(judged, run, base)
    book.propose("change model.units=9 -> expect eval/return to rise by 50", queued=True, **leaf("model.units", 8, 9))
    book.note("conclusion", f"It rose by {{{judged} difference}}.", judged)
    book.note("observation", f"The reference scores {{{base.id} score}}.", base.id)
    write_log(workspace)


@pytest.fixture
def lab(written: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(written, tmp_path / "lab")
    return Workspace(tmp_path / "lab")


def on_disk(workspace: Workspace) -> dict[str, str]:
    protocol = workspace.protocol
    paths = [*protocol.glob("LOG*.md"), *(protocol / "hypotheses").iterdir()]
    return {path.relative_to(protocol).as_posix(): path.read_text() for path in paths}


def ids(workspace: Workspace, letter: str) -> list[str]:
    return [str(one) for one in Notebook(workspace).registry.ids(letter)]


def test_pages_are_rendered_once_and_then_left_alone(lab: Workspace) -> None:
    assert on_disk(lab) == render_log(lab)
    write_log(lab)  # the copied files are new ones to the cache
    before = {path: path.stat().st_mtime_ns for path in lab.protocol.rglob("*")}
    assert write_log(lab) == []
    assert before == {path: path.stat().st_mtime_ns for path in lab.protocol.rglob("*")}


def test_after_every_event_the_pages_are_those_of_a_rendering_from_nothing(lab: Workspace) -> None:
    """The cache never shows: incremental and whole renderings agree byte for byte. DIS-13: nothing else is in them."""
    book, (_, judged, queued) = Notebook(lab), ids(lab, "H")
    write_log(lab)
    steps = [
        lambda: book.note("caution", "Not shown.", judged, status="cautioned"),
        lambda: book.add(queued, "opened"),
        lambda: book.add(queued, "withdrawn", why="no time"),
        lambda: book.propose("change model.units=10 -> expect eval/return to rise by 50", RISE, follows=judged),
        lambda: book.add(judged, "adopted", family="cartpole/3f2a", run="R0002-abc", why="it leads"),
        lambda: book.correct(ids(lab, "E")[0], "conclusion", "It rose by a lot.", judged),
        lambda: (lab.runs / "R0099-abc").mkdir(),
    ]
    for step in steps:
        step()
        changed = write_log(lab)
        assert lab.protocol / "LOG.md" in changed
        assert on_disk(lab) == render_log(lab)


def test_one_note_renders_the_page_it_is_about_and_the_log_alone(lab: Workspace) -> None:
    write_log(lab)
    judged = ids(lab, "H")[1]
    Notebook(lab).note("observation", "Seen.", judged)
    assert write_log(lab) == [lab.protocol / "LOG.md", lab.protocol / f"hypotheses/{judged}.md"]


def test_a_new_figure_of_a_run_reaches_page_note_and_log(lab: Workspace) -> None:
    """DIS-12: nowhere does a run keep two figures of one thing."""
    write_log(lab)
    summary = next(lab.runs.glob("R0001-*/seed-1/summary.json"))
    summary.write_text(re.sub('"wall_s": [0-9.]+', '"wall_s": 999', summary.read_text()))
    assert len(write_log(lab)) >= 2
    evals = next(lab.runs.glob("R0001-*/seed-1/evals.jsonl"))
    evals.write_text(evals.read_text().replace('return_mode": 2', 'return_mode": 3'))
    cited = (lab.protocol / "LOG.md").read_text()
    write_log(lab)
    assert (lab.protocol / "LOG.md").read_text() != cited
    assert on_disk(lab) == render_log(lab)


def test_hand_edits_and_lost_files_are_put_right(lab: Workspace) -> None:
    wanted = render_log(lab)
    (lab.protocol / "LOG.md").write_text("mine\n")
    page, figure = sorted((lab.protocol / "hypotheses").iterdir())[:2]
    page.unlink()
    figure.write_text("<svg/>")
    done = data(inside(lab.path, "log", "--json", "--no-commit"))
    assert sorted(done["changed"]) == ["protocol/LOG.md", *(f"protocol/hypotheses/{p.name}" for p in (page, figure))]
    assert on_disk(lab) == wanted


def test_a_lost_or_damaged_cache_costs_nothing_but_time(lab: Workspace) -> None:
    (lab.cache / "log.json").write_text('{"version": "')
    assert write_log(lab) == []
    shutil.rmtree(lab.cache)
    assert write_log(lab) == []


@pytest.mark.parametrize("damage", ["edited", "garbage", "empty", "later"])
def test_a_damaged_record_is_named_and_stops_nothing(lab: Workspace, damage: str) -> None:
    judged, entry = ids(lab, "H")[1], ids(lab, "E")[0]
    for record in (judged, entry):
        path = lab.protocol / "registry" / f"{record}.jsonl"
        text = path.read_text()
        path.write_text(
            {
                "edited": text.replace("Ada", "Eve"),
                "garbage": "{not json}\n" + text,
                "empty": "",
                "later": text.replace('"event": "proposed"', '"event": "dreamt"').replace("noted", "sung"),
            }[damage]
        )
    done = inside(lab.path, "log", "--no-commit")
    assert done.returncode == 0
    assert f"warning: {judged} is damaged:" in done.stderr
    log = (lab.protocol / "LOG.md").read_text()
    assert "## Damaged records" in log
    for record in (judged, entry):
        assert f"- `{record}`:" in log
        assert f'<a id="{record.lower()}"></a>' in log
    assert str(lab.path) not in log
    assert f"### {ids(lab, 'H')[0]}: measured" in log
    assert "**Damaged record:" in log
    assert on_disk(lab).keys() >= render_log(lab).keys()
    assert {name: on_disk(lab)[name] for name in render_log(lab)} == render_log(lab)


def test_values_of_a_wrong_kind_in_a_verdict_stop_nothing(lab: Workspace) -> None:
    book = Notebook(lab)
    hypothesis = book.propose("change model.units=9 -> expect eval/return to rise by 50")
    book.launch(hypothesis, lab.run("R0404-abc"))
    book.add(hypothesis, "judged", outcome=3, figures={"treatment": "no", "difference": "much"}, qualifiers="strong")
    assert inside(lab.path, "log", "--no-commit").returncode == 0
    assert f"`{hypothesis}`" in (lab.protocol / "LOG.md").read_text()


def test_an_event_that_cannot_have_happened_is_named(lab: Workspace) -> None:
    judged = ids(lab, "H")[1]
    Notebook(lab).add(judged, "amended-before-launch", changes={"name": "better"}, why="hindsight")
    assert inside(lab.path, "log", "--no-commit").returncode == 0
    log = (lab.protocol / "LOG.md").read_text()
    assert f"- `{judged}`:" in log[: log.index("## Entries")]
    assert "**DAMAGED**" in log


def test_a_run_that_is_gone_or_damaged_is_said_on_the_page(lab: Workspace) -> None:
    judged = ids(lab, "H")[1]
    next(lab.runs.glob("R0002-*/seed-1/summary.json")).write_text("{")
    write_log(lab)
    assert "is damaged" in (lab.protocol / f"hypotheses/{judged}.md").read_text()
    shutil.rmtree(next(lab.runs.glob("R0002-*")))
    write_log(lab)
    page = (lab.protocol / f"hypotheses/{judged}.md").read_text()
    assert "there is no run manifest" in page
    assert str(lab.path) not in page
    assert "SUPPORTED" in page


def test_the_clock_that_went_backwards_is_a_caveat(lab: Workspace) -> None:
    book = Notebook(lab)
    book.add(ids(lab, "H")[2], "opened")  # this book's clock begins anew
    write_log(lab)
    assert "the clock went backwards" in (lab.protocol / "LOG.md").read_text()


def test_two_renderings_and_notes_at_once_end_in_the_right_log(lab: Workspace) -> None:
    """Real processes: whoever comes last has seen every event."""
    judged = ids(lab, "H")[1]
    (lab.cache / "log.json").unlink()
    commands = [["log"], ["note", judged, "first words"], ["log"], ["note", judged, "second words"]]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dreamerlab", *words, "--no-commit"],
            cwd=lab.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in commands
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert "not up to date" not in said
    page = (lab.protocol / f"hypotheses/{judged}.md").read_text()
    assert "> first words" in page
    assert "> second words" in page
    assert on_disk(lab) == render_log(lab)


def _kill_renderings(lab: Workspace, times: int) -> None:
    source = random.Random(7)
    for _ in range(times):
        for path in (lab.cache / "log.json", lab.protocol / "LOG.md"):
            path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-m", "dreamerlab", "log", "--no-commit"], cwd=lab.path)
        time.sleep(source.uniform(0.15, 0.8))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert dreamerlab(lab.path, "log", "--no-commit").returncode == 0
    assert on_disk(lab) == render_log(lab)


def test_a_killed_rendering_leaves_a_log_that_the_next_one_completes(lab: Workspace) -> None:
    _kill_renderings(lab, 3)


@pytest.mark.slow
def test_many_killed_renderings(lab: Workspace) -> None:
    _kill_renderings(lab, 40)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_one_line(lab: Workspace) -> None:
    (lab.protocol / "LOG.md").unlink()
    lab.protocol.chmod(0o500)
    try:
        done = inside(lab.path, "log", "--no-commit")
    finally:
        lab.protocol.chmod(0o700)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


def test_a_log_that_cannot_be_written_is_a_warning_and_the_record_stays(lab: Workspace) -> None:
    (lab.protocol / "LOG.md").unlink()
    (lab.protocol / "LOG.md").mkdir()
    done = inside(lab.path, "note", ids(lab, "H")[1], "still kept", "--no-commit")
    assert done.returncode == 0
    assert "the log is not up to date" in done.stderr
    assert "later: dreamerlab log" in done.stderr
    assert any("still kept" in path.read_text() for path in (lab.protocol / "registry").glob("E*.jsonl"))
    assert inside(lab.path, "log", "--no-commit").returncode == 5
    (lab.protocol / "LOG.md").rmdir()
    assert inside(lab.path, "log", "--no-commit").returncode == 0
    assert "> still kept" in (lab.protocol / "LOG.md").read_text()


def test_git_gets_record_and_pages_together_and_nothing_of_the_users(tmp_path: Path) -> None:
    bare = without(tmp_path / "blocked", "dvc", "mlflow")
    assert dreamerlab(tmp_path, "init", "lab", **bare).returncode == 0
    lab = Workspace(tmp_path / "lab")
    (lab.protocol / "hypotheses").mkdir(exist_ok=True)
    (lab.protocol / "hypotheses" / "mine.md").write_text("the user's own\n")
    (lab.protocol / "thoughts.md").write_text("the user's own\n")
    hypothesis = Notebook(lab).propose("change model.units=9 -> expect eval/return to rise by 50", queued=True)
    assert publish(lab, [hypothesis], "Queue it", pytest.fail)
    assert git(lab.path, "show", "--name-only", "--format=%s", "HEAD").split() == [
        "Queue",
        "it",
        "protocol/LOG.md",
        f"protocol/hypotheses/{hypothesis}.md",
        f"protocol/registry/{hypothesis}.jsonl",
    ]
    left = git(lab.path, "status", "--porcelain", "--untracked-files=all").split("\n")
    assert sorted(filter(None, left)) == ["?? protocol/hypotheses/mine.md", "?? protocol/thoughts.md"]
    (lab.protocol / "LOG.md").write_text("edited\n")
    git(lab.path, "commit", "-qam", "A hand edit")
    done = data(inside(lab.path, "log", "--json"))
    assert done == {"log": "protocol/LOG.md", "changed": ["protocol/LOG.md"], "damaged": {}, "committed": True}
    assert git(lab.path, "log", "-1", "--format=%s").strip() == "Render the log"
    assert data(inside(lab.path, "log", "--json"))["committed"] is False


def test_two_branches_merge_and_the_log_is_rendered_anew(tmp_path: Path) -> None:
    bare = without(tmp_path / "blocked", "dvc", "mlflow")
    assert dreamerlab(tmp_path, "init", "lab", **bare).returncode == 0
    lab = Workspace(tmp_path / "lab")

    def told(words: str) -> None:
        book = Notebook(lab)
        made = book.propose(f"change model.units=9 -> expect eval/return to rise by 50 ({words})", queued=True)
        assert publish(lab, [made, book.note("observation", words, made)], words, pytest.fail)

    told("before")
    main = git(lab.path, "branch", "--show-current").strip()
    git(lab.path, "switch", "-qc", "other")
    told("there")
    git(lab.path, "switch", "-q", main)
    told("here")
    git(lab.path, "merge", "-q", "--no-edit", "other")
    assert inside(lab.path, "log").returncode == 0
    assert on_disk(lab) == render_log(lab)
    assert all(words in on_disk(lab)["LOG.md"] for words in ("> before", "> there", "> here"))
    assert not git(lab.path, "status", "--porcelain").strip()


def test_log_stays_light(lab: Workspace) -> None:
    """No parser of YAML, no arrays, no plots: rendering costs what rendering costs."""
    Notebook(lab).note("observation", "Seen.", ids(lab, "H")[1])
    heavy = ["numpy", "pandas", "pydantic", "matplotlib", "torch", "dvc", "mlflow", "scipy", "yaml"]
    code = (
        "import sys; from dreamerlab.cli.main import main; main(['log', '--no-commit']);"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=lab.path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
