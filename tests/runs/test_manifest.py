from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.errors import NotFound, ToolFailed
from dreamerlab.runs.manifest import read_manifest, write_manifest
from tests.runs.records import a_manifest


def test_a_manifest_reads_back_as_written(tmp_path: Path) -> None:
    manifest = a_manifest(id="R0001-abc", name="first-try", hypothesis=None)
    write_manifest(tmp_path / "manifest.json", manifest)
    assert read_manifest(tmp_path / "manifest.json") == manifest


def test_keys_of_a_later_version_survive_a_rewrite(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_manifest(path, a_manifest(id="R0001-abc"))
    data = json.loads(path.read_text()) | {"schema": 9, "mood": {"colour": "blue"}}
    data["code"]["signed_by"] = "someone"
    path.write_text(json.dumps(data))
    manifest = read_manifest(path)
    assert (manifest.schema, manifest.extra) == (9, {"mood": {"colour": "blue"}})
    write_manifest(path, manifest)
    assert json.loads(path.read_text())["mood"] == {"colour": "blue"}


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda d: d.pop("budget"), "'budget' is missing"),
        (lambda d: d.pop("family"), "family"),
        (lambda d: d.update(seeds="three"), "invalid literal"),
        (lambda d: d.update(env=3), "'env' must be text, not 3"),
        (lambda d: d.update(code=[]), "'list' object"),
    ],
)
def test_a_damaged_manifest_names_its_fault_and_the_cure(tmp_path: Path, damage: Any, said: str) -> None:
    data = a_manifest(id="R0001-abc").to_dict()
    damage(data)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ToolFailed, match=said) as caught:
        read_manifest(path)
    assert str(path) in caught.value.message
    assert "git checkout" in (caught.value.hint or "")


def test_a_torn_and_a_missing_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(NotFound, match="no run manifest"):
        read_manifest(path)
    path.write_text('{"schema": 1, "id": "R00')
    with pytest.raises(ToolFailed, match="damaged"):
        read_manifest(path)
