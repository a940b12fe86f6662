"""A test proves something only if it can fail: code is broken on purpose, and the test that carries the id must see it.

`break` in protocol/reference/requirements.yaml says of an id which text of which file is put differently. It is done in
a copy of the package, which the test then runs against in a process of its own; the test must fail by an assertion.
That the copy is what it runs against follows from the two together: untouched the same tests pass.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
LISTED = yaml.safe_load((ROOT / "protocol/reference/requirements.yaml").read_text(encoding="utf-8"))
BROKEN = {key: entry for key, entry in LISTED.items() if "break" in entry}
ASSERTED = re.compile(r"^E +(assert |AssertionError|Failed: DID NOT RAISE)", re.MULTILINE)

pytestmark = pytest.mark.slow


class Copy:
    """The package in a folder of its own, with what it looks for beside itself."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._edits = folder, 0
        shutil.copytree(ROOT / "dreamerlab", folder / "dreamerlab", ignore=shutil.ignore_patterns("__pycache__"))
        for beside in ("env_configs", "protocol"):
            (folder / beside).symlink_to(ROOT / beside)

    @contextmanager
    def broken(self, file: str, find: str, put: str) -> Iterator[None]:
        """Meanwhile the one place in `file` that reads `find` reads `put`."""
        path = self.folder / file
        whole, at = path.read_bytes(), path.stat().st_mtime_ns
        path.write_bytes(whole.replace(find.encode(), put.encode()))
        # Python tells whether compiled code is up to date from size and whole seconds.
        self._edits += 1
        os.utime(path, ns=(at, at - self._edits * 10**9))
        try:
            yield
        finally:
            path.write_bytes(whole)
            os.utime(path, ns=(at, at))

    def run(self, *tests: str) -> subprocess.CompletedProcess[str]:
        """Run tests of this project against the copy, which comes before everything else on the path."""
        options = ["-p", "no:cacheprovider", "--no-header", "--tb=short"]
        first = ["-o", f"pythonpath={shlex.quote(str(self.folder))} ."]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        command = [sys.executable, "-m", "pytest", *options, *first, *tests]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("broken"))


def test_on_an_untouched_copy_they_all_pass(copy: Copy) -> None:
    done = copy.run(*sorted({entry["test"] for entry in BROKEN.values()}))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("key", BROKEN)
def test_the_test_that_carries_it_sees_that_it_is_broken(copy: Copy, key: str) -> None:
    entry = BROKEN[key]
    with copy.broken(**entry["break"]):
        done = copy.run(entry["test"])
    assert (done.returncode, bool(ASSERTED.search(done.stdout))) == (1, True), done.stdout + done.stderr
    assert re.search(r"^\d+ failed", done.stdout.splitlines()[-1]), done.stdout
