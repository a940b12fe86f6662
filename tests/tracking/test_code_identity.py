"""The identity changes exactly when the code a trial can import changes, and its snapshot runs without the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.errors import ConfigError, Conflict, NotFound, ToolFailed, UsageError
from dreamerlab.runs.manifest import Code
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking import code_identity
from dreamerlab.tracking.code_identity import compute, recorded_fault, restore, snapshot, snapshot_path
from dreamerlab.tracking.import_closure import import_closure
from tests.runs.records import a_manifest, make_workspace

FILES = {
    "__init__.py": "def __getattr__(name):\n    from dreamerlab.lab.loading import load\n    return load\n",
    "errors.py": "LabError = Exception\n",
    "alone.py": "",
    "lab/__init__.py": "",
    "lab/loading.py": "",
    "runs/__init__.py": "",
    "runs/series.py": "from ..errors import LabError\nfrom . import atomic\n",
    "runs/atomic.py": "def f():\n    import dreamerlab.late.one\n",
    "runs/store.py": "",
    "late/__init__.py": "from dreamerlab.late import two as also\n",
    "late/one.py": "import importlib\nimportlib.import_module('dreamerlab.late.three')\n",
    "late/two.py": "import json, dreamerlabx.y\n",
    "late/three.py": "",
    "train/__init__.py": "",
    "train/__main__.py": "from dreamerlab.runs import series\nfrom dreamerlab.train.loop import main\nprint(main())\n",
    "train/loop.py": "def main():\n    return __file__\n",
    "train/unused.py": "",
}
REACHED = {"__init__.py", "errors.py", "runs/__init__.py", "runs/series.py", "runs/atomic.py", "late/__init__.py"} | {
    *("late/one.py", "late/two.py", "late/three.py", "train/__init__.py", "train/__main__.py", "train/loop.py"),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "lab")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "tree" / "dreamerlab"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_closure_is_what_can_be_imported(package: Path) -> None:
    found = {path.relative_to(package).as_posix() for path in import_closure(package, "dreamerlab.train.__main__")}
    assert found == REACHED


def test_a_file_that_is_not_python_is_named_with_its_line_before_anything_is_copied(
    workspace: Workspace, package: Path
) -> None:
    loop = package / "train" / "loop.py"
    loop.write_text("x = 1\nthis is no python\n")
    with pytest.raises(UsageError, match=r"loop\.py:2: not valid Python"):
        snapshot(workspace, compute(workspace, package))
    assert not workspace.snapshots.exists()
    loop.write_text("x = 1\nthis is no python\nimport os\n")
    with pytest.raises(UsageError, match=r"loop\.py:2: not valid Python"):
        import_closure(package, "dreamerlab.train.__main__")
    with pytest.raises(UsageError, match=r"no module dreamerlab\.nothing"):
        import_closure(package, "dreamerlab.nothing")


def test_what_is_no_python_may_be_copied_beside_the_package(workspace: Workspace, package: Path) -> None:
    extra = workspace.path / "dreamerlab" / "site" / "table.js"
    extra.parent.mkdir(parents=True)
    extra.write_text("const left = 1;\n")
    workspace.marker.write_text("schema: 1\ncode:\n  paths: [dreamerlab]\n")
    assert (snapshot(workspace, compute(workspace, package)) / "dreamerlab" / "site" / "table.js").is_file()


@pytest.mark.parametrize(
    "text",
    [
        "from dreamerlab.runs import (\n    store,\n)",
        "from dreamerlab.runs import \\\n    store",
        "if True:\n    try:\n        import dreamerlab.runs.store\n    except ImportError:\n        pass\n",
        "x = 1; import dreamerlab.runs.store as s; y = 2",
        "import dreamerlab.runs.store\nx = '''\nno import here\n'''\n",
        "from importlib import import_module\nx = [\n    import_module(\n        'dreamerlab.runs.store'\n    )\n]\n",
        "x = __import__(\n    'dreamerlab.runs.store'\n)\n# the important part\n",
    ],
)
def test_an_import_is_found_however_the_file_ends(package: Path, text: str) -> None:
    (package / "train" / "loop.py").write_text(f"def main():\n    return 1\n\n\n{text}")
    assert package / "runs" / "store.py" in import_closure(package, "dreamerlab.train.__main__")


def test_the_closure_of_the_real_trainer_holds_what_python_really_imports() -> None:
    pytest.importorskip("torch")
    import dreamerlab

    package = Path(dreamerlab.__file__).parent
    found = {str(path) for path in import_closure(package, "dreamerlab.train.__main__")}
    code = (
        "import sys, importlib\nimportlib.import_module('dreamerlab.train.__main__')\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'dreamerlab'), sep='\\n')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out
    assert set(out) <= found
    outside = {"cli", "lab", "report", "launch", "tracking", "protocol"}
    assert not {path for path in found if Path(path).relative_to(package).parts[0] in outside}


def test_the_identity_changes_with_code_and_versions_only(
    workspace: Workspace, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compute(workspace, package).identity
    assert len(first) == 64
    (package / "alone.py").write_text("changed = 1\n")
    (package / "lab" / "loading.py").write_text("changed = 1\n")
    (package / "train" / "__pycache__").mkdir()
    assert compute(workspace, package).identity == first
    moved = package.parent.parent / "moved"
    shutil.copytree(package, moved / "dreamerlab")
    assert compute(workspace, moved / "dreamerlab").identity == first
    (package / "late" / "three.py").write_text("# a comment is a change of bytes\n")
    second = compute(workspace, package).identity
    assert second != first
    monkeypatch.setattr(code_identity, "package_version", lambda name: "99" if name == "torch" else None)
    assert compute(workspace, package).identity not in {first, second}


def test_what_draws_pictures_belongs_to_it_only_where_it_is_installed(
    workspace: Workspace, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code without it has the identity that it always had: four packages, absent or not."""
    found: set[str] = set()
    for version in (None, "2.5.2", "2.6.1"):
        monkeypatch.setattr(code_identity, "package_version", {"pygame": version}.get)
        code = compute(workspace, package)
        found.add(code.identity)
        if version is None:
            before = dict.fromkeys(("torch", "numpy", "gymnasium", "box2d"))
            assert code.identity == code_identity.identity_of(code.files, before)
    assert len(found) == 3


