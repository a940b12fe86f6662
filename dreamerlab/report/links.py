"""How pages of the notebook point at each other, at runs and at themselves.

    protocol/LOG.md  protocol/LOG-0001.md      root ""
    protocol/hypotheses/H0007-k3f.md           root "../"        runs/ lies beside protocol/

`root` leads from a page to the folder `protocol`. The names of all generated files are spelled here and nowhere else.
"""

from __future__ import annotations

import re

from dreamerlab.report.prose import plain

LOG = "LOG.md"
PAGES = "hypotheses"
_PAGE_FILE = re.compile(rf"{PAGES}/H[0-9]{{4,12}}-[a-z0-9]{{3}}(?:\.md|-curves\.svg|-effect\.svg)")


def volume_name(number: int) -> str:
    """Return the name of a file of older entries, counted from 1 for the oldest."""
    return f"LOG-{number:04d}.md"


def is_volume(name: str) -> bool:
    """Tell whether a file inside `protocol` is one of older entries."""
    return re.fullmatch(r"LOG-[0-9]{4,}\.md", name) is not None


def is_generated(name: str) -> bool:
    """Tell whether a path inside `protocol` is one that the log is rendered to."""
    return name == LOG or is_volume(name) or _PAGE_FILE.fullmatch(name) is not None


def page_name(hypothesis: str) -> str:
    """Return the path of a hypothesis' page inside `protocol`."""
    return f"{PAGES}/{hypothesis}.md"


def curves_name(hypothesis: str) -> str:
    """Return the path of the learning curves inside `protocol`."""
    return f"{PAGES}/{hypothesis}-curves.svg"


def effect_name(hypothesis: str) -> str:
    """Return the path of the figure of scores and effect inside `protocol`."""
    return f"{PAGES}/{hypothesis}-effect.svg"


def link(record_id: str, root: str, words: str | None = None) -> str:
    """Return a link to a hypothesis or a run by its full id; any other id stays a word."""
    shown = plain(words or record_id)
    if record_id.startswith("H"):
        return f"[{shown}]({root}{page_name(record_id)})"
    if record_id.startswith("R"):
        return f"[{shown}]({root}../runs/{record_id})"
    return shown


def anchor(record_id: str) -> str:
    """Return the mark that `LOG.md#h0007-k3f` leads to."""
    return f'<a id="{record_id.lower()}"></a>'
