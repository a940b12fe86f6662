"""`lint` of people's words: figures that no record holds, citations that stay empty, claims beyond the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.lint_claims import claims
from dreamerlab.protocol import state
from tests.lab.arms import flat, make_arm
from tests.lab.hypotheses import happened, launched, noted
from tests.lab.told import Told, tell
from tests.lab.workspaces import inside


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A supported hypothesis: seeds at 150, 160, 170 against 100, 110, 120."""
    return tell(tmp_path_factory.mktemp("told") / "lab")


@pytest.fixture
def told(original: Told, tmp_path: Path) -> Told:
    return original.copy(tmp_path / "lab")


def findings(told: Told, *rules: str) -> list[dict[str, Any]]:
    found = json.loads(inside(told.workspace.path, "lint", "--json").stdout)["findings"]
    return [one for one in found if one["rule"] in (rules or ("figure", "citation", "words"))]


def said(told: Told, text: str, *about: str, kind: str = "observation") -> list[str]:
    """Write a note and return the messages about it."""
    note = noted(told.workspace, kind, text, *(about or (told.treatment.id,)))
    return [one["message"] for one in findings(told) if note in one["file"]]


# Figures


@pytest.mark.parametrize(
    "text",
    [
        "The mean score was 160.0 over three seeds.",
        "It ended at 150, 160 and 170; the mean return was about 158.",
        "Final ~165, measured after 30k env steps with 5 attempts in 155 s.",
        "The return was above 140 in every seed and never reached 475, which is solved.",
        "R0001 scored 110, R0002 scored 160: a difference of 50 with the interval 27.3 to 72.7.",
        "Half the rate, 2e-5 instead of 0.0001, on a budget of 1000.",
        "On 2026-01-02 at 12:45 commit abcdef1234567 gave a score of 160.0.",
        "Return as cited: {R2 score}; in code `score = 999.5`.",
        "A remark without any result, page 127 and 4711.",
        "A weight of 127 was never tried.\n\nNothing else.",
    ],
)
def test_what_the_records_hold_and_what_claims_nothing_passes(told: Told, text: str) -> None:
    text = text.replace("R0001", told.baseline.id).replace("R0002", told.treatment.id)
    assert said(told, text, told.treatment.id, told.baseline.id) == []


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("The mean score was 161.0 over three seeds.", "'161.0'"),
        ("Final ~300, which is good.", "'~300'"),
        ("It collapsed to a low of 129.", "'129'"),
        ("The best return was 171.", "'171'"),
        ("eval/return_mode ended at 100.0.", "'100.0'"),
        ("| seed | final return |\n|---|---|\n| 0 | 150.0 |\n| 1 | 166.0 |", "'166.0'"),
    ],
)
def test_a_figure_that_no_record_holds_is_flagged_with_the_nearest_one(told: Told, text: str, claim: str) -> None:
    (message,) = said(told, text)
    assert message.startswith(f"{claim} stands beside {told.treatment.id}, whose records hold no such ")
    assert "; nearest is " in message


def test_a_figure_is_held_against_the_run_of_its_own_sentence(told: Told) -> None:
    """M-TOOL-06: a figure of one run quoted for another, as 157 and 129 once were."""
    text = f"{told.baseline.id} had a mean return of 110.0. {told.treatment.id} had a mean return of 110.0."
    (message,) = said(told, text, told.hypothesis)
    assert message.startswith(f"'110.0' stands beside {told.treatment.id}, whose records hold no such figure")


def test_a_correction_mends_a_typed_figure_and_the_hint_says_so(told: Told) -> None:
    note = noted(told.workspace, "observation", "The mean score was 999.0.", told.treatment.id)
    (found,) = findings(told)
    assert (found["rule"], found["line"]) == ("figure", 1)
    assert f'dreamerlab note --corrects {note} "..."' in found["hint"]
    assert "{" + told.treatment.id + " eval/return final_mean(3)}" in found["hint"]
    data = {"kind": "observation", "text": "The mean score was 160.0.", "about": [told.treatment.id], "fields": {}}
    happened(told.workspace, note, state.CORRECTED, **data)
    assert findings(told) == []


def test_decision_notes_are_read_with_the_line_of_the_sentence(told: Told) -> None:
    path = told.workspace.protocol / "decisions" / "0001-rate.md"
    path.parent.mkdir()
    path.write_text(f"# The rate\n\nWe keep it.\n\nIn {told.treatment.id} the final return\nwas 999.0 on average.\n")
    (found,) = findings(told)
    assert (found["file"], found["line"]) == ("protocol/decisions/0001-rate.md", 5)
    assert found["hint"].endswith("edit protocol/decisions/0001-rate.md")


