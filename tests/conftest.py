"""Shared by every test: shape and type checks switched on, environment variables that would leak switched off.

The jaxtyping hook checks array shapes and types of the agent's public functions at run time, in tests only. It takes
half the time of a training; tests that train to see something else ask for `unchecked_shapes`.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.shapes import checking

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["DVC_NO_ANALYTICS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
for leaking in ("MLFLOW_TRACKING_URI", "DREAMERLAB_SUPERVISOR", "PYTHONPATH"):
    os.environ.pop(leaking, None)
# Many tests start commands. Where the environment forbids to write bytecode, each would compile all that it imports;
# the first process of the tests makes the folder and removes it, its workers and their commands inherit it.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    _bytecode = tempfile.TemporaryDirectory(prefix="bytecode-", ignore_cleanup_errors=True)
    os.environ["PYTHONPYCACHEPREFIX"] = _bytecode.name
# Commits made by tests carry a fixed author, whatever the machine's git configuration says.
for role in ("AUTHOR", "COMMITTER"):
    os.environ[f"GIT_{role}_NAME"] = "dreamerlab tests"
    os.environ[f"GIT_{role}_EMAIL"] = "tests@example.invalid"

# Whoever starts the tests in the background hands down that Ctrl-C is to be ignored; here it is under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines are shared: how long one example takes says nothing about the code.
settings.register_profile("dreamerlab", deadline=None)
settings.load_profile("dreamerlab")

try:
    from jaxtyping import install_import_hook
except ModuleNotFoundError:  # the light wing is tested without the training wing installed
    pass
else:
    install_import_hook("dreamerlab.dreamer", "beartype.beartype")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files whose tests may take longest: begun last, one would leave the other workers idle."""
    allowed: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        allowed[item.path] = max(allowed.get(item.path, 0.0), float(marker.args[0]) if marker else 0.0)
    items.sort(key=lambda item: -allowed[item.path])


@pytest.fixture(scope="module")
def unchecked_shapes() -> Iterator[None]:
    """Shapes and types are not checked in this module, except in tests that ask for `checked_shapes`."""
    with checking(False):
        yield


@pytest.fixture
def checked_shapes() -> Iterator[None]:
    """Shapes and types are checked in this test, whatever its module says."""
    with checking(True):
        yield