def test_the_users_own_code_belongs_to_it(workspace: Workspace, package: Path) -> None:
    plain = compute(workspace, package).identity
    workspace.marker.write_text("code:\n  paths: [my_envs, gone/../single.py]\n")
    (workspace.path / "my_envs" / "__pycache__").mkdir(parents=True)
    (workspace.path / "my_envs" / "maze.py").write_text("W = 1\n")
    (workspace.path / "my_envs" / "level.txt").write_text("###\n")
    (workspace.path / "my_envs" / "__pycache__" / "maze.pyc").write_bytes(b"x")
    (workspace.path / "single.py").write_text("")
    code = compute(workspace, package)
    assert code.identity != plain
    own = {name for name in code.files if not name.startswith("dreamerlab/")}
    assert own == {"my_envs/maze.py", "my_envs/level.txt", "single.py"}
    folder = snapshot(workspace, code)
    assert (folder / "my_envs" / "level.txt").read_text() == "###\n"
    (workspace.path / "my_envs" / "level.txt").write_text("# #\n")
    assert compute(workspace, package).identity != code.identity


@pytest.mark.parametrize(
    "text, said",
    [
        ("code: {paths: [gone]}", "does not exist"),
        ("code: {paths: [../outside]}", "not below the workspace"),
        ("code: {paths: [/etc]}", "not below the workspace"),
        ("code: {paths: ['.']}", "not below the workspace"),
        ("code: {paths: [runs]}", "records, not code"),
        ("code: {paths: my_envs}", "is 'my_envs'"),
        ("code: {paths: [3]}", r"is \[3\]"),
        ("code: [", "not valid YAML"),
        ("code: {paths: [dreamerlab]}", "would hide"),
    ],
)
def test_paths_that_cannot_be_code_are_refused(workspace: Workspace, package: Path, text: str, said: str) -> None:
    workspace.marker.write_text(text)
    (workspace.path / "dreamerlab").mkdir()
    (workspace.path / "dreamerlab" / "errors.py").write_text("other = 1\n")
    with pytest.raises(ConfigError, match=said):
        compute(workspace, package)


