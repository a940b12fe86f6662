"""Whole files are replaced at once, lines are appended whole, and a disk that refuses leaves nothing behind."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.atomic import append_line, atomic_write_json, atomic_write_text, number, read_small, to_json
from dreamerlab.errors import ToolFailed
from dreamerlab.runs.series import read_lines

LIMITED = """
import resource, signal, sys
from pathlib import Path
from dreamerlab.errors import ToolFailed
from dreamerlab.atomic import append_line, atomic_write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    {action}
except ToolFailed as error:
    print(error.message)
"""


def limited(action: str) -> str:
    """Run `action` in a process that may not write files beyond 4,000 bytes, a stand-in for a full disk."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED.format(action=action)], capture_output=True, text=True, check=True
    ).stdout


def test_replacing_leaves_no_temporary_file(tmp_path: Path) -> None:
    atomic_write_json(tmp_path / "a.json", {"x": 1})
    atomic_write_json(tmp_path / "a.json", {"x": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_keeps_the_old_file_and_says_so_in_one_line(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    atomic_write_text(target, "old")
    said = limited(f"atomic_write_text(Path({str(target)!r}), 'x' * 9000)")
    assert said == f"cannot write {target}: File too large\n"
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    append_line(target, {"n": 1, "pad": "x" * 3000})
    before = target.read_bytes()
    said = limited(f"append_line(Path({str(target)!r}), dict(n=2, pad='y' * 3000))")
    assert "File too large" in said
    assert target.read_bytes() == before
    append_line(target, {"n": 3})
    assert [line["n"] for line in read_lines(target)[0]] == [1, 3]


def test_a_missing_folder_is_a_tool_failure(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="No such file"):
        append_line(tmp_path / "gone" / "a.jsonl", {})


def test_a_line_after_a_torn_one_starts_anew(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    target.write_bytes(b'{"n": 1}\n{"n": 2, "half')
    append_line(target, {"n": 3}, durable=True)
    lines, torn = read_lines(target)
    assert [line["n"] for line in lines] == [1, 3]
    assert len(torn) == 1
    assert torn[0].startswith(f"{target}:2: ")


@given(st.floats())
def test_every_float_survives_strict_json(value: float) -> None:
    text = to_json({"v": [value]})
    assert "NaN" not in text
    assert "Infinity" not in text
    back = number(json.loads(text)["v"][0])
    assert back is not None
    assert (math.isnan(back) and math.isnan(value)) or back == value


@pytest.mark.parametrize("value", [None, True, "fast", [1.0]])
def test_what_is_no_number_is_none(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200_000])
def test_files_of_any_size_are_read_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(bytes(size))
    assert len(read_small(str(tmp_path / "f"))) == size
