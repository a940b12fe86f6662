"""Disputes about what happened rather than about how to train; part of the table in `disputes.py`."""

from __future__ import annotations

from dreamerlab.config.dispute_table import ERROR, Dispute, Position, dispute

RECORD = "a matter of records, not of configuration"

ABOUT_RECORDS: tuple[Dispute, ...] = (
    dispute(
        "A13.21, DIS-14",
        "Was the second Dreamer Gaussian, and has the third no continuous policy?",
        Position("it was categorical already; the policy is in the reference code", "the papers, reference"),
        Position("Gaussian; none given; entropy times dimensions", "S1, S2"),
        expect="Entropy is summed over dimensions, once.",
        no_leaf=ERROR,
    ),
    dispute(
        "DIS-12",
        "16.8 or 16.4 after 25k updates, and was 129 or 157 the lowest?",
        Position("one figure, from the record", "this product"),
        Position("both", "S4"),
        expect="Figures in the log are filled in from records and checked.",
        no_leaf=RECORD,
    ),
    dispute(
        "DIS-13",
        "What did the run called tuned_v2 do?",
        Position("what its metrics say: 350 at 25k, 126 at 35k, 78.9k steps", "its metrics"),
        Position("what its log says: about 200, about 100, 115k steps", "S4"),
        expect="The log is generated here, so the two cannot differ.",
        no_leaf=RECORD,
    ),
    dispute(
        "DIS-21",
        "Was the critic at 5.0 or at 147?",
        Position("not comparable: unit or regime had changed", "S4, read side by side"),
        Position("5.0 in one run, 147 in the next", "S4"),
        expect="Every metric has a unit in the catalogue.",
        no_leaf=RECORD,
    ),
    dispute(
        "DIS-22",
        "Is an actor loss of 0.1 to 0.3 or of 0.002 to 0.2 normal?",
        Position("neither: it is a weighted sum that depends on scale and entropy", "this product"),
        Position("either", "S4's runs"),
        expect="Compare its two terms, behavior/policy_gradient_term and behavior/entropy_term.",
        no_leaf=RECORD,
    ),
    dispute(
        "DIS-23",
        "May a run of 18k be compared with one of 30k?",
        Position("no: budgets are frozen and compared", "this product"),
        Position("yes, as 'final about 300'", "S4 (its table has 261)"),
        expect="Such a comparison is refused, or marked.",
        no_leaf=RECORD,
    ),
    dispute(
        "DIS-24",
        "Did the detach fix help, and does size?",
        Position("not shown: rates and starting points changed as well", "this product"),
        Position("yes", "S4"),
        expect="A hypothesis changes one leaf, or says that it is a bundle.",
        no_leaf=RECORD,
    ),
)
