from __future__ import annotations

import errno
import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.errors import Conflict, NotFound
from dreamerlab.train import checkpoint


def write(folder: Path, env_steps: int, state: dict | None = None, keep: int = 2) -> checkpoint.Checkpoint:
    return checkpoint.save(
        folder,
        state if state is not None else {"step": env_steps},
        keep,
        run="R0001-abc",
        seed=0,
        family="cartpole/0000",
        env_steps=env_steps,
        updates=env_steps // 2,
        episodes=1,
        wall_s=1.5,
        has_replay=True,
    )


def test_round_trip_is_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rng.random(5)
    state = {
        "tensor": torch.tensor([0.1, float("inf"), -0.0]),
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "empty": np.zeros((0, 4), np.float32),
        "scalar array": np.array(7),
        "generator": rng.bit_generator.state,
        "list": [1, 2.5, None, "text", True],
    }
    write(tmp_path, 10, state)
    loaded = checkpoint.load_newest(tmp_path).state
    assert torch.equal(loaded["tensor"], state["tensor"])
    for key in ("array", "empty", "scalar array"):
        assert loaded[key].dtype == state[key].dtype
        assert loaded[key].shape == state[key].shape
        assert np.array_equal(loaded[key], state[key])
    assert loaded["generator"] == state["generator"]
    assert loaded["list"] == state["list"]


@given(st.integers(-(2**200), 2**200))
def test_integers_of_any_size_survive(value: int) -> None:
    assert checkpoint._to_numpy(checkpoint._to_tensors({"v": value})) == {"v": value}


def test_keeps_the_newest(tmp_path: Path) -> None:
    for env_steps in (10, 20, 30, 40):
        write(tmp_path, env_steps, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "ckpt-000000030.json",
        "ckpt-000000030.pt",
        "ckpt-000000040.json",
        "ckpt-000000040.pt",
    ]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage, said",
    [
        (_truncate, "bytes instead of"),
        (_flip, "sha256 differs"),
        (Path.unlink, "tensor file is missing"),
        (lambda p: p.with_suffix(".json").write_text("{"), "description is unreadable"),
        (lambda p: p.with_suffix(".json").write_text("[1]"), "description is unreadable"),
        (lambda p: p.with_suffix(".json").write_text('{"schema": 1}'), "description is unreadable"),
    ],
)
def test_damage_falls_back_to_the_one_before_and_says_so(tmp_path: Path, damage, said: str) -> None:
    write(tmp_path, 10)
    newest = write(tmp_path, 20)
    damage(tmp_path / newest.file)
    loaded = checkpoint.load_newest(tmp_path)
    assert loaded.info.env_steps == 10
    assert loaded.state == {"step": 10}
    assert len(loaded.passed_over) == 1
    assert said in loaded.passed_over[0]


def test_nothing_usable_names_every_reason(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no usable checkpoint"):
        checkpoint.load_newest(tmp_path)
    _truncate(tmp_path / write(tmp_path, 10).file)
    with pytest.raises(NotFound, match="bytes instead of"):
        checkpoint.load_newest(tmp_path)


def test_a_later_version_is_refused_by_its_name_and_left_where_it_is(tmp_path: Path) -> None:
    write(tmp_path, 10)
    described = tmp_path / write(tmp_path, 20).file.replace(".pt", ".json")
    described.write_text(json.dumps({**json.loads(described.read_text()), "schema": 99, "new_field": 1}))
    for look in (checkpoint.load_newest, checkpoint.load):
        with pytest.raises(Conflict, match=r"ckpt-000000020\.pt was written by a later version .*schema 99"):
            look(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


class _Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    info = write(tmp_path, 10)
    payload = pickle.dumps(_Bomb(), protocol=2)
    (tmp_path / info.file).write_bytes(payload)
    import hashlib

    described = tmp_path / info.file.replace(".pt", ".json")
    facts = json.loads(described.read_text())
    facts |= {"sha256": hashlib.sha256(payload).hexdigest(), "size_bytes": len(payload)}
    described.write_text(json.dumps(facts))
    with pytest.raises(NotFound, match="torch cannot read it"):
        checkpoint.load_newest(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_a_failed_write_leaves_the_earlier_ones(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path, 10)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, 20)
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["ckpt-000000010.json", "ckpt-000000010.pt"]
    assert checkpoint.load_newest(tmp_path).info.env_steps == 10


def test_what_a_killed_write_left_goes_with_the_next_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".ckpt-000000010.pt.tmp").write_bytes(b"half")
    (tmp_path / "ckpt-000000015.pt").write_bytes(b"whole, but killed before its description")
    write(tmp_path, 20)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ckpt-000000020.json", "ckpt-000000020.pt"]


def test_passed_over_checkpoints_are_set_aside_and_push_out_no_whole_ones(tmp_path: Path) -> None:
    """A trial resumed from 10 would else drop its own new checkpoints, as older than the damaged ones."""
    for env_steps in (10, 20, 30):
        write(tmp_path, env_steps, keep=3)
    for env_steps in (20, 30):
        _flip(tmp_path / f"ckpt-{env_steps:09d}.pt")
    loaded = checkpoint.load_newest(tmp_path, set_aside=True)
    assert loaded.info.env_steps == 10
    assert [line.partition(":")[0] for line in loaded.passed_over] == ["ckpt-000000030.pt", "ckpt-000000020.pt"]
    write(tmp_path, 15)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".passed-over")) == [
        "ckpt-000000010.json",
        "ckpt-000000010.pt",
        "ckpt-000000015.json",
        "ckpt-000000015.pt",
    ]
    assert len(list(tmp_path.glob("*.passed-over"))) == 4


def test_looking_alone_sets_nothing_aside(tmp_path: Path) -> None:
    write(tmp_path, 10)
    _truncate(tmp_path / write(tmp_path, 20).file)
    checkpoint.load_newest(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_machine_without_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting the trial anew because a whole checkpoint could not be opened today would throw its work away."""
    write(tmp_path, 10)

    def exhausted(*args: object, **kwargs: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "load", exhausted)
    with pytest.raises(RuntimeError, match="allocate memory"):
        checkpoint.load_newest(tmp_path)


class _FullAfter(io.BytesIO):
    """A file on a disk that is full after a while, and has room again by the time the file is closed."""

    name = "a/ckpt.pt"

    def write(self, data: Any) -> int:
        if self.tell() > 2000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_disk_that_fills_up_half_way_is_called_by_its_name() -> None:
    """torch.save turns the refused write into `unexpected pos 82432 vs 82320`."""
    with pytest.raises(OSError, match=r"No space left on device: 'a/ckpt\.pt'"):
        checkpoint._write_tensors({"a": torch.zeros(10_000), "b": torch.zeros(10_000)}, _FullAfter())
