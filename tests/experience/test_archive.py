"""A large replay in checkpoints: exact, written once, and no more on disk than the checkpoints need (FACTS D2, D4)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema_experience import Smooth
from dreamerlab.experience.archive import Archive, damage
from dreamerlab.experience.replay import Replay
from tests.experience.streams import DETER, STOCH, fill, make_replay, row, same
from tests.experience.test_replay import MEMORY_DISK

CHUNK = 8


class ArchiveMachine(RuleBasedStateMachine):
    """Any order of adding, training, saving and falling back on any kept checkpoint restores the buffer bit for bit."""

    @initialize(
        capacity=st.integers(3, 60),
        streams=st.integers(1, 2),
        smooth=st.booleans(),
        latent_context=st.booleans(),
        mapped=st.booleans(),
    )
    def start(self, capacity: int, streams: int, smooth: bool, latent_context: bool, mapped: bool) -> None:
        self.disk = tempfile.TemporaryDirectory(dir=MEMORY_DISK)
        self.folder = Path(self.disk.name) / "replay"
        self.options: dict[str, Any] = {
            "streams": streams,
            "latent_context": latent_context,
            "mixture": (0.5, 0.5, 0.0),
            "smooth": Smooth(kernel="backward_sum", width=0.5) if smooth else None,
            "heads": parse_heads(["binary:reward_within_2"]),
            "memory_bytes": 1 if mapped else None,
            "folder": self.folder,
        }
        self.capacity, self.streams = capacity, streams
        self.build()
        self.kept: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.time = self.saves = 0

    def build(self) -> None:
        self.replay = make_replay(self.capacity, **self.options)
        self.archive = Archive(self.replay, self.folder, inline_bytes=-1, chunk=CHUNK)

    def teardown(self) -> None:
        self.disk.cleanup()

    @rule(stream=st.integers(0, 1), count=st.integers(1, 30), last=st.booleans())
    def add(self, stream: int, count: int, last: bool) -> None:
        for place in range(count):
            # What a row holds depends on when it is written: a stretch that is made again is another one.
            self.time += 1
            flags = {"is_first": place == 0, "is_last": last and place == count - 1}
            self.replay.add(row(self.time, flags), stream % self.streams)

    @precondition(lambda self: self.replay.can_sample(1, 3))
    @rule(seed=st.integers(0, 100))
    def train(self, seed: int) -> None:
        sample = self.replay.sample(2, 3, np.random.default_rng(seed))
        self.time += 1
        self.replay.write_back(sample, np.full((2, 3, DETER), self.time), np.full((2, 3, STOCH), self.time % 100))
        self.replay.prioritise(sample, np.full((2, 3), float(self.time)))

    @rule()
    def save(self) -> None:
        self.saves += 1
        name = f"ckpt-{self.saves}"
        state = self.archive.state_dict(name)
        assert "rows" not in state
        self.kept = [*self.kept, (name, state, self.replay.state_dict())][-2:]
        self.archive.sweep([name for name, _, _ in self.kept])
        listed = {one["file"] for _, state, _ in self.kept for part in state["files"].values() for one in part}
        found = {path.name for path in self.folder.iterdir()}
        assert found == listed | {f"{name}.files" for name, _, _ in self.kept}
        self.check_bound(state)

    def check_bound(self, state: dict[str, Any]) -> None:
        """Rows are there once, in whole chunks; latent states at most twice (and once more while it is full anew)."""
        files, held = state["files"], len(self.replay)
        assert sum(one["rows"] for one in files["changes"]) <= 2 * held
        assert sum(one["stop"] - one["first"] for one in files["chunks"]) <= held + CHUNK * self.streams

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 1))
    def restore(self, which: int) -> None:
        which = which % len(self.kept)
        self.kept = self.kept[: which + 1]
        _, state, expected = self.kept[-1]
        assert damage(state, self.folder) is None
        self.build()
        self.archive.load_state_dict(state)
        found = self.replay.state_dict()
        assert {key: value for key, value in found.items() if key not in ("rows", "finishers")} == {
            key: value for key, value in expected.items() if key not in ("rows", "finishers")
        }
        for name, column in expected["rows"].items():
            assert found["rows"][name].tobytes() == column.tobytes(), name
        if self.replay.can_sample(1, 3):
            other = make_replay(self.capacity, **self.options)
            other.load_state_dict(expected)
            left, right = (
                replay.sample(5, 3, rng)
                for replay, rng in ((other, np.random.default_rng(3)), (self.replay, np.random.default_rng(3)))
            )
            assert same(left, right)
            self.archive.load_state_dict(state)  # the draw has moved the buffer on


TestArchiveMachine = ArchiveMachine.TestCase
TestArchiveMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def archive_of(folder: Path, rows: int, **options: Any) -> tuple[Replay, Archive]:
    replay = make_replay(1000, **options)
    fill(replay, rows)
    return replay, Archive(replay, folder, inline_bytes=-1, chunk=CHUNK)


def test_rows_are_written_once_and_latents_where_they_changed(tmp_path: Path) -> None:
    replay, archive = archive_of(tmp_path, 100)
    archive.state_dict("a")
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    fill(replay, 4)
    sample = replay.sample(1, 5, np.random.default_rng(0))
    replay.write_back(sample, np.ones((1, 5, DETER)), np.ones((1, 5, STOCH)))
    state = archive.state_dict("b")
    assert all(path.stat().st_mtime_ns == written for path, written in first.items())
    new = [path for path in tmp_path.glob("*.npz") if path not in first]
    assert sorted(path.name.split("-")[0] for path in new) == ["latents", "latents", "rows"]
    assert [one["rows"] for one in state["files"]["changes"][-2:]] == [8, 1], "4 new rows and 5 refreshed ones"
    assert [len(tail["reward"]) for tail in state["tails"]] == [104 % CHUNK]


def test_a_small_buffer_needs_no_files(tmp_path: Path) -> None:
    replay = make_replay(1000)
    fill(replay, 100)
    assert "rows" in Archive(replay, tmp_path / "replay").state_dict("a")
    assert not (tmp_path / "replay").exists()


@pytest.mark.parametrize("harm", ["remove", "truncate", "flip"])
def test_a_damaged_file_is_found(tmp_path: Path, harm: str) -> None:
    _, archive = archive_of(tmp_path, 30)
    state = archive.state_dict("a")
    assert damage(state, tmp_path) is None
    path = next(tmp_path.glob("rows-*.npz"))
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.unlink()
    if harm != "remove":
        path.write_bytes(content[:-1] if harm == "truncate" else content)
    said = damage(state, tmp_path)
    assert said is not None
    assert path.name in said


def test_files_of_a_checkpoint_that_never_came_to_be_go_with_the_next(tmp_path: Path) -> None:
    archive_of(tmp_path, 40)[1].state_dict("killed before it was written")
    _, archive = archive_of(tmp_path, 50)
    archive.state_dict("b")
    (tmp_path / ".rows-0.tmp").write_bytes(b"half")
    archive.sweep(["b"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "b.files",
        *(one["file"] for part in archive.state_dict("b")["files"].values() for one in part),
    }


def test_rows_can_come_from_another_folder(tmp_path: Path) -> None:
    theirs, archive = archive_of(tmp_path / "theirs", 50)
    state = archive.state_dict("a")
    ours, archive = archive_of(tmp_path / "ours", 0)
    archive.load_state_dict(state, tmp_path / "theirs")
    fill(ours, 1)
    fill(theirs, 1)
    again = archive.state_dict("b")
    assert damage(again, tmp_path / "ours") is None
    archive.remove()
    assert not (tmp_path / "ours").exists()
    assert same(*(replay.sample(3, 4, np.random.default_rng(1)) for replay in (ours, theirs)))


@pytest.mark.parametrize("in_files", [False, True])
@pytest.mark.parametrize("capacity", [24, 60, 1000])
@pytest.mark.parametrize("mixture", [(1.0, 0.0, 0.0), (0.5, 0.5, 0.0)])
def test_a_ring_of_another_size_takes_the_newest_rows_that_fit_in_order(
    tmp_path: Path, in_files: bool, capacity: int, mixture: tuple[float, float, float]
) -> None:
    """What comes after is as in a buffer of that size that has seen no other rows; only some of it was fresh."""
    options: dict[str, Any] = {"streams": 2, "smooth": Smooth(kernel="gaussian", width=1.0)}
    theirs = make_replay(40, **options, mixture=(0.5, 0.5, 0.0))
    archive = Archive(theirs, tmp_path / "theirs", inline_bytes=0 if in_files else 2**20, chunk=7)
    for stream, rows in enumerate((51, 13)):
        for number in range(rows):
            theirs.add(row(number, {"is_last": number % 10 == 9, "is_first": number % 10 == 0}), stream)
    fresh = theirs.sample(3, 4, np.random.default_rng(0))
    theirs.prioritise(fresh, np.full((3, 4), 2.0))
    state = archive.state_dict("a")
    assert ("files" in state) == in_files

    ours = make_replay(capacity, **options, mixture=mixture)
    Archive(ours, tmp_path / "ours").load_state_dict(state, tmp_path / "theirs")
    alone = make_replay(capacity, **options, mixture=mixture)
    held = [min(capacity // 2, 20), min(capacity // 2, 13)]
    assert [stop - first for first, stop in map(ours.span, (0, 1))] == held
    for stream, newest in enumerate((51, 13)):
        numbers = ours.read(stream, *ours.span(stream))["obs/angle"][:, 0]
        assert numbers.tolist() == list(range(newest - held[stream], newest))
        assert ours.final(stream) - ours.span(stream)[1] == theirs.final(stream) - theirs.span(stream)[1]
        columns, kept = ours.read(stream, *ours.span(stream)), theirs.read(stream, *theirs.span(stream))
        for name in columns.keys() - {"priority"}:
            assert columns[name].tobytes() == kept[name][-held[stream] :].tobytes(), name
    for stream, newest in enumerate((51, 13)):
        for number in range(newest, newest + 30):
            ours.add(row(number, {"is_last": number % 10 == 9, "is_first": number % 10 == 0}), stream)
        for number in range(newest - held[stream], newest + 30):
            alone.add(row(number, {"is_last": number % 10 == 9, "is_first": number % 10 == 0}), stream)
    assert (len(ours), ours.num_windows(4)) == (len(alone), alone.num_windows(4))
    first = ours.sample(5, 4, np.random.default_rng(1))
    numbers = first.obs["angle"][..., 0]
    assert numbers[first.streams == 1].min() >= fresh.starts[fresh.streams == 1].max() + 4, "delivered there already"
    later = [ours.sample(5, 4, np.random.default_rng(seed)).obs["angle"][..., 0] for seed in range(20)]
    assert np.array_equal(np.diff([numbers, *later]), np.ones((21, 5, 3)))


def test_rows_ranked_only_here_come_first_and_ranks_nobody_asked_for_are_left_out(tmp_path: Path) -> None:
    ranked, even = {"mixture": (0.0, 1.0, 0.0), "online": False}, {"online": False}
    theirs = make_replay(40, **even)
    fill(theirs, 50)
    ours = make_replay(30, **ranked)
    ours.load_state_dict(theirs.state_dict())
    assert np.isinf(ours.read(0, *ours.span())["priority"]).all()
    back = make_replay(20, **even)
    back.load_state_dict(ours.state_dict())
    assert back.read(0, *back.span())["obs/angle"][:, 0].tolist() == list(range(30, 50))
