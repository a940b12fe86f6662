"""Figures cited in notes: found, filled in, or said to be unfillable."""

from __future__ import annotations

from typing import Any

import pytest

from dreamerlab.report.citations import Citation, CitationFault, Cited, citations, fill, look_up


class Asked:
    """A source that says what it was asked."""

    def of_run(self, *asked: Any) -> Cited:
        return Cited("12.5", "R0012-9qd", str(asked))

    def of_hypothesis(self, hypothesis: str, what: str) -> Cited:
        return Cited("REFUTED", "H0007-k3f", f"{what} of {hypothesis}")


def meaning(text: str) -> str:
    return look_up(next(citations(text)), Asked()).meaning


def test_every_form_is_read() -> None:
    assert meaning("{R12 eval/return final_mean(5)}") == "('R12', None, 'eval/return', 'final_mean(5)', None)"
    assert meaning("{R0012-9qd seed 3  eval/return auc}") == "('R0012-9qd', 3, 'eval/return', 'auc', None)"
    assert meaning("{R12 eval/return at 10k}") == "('R12', None, 'eval/return', None, 10000)"
    assert meaning("{R12 score}") == "('R12', None, None, None, None)"
    assert meaning("{H7 verdict}") == "verdict of H7"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{H7 mean}", "one can cite verdict, difference, interval, not 'mean'"),
        ("{H7 seed 1 verdict}", "one can cite"),
        ("{R12 eval/return at noon}", "'noon' is no env step"),
        ("{R12 eval/return}", "does not say how eval/return becomes one figure"),
    ],
)
def test_what_cannot_be_meant_says_why(text: str, reason: str) -> None:
    with pytest.raises(CitationFault, match=reason.replace("(", "\\(")):
        look_up(next(citations(text)), Asked())


def test_code_and_other_braces_are_left_alone() -> None:
    text = "`{R12 score}` {x} {R} {12 score} {E3 text}\n```\n{R12 score}\n```\n{{R12 score}} end"
    assert list(citations(text)) == [Citation("{R12 score}", "R12", "score")]
    assert fill("`{R12 score}`", Asked(), "") == "`{R12 score}`"


def test_a_filled_citation_leads_to_its_record() -> None:
    assert fill("so {R12 score}.", Asked(), "../") == (
        "so [12.5](../../runs/R0012-9qd \"('R12', None, None, None, None)\")."
    )
    assert fill("{H7 verdict}", Asked(), "") == '[REFUTED](hypotheses/H0007-k3f.md "verdict of H7")'


def test_an_unfillable_citation_stays_visible_with_its_reason() -> None:
    assert fill("{H7 mean}", Asked(), "").startswith("**[{H7 mean}: of a hypothesis one can cite")
