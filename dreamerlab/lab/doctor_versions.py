"""Checks of `doctor` on what is installed: missing parts, and versions older than those dreamerlab is made for.

Read from the metadata of installed packages; nothing is imported.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from shutil import which

from dreamerlab.lab.doctor_findings import Finding
from dreamerlab.lab.preflight import is_installed

_PACKAGE = "dreamerlab"
_PARTS = {
    "torch": "training: pip install 'dreamerlab[train]'",
    "gymnasium": "environments: pip install 'dreamerlab[train]'",
    "dvc": "storing artifacts: pip install 'dreamerlab[track]'",
    "mlflow": "curves in a browser: pip install 'dreamerlab[track]'",
    "matplotlib": "plots: pip install 'dreamerlab[track]'",
}
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)\s*(?P<limits>[^;\[]*)")
_LIMIT = re.compile(r"(>=|<=|<|>|==|~=|!=)\s*([0-9][0-9.]*)")


def missing_parts() -> list[str]:
    """Return one line for each optional part that is not installed, with what it is for."""
    lines = [f"{name} is not installed ({use})" for name, use in _PARTS.items() if not is_installed(name)]
    return lines if which("git") else [*lines, "git is not installed (commits of records, provenance of code)"]


def versions() -> Iterator[Finding]:
    """Yield Python and the installed packages whose version is not one that dreamerlab is made for."""
    try:
        needed, python = requires(_PACKAGE) or [], metadata(_PACKAGE)["Requires-Python"]
    except PackageNotFoundError:
        return  # run from a checkout: whoever does that knows what is installed
    if python and not within(platform.python_version(), python):
        yield Finding("version", "Python", f"this is {platform.python_version()}, and {python} is needed")
    told: set[str] = set()
    for line in needed:
        match = _REQUIREMENT.match(line)
        if match is None or match["name"] in told:
            continue
        name, limits = match["name"], match["limits"].strip()
        told.add(name)
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        if limits and not within(found, limits):
            cure = f"pip install '{name}{limits}'"
            yield Finding("version", name, f"{found} is installed, and {limits} is needed", hint=cure)


def within(found: str, limits: str) -> bool:
    """Tell whether a version keeps to limits such as `>=0.15,<0.29`, by its numbers; what is unclear counts as kept.

    `==` and `~=` are read as their lower limit: nothing here is pinned harder than that.
    """
    have = _numbers(found)
    for sign, text in _LIMIT.findall(limits):
        want = _numbers(text)
        longest = max(len(have), len(want))
        one, other = (part + (0,) * (longest - len(part)) for part in (have, want))
        kept = {">=": one >= other, "==": one >= other, "~=": one >= other, ">": one > other}
        kept |= {"<": one < other, "<=": one <= other, "!=": one != other}
        if have and not kept[sign]:
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
