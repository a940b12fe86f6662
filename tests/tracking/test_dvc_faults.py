"""Stores that are gone, full, read-only or out of reach; files edited by hand; paths that nobody would choose.

With the real DVC, and the real thing that goes wrong. Nothing here may lose a file, or call safe what is not.
"""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from dreamerlab.errors import LabError, ToolFailed
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking import dvc_project, dvc_store
from dreamerlab.tracking.dvc_project import RemoteFailed
from tests.runs.records import make_run, make_workspace

pytest.importorskip("dvc.__main__", reason="DVC is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_store, "PUSH_PAUSES_S", ())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = make_workspace(tmp_path_factory.mktemp("dvc") / "lab")
    dvc_project.init(workspace)
    fill(make_run(workspace, seeds=(1,)))
    return workspace.path


@pytest.fixture
def workspace(project: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(project, tmp_path / "lab")
    return Workspace(tmp_path / "lab")


def fill(run: RunDirectory, size: int = 2000) -> None:
    trial = run.trial(1)
    trial.checkpoints.mkdir(parents=True, exist_ok=True)
    for i in range(3):
        (trial.checkpoints / f"{i}.pt").write_bytes(bytes([i]) * size)


def only_run(workspace: Workspace) -> RunDirectory:
    (path,) = workspace.runs.glob("R*")
    return RunDirectory(path)


def objects(store: Path) -> list[Path]:
    return sorted(path for path in store.rglob("*") if path.is_file() and path.suffix != ".dir")


def everything(workspace: Workspace) -> dict[str, bytes]:
    """All files of runs, settings and our memory of them; DVC's own state is its own."""
    folders = (workspace.runs, workspace.cache / "data", workspace.path / ".dvc" / "cache")
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in [*found, *(workspace.path / ".dvc").glob("config*")]}


def one_line(error: LabError) -> bool:
    return "\n" not in error.message and error.exit_code == 5


def test_a_cache_that_is_gone_counts_for_nothing_and_is_filled_again(workspace: Workspace) -> None:
    run = only_run(workspace)
    dvc_store.add(workspace, run)
    cache = dvc_project.cache_folder(workspace)
    assert dvc_store.state(workspace, run) == "cached"
    objects(cache)[0].unlink()
    assert dvc_store.state(workspace, run) == "local"
    with pytest.raises(ToolFailed, match="cache does not hold all"):
        dvc_store.push(workspace, run)
    shutil.rmtree(cache)
    dvc_store.add(workspace, run)
    assert dvc_store.state(workspace, run) == "cached"
    dvc_store.push(workspace, run)
    assert dvc_store.state(workspace, run) == "pushed"


def test_a_remote_that_is_gone_or_lacks_a_file_counts_for_nothing_and_is_filled_again(workspace: Workspace) -> None:
    run = only_run(workspace)
    dvc_store.add(workspace, run)
    dvc_store.push(workspace, run)
    objects(workspace.dvc_remote)[1].unlink()
    assert dvc_store.state(workspace, run) == "cached"
    dvc_store.push(workspace, run)
    assert dvc_store.state(workspace, run) == "pushed"
    shutil.rmtree(workspace.dvc_remote)
    assert dvc_store.state(workspace, run) == "cached"
    dvc_store.push(workspace, run)
    assert len(objects(workspace.dvc_remote)) == 3


def test_a_file_edited_after_it_was_stored_is_seen(workspace: Workspace) -> None:
    run = only_run(workspace)
    dvc_store.add(workspace, run)
    dvc_store.push(workspace, run)
    path = run.trial(1).checkpoints / "0.pt"
    path.write_bytes(path.read_bytes()[::-1] + b"!")
    assert dvc_store.state(workspace, run) == "local"
    dvc_store.pull(workspace, run, replace=True)
    assert path.read_bytes() == bytes(2000)
    assert dvc_store.state(workspace, run) == "pushed"
    (run.trial(1).checkpoints / "1.pt").unlink()
    assert dvc_store.state(workspace, run) == "local"


@pytest.mark.parametrize("obstacle", ["a file in its place", "a full disk", "read-only"])
def test_a_push_that_fails_leaves_everything_as_it_was_and_the_next_one_goes_on(
    workspace: Workspace, tmp_path: Path, obstacle: str
) -> None:
    run, store = only_run(workspace), tmp_path / "store"
    fill(run, 600_000)
    dvc_store.add(workspace, run)
    dvc_project.set_remote(workspace, str(store), shared=False)
    mounted = obstacle != "a file in its place"
    if mounted:
        store.mkdir()
        options = "size=1m" if obstacle == "a full disk" else "size=1m,ro"
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(store)], capture_output=True).returncode:
            pytest.skip("this needs the right to mount a file system")
    else:
        store.write_text("in the way")
    try:
        before = everything(workspace)
        with pytest.raises(RemoteFailed, match="dvc push: ") as caught:
            dvc_store.push(workspace, run)
        assert one_line(caught.value)
        assert everything(workspace) == before
        assert dvc_store.state(workspace, run) == "cached"
    finally:
        if mounted:
            subprocess.run(["umount", str(store)], check=True)
    if not mounted:
        store.unlink()
    dvc_store.push(workspace, run)
    assert dvc_store.state(workspace, run) == "pushed"


