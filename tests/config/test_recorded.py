"""Reading records without a YAML library gives what reading them with one gives, or is not attempted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dreamerlab.config import recorded
from dreamerlab.config.layers import from_flat, to_yaml
from dreamerlab.config.recorded import load_recorded
from dreamerlab.config.schema import Config
from dreamerlab.config.strict_yaml import YamlFault, parse_entries
from tests.config.strategies import any_flats

LINES = st.sampled_from(
    [
        "schema: 1",
        "env:",
        "train:",
        "  id: CartPole-v1",
        "  a: 1e-3",
        "  a: [1, -2.5]",
        "  b: []",
        "b: yes",
        "  c: no",
        "  d: ~",
        "  e: -",
        "  f: ---",
        "  g: [a, [b]]",
        "  h: [a,b]",
        "  i: 'x'",
        '  t: "off"',
        '  u: "a b"',
        '  v: ["no", 1]',
        '  w: "a\\tb"',
        '  x: "a" b',
        "  j: 0x10",
        "  k: .inf",
        "  l: 1 # one",
        "  m: &x 1",
        "  n: *x",
        "  o: !!str 1",
        "  p:",
        "  r: 1_000",
        "  s: a:b",
        "    deep: 1",
        "- q",
        "",
        "# x",
    ]
)


def both(path: Path, text: str) -> tuple[object, object]:
    """Entries by our own reader (None: not attempted) and by the YAML library (None: refused)."""
    path.write_text(text)
    try:
        entries = parse_entries(text)
    except YamlFault:
        return recorded._as_written(path), None  # pyright: ignore[reportPrivateUsage]
    return recorded._as_written(path), entries  # pyright: ignore[reportPrivateUsage]


@given(any_flats())
def test_what_our_writer_writes_needs_no_library(
    tmp_path_factory: pytest.TempPathFactory, flat: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    text = to_yaml(from_flat(flat, {}))
    mine, library = both(path, text)
    assert mine == library or (mine is None and '"' in text)


def test_the_record_of_every_leaf_needs_no_library(tmp_path: Path) -> None:
    path = tmp_path / "defaults.yaml"
    mine, library = both(path, to_yaml(Config()))
    assert mine is not None
    assert mine == library


@given(st.lists(LINES, max_size=8))
@example(["env:", "  a: 1", "b: 2", "  c: 3"])
@example(["env:", "  a: 1", "env:", "  b: 2"])
@example(["env: 1", "env:", "  b: 2"])
@example(["env:", "train:", "  a: 1"])
def test_any_other_spelling_is_read_alike_or_left_to_the_library(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "other.yaml"
    mine, library = both(path, "".join(f"{line}\n" for line in lines))
    assert mine is None or mine == library


def test_a_record_is_read_without_the_library_and_a_foreign_one_with_it(tmp_path: Path) -> None:
    own, foreign = tmp_path / "own.yaml", tmp_path / "foreign.yaml"
    own.write_text("schema: 1\nenv:\n  id: CartPole-v1\n")
    foreign.write_text('schema: 1\nenv: {id: "CartPole-v1"}\n')
    assert load_recorded(own) == load_recorded(foreign) == {"env.id": "CartPole-v1"}
    code = (
        "import sys; from pathlib import Path; from dreamerlab.config.recorded import load_recorded\n"
        "load_recorded(Path(sys.argv[1])); print('yaml' in sys.modules, 'pydantic' in sys.modules)"
    )
    for path, expected in ((own, "False False"), (foreign, "True False")):
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