def test_a_link_out_of_the_workspace_is_refused(workspace: Workspace, package: Path, tmp_path: Path) -> None:
    workspace.marker.write_text("code: {paths: [away]}")
    (workspace.path / "away").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="not below the workspace"):
        compute(workspace, package)


def test_a_trial_runs_from_the_snapshot_whatever_happens_to_the_tree(workspace: Workspace, package: Path) -> None:
    code = compute(workspace, package)
    folder = snapshot(workspace, code)
    assert folder == workspace.snapshots / code.identity[:16]
    assert recorded_fault(folder, code.identity) is None
    assert not os.access(folder / "dreamerlab" / "errors.py", os.W_OK) or os.geteuid() == 0
    assert (folder / "dreamerlab" / "errors.py").stat().st_mode & 0o222 == 0
    (package / "train" / "loop.py").write_text("raise SystemExit('the tree was imported')\n")
    command = [sys.executable, "-P", "-m", "dreamerlab.train"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(folder / "dreamerlab" / "train" / "loop.py"), done.stderr
    assert recorded_fault(folder, code.identity) is None, "compiled files of a run are no damage"


def test_a_damaged_snapshot_is_mended_when_it_is_used_again(workspace: Workspace, package: Path) -> None:
    code = compute(workspace, package)
    folder = snapshot(workspace, code)
    (folder / "dreamerlab" / "errors.py").unlink()
    (folder / "dreamerlab" / "errors.py").write_text("altered")
    (folder / "dreamerlab" / "late" / "two.py").unlink()
    (folder / "dreamerlab" / "train" / "intruder.py").write_text("x = 1")
    assert "was altered" in (recorded_fault(folder, code.identity) or "")
    assert snapshot(workspace, code) == folder
    assert recorded_fault(folder, code.identity) is None
    assert [path.name for path in workspace.snapshots.iterdir()] == [folder.name]


def test_a_source_that_changes_meanwhile_is_a_conflict_and_leaves_nothing(workspace: Workspace, package: Path) -> None:
    code = compute(workspace, package)
    (package / "train" / "loop.py").write_text("edited = 1\n")
    with pytest.raises(Conflict, match=r"loop\.py changed while it was copied"):
        snapshot(workspace, code)
    assert list(workspace.snapshots.iterdir()) == []


def test_two_processes_make_one_snapshot(workspace: Workspace, package: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom dreamerlab.runs.store import Workspace\n"
        "from dreamerlab.tracking.code_identity import compute, snapshot\n"
        "w = Workspace(Path(sys.argv[1]))\nprint(snapshot(w, compute(w, Path(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", code, str(workspace.path), str(package)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=60)[0].strip() for process in both}
    assert said == {str(snapshot_path(workspace, compute(workspace, package).identity))}
    assert len(list(workspace.snapshots.iterdir())) == 1


def test_restoring_takes_the_snapshot_or_the_same_tree_or_names_the_commit(workspace: Workspace, package: Path) -> None:
    code = compute(workspace, package)
    manifest = a_manifest(id="R0001-abc", code=Code(code.identity, "0123456789abcdef", "main", True))
    folder = snapshot(workspace, code)
    assert restore(workspace, manifest, package) == folder
    shutil.rmtree(folder)
    assert restore(workspace, manifest, package) == folder
    (package / "train" / "loop.py").write_text("edited = 1\n")
    assert restore(workspace, manifest, package) == folder
    (folder / "dreamerlab" / "errors.py").unlink()
    with pytest.raises(ToolFailed, match=r"was altered \(dreamerlab/errors.py\)"):
        restore(workspace, manifest, package)
    shutil.rmtree(folder)
    with pytest.raises(NotFound, match="the code of R0001-abc") as caught:
        restore(workspace, manifest, package)
    assert "git checkout 0123456789ab && git apply runs/R0001-abc/code.patch" in (caught.value.hint or "")
    outside_git = replace(manifest, code=Code(code.identity))
    with pytest.raises(NotFound) as caught:
        restore(workspace, outside_git, package)
    assert "start a new run" in (caught.value.hint or "")
