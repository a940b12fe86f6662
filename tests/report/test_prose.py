"""People's words cannot break the page around them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.report.prose import clean, code, fields_list, plain, quoted

WILD = st.text(alphabet=st.sampled_from(list("ab \n#*_`~<>|[]()!\\-+=.1\u202e\x07\ud800")), max_size=60)


@given(WILD | st.text(max_size=80))
def test_a_line_stays_one_line_and_keeps_its_characters(text: str) -> None:
    shown = plain(text)
    assert "\n" not in shown
    assert re.sub(r"\\(?=[^A-Za-z0-9\s])", "", shown.replace("\\\\", "\0")).replace("\0", "\\") == " ".join(
        clean(text).split()
    )


@given(WILD | st.text(max_size=200))
def test_a_quote_holds_every_line_and_can_be_written(text: str) -> None:
    for line in quoted(text).split("\n"):
        assert line.startswith(">")
    quoted(text).encode()


@given(WILD)
def test_no_html_is_obeyed_outside_of_code(text: str) -> None:
    """Every `<` that markdown could read as a tag is escaped by an odd number of backslashes, or stands in code."""
    body = "\n".join(line.removeprefix(">").removeprefix(" ") for line in quoted(text.replace("`", "")).split("\n"))
    body = re.sub(r"^~{3,}.*?(?:^~{3,}$|\Z)", "", body, flags=re.DOTALL | re.MULTILINE)
    for found in re.finditer(r"(\\*)<", body):
        assert len(found[1]) % 2 == 1, body


def test_a_quote_keeps_lists_tables_and_code_and_takes_headings_and_html() -> None:
    text = "# Title\nwords <b>\n---\n\n- a\n\n| x |\n| --- |\n\n```\n<raw>\n# comment\n```\nafter </details> `<c>`"
    assert quoted(text) == (
        "> **Title**\n> words \\<b>\n> \\---\n>\n> - a\n>\n> | x |\n> | --- |\n>\n> ```\n> <raw>\n> # comment\n> ```\n"
        "> after \\</details> `<c>`"
    )


def test_a_fence_that_is_never_closed_ends_with_the_quote() -> None:
    assert quoted("```\n# not a heading").endswith("> # not a heading")


def test_code_survives_backticks_and_stays_on_one_line() -> None:
    assert code("a`b") == "``a`b``"
    assert code("`x`") == "`` `x` ``"
    assert code("a\nb") == "`a b`"


def test_lines_that_would_start_a_list_or_a_heading_are_escaped() -> None:
    assert [plain(text) for text in ("# x", "- x", "1. x", "3.5 units", "a # b")] == [
        "\\# x",
        "\\- x",
        "1\\. x",
        "3.5 units",
        "a # b",
    ]
    assert plain("[x]: http://a") == "\\[x]: http://a"
    assert plain("the interval [1, 2]: all of it") == "the interval [1, 2]: all of it"
    assert plain("[x](y) ![x][y]") == "[x\\](y) ![x\\][y]"


def test_fields_are_named_and_quoted() -> None:
    assert fields_list({"cause": "one", "possible-causes": "a\nb"}) == (
        "> **Cause:** one\n>\n> **Possible causes:**\n>\n> a\n> b"
    )
