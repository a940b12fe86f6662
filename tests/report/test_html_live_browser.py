"""Findings and what trains, in a real browser: charts of evidence, and a followed page that loads itself again.

Needs Chromium and playwright (`tests/browser.py` says how); skipped with the reason where they are not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab.html_report import build, gather
from dreamerlab.lab.report_live import what_trains
from dreamerlab.runs.curves import write_curves
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.browser import browser, why_none
from tests.diagnostics.stories import RANDOM
from tests.lab.diagnosed import a_run, a_workspace

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_none() is not None, reason=str(why_none()))]
SAID = "critical: The policy is pinned at the widest spread its head allows (pinned-at-ceiling)"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """R1: an entropy bonus that outweighs the advantages; R2: one seed that trains and says what it found."""
    made = a_workspace(tmp_path_factory.mktemp("live") / "lab")
    for trial in a_run(made, {**RANDOM, "behavior/entropy_contribution": 0.21}).trials():
        write_curves(trial)
    trial, me = a_run(made, {"control/focus_active_frac": 0.3}, seeds=1).trial(0), own_identity()
    facts = {"pid": me.pid, "pid_start": me.start_ticks, "boot_id": me.boot_id, "host": me.host}
    write_status(trial, replace(read_status(trial), state="running", spent=4000.0, findings=(SAID,), **facts))
    return made


def opened(chromium: Any, address: str, said: list[str], **look: Any) -> Any:
    page = chromium.new_context(**look).new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    return page


def loads_again(page: Any) -> None:
    """Wait until a page that was marked is another one; its policy forbids what waits by itself."""
    for _ in range(150):
        page.wait_for_timeout(100)
        if not page.evaluate("Boolean(window.marked)"):
            return
    raise AssertionError("it never loaded itself again")


@pytest.mark.parametrize("curves_mb", [1, 0])
def test_evidence_is_drawn_with_its_curves_or_in_outline(
    chromium: Any, workspace: Workspace, tmp_path: Path, curves_mb: float
) -> None:
    out, said = tmp_path / "report.html", list[str]()
    build(workspace, out, films_mb=1, curves_mb=curves_mb)
    run = next(workspace.runs.glob("R0001-*")).name
    page = opened(chromium, f"{out.as_uri()}#{run}", said)
    first = page.locator(".finding").first
    assert "The entropy bonus outweighs the advantages" in first.inner_text()
    assert "dreamerlab propose" in first.inner_text()
    charts = first.locator(".plots svg")
    assert charts.count() >= 2
    assert charts.first.locator("polyline").count() == (3 if curves_mb else 1), "a line a seed"
    assert first.locator(".plots figcaption").count() == (0 if curves_mb else charts.count())
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
def test_nothing_sticks_out_and_what_trains_comes_first(
    chromium: Any, workspace: Workspace, tmp_path: Path, width: int, scheme: str
) -> None:
    out, said = tmp_path / "report.html", list[str]()
    build(workspace, out, films_mb=1, curves_mb=1)
    runs = [path.name for path in sorted(workspace.runs.glob("R*"))]
    page = opened(chromium, out.as_uri(), said, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.locator("#overview > section").first.get_attribute("id") == "live"
    assert page.locator("#live .severity").first.inner_text().lower() == "critical"
    for place in ("live", *runs):
        page.evaluate("hash => { location.hash = hash; }", place)
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
    assert "Said by seeds that train now" in page.inner_text("#record")
    assert said == []


@pytest.mark.parametrize("hash_of", ["", "#live", "#{run}"])
def test_a_followed_page_loads_itself_again_where_it_was(
    chromium: Any, workspace: Workspace, tmp_path: Path, hash_of: str
) -> None:
    out, said = tmp_path / "report.html", list[str]()
    gathered = gather(workspace, films_mb=1, curves_mb=1)
    gathered.write(out, what_trains(workspace, 2))
    address = f"{out.as_uri()}{hash_of.format(run=next(workspace.runs.glob('R0001-*')).name)}"
    page = opened(chromium, address, said, viewport={"width": 800, "height": 500})
    page.evaluate("window.marked = true; window.scrollTo({ top: 300, behavior: 'instant' })")
    gathered.write(out, replace(what_trains(workspace, 2), as_of="later"))
    loads_again(page)
    page.wait_for_timeout(300)
    assert page.url == address
    assert page.evaluate("scrollY") == 300
    assert "As of later" in page.content()
    assert said == []


def test_it_waits_while_somebody_chooses(chromium: Any, workspace: Workspace, tmp_path: Path) -> None:
    out, said = tmp_path / "report.html", list[str]()
    gather(workspace, films_mb=1, curves_mb=1).write(out, what_trains(workspace, 1))
    page = opened(chromium, out.as_uri(), said)
    page.focus("#runs-filter input")
    page.evaluate("window.marked = true")
    page.wait_for_timeout(2500)
    assert page.evaluate("window.marked")
    page.evaluate("document.activeElement.blur()")
    loads_again(page)
    assert said == []
