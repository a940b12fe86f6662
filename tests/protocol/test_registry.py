"""Records are append-only and prove their order: whatever is done to a file by hand or by a crash is seen and named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from dreamerlab.errors import Conflict, NotFound, ToolFailed, UsageError
from dreamerlab.protocol import state
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS, Event, Registry, parse_record
from tests.lab.hypotheses import a_proposal, an_event


def an_hour(hour: int) -> str:
    return f"2026-01-01T{hour:02d}:00:00+00:00"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def record(registry: Registry) -> str:
    """A record of six lines."""
    made = registry.create(HYPOTHESIS, Event("proposed", an_hour(0), "Ada", {"name": "first", "text": "naïve\n“x”"}))
    for number in range(1, 6):
        registry.append(made, Event("trial-finished", an_hour(number), "Ada", {"seed": number, "score": 1.5}))
    return made


def test_events_come_back_as_they_were_written(registry: Registry, record: str) -> None:
    read = registry.read(record)
    assert (read.faults, read.torn, read.caveats) == ((), b"", ())
    assert read.events[0].data == {"name": "first", "text": "naïve\n“x”"}
    assert [event.data["seed"] for event in read.events[1:]] == [1, 2, 3, 4, 5]
    lines = registry.path(record).read_bytes().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [1, 2, 3, 4, 5, 6]


Change = Callable[[list[bytes]], list[bytes]]
TAMPERED: dict[str, tuple[Change, list[str]]] = {
    "edited": (
        lambda x: [*x[:3], x[3].replace(b"1.5", b"9.5"), *x[4:]],
        ["line 4 was edited: its checksum does not fit"],
    ),
    "last line edited": (
        lambda x: [*x[:5], x[5].replace(b"1.5", b"9.5")],
        ["line 6 was edited: its checksum does not fit"],
    ),
    "first line edited": (
        lambda x: [x[0].replace(b"first", b"worst"), *x[1:]],
        ["line 1 was edited: its checksum does not fit"],
    ),
    "one removed": (lambda x: [*x[:2], *x[3:]], ["line 3 was removed"]),
    "two removed": (lambda x: [x[0], *x[3:]], ["line 2 was removed", "line 3 was removed"]),
    "first removed": (lambda x: x[1:], ["line 1 was removed"]),
    "two exchanged": (
        lambda x: [*x[:2], x[3], x[2], *x[4:]],
        ["line 3 was moved or repeated: it stands at 4"],
    ),
    "last one first": (lambda x: [x[5], *x[:5]], ["line 6 was moved or repeated: it stands at 1"]),
    "repeated": (lambda x: [*x[:3], x[2], *x[3:]], ["line 3 was moved or repeated: it stands at 4"]),
    "unreadable": (lambda x: [*x[:2], b"not json\n", *x[3:]], ["line 3 cannot be read (Expecting value"]),
    "no object": (lambda x: [*x[:2], b"[1]\n", *x[3:]], ["line 3 cannot be read (not an object)"]),
    "a field missing": (lambda x: [*x[:2], b'{"event": "x"}\n', *x[3:]], ["line 3 cannot be read ('time' is missing)"]),
    "blank line": (lambda x: [*x, b"\n"], ["line 7 cannot be read"]),
    "deeply nested": (lambda x: [*x, b"[" * 100_000 + b"\n"], ["line 7 cannot be read"]),
    "not UTF-8": (lambda x: [*x, b'{"event": "\xff"}\n'], ["line 7 cannot be read"]),
    "windows line ends": (
        lambda x: [line.replace(b"\n", b"\r\n") for line in x],
        [f"line {number} was edited" for number in range(1, 7)],
    ),
    "emptied": (lambda x: [], ["it holds no whole line"]),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_done_to_a_line_is_named_and_nothing_is_built_on_it(
    registry: Registry, record: str, name: str
) -> None:
    change, expected = TAMPERED[name]
    path = registry.path(record)
    tampered = b"".join(change(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(tampered)
    faults = registry.read(record).faults
    assert [fault[: len(said)] for fault, said in zip(faults, expected, strict=True)] == expected
    with pytest.raises(Conflict, match="is damaged: "):
        registry.append(record, Event("noted", an_hour(7), "Ada", {}))
    assert path.read_bytes() == tampered


def test_a_line_of_another_record_does_not_follow(registry: Registry, record: str) -> None:
    other = registry.create(HYPOTHESIS, Event("proposed", an_hour(0), "Bob", {}))
    registry.append(other, Event("launched", an_hour(1), "Bob", {}))
    lines = registry.path(record).read_bytes().splitlines(keepends=True)
    lines[1] = registry.path(other).read_bytes().splitlines(keepends=True)[1]
    assert parse_record(record, b"".join(lines)).faults == (
        "line 2 does not follow from line 1: one of the two was replaced",
        "line 3 does not follow from line 2: one of the two was replaced",
    )


def test_a_renamed_file_belongs_to_another_record(registry: Registry, record: str) -> None:
    moved = registry.path("H0009-abc")
    registry.path(record).rename(moved)
    assert registry.read("H0009-abc").faults == ("line 1 belongs to another record: the file was renamed",)


@given(data=st.data())
@settings(max_examples=60)
def test_no_changed_byte_goes_unseen(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    registry = Registry(tmp_path_factory.mktemp("bytes"))
    record = registry.create(HYPOTHESIS, Event("proposed", an_hour(0), "Ada", {"k": 1.5}))
    registry.append(record, Event("opened", an_hour(1), "Ada", {}))
    good = registry.path(record).read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != good[at]))
    changed = parse_record(record, good[:at] + bytes([byte]) + good[at + 1 :])
    assert changed.faults or changed.torn


@pytest.mark.parametrize("left", [b"{", b'{"schema": 1, "line": 7, "event": "judged"', b"\x00\x00", b'{"whole": true}'])
def test_an_unfinished_last_line_is_set_aside_and_reported(registry: Registry, record: str, left: bytes) -> None:
    path = registry.path(record)
    whole = path.read_bytes()
    path.write_bytes(whole + left)
    read = registry.read(record)
    assert (read.torn, read.faults, len(read.events)) == (left, (), 6)
    said: list[str] = []
    registry.append(record, Event("withdrawn", an_hour(7), "Ada", {"why": "x"}), said.append)
    assert path.read_bytes().startswith(whole)
    assert registry.read(record).faults == ()
    assert [event.event for event in registry.read(record).events][-1] == "withdrawn"
    kept = registry.torn_path(record)
    assert kept.read_bytes() == left + b"\n"
    assert registry.files(record) == [path, kept]
    assert registry.set_aside() == [kept]
    assert said == [f"{path} ended in an unfinished line, left by a crash; it is kept in {kept.name}"]
    registry.append(record, Event("noted", an_hour(8), "Ada", {}), said.append)
    assert len(said) == 1


def test_a_second_tear_is_kept_beside_the_first(registry: Registry, record: str) -> None:
    for left in (b"one", b"two", b"o"):
        with registry.path(record).open("ab") as file:
            file.write(left)
        registry.append(record, Event("noted", an_hour(8), "Ada", {}))
    assert registry.torn_path(record).read_bytes() == b"one\ntwo\no\n"


def test_the_chain_orders_events_when_the_clock_goes_backwards(registry: Registry) -> None:
    record = registry.create(HYPOTHESIS, an_event(state.PROPOSED, a_proposal().to_dict(), an_hour(5)))
    registry.append(record, an_event(state.LAUNCHED, {"run": "R0001-abc"}, an_hour(3)))
    registry.append(record, an_event(state.WITHDRAWN, {"why": "late"}, an_hour(4)))
    folded = state.fold(registry.read(record))
    assert (folded.phase, folded.run) == (state.DONE_WITHDRAWN, "R0001-abc")
    assert folded.faults == ()
    assert folded.caveats == (f"line 2 is dated {an_hour(3)}, before line 1 ({an_hour(5)}): the clock went backwards",)


def test_a_record_is_found_by_id_prefix_and_name(registry: Registry, record: str) -> None:
    second = registry.create(HYPOTHESIS, Event("proposed", an_hour(0), "Ada", {"name": "second"}))
    entry = registry.create(ENTRY, Event("noted", an_hour(0), "Ada", {}))
    assert registry.find(record) == registry.find("H1") == registry.find("h1") == registry.find("first") == record
    assert registry.find("H2") == registry.find("second") == second
    assert registry.find("E1", ENTRY) == entry
    with pytest.raises(NotFound, match="no hypothesis is called 'secnd' \\(did you mean 'second'"):
        registry.find("secnd")
    with pytest.raises(NotFound, match="'R2' is a run, and a hypothesis is meant here"):
        registry.find("R2")
    with pytest.raises(NotFound, match="'E1' is an entry, and a hypothesis is meant here"):
        registry.find("E1")
    for path in ("../x", "a/b", ".", ""):
        with pytest.raises(UsageError):
            registry.find(path)


def test_one_number_of_two_branches_asks_for_more(registry: Registry, record: str) -> None:
    twin = f"H0001-{'aaa' if record[-3:] != 'aaa' else 'bbb'}"
    registry.path(record).with_name(f"{twin}.jsonl").write_bytes(b"")
    with pytest.raises(Conflict) as caught:
        registry.find("H1")
    assert {record, twin} <= set(caught.value.message.replace("'", " ").split())
    assert registry.find(record) == record


def test_a_name_that_two_branches_gave_asks_for_the_id(registry: Registry, record: str) -> None:
    twin = registry.create(HYPOTHESIS, Event("proposed", an_hour(0), "Bob", {"name": "first"}))
    with pytest.raises(Conflict, match="'first' could be") as caught:
        registry.find("first")
    assert caught.value.hint == "give the id"
    assert registry.names() == {"first": twin}


def test_a_file_that_cannot_be_read_spoils_no_listing(registry: Registry, record: str) -> None:
    registry.path("H0002-abc").mkdir()
    registry.path("H0003-abc").write_bytes(b"{}\n")
    registry.create(HYPOTHESIS, an_event(state.PROPOSED, a_proposal().to_dict()))
    assert [one.id for one in registry.all(HYPOTHESIS)][1:3] == ["H0002-abc", "H0003-abc"]
    assert len(list(state.hypotheses(registry))) == 1
    with pytest.raises(ToolFailed, match="cannot read"):
        registry.read("H0002-abc")


def test_drafts_of_writers_that_died_are_cleared(registry: Registry, record: str) -> None:
    draft = registry.folder / ".H0002-abc.jsonl.99-0.tmp"
    draft.write_bytes(b"{")
    registry.create(HYPOTHESIS, Event("proposed", an_hour(0), "Ada", {}))
    assert not draft.exists()


LIMITED = """
import resource, sys
from pathlib import Path
from dreamerlab.errors import ToolFailed
from dreamerlab.protocol.registry import Event, Registry
registry, record = Registry(Path(sys.argv[1])), sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
for write in (lambda: registry.append(record, Event("noted", "2026", "Ada", {"text": "x" * 500})),
              lambda: registry.create("H", Event("proposed", "2026", "Ada", {"text": "x" * 5000}))):
    try:
        write()
    except ToolFailed as error:
        print(error.message)
