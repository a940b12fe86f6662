"""The grammar of a sentence: every form is taken apart, and put together again it says the same (M-PROT-01)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.errors import UsageError
from dreamerlab.protocol.expectation_words import SaidExpectation
from dreamerlab.protocol.quantities import Amount
from dreamerlab.protocol.sentence import SaidChange, Sentence, parse_sentence

RISE = SaidExpectation("eval/return", "rise", Amount(20, "%"))
TO_RISE = "-> expect eval/return to rise by 20%"
LEFT = {
    "change optimizer.lr_actor=3e-4": SaidChange("optimizer.lr_actor", "3e-4"),
    "change lr_actor = 3e-4": SaidChange("lr_actor", "3e-4"),
    "optimizer.lr_actor=3e-4": SaidChange("optimizer.lr_actor", "3e-4"),
    "change lr_actor to 3e-4": SaidChange("lr_actor", "3e-4"),
    "lr_actor to 3e-4": SaidChange("lr_actor", "3e-4"),
    "change lr_actor from 1e-4 to 3e-4": SaidChange("lr_actor", "3e-4", "1e-4"),
    "change lr_actor from 1e-4 -> 3e-4": SaidChange("lr_actor", "3e-4", "1e-4"),
    "change lr_actor 1e-4->3e-4": SaidChange("lr_actor", "3e-4", "1e-4"),
    "change lr_actor: 1e-4 → 3e-4": SaidChange("lr_actor", "3e-4", "1e-4"),
    "change lr_actor -> 3e-4": SaidChange("lr_actor", "3e-4"),
    "change twohot.support to [-5, 5]": SaidChange("twohot.support", "[-5, 5]"),
    "change twohot.support from [-20, 20] to [-5, 5]": SaidChange("twohot.support", "[-5, 5]", "[-20, 20]"),
    "CHANGE replay.online=false": SaidChange("replay.online", "false"),
    "change\treplay.capacity=30k ": SaidChange("replay.capacity", "30k"),
}
RIGHT = {
    "eval/return to rise by 20%": RISE,
    "eval/return rises by 20 %.": RISE,
    "eval/return to fall by 2.5": SaidExpectation("eval/return", "fall", Amount(2.5)),
    "eval/return to rise by 20% of span": SaidExpectation("eval/return", "rise", Amount(20, "% of span")),
    "wm/free_bits_frac to fall by 5 pp": SaidExpectation("wm/free_bits_frac", "fall", Amount(5, "pp")),
    "eval/return >= -100": SaidExpectation("eval/return", "at_least", Amount(-100)),
    "eval/return≥450": SaidExpectation("eval/return", "at_least", Amount(450)),
    "wm/loss <= 1e-3": SaidExpectation("wm/loss", "at_most", Amount(1e-3)),
    "eval/return stays within 30": SaidExpectation("eval/return", "within", Amount(30)),
    "eval/return to stay within 10% of span": SaidExpectation("eval/return", "within", Amount(10, "% of span")),
    "eval/return reaches 475 by 30k env_steps": SaidExpectation("eval/return", "reaches", Amount(475), 30_000),
    "eval/return to reach 475 by 30,000 env steps": SaidExpectation("eval/return", "reaches", Amount(475), 30_000),
}


@pytest.mark.parametrize("left", LEFT)
def test_the_left_side_says_what_changes(left: str) -> None:
    assert parse_sentence(f"{left} {TO_RISE}") == Sentence((LEFT[left],), None, RISE)


@pytest.mark.parametrize("right", RIGHT)
@pytest.mark.parametrize("arrow", ["->", "→", "=>", " -->  "])
def test_the_right_side_says_what_is_expected(right: str, arrow: str) -> None:
    assert parse_sentence(f"nothing{arrow}expect {right}") == Sentence((), None, RIGHT[right])


def test_changes_may_stand_side_by_side_as_on_a_command_line() -> None:
    found = parse_sentence(f"change lr_actor=3e-4 lr_critic = 1e-3 {TO_RISE}")
    assert found.changes == (SaidChange("lr_actor", "3e-4"), SaidChange("lr_critic", "1e-3"))


def test_code_is_taken_in_its_own_words() -> None:
    found = parse_sentence(f"code: clip the KL per element, and log it -> twice {TO_RISE}")
    assert found == Sentence((), "clip the KL per element, and log it -> twice", RISE)


def test_several_changes_are_told_apart_and_lists_are_not() -> None:
    found = parse_sentence(f"change a.b=[1, 2] and change c to 3, d from 1 to 2; e=4 {TO_RISE}")
    assert found.changes == (
        SaidChange("a.b", "[1, 2]"),
        SaidChange("c", "3"),
        SaidChange("d", "2", "1"),
        SaidChange("e", "4"),
    )


def test_nothing_needs_no_expectation() -> None:
    assert parse_sentence(" Nothing ") == Sentence()


keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}(\.[a-z][a-z0-9_]{0,8})?", fullmatch=True).filter(
    lambda key: key not in ("to", "from", "and", "nothing", "code", "change", "expect")
)
numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
positive = st.floats(min_value=1e-9, max_value=1e12)
values = st.one_of(
    numbers.map(repr),
    st.sampled_from(["true", "null", "all", "slow", "30k"]),
    st.lists(st.integers(-9, 9), min_size=2, max_size=3).map(str),
)
changes = st.lists(st.builds(SaidChange, keys, values, st.none() | values), min_size=1, max_size=3).map(tuple)
metrics = st.from_regex(r"[a-z]{1,6}/[a-z_0-9]{1,12}", fullmatch=True)
shared = st.builds(Amount, positive, st.sampled_from(["", "%", "% of span", "pp"]))
expectations = st.one_of(
    st.builds(SaidExpectation, metrics, st.sampled_from(["rise", "fall", "within"]), shared),
    st.builds(SaidExpectation, metrics, st.sampled_from(["at_least", "at_most"]), st.builds(Amount, numbers)),
    st.builds(SaidExpectation, metrics, st.just("reaches"), st.builds(Amount, numbers), st.integers(1, 10**9)),
)
words = st.from_regex(r"[A-Za-z][A-Za-z ,.()'-]{0,40}[a-z]", fullmatch=True).map(lambda text: " ".join(text.split()))
sentences = st.one_of(
    st.builds(Sentence, changes, st.none(), expectations),
    st.builds(Sentence, st.just(()), words, expectations),
    st.builds(Sentence, st.just(()), st.none(), st.none() | expectations),
)


@settings(max_examples=60)
@given(sentences)
def test_a_sentence_put_together_reads_the_same(sentence: Sentence) -> None:
    assert parse_sentence(str(sentence)) == sentence


@given(st.text(max_size=80) | st.text("ab= ->→expect change to rise by 20%;[],'\"", max_size=60))
def test_whatever_is_typed_is_read_or_answered(text: str) -> None:
    answer = refusal(text)
    if answer is not None:
        assert "it goes like this:" in answer.message
        assert answer.hint is not None
        assert answer.hint.startswith("dreamerlab propose ")


def refusal(text: str) -> UsageError | None:
    try:
        parse_sentence(text)
    except UsageError as error:
        return error
    return None


def test_the_answer_to_a_sentence_offers_one_that_can_be_read() -> None:
    for wrong in (
        "change a.b=1 -> expect eval/return to rise to 450",
        "change a.b=1 -> expect eval/return reaches 475 by 30k steps",
        "change a.b=1 -> expect eval/return to improve by 20",
        "change a.b=1 -> eval/return to rise by 20%",
        "change a.b=1 - eval/return to rise by 20%",
    ):
        with pytest.raises(UsageError) as refused:
            parse_sentence(wrong)
        assert refused.value.hint is not None
        offered = refused.value.hint.removeprefix("dreamerlab propose ").strip("\"'")
        assert parse_sentence(offered).changes == (SaidChange("a.b", "1"),), wrong
