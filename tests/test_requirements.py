"""protocol/reference/requirements.yaml lists every id that is cited anywhere, with a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from dreamerlab.config.disputes import DISPUTES, Dispute
from tests.pointers import cites, turns

ROOT = Path(__file__).parent.parent
LISTED = yaml.safe_load((ROOT / "protocol/reference/requirements.yaml").read_text())
PLAIN = re.compile(r"\b(?:M-[A-Z]+-\d+|DIS-\d+)\b")
TICKED = {
    "LOG": range(1, 7),
    "ENT": (1, 4, 5, 8, 9),
    "DIAG": (*range(1, 19), *range(20, 32)),
    "OPT": (1, 2, 3, 5, 9),
    "ML": (*range(1, 9), *range(20, 27)),
    "QC": range(1, 12),
}
"""What is asked for as a mechanism, of logged names, entropy, rules and the modular learner: each has a break."""
FACTS = re.compile(r"\bFACTS ([A-F]\d+(?:\.\d+)?(?:(?:, | and )[A-F]\d+(?:\.\d+)?)*)")


def cited_in(text: str) -> set[str]:
    listed = {f"FACTS {one}" for group in FACTS.findall(text) for one in re.findall(r"[A-F]\d+(?:\.\d+)?", group)}
    return listed | set(PLAIN.findall(text))


def test_ids_are_recognised() -> None:
    assert cited_in("(FACTS A4, A6 and F20; M-CP-36, DIS-05)") == {
        "FACTS A4",
        "FACTS A6",
        "FACTS F20",
        "M-CP-36",
        "DIS-05",
    }


def test_every_cited_id_is_listed_and_every_listed_one_is_cited() -> None:
    cited: set[str] = set()
    for folder, pattern in (
        ("dreamerlab", "*.py"),
        ("tests", "*.py"),
        ("benchmarks", "*.py"),
        ("env_configs", "*.yaml"),
        ("protocol/decisions", "*.md"),
    ):
        for path in (ROOT / folder).rglob(pattern):
            if path != Path(__file__):
                cited |= cited_in(path.read_text())
    assert cited - LISTED.keys() == set(), "cited but not in protocol/reference/requirements.yaml"
    assert LISTED.keys() - cited == set(), "listed but cited nowhere"


def test_every_entry_names_a_test_that_exists() -> None:
    for key, entry in LISTED.items():
        assert entry.keys() - {"break"} == {"text", "test"}, key
        path, _, name = entry["test"].partition("[")[0].partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{key}: {entry['test']}"


def test_mechanisms_have_a_break_that_their_test_must_see() -> None:
    """Whether it does is seen by tests/test_breaks.py, which takes minutes."""
    lacking = {f"M-{area}-{number:02}" for area, numbers in TICKED.items() for number in numbers}
    assert lacking - {key for key, entry in LISTED.items() if "break" in entry} == set()


@pytest.mark.parametrize("key", [key for key, entry in LISTED.items() if "break" in entry])
def test_a_break_is_of_one_place_and_leaves_code(key: str) -> None:
    broken = LISTED[key]["break"]
    assert broken.keys() == {"file", "find", "put"}
    assert broken["file"].startswith("dreamerlab/")
    whole = (ROOT / broken["file"]).read_text(encoding="utf-8")
    assert whole.count(broken["find"]) == 1, f"{broken['file']} has it {whole.count(broken['find'])} times"
    assert ast.dump(ast.parse(whole.replace(broken["find"], broken["put"]))) != ast.dump(ast.parse(whole))


def has_to_do_with(pointer: str, dispute: Dispute) -> bool:
    """Tell whether a test is about a dispute: it cites it, or spells a leaf that one of its positions sets.

    Where no position has a leaf, the tests of the list of disputes are all there can be.
    """
    keys = {key for position in dispute.positions for key in position.settings}
    in_the_list = not keys and pointer.startswith("tests/config/test_disputes.py::")
    return in_the_list or cites(pointer, dispute.ids) or any(turns(pointer, key) for key in keys)


@pytest.mark.parametrize("dispute", DISPUTES, ids=lambda dispute: dispute.ids[0])
def test_a_dispute_points_to_a_test_that_has_to_do_with_it(dispute: Dispute) -> None:
    for name in dispute.ids:
        entry = LISTED.get(name) or LISTED.get(f"FACTS {name}")
        assert entry is None or has_to_do_with(entry["test"], dispute), entry
    assert not has_to_do_with("tests/test_requirements.py::test_every_entry_names_a_test_that_exists", dispute)
