"""Markdown of the notebook as HTML: the same words, links inside the report, nothing that a browser would obey."""

from __future__ import annotations

import pytest

from dreamerlab.report.markdown_html import to_html
from dreamerlab.report.prose import details, plain, quoted


def html(markdown: str) -> str:
    return to_html(markdown, {"H0001-abc-effect.svg": "<svg>effect</svg>"}.get)


@pytest.mark.parametrize(
    "wild",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</details></blockquote><script>alert(1)</script>",
        '"><svg onload=alert(1)>',
        "<!-- <script> -->",
        "<details>\n<summary><b onclick=alert(1)>x</b></summary>",
    ],
)
def test_what_looks_like_html_is_shown_and_never_obeyed(wild: str) -> None:
    for markdown in (wild, quoted(wild), f"*{plain(wild)}*", f"`{wild}`", f"| a |\n| --- |\n| {plain(wild)} |"):
        made = html(markdown)
        assert "<script" not in made
        assert "<img" not in made
        assert "<svg" not in made
        assert "<!--" not in made
        assert "<b " not in made


def test_links_lead_to_records_in_the_report_to_the_web_or_nowhere() -> None:
    assert '<a href="#H0001-abc">one</a>' in html("[one](../hypotheses/H0001-abc.md)")
    assert '<a href="#R0002-xyz">run</a>' in html("[run](../../runs/R0002-xyz)")
    assert 'href="https://example.org/a" rel="noreferrer noopener"' in html("[web](https://example.org/a)")
    for dead in ("[rules](PROTOCOL.md)", "[bad](javascript:alert(1))", "[record](registry/H0001-abc.jsonl)"):
        assert "href" not in html(dead)
    assert "Back to the log" not in html("By Ada. [Back to the log](../LOG.md#h0001-abc).")


def test_figures_are_put_in_by_name_and_no_other_picture_is_loaded() -> None:
    assert "<svg>effect</svg>" in html("![scores](../hypotheses/H0001-abc-effect.svg)")
    assert html("![x](https://example.org/spy.png)") == "<p>[picture: x]</p>\n"


def test_tables_have_a_caption_and_headings_with_a_scope_folds_stay_folds() -> None:
    made = html("# Page\n\n## Every seed\n\n| arm | score |\n| --- | ---: |\n| a | 1 |")
    assert "<h3>Every seed</h3>" in made
    assert "Every seed</caption>" in made
    assert '<th scope="col">arm</th>' in made
    assert '<td class="num">1</td>' in made
    folded = html(details("Corrected once", "what it said"))
    assert folded == "<details><summary>Corrected once</summary>\n<p>what it said</p>\n</details>\n"
