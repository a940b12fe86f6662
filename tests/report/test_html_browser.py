"""The report in a real browser: no complaint on the console, everything by keyboard, and quick with 300 runs.

Needs Chromium and playwright (`tests/browser.py` says how); skipped with the reason where they are not there.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.workspace import Size, fill
from dreamerlab.lab.html_report import build
from tests.browser import browser, why_none
from tests.report.conftest import Told

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_none() is not None, reason=str(why_none()))]


@dataclass
class Tab:
    """One open page, and everything it complained of or asked the network for."""

    page: Any
    said: list[str] = field(default_factory=list[str])

    def rows(self, table: str = "hypotheses") -> list[str]:
        return self.page.locator(f"#{table}-table tbody tr:visible th").all_inner_texts()

    def status(self, table: str = "hypotheses") -> str:
        return self.page.inner_text(f"#{table}-filter [role=status]")

    def settle(self) -> None:
        self.page.wait_for_timeout(250)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def file(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("browser") / "it's a report.html"
    build(told.workspace, out, films_mb=1, curves_mb=8)
    return out


@pytest.fixture
def tab(chromium: Any, file: Path) -> Iterator[Tab]:
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    made = Tab(context.new_page())
    made.page.on("console", lambda message: made.said.append(message.text))
    made.page.on("pageerror", lambda error: made.said.append(str(error)))
    made.page.on("request", lambda asked: made.said.append(asked.url) if "://" in asked.url[:8] else None)
    made.page.goto(file.as_uri())
    made.said = [line for line in made.said if not line.startswith("file:")]
    yield made
    assert [line for line in made.said if not line.startswith("file:")] == []
    context.close()


def test_every_link_opens_its_record_without_a_complaint(tab: Tab, told: Told) -> None:
    links = tab.page.eval_on_selector_all("#overview a[href^='#']", "all => all.map(a => a.getAttribute('href'))")
    records = sorted({link for link in links if link[1] in "HRE"})
    assert len(records) > 30
    for link in records:
        tab.page.evaluate("hash => { location.hash = hash; }", link)
        tab.page.wait_for_selector("#record:not([hidden]) h2")
        assert link[1:] in tab.page.inner_text("#record h2")
        assert tab.page.evaluate("document.activeElement.tagName") == "H2"
        assert not tab.page.is_visible("#overview")
    tab.page.go_back()
    tab.page.evaluate("location.hash = '#H9999-zzz'")
    tab.page.wait_for_selector("text=There is no such record in this file.")


def test_words_and_choices_filter_and_the_address_remembers(tab: Tab, file: Path, told: Told) -> None:
    everything = len(tab.rows())
    tab.page.fill("#hypotheses-filter [name=words]", "LR_ACTOR rise")
    tab.page.select_option("#hypotheses-filter [name=verdict]", "SUPPORTED")
    tab.settle()
    left = tab.rows()
    assert told.ids["faster-actor"] in " ".join(left)
    assert 0 < len(left) < everything
    assert tab.status() == f"{len(left)} of {everything} hypotheses"
    address = tab.page.url
    assert "words=LR_ACTOR" in address
    tab.page.goto("about:blank")
    tab.page.goto(address)
    tab.settle()
    assert tab.rows() == left
    tab.page.click("#hypotheses-filter [type=reset]")
    tab.settle()
    assert len(tab.rows()) == everything


def test_tables_sort_by_keyboard_alone(tab: Tab) -> None:
    button = tab.page.locator("#runs-table [data-sort=score]")
    button.focus()
    tab.page.keyboard.press("Enter")
    tab.settle()
    head = tab.page.locator("#runs-table th:has([data-sort=score])")
    assert head.get_attribute("aria-sort") == "ascending"
    values = "rows => rows.map(row => row.cells[7].dataset.v).filter(Boolean).map(Number)"
    rising = tab.page.eval_on_selector_all("#runs-table tbody tr", values)
    assert rising == sorted(rising)
    tab.page.keyboard.press("Space")
    tab.settle()
    assert head.get_attribute("aria-sort") == "descending"
    assert tab.page.eval_on_selector_all("#runs-table tbody tr", values) == rising[::-1]


def test_curves_are_read_by_mouse_and_by_keyboard(tab: Tab, told: Told) -> None:
    tab.page.evaluate("hash => { location.hash = hash; }", f"#{told.ids['faster-actor']}")
    tab.page.wait_for_selector(".chart svg")
    assert tab.page.locator(".chart .seed").count() == 10, "five seeds an arm"
    assert tab.page.locator(".chart .band").count() == 2
    chart = tab.page.locator(".chart > div > svg")
    chart.hover(position={"x": 300, "y": 150})
    by_mouse = tab.page.inner_text(".chart .read")
    assert "mean" in by_mouse
    assert "seed 4:" in by_mouse
    tab.page.locator(".chart input[type=range]").focus()
    tab.page.keyboard.press("Home")
    assert tab.page.inner_text(".chart .read") != by_mouse
    tab.page.select_option(".chart select >> nth=1", "1")
    assert tab.page.locator(".chart svg text", has_text="updates").count() == 1


def test_tables_and_curves_are_downloaded_from_what_is_in_the_file(tab: Tab, told: Told, tmp_path: Path) -> None:
    with tab.page.expect_download() as caught:
        tab.page.click("#hypotheses-filter .csv")
    caught.value.save_as(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as text:
        assert len(list(csv.reader(text))) == len(tab.rows()) + 1
    tab.page.evaluate("hash => { location.hash = hash; }", f"#{told.ids['faster-actor']}")
    tab.page.wait_for_selector(".chart button")
    with tab.page.expect_download() as caught:
        tab.page.click(".chart button")
    caught.value.save_as(tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert {row["seed"] for row in rows} == set("01234")
    assert len({row["run"] for row in rows}) == 2


@pytest.mark.parametrize("width", [1200, 360])
def test_nothing_sticks_out_of_the_page(tab: Tab, told: Told, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": 800})
    for link in ("", told.ids["faster-actor"], next(iter(tab.rows("runs"))).split()[0]):
        tab.page.evaluate("hash => { location.hash = hash; }", link)
        tab.settle()
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), link


def test_script_in_a_records_words_does_not_run_even_if_it_got_through(tab: Tab) -> None:
    tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.broken = 1\">')")
    tab.settle()
    assert tab.page.evaluate("window.broken === undefined")
    tab.said = [line for line in tab.said if "Content Security Policy" not in line and not line.startswith("file:")]


def test_it_is_black_on_white_in_print_and_follows_the_dark_scheme(tab: Tab) -> None:
    shade = "getComputedStyle(document.body).backgroundColor"
    assert tab.page.evaluate(shade) == "rgb(255, 255, 255)"
    tab.page.emulate_media(color_scheme="dark")
    assert tab.page.evaluate(shade) == "rgb(13, 17, 23)"
    tab.page.emulate_media(media="print", color_scheme="light")
    assert tab.page.evaluate(shade) == "rgb(255, 255, 255)"
    assert not tab.page.is_visible("nav")


def test_three_hundred_runs_open_in_three_seconds(chromium: Any, tmp_path: Path) -> None:
    workspace = fill(tmp_path / "lab", Size(150, own_baselines=True, full=20, rows=2000))
    done = build(workspace, tmp_path / "report.html", films_mb=1, curves_mb=32)
    assert done.runs == 300
    times: list[float] = []
    for _ in range(3):
        page = chromium.new_page()
        begin = time.perf_counter()
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_selector("#hypotheses-table tbody tr")
        times.append(time.perf_counter() - begin)
        page.close()
    assert min(times) < 3, times


def test_killed_at_any_moment_it_leaves_the_old_file_whole(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    command = [sys.executable, "-m", "dreamerlab", "report", "-o", str(out), "--json"]
    begin = time.perf_counter()
    first = subprocess.run(command, cwd=told.workspace.path, capture_output=True, text=True, check=True)
    took = time.perf_counter() - begin
    whole = out.read_bytes()
    for share in range(12):
        process = subprocess.Popen(command, cwd=told.workspace.path, stdout=subprocess.DEVNULL)
        time.sleep(took * (share + 1) / 12)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert out.read_bytes() == whole
    assert json.loads(subprocess.run(command, cwd=told.workspace.path, capture_output=True, text=True).stdout) == (
        json.loads(first.stdout)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