def test_fields_that_hold_foreign_figures_are_left_alone(told: Told) -> None:
    data = {"kind": "analysis", "text": "By hand.", "about": [told.treatment.id]}
    data["fields"] = {"results": "mean score 999.0", "expected": "a return of 888.0", "observation": "return 777.0"}
    from dreamerlab.protocol.registry import ENTRY
    from tests.lab.hypotheses import an_event

    registry_of(told.workspace).create(ENTRY, an_event(state.NOTED, data))
    (found,) = findings(told)
    assert found["message"].startswith("'777.0'")


@given(value=st.floats(1, 1e5), decimals=st.integers(0, 4))
def test_a_claim_is_as_exact_as_it_was_written(value: float, decimals: int) -> None:
    written = f"{value:.{decimals}f}"
    found = list(claims(f"The mean return was {written} at last."))
    assert len(found) == (len(written) > 1)
    for claim in found:
        assert abs(claim.value - value) <= claim.tolerance
        assert claim.tolerance <= 0.5001 * 10**-decimals


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for claim in claims(f"mean return {text}"):
        assert claim.tolerance > 0


# Citations


def test_a_citation_that_cannot_be_filled_is_found_and_a_good_one_is_not(told: Told) -> None:
    good = "{" + told.treatment.id + " eval/return final_mean(3)} and {" + told.hypothesis + " verdict}"
    assert said(told, good) == []
    (message,) = said(told, "It was {R77 eval/return final_mean(3)}.")
    assert message.startswith("{R77 eval/return final_mean(3)} cannot be filled: ")


# Words


@pytest.mark.parametrize(
    "text",
    [
        "This proves that half the rate is better.",
        "Half the rate certainly helps.",
    ],
)
def test_no_verdict_is_a_proof(told: Told, text: str) -> None:
    (message,) = said(told, text, told.hypothesis)
    assert "is stronger than what stands beside it" in message
    assert f"{told.hypothesis} (SUPPORTED)" in message


@pytest.mark.parametrize(
    "text",
    [
        "Half the rate is better than the default here: confirmed for three seeds.",
        "It is not proven that half the rate is the cause.",
        "Does this prove anything?",
        "This may prove useful elsewhere.",
        "The proposal was supported.",
        "Nothing is solved yet, and no significant gain was seen at all in the end, so it was not confirmed.",
    ],
)
def test_words_that_the_verdict_carries_and_words_that_are_hedged_pass(told: Told, text: str) -> None:
    assert said(told, text, told.hypothesis) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("With this the task is solved.", "solved"),
        ("The change improves the return significantly.", "improves"),
        ("A larger model makes no difference.", "makes no difference"),
        ("Confirmed: it works.", "Confirmed"),
    ],
)
def test_words_beside_an_inconclusive_verdict_are_weighed(told: Told, text: str, word: str) -> None:
    run = make_arm(told.workspace, "third", flat(100, 130, 180), kind="treatment")
    hypothesis = launched(told.workspace, run.id, told.baseline.id)
    verdict = {"outcome": "INCONCLUSIVE", "label": None, "qualifiers": [], "reasons": [], "figures": {}, "rule": 0}
    happened(told.workspace, hypothesis, state.JUDGED, **verdict)
    (message,) = said(told, text, hypothesis)
    assert message == f"'{word}' is stronger than what stands beside it: {hypothesis} (INCONCLUSIVE)"
    assert said(told, text, run.id) == [message.replace(hypothesis, run.id)]
    assert said(told, f"It may be that {text}", hypothesis) == []


def test_before_the_verdict_nothing_is_shown_and_a_pilot_shows_nothing(told: Told) -> None:
    run = make_arm(told.workspace, "at-work", flat(100, 130, 180), kind="treatment")
    hypothesis = launched(told.workspace, run.id, None)
    (message,) = said(told, "Half the rate works.", hypothesis)
    assert message.endswith(f"{hypothesis} (not judged yet)")
    pilot = make_arm(told.workspace, "pilot", flat(100), kind="pilot")
    (message,) = said(told, "Half the rate works.", pilot.id)
    assert message.endswith(f"{pilot.id} (a pilot)")
    assert said(told, "Half the rate works.", pilot.id, kind="caution") == []
    assert said(told, "Half the rate works.", pilot.id, kind="idea") == []
