"""`report`: the whole notebook in one HTML file, the same words as the log, nothing loaded, nothing obeyed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import resource
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dreamerlab.errors import NotFound, ToolFailed, UsageError
from dreamerlab.lab.html_report import Report, build
from dreamerlab.report.findings import family_article, score_of
from dreamerlab.report.html_text import embedded, escaped
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import data, inside, light_workspace
from tests.report.conftest import Told
from tests.report.notebooks import Notebook, a_run, rising

WILD = "</script><script>alert('x')</script> \"quoted\" & <b>bold</b> -> expect eval/return to rise by 50"
_RECORD = re.compile(r'<script type="application/json" id="([^"]+)">(.*?)</script>', re.DOTALL)


def write(workspace: Workspace, out: Path) -> tuple[str, Report]:
    done = build(workspace, out, films_mb=1, curves_mb=1)
    return out.read_text(), done


@pytest.fixture(scope="module")
def page(told: Told, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(told.workspace, tmp_path_factory.mktemp("page") / "report.html")[0]


def records(page: str) -> dict[str, dict[str, object]]:
    return {key: json.loads(content) for key, content in _RECORD.findall(page)}


class Outline(HTMLParser):
    """What a page is made of: tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_file_loads_nothing_and_runs_only_the_script_in_it(page: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}'")
    outline = Outline(page)
    assert not [tag for tag, _ in outline.tags if tag in ("link", "iframe", "object", "embed", "base")]
    addresses = [a.get(name) for _, a in outline.tags for name in ("src", "href") if name in a]
    assert addresses
    assert not [one for one in addresses if not (one or "").startswith(("#", "data:"))]
    assert not [a for _, a in outline.tags if any(name.startswith("on") for name in a)]


def test_every_record_is_in_it_and_every_link_leads_somewhere(page: str, told: Told) -> None:
    found = records(page)
    assert set(told.ids.values()) <= found.keys()
    outline = Outline(page + "".join(str(one.get("html", "")) for one in found.values()))
    ids = {a["id"] for _, a in outline.tags if "id" in a}
    links = {str(a["href"])[1:] for tag, a in outline.tags if tag == "a" and str(a.get("href")).startswith("#")}
    assert links - ids == set()


def test_it_is_built_for_keyboards_and_screen_readers(page: str) -> None:
    outline = Outline(page)
    tags = [tag for tag, _ in outline.tags]
    assert {"header", "nav", "main", "footer"} <= set(tags)
    assert tags.count("main") == 1
    assert page.count("<table") == page.count("<caption") > 0
    assert page.count('role="status" aria-live="polite"') == 2
    assert all("aria-label" in a or a.get("aria-hidden") for tag, a in outline.tags if tag == "svg")
    assert not [a for tag, a in outline.tags if tag == "th" and "scope" not in a]


def test_hypotheses_are_told_in_the_words_of_their_pages(page: str, told: Told) -> None:
    """M-PROT-09 and M-PROT-15 hold here as they do in the log: it is the same text."""
    told_here = str(records(page)[told.ids["faster-actor"]]["html"])
    assert "SUPPORTED" in told_here
    assert "Every seed</caption>" in told_here
    assert "<svg" in told_here, "the figure of the effect"
    assert '<span class="curves">' in told_here


def test_families_are_summed_up_from_verdicts(told: Told) -> None:
    """M-PROT-04: a family's account, its champion, and its best score, which picking makes look better than it is."""
    from dreamerlab.lab.log_rendering import render_changed

    book = render_changed(told.workspace, {}).book
    article = family_article("cartpole/3f2a", book)
    assert re.search(r"<strong>\d+ of \d+</strong> tested hypotheses are supported", article)
    assert "Champion: <a" in article
    assert "picking the best makes it look better" in article
    assert "Supported: the data agree" in article
    assert "Refuted: the data speak against" in article
    scored = {state.id for state in book.states if score_of(state) is not None}
    assert told.ids["faster-actor"] in scored
    assert not scored & {told.ids[name] for name in ("broken", "two-seeds", "incomplete", "running")}, "no results"


def test_a_run_is_told_with_scores_settings_and_every_seed_of_its_curves(page: str, told: Told) -> None:
    found = records(page)
    run = next(one for key, one in found.items() if key.startswith("R"))
    curves = run["curves"]
    assert isinstance(curves, list)
    assert {one["seed"] for one in curves} == {row[0] for row in run["seeds"]}  # type: ignore[union-attr]
    pool = found["pool"]["rows"]
    config = [pool[at] for at in run["config"]]  # type: ignore[index,union-attr]
    assert [row for row in config if row[0] == "budget.amount"] == [
        ["budget.amount", "1000", "command line: budget.amount=1000"]
    ]


def test_equal_records_give_equal_bytes(told: Told, page: str, tmp_path: Path) -> None:
    assert write(told.workspace, tmp_path / "again.html")[0] == page