"""


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_the_record_whole(registry: Registry, record: str) -> None:
    path = registry.path(record)
    before = path.read_bytes()
    limit = str(len(before) + 100)
    words = [sys.executable, "-c", LIMITED, str(registry.folder), record, limit]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [line.partition(" /")[0] for line in done.stdout.splitlines()] == ["cannot write", "cannot write"]
    assert path.read_bytes() == before
    assert [item.name for item in registry.folder.iterdir()] == [path.name]


@settings(max_examples=25, stateful_step_count=30)
class Life(RuleBasedStateMachine):
    """Any order of writes, crashes and looks: what was acknowledged stays, in order, and the chain holds."""

    records = Bundle("records")

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.registry = Registry(Path(self.folder.name) / "registry")
        self.told: dict[str, list[dict[str, Any]]] = {}
        self.torn: dict[str, bytes] = {}
        self.set_aside: dict[str, bytes] = {}

    @rule(target=records, letter=st.sampled_from([HYPOTHESIS, ENTRY]), text=st.text())
    def create(self, letter: str, text: str) -> str:
        numbers = [one.number for one in self.registry.ids(letter)]
        made = self.registry.create(letter, Event("begun", an_hour(1), "Ada", {"text": text}))
        assert int(made[1:5]) == max(numbers, default=0) + 1
        self.told[made] = [{"text": text}]
        return made

    @rule(record=records, value=st.floats(allow_nan=False), hour=st.integers(0, 23))
    def append(self, record: str, value: float, hour: int) -> None:
        self.registry.append(record, Event("more", an_hour(hour), "Ada", {"value": value}))
        self.told[record].append({"value": value if abs(value) != float("inf") else str(value)})
        if left := self.torn.pop(record, b""):
            self.set_aside[record] = self.set_aside.get(record, b"") + left + b"\n"

    @rule(record=records, left=st.binary(min_size=1, max_size=30).filter(lambda x: b"\n" not in x))
    def crash(self, record: str, left: bytes) -> None:
        with self.registry.path(record).open("ab") as file:
            file.write(left)
        self.torn[record] = self.torn.get(record, b"") + left

    @rule(record=records)
    def refuse(self, record: str) -> None:
        def no(_: object) -> Event:
            raise Conflict("not now")

        before = self.registry.path(record).read_bytes()
        with pytest.raises(Conflict, match="not now"):
            self.registry.append(record, no)
        assert self.registry.path(record).read_bytes() == before

    @invariant()
    def nothing_is_lost(self) -> None:
        for record, told in getattr(self, "told", {}).items():
            read = self.registry.read(record)
            assert read.faults == ()
            assert [dict(event.data) for event in read.events] == told
            assert read.torn == self.torn.get(record, b"")
            kept = self.registry.torn_path(record)
            assert (kept.read_bytes() if kept.exists() else b"") == self.set_aside.get(record, b"")

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestLife = Life.TestCase
