"""A workspace on a disk that other hosts write as well is told so: SQLite's locks cannot be trusted there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.lab import network_disk
from dreamerlab.lab.doctor_mirror import database
from dreamerlab.runs.store import Workspace

TABLE = """/dev/vda / ext4 rw 0 0
server:/home {home} nfs4 rw,vers=4.2 0 0
/dev/vdb {home}/scratch xfs rw 0 0
//nas/share {home}/with\\040space cifs rw 0 0
tmpfs {home}/hidden tmpfs rw 0 0
server:/hidden {home}/hidden nfs rw 0 0
short line
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    mounts = tmp_path / "mounts"
    mounts.write_text(TABLE.replace("{home}", str(tmp_path / "home")))
    monkeypatch.setattr(network_disk, "MOUNTS", mounts)
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("lab", "nfs4"),
        (".", "nfs4"),
        ("scratch/lab", None),
        ("scratchy", "nfs4"),
        ("with space/lab", "cifs"),
        ("hidden", "nfs"),
        ("../elsewhere", None),
    ],
)
def test_the_innermost_mount_decides(home: Path, place: str, kind: str | None) -> None:
    assert network_disk.network_disk(home / place) == kind


def test_without_a_table_nothing_is_claimed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_disk, "MOUNTS", home / "absent")
    assert network_disk.network_disk(home / "lab") is None


def test_doctor_tells_it_of_the_database_of_a_workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    told = [finding.message for finding in database(Workspace(home / "lab"))]
    assert told == ["the MLflow database lies on a network disk (nfs4), where SQLite's locks cannot be trusted"]
    assert list(database(Workspace(home / "scratch" / "lab"))) == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/mlflow.db")
    assert list(database(Workspace(home / "lab"))) == []
