"""YAML as configs use it: values mean what they look like, and nothing dangerous or hidden gets through."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.config.strict_yaml import MAX_BYTES, Entry, YamlFault, parse_entries, parse_value, read_entries


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e6", 1e6),
        ("+1.5E+2", 150.0),
        (".5", 0.5),
        ("4.", 4.0),
        ("7", 7),
        ("-7", -7),
        ("1_000_000", 1_000_000),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("1:30", "1:30"),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("no", "no"),
        ("off", "off"),
        ("null", None),
        ("~", None),
        ('"1e-3"', "1e-3"),
        ("'true'", "true"),
        ("CartPole-v1", "CartPole-v1"),
        ("ALE/Pong-v5", "ALE/Pong-v5"),
        ("[-20, 20.5]", (-20, 20.5)),
        ("[]", ()),
        (".inf", math.inf),
    ],
)
def test_a_value_means_what_it_looks_like(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_entries_carry_dotted_keys_and_the_line_of_the_key() -> None:
    text = "\n# comment\na:\n  b: 1\n  c: [1, 2]\nd.e: x\nf: {g: true,\n    h: null}\ni:\n"
    assert parse_entries(text) == [
        Entry("a.b", 1, 4),
        Entry("a.c", (1, 2), 5),
        Entry("d.e", "x", 6),
        Entry("f.g", True, 7),
        Entry("f.h", None, 8),
        Entry("i", None, 9),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "{}", "---\n{}\n"])
def test_a_file_without_values_is_empty(text: str) -> None:
    assert parse_entries(text) == []


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['true']\n", 2, "tag"),
        ("a: !!int 3\n", 1, "tag"),
        ("!custom\na: 1\n", 1, "tag"),
        ("a: &x 1\nb: *x\n", 1, "anchors and aliases"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", 1, "anchors and aliases"),
        ("b: *nowhere\n", 1, "anchors and aliases"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice, first on line 1"),
        ("a: {b: 1}\na.b: 2\n", 2, "'a.b' is given twice"),
        ("a: {b: 1,\n b: 2}\n", 2, "'a.b' is given twice"),
        ("- 1\n- 2\n", 1, "must be a mapping"),
        ("just words\n", 1, "must be a mapping"),
        ("null\n", 1, "must be a mapping"),
        ("a: 1\n---\nb: 2\n", 2, "more than one document"),
        ("a: 1\n  b: 2\n", 2, "not valid YAML"),
        ("a: [1, 2\n", 2, "not valid YAML"),
        ("a: \x07\n", 1, "character"),
        ("a: 1\nb: '\x00'\n", 2, "character"),
        ("? [a, b]\n: 1\n", 1, "a key must be a word"),
        ("a: [{b: 1}]\n", 1, "mapping inside a list"),
        ("a: " + "{b: " * 20 + "1" + "}" * 20, 1, "nested deeper"),
        ("a: " + "[" * 20000, 1, "nested deeper"),
        ("{" * 60000, 1, "key must be a word"),
        ("a: " + "x" * 501, 1, "longer than 500"),
        ("a: " + "9" * 501, 1, "longer than 500"),
    ],
)
def test_what_is_refused_and_where(text: str, line: int, reason: str) -> None:
    with pytest.raises(YamlFault, match=reason) as caught:
        parse_entries(text)
    assert caught.value.line == line
    assert "\n" not in caught.value.reason
    assert len(caught.value.reason) < 200


@pytest.mark.parametrize(
    "text", ["", "  ", "# comment", "{a: 1}", "a: 1", "- 1", "1\n---\n2", "!!int 1", "&a 1", "*a", "@x"]
)
def test_an_override_value_is_one_scalar_or_flow_list(text: str) -> None:
    with pytest.raises(YamlFault):
        parse_value(text)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a: 1\nb: \xff\n", "not UTF-8"),
        ("a: 1".encode("utf-16"), "not UTF-8"),
        (b"a: 1\n" + b"#" * MAX_BYTES, "larger than 64 KiB"),
    ],
)
def test_files_that_are_not_small_text_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.yaml").write_bytes(data)
    with pytest.raises(YamlFault, match=reason):
        read_entries(tmp_path / "x.yaml")


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_entries(tmp_path / "x.yaml") == [Entry("a", 1, 1)]


def test_a_pipe_or_a_folder_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", tmp_path):
        with pytest.raises(YamlFault, match="not a regular file"):
            read_entries(path)


yaml_like = st.text(alphabet=st.sampled_from(list("ab01.:- \n\t[]{}&*!#'\"|>%@?,\x00é~")), max_size=40)


@given(st.one_of(st.text(max_size=60), yaml_like))
@settings(deadline=None)
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 2
    for parse in (parse_entries, parse_value):
        try:
            parse(text)
            line = 1
        except YamlFault as fault:
            line = fault.line
        assert 1 <= line <= lines