def test_words_that_look_like_markup_are_words(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    book = Notebook(workspace)
    base = a_run(workspace, "base", rising(200))
    wild = book.propose(WILD, name="<i>name</i>", why=f"{WILD}\n\n<img src=x onerror=alert(1)>")
    run = a_run(workspace, "other", rising(260), command=("dreamerlab", WILD), hypothesis=wild)
    book.launch(wild, run, base)
    book.finish(wild, run)
    book.judge(wild, run, base)
    book.note("observation", f"{WILD} ![x](https://example.org/spy.png)", wild)
    page, _ = write(workspace, tmp_path / "report.html")
    found = records(page)
    assert found[run.id]["facts"]
    assert ["command", f"dreamerlab {WILD}"] in found[run.id]["facts"]  # type: ignore[operator]
    assert page.count("<script>") == 1
    for text in (page, *(str(one.get("html", "")) for one in found.values())):
        tags = [tag for tag, _ in Outline(text).tags]
        assert "b" not in [tag for tag in tags if tag == "i"]
        assert "img" not in tags
        assert "<b>bold" not in text
        assert "<i>name" not in text


def test_json_inside_the_page_cannot_end_its_element() -> None:
    value = {"a": "</script><!--\u2028", "nan": float("nan")}
    made = embedded("R0001-abc", value)
    assert made.count("<") == made.count(">") == 2
    assert json.loads(made[made.index(">") + 1 : -len("</script>")]) == {"a": "</script><!--\u2028", "nan": "nan"}
    assert escaped('<a b="c">\u202e') == "&lt;a b=&quot;c&quot;&gt;\ufffd"


def test_a_damaged_record_is_shown_as_damaged_and_stops_nothing(told: Told, tmp_path: Path) -> None:
    """The file is whole, so the exit code is 0 as that of `log`; whether the log holds is what `lint` answers."""
    copy = Workspace(tmp_path / "lab")
    shutil.copytree(told.workspace.path, copy.path)
    first, second = told.ids["faster-actor"], told.ids["reversed"]
    (copy.protocol / "registry" / f"{first}.jsonl").write_bytes(b"\xff\x00 not json\n")
    record = copy.protocol / "registry" / f"{second}.jsonl"
    record.write_bytes(record.read_bytes().replace(b"0.03", b"0.04"))
    runs = sorted(copy.runs.glob("R*"))
    (runs[0] / "manifest.json").write_text("{")
    (runs[1] / "seed-1" / "summary.json").write_text("[]")
    (runs[2] / "seed-0" / "curves.jsonl").write_bytes(b"\xff\xfe\n{}\n")
    done = inside(copy.path, "report")
    assert done.returncode == 0, done.stderr
    for one in (first, second, runs[0].name, runs[1].name):
        assert f"warning: {one} is damaged" in done.stderr
    page = (copy.path / "report.html").read_text()
    damaged = re.search(r'<section class="damage".*?</section>', page, re.DOTALL)
    assert damaged is not None
    assert all(one in damaged[0] for one in (first, second, runs[0].name, runs[1].name))
    assert "fault" in records(page)[runs[0].name]
    assert str(copy.path) not in damaged[0]


def test_an_empty_workspace_has_a_report_that_says_so(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    page, done = write(workspace, tmp_path / "report.html")
    assert (done.hypotheses, done.runs) == (0, 0)
    assert "No hypothesis is on record yet" in page


def test_places_where_no_report_can_stand_are_refused_before_anything_is_read(told: Told, tmp_path: Path) -> None:
    lab = told.workspace
    for out in (tmp_path, lab.runs / "report.html", lab.protocol / "LOG.html", tmp_path / "report.txt"):
        with pytest.raises(UsageError):
            build(lab, out, films_mb=1, curves_mb=1)
    (tmp_path / "link").symlink_to(lab.runs)
    with pytest.raises(UsageError, match="runs/, which holds records"):
        build(lab, tmp_path / "link" / "report.html", films_mb=1, curves_mb=1)
    with pytest.raises(NotFound, match="there is no folder"):
        build(lab, tmp_path / "none" / "report.html", films_mb=1, curves_mb=1)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(ToolFailed, match="cannot write"):
            build(told.workspace, out, films_mb=1, curves_mb=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_what_a_killed_command_left_behind_is_swept_away(told: Told, tmp_path: Path) -> None:
    dead, alive = tmp_path / ".report.html.4194999-0.tmp", tmp_path / f".report.html.{os.getppid()}-0.tmp"
    for path in (dead, alive):
        path.write_text("half")
    write(told.workspace, tmp_path / "report.html")
    assert not dead.exists()
    assert alive.exists()


def test_films_are_carried_while_there_is_room_and_named_when_there_is_none(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    run = a_run(workspace, "filmed", rising(200, seeds=3))
    (workspace.path / f"{run.id}-seed-0.gif").write_bytes(b"GIF89a" + bytes(1000))
    (workspace.path / f"{run.id}-seed-1.mp4").write_bytes(bytes(2_000_000))
    (workspace.path / "holiday.gif").write_bytes(b"GIF89a private")
    page, done = write(workspace, tmp_path / "report.html")
    assert list(done.films) == [f"{run.id}-seed-0.gif"]
    assert list(done.films_left_out) == [f"{run.id}-seed-1.mp4"]
    gif, mp4 = records(page)[run.id]["films"]  # type: ignore[misc]
    assert gif["src"].startswith("data:image/gif;base64,")
    assert "2.0 MB, more than there was room for" in mp4["left_out"]
    assert "holiday" not in page


def test_curves_that_have_no_room_are_said_to_be_missing(told: Told, tmp_path: Path) -> None:
    done = build(told.workspace, tmp_path / "report.html", films_mb=1, curves_mb=0)
    assert done.runs_without_curves == done.runs > 5
    assert "only the evaluations that make the score are in this file" in (tmp_path / "report.html").read_text()


def test_the_command_prints_the_path_and_json(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "a 'b' c.html"
    done = inside(told.workspace.path, "report", "-o", str(out))
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    facts = data(inside(told.workspace.path, "report", "-o", str(out), "--json"))
    assert facts["path"] == str(out)
    assert facts["size_bytes"] == out.stat().st_size
    refused = inside(told.workspace.path, "report", "-o", str(tmp_path))
    assert refused.returncode == 2
    assert "is a folder" in refused.stderr
