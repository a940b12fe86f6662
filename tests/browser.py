"""A headless Chromium for the tests that look at pages; where it is not installed, the reason in plain words.

apt-get install chromium        pip install playwright        DREAMERLAB_CHROMIUM=/path/to/it where it is elsewhere
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def why_none() -> str | None:
    """Return why no browser can be started, None when one can."""
    if _path() is None:
        return "there is no Chromium: apt-get install chromium, or set DREAMERLAB_CHROMIUM"
    return None if find_spec("playwright") else "playwright is not installed: pip install playwright"


@contextmanager
def browser() -> Iterator[Any]:
    """Give a browser for a block, None when there is none."""
    if why_none() is not None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=_path(), args=["--no-sandbox"])
        try:
            yield found
        finally:
            found.close()


def _path() -> str | None:
    named = os.environ.get("DREAMERLAB_CHROMIUM")
    return named or next((path for name in _NAMES if (path := shutil.which(name))), None)
