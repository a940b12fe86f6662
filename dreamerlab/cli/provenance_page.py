"""How `show --provenance` looks: one section after the other in plain text, `*` at what can change numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from dreamerlab.report.facts import NOT_RECORDED
from dreamerlab.report.wording import size
from dreamerlab.tables import Table

_MARK = "*: a difference of it can change the numbers that come out, the same seed notwithstanding"


def provenance_page(run_id: str, facts: Mapping[str, Any]) -> str:
    """Return everything that is on record of where a run came from; each section under its name."""
    marked = frozenset(facts["can_change_numbers"])
    blocks = [
        f"{run_id}  provenance\n{_MARK}",
        *_code(facts["code"]),
        _facts("Machine", facts["machine"], marked),
        _facts("Software", facts["software"], marked),
        _facts("Threads", facts["threads"], marked),
        _variables(facts["variables"], marked),
        _load(facts["load"], facts["at_launch"]),
        _commands(facts["command"]),
    ]
    config = Table(("config", "value", "origin"))
    for key, item in facts["config"].items():
        config.add(key, item["value"], item["origin"])
    files = Table(("file", "bytes", "sha256"), frozenset({"bytes"}))
    for name, item in facts["files"].items():
        files.add(name, item["size"], item["sha256"])
    return "\n\n".join([*blocks, *(table.to_text() for table in (config, files) if table.rows)])


def _code(code: Mapping[str, Any]) -> list[str]:
    patch, snapshot = code["patch"], code["snapshot"]
    rows = {
        "identity *": code["identity"],
        "commit": code["commit"] or "none",
        "branch": code["branch"],
        "uncommitted changes": {None: "unknown", True: "yes", False: "no"}[code["dirty"]],
        "patch": "none" if patch is None else f"{patch['path']} ({_bytes(patch['bytes'])}, {patch['state']})",
        "patch sha256": patch["sha256"] or NOT_RECORDED if patch else None,
        "snapshot": f"{snapshot['path']} ({snapshot['state']})",
        "note": code["note"],
    }
    if not code["kept"] and code["untracked"]:
        rows["untracked"] = ", ".join(code["untracked"])  # as older records have it, without hashes
    blocks = [_pairs("Code", {key: value for key, value in rows.items() if value is not None})]
    if code["kept"]:
        table = Table(("Code that is in no commit", "bytes", "sha256", "copied into", ""), frozenset({"bytes"}))
        for name, one in code["kept"].items():
            table.add(name, one["size_bytes"], one["sha256"], one["where"], one["state"])
        blocks.append(table.to_text())
    return blocks


def _facts(heading: str, facts: Mapping[str, str], marked: frozenset[str]) -> str:
    return _pairs(heading, {name + (" *" if name in marked else ""): value for name, value in facts.items()})


def _variables(variables: Mapping[str, str] | None, marked: frozenset[str]) -> str:
    if variables is None:
        return f"Environment variables\n{NOT_RECORDED}"
    if not variables:
        return "Environment variables\nnone that matters was set"
    return _facts("Environment variables", {f"${name}": value for name, value in variables.items()}, marked)


def _load(rows: Sequence[Mapping[str, Any]], launch: Mapping[str, Any]) -> str:
    table = Table(
        ("seed", "attempt", "at the", "host", "load 1, 5, 15 min", "other trainers", "trials of its own launch")
    )
    table.add("-", "-", "launch", "-", _loads(launch["load"]), _count(launch["other_trainers"]), "-")
    for row in rows:
        for when in ("start", "end"):
            seen: Mapping[str, Any] = row[when] or {}
            beside = (_loads(seen.get("load")), _count(seen.get("other_trainers")), _count(seen.get("siblings")))
            table.add(row["seed"], row["attempt"], when, row["host"], *beside)
    return f"Load\n{table.to_text()}"


def _commands(rows: Sequence[Mapping[str, Any]]) -> str:
    return _pairs("Command", {row["of"]: row["typed"] or NOT_RECORDED for row in rows})


def _pairs(heading: str, rows: Mapping[str, object]) -> str:
    if not rows:
        return f"{heading}\n{NOT_RECORDED}"
    table = Table(("", " "))
    for key, value in rows.items():
        table.add(key, value)
    return f"{heading}\n{table.to_text().split(chr(10), 1)[1]}"


def _loads(value: Any) -> str:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    numbers = [one for one in listed if isinstance(one, int | float)]
    return " ".join(f"{one:.2f}" for one in numbers) or NOT_RECORDED


def _count(value: object) -> str:
    return NOT_RECORDED if value is None else str(value)


def _bytes(value: int | None) -> str:
    return "absent" if value is None else size(value)