def test_what_has_arrived_is_not_sent_again(workspace: Workspace, tmp_path: Path) -> None:
    first, second = only_run(workspace), make_run(workspace, seeds=(1,))
    (second.trial(1).artifacts / "own.bin").write_bytes(b"of the second run")
    for run in (first, second):
        dvc_store.add(workspace, run)
    dvc_store.push(workspace, first)
    sent = {path: path.stat().st_mtime_ns for path in objects(workspace.dvc_remote)}
    dvc_store.push(workspace, second)
    now = {path: path.stat().st_mtime_ns for path in objects(workspace.dvc_remote)}
    assert sent.items() <= now.items()
    assert len(now) == len(sent) + 1


def test_a_remote_out_of_reach_is_one_line(workspace: Workspace) -> None:
    run = only_run(workspace)
    dvc_store.add(workspace, run)
    dvc_project.set_remote(workspace, "http://127.0.0.1:9/store", shared=False)
    with pytest.raises(RemoteFailed, match=r"127\.0\.0\.1:9") as caught:
        dvc_store.push(workspace, run)
    assert one_line(caught.value)
    assert "nothing is lost" in (caught.value.hint or "")
    assert dvc_store.state(workspace, run) == "cached"


@pytest.fixture
def web_store(tmp_path: Path) -> Generator[str]:
    """A server that keeps what is PUT, which is all that DVC asks of one."""
    folder = tmp_path / "www"

    class Store(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words: object, **options: object) -> None:
            super().__init__(*words, directory=str(folder), **options)  # type: ignore[arg-type]

        def _keep(self) -> None:
            path = Path(self.translate_path(self.path))
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.headers.get("Transfer-Encoding") == "chunked":
                data = b""
                while size := int(self.rfile.readline(), 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
            else:
                data = self.rfile.read(int(self.headers["Content-Length"]))
            path.write_bytes(data)
            self.send_response(200)
            self.end_headers()

        do_POST = do_PUT = _keep

        def log_message(self, *words: object) -> None:
            pass

    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/store"
        server.shutdown()


def test_a_remote_over_the_network_takes_and_gives(workspace: Workspace, web_store: str) -> None:
    run = only_run(workspace)
    dvc_project.set_remote(workspace, web_store, shared=True)
    dvc_store.add(workspace, run)
    dvc_store.push(workspace, run)
    assert dvc_store.state(workspace, run) == "pushed"
    shutil.rmtree(run.artifacts)
    shutil.rmtree(dvc_project.cache_folder(workspace))
    dvc_store.pull(workspace, run)
    assert (run.trial(1).checkpoints / "2.pt").read_bytes() == b"\x02" * 2000


@pytest.mark.parametrize("name", ["a b", 'it\'s "so"', "two\nlines", "ü $HOME `x` #;"])
def test_a_workspace_may_lie_anywhere(tmp_path: Path, name: str) -> None:
    workspace = make_workspace(tmp_path / name / "lab")
    dvc_project.init(workspace)
    run = make_run(workspace, seeds=(1,))
    fill(run)
    dvc_store.add(workspace, run)
    dvc_store.push(workspace, run)
    assert dvc_store.state(workspace, run) == "pushed"
    shutil.rmtree(run.artifacts)
    dvc_store.pull(workspace, run)
    assert (run.trial(1).checkpoints / "2.pt").read_bytes() == b"\x02" * 2000


def test_a_remote_that_dvc_refuses_leaves_its_settings_as_they_were(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in (workspace.path / ".dvc").glob("config*")}
    monkeypatch.setattr(dvc_project, "check_url", lambda url: None)
    with pytest.raises(ToolFailed, match="Unsupported URL") as caught:
        dvc_project.set_remote(workspace, "foo://x", shared=True)
    assert one_line(caught.value)
    assert {path: path.read_bytes() for path in (workspace.path / ".dvc").glob("config*")} == before
