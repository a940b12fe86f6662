"""`init`: make a folder a workspace, once; a second time changes nothing and says so.

Nothing that exists is overwritten: a file of the user's stays as it is, only missing lines are added to .gitignore
and .gitattributes. Git, DVC and MLflow are each optional; one that is missing or refuses is named in one line and
skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from dreamerlab.atomic import atomic_write_bytes, atomic_write_text, disk_failure
from dreamerlab.errors import Conflict, LabError, NotFound
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.mirror import prepare
from dreamerlab.lab.network_disk import LOCAL_DATABASE, network_disk
from dreamerlab.lab.preflight import is_installed
from dreamerlab.lab.records import commit, in_git
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking import dvc_pipeline, dvc_project
from dreamerlab.tracking.git_state import GitSilent, git
from dreamerlab.tracking.mirror_state import installed_version, prepared_with

_SETTINGS = """\
# Settings of this dreamerlab workspace.
# Commit the records of a run when it ends: exactly its own files, never anything else.
autocommit: true
# Your own modules that trials import, environments for instance: files or folders in this workspace. They are part
# of a run's code identity, and copied into its snapshot.
code:
  paths: []
"""
_RULES = "PROTOCOL.md"
_PATIENCE_S = 300.0
_IGNORED = (".dreamerlab/", "runs/.new-*", "runs/**/.*.tmp", "protocol/**/.*.tmp", "/dvc_plots/", "/report.html")
_ATTRIBUTES = (
    # Both branches' lines are kept in a merge, and the next command renders the pages anew.
    "protocol/LOG*.md merge=union",
    "protocol/hypotheses/*.md merge=union",
    "runs/scores.json merge=union",
    # Records prove themselves byte by byte: no line ending of theirs may be changed.
    "protocol/registry/* -text",
    "runs/** -text",
)


@dataclass
class Made:
    """What was created, and what could not be."""

    workspace: Workspace
    created: list[str] = field(default_factory=list[str])
    skipped: list[str] = field(default_factory=list[str])

    def to_data(self) -> dict[str, object]:
        """Return the report as JSON-ready values."""
        return {"workspace": str(self.workspace.path), "created": self.created, "skipped": self.skipped}


def initialise(path: Path, *, remote: str | None, use_git: bool, say: Callable[[str], None]) -> Made:
    """Make the folder at `path` a workspace and return what that took; nothing is created a second time.

    Conflict when a file is in the way, ToolFailed when the disk refuses; a `remote` that cannot be one is refused
    before anything is made.
    """
    workspace = Workspace(path)
    if workspace.path.exists() and not workspace.path.is_dir():
        raise Conflict(f"{workspace.path} is a file", hint="name a folder: dreamerlab init PATH")
    if remote is not None:
        dvc_project.check_url(remote)
    # Two at once would both start git, DVC and the database; the second one finds everything made.
    with owned_lock(workspace.hidden / "init.lock", timeout_s=_PATIENCE_S, what="setting up this workspace"):
        return _initialise(Made(workspace), remote=remote, use_git=use_git, say=say)


def _initialise(made: Made, *, remote: str | None, use_git: bool, say: Callable[[str], None]) -> Made:
    workspace = made.workspace
    _note_nesting(made)
    try:
        files = _write_files(made)
    except OSError as error:
        raise disk_failure(Path(error.filename or workspace.path), error) from error
    if use_git:
        _start_git(made)
    else:
        made.skipped.append("git: not wanted (--no-git); the order of records cannot be proven")
    files += _start_dvc(made, remote)
    _prepare_mlflow(made, say)
    if use_git and in_git(workspace.path):
        files = list(dict.fromkeys([*files, *_never_committed(workspace)]))
        if files:
            _first_commit(made, files)
    return made


def _note_nesting(made: Made) -> None:
    workspace = made.workspace
    outer = next((folder for folder in workspace.path.parents if Workspace(folder).marker.is_file()), None)
    if outer is not None and not workspace.marker.is_file():
        made.skipped.append(f"nothing, but mind: this folder lies inside the workspace {outer}, and is one of its own")


def _write_files(made: Made) -> list[Path]:
    """Write what is missing; return what was made, for git: what was there may hold edits that are not ours."""
    workspace = made.workspace
    for folder in (workspace.runs, workspace.hidden, registry_of(workspace).folder):
        folder.mkdir(parents=True, exist_ok=True)
    new: list[Path] = []
    for path, text in _shipped_texts(workspace).items():
        old = path == dvc_pipeline.pipeline_path(workspace) and dvc_pipeline.is_outdated(workspace)
        if old or not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_bytes(path, text)
            made.created.append(path.relative_to(workspace.path).as_posix() + (" (brought up to date)" if old else ""))
            new.append(path)
    ignored = _complete(made, ".gitignore", _IGNORED)
    return [*new, *ignored, *_complete(made, ".gitattributes", _ATTRIBUTES)]


def _shipped_texts(workspace: Workspace) -> dict[Path, bytes]:
    from dreamerlab.config.layers import shipped_env_configs

    shipped = shipped_env_configs()
    texts: dict[Path, bytes] = {workspace.marker: _SETTINGS.encode()}
    for source in sorted(shipped.rglob("*.yaml")):
        texts[workspace.env_configs / source.relative_to(shipped)] = source.read_bytes()
    texts[workspace.protocol / _RULES] = _rules_page()
    texts[workspace.scores_path] = b"{}\n"
    texts[dvc_pipeline.pipeline_path(workspace)] = dvc_pipeline.PIPELINE.encode()
    return texts


def _rules_page() -> bytes:
    """Return the rules for people, as they came with dreamerlab."""
    package = Path(__file__).resolve().parents[1]
    for path in (package / "_protocol" / _RULES, package.parent / "protocol" / _RULES):  # in a wheel; in a checkout
        if path.is_file():
            return path.read_bytes()
    raise NotFound(f"this installation has no {_RULES} beside {package}", hint="reinstall dreamerlab")


def _never_committed(workspace: Workspace) -> list[Path]:
    """Return our files, as we wrote them, of a workspace whose first commit failed: a clone would lack them."""
    try:
        if git(workspace.path, "log", "-1", "--format=%H", "--", str(workspace.marker)).strip():
            return []
    except GitSilent:
        pass  # no commit at all
    texts = _shipped_texts(workspace)
    for name, lines in ((".gitignore", _IGNORED), (".gitattributes", _ATTRIBUTES)):
        texts[workspace.path / name] = "".join(f"{line}\n" for line in lines).encode()
    ours = [path for path, text in texts.items() if path.is_file() and path.read_bytes() == text]
    return [*ours, *_dvc_files(workspace)] if dvc_project.set_up_here(workspace) else ours


def _dvc_files(workspace: Workspace) -> list[Path]:
    names = (".dvc/config", ".dvc/.gitignore", ".dvcignore")
    return [*(workspace.path / name for name in names), dvc_pipeline.template_path(workspace)]


def _complete(made: Made, name: str, lines: Sequence[str]) -> list[Path]:
    """Add the lines that a file for git lacks; return it when it is ours alone."""
    path = made.workspace.path / name
    before = path.read_text() if path.exists() else ""
    missing = [line for line in lines if line not in before.splitlines()]
    if missing:
        joint = "" if not before or before.endswith("\n") else "\n"
        atomic_write_text(path, before + joint + "".join(f"{line}\n" for line in missing))
        made.created.append(f"{name} ({', '.join(missing)}{'; yours to commit' if before else ''})")
    return [path] if missing and not before else []


def _start_git(made: Made) -> None:
    folder = made.workspace.path
    if which("git") is None:
        made.skipped.append("git: not installed; the order of records cannot be proven")
    elif not in_git(folder):
        try:
            git(folder, "init", "--quiet")
            made.created.append(".git (a new repository)")
        except GitSilent as silence:
            made.skipped.append(f"git: {silence}")


def _first_commit(made: Made, files: list[Path]) -> None:
    try:
        if commit(made.workspace.path, files, "Start a dreamerlab workspace"):
            made.created.append("a commit of these files")
    except GitSilent as silence:
        made.skipped.append(f"git: the first commit was not made ({silence}); mend that, then: dreamerlab init")


def _start_dvc(made: Made, remote: str | None) -> list[Path]:
    """Set up DVC with its remote; return its new files, for git."""
    workspace = made.workspace
    settings = workspace.path / ".dvc" / "config"
    if settings.exists():
        if remote is not None:
            made.skipped.append("--remote: DVC is set up already; elsewhere: dreamerlab data remote URL")
        if dvc_pipeline.write_template(workspace):
            template = dvc_pipeline.template_path(workspace)
            made.created.append(template.relative_to(workspace.path).as_posix())
            return [template]
    elif not dvc_project.installed():
        made.skipped.append(f"DVC: not installed ({dvc_project.INSTALL_HINT}); artifacts stay in this folder only")
        return []
    else:
        try:
            dvc_project.init(workspace, remote)
        except LabError as error:
            hint = f" ({error.hint})" if error.hint else ""
            made.skipped.append(f"DVC: {error.message}{hint}")
            return []
        dvc_pipeline.write_template(workspace)
        made.created.append(f".dvc (artifacts go to {remote or workspace.dvc_remote})")
        return _dvc_files(workspace)
    return []


def _prepare_mlflow(made: Made, say: Callable[[str], None]) -> None:
    """Create the mirror's database now, or bring it up to date: both take seconds and cannot be shared."""
    workspace, existed = made.workspace, made.workspace.mlflow_db.exists()
    if existed and prepared_with(workspace) == installed_version():
        return
    if not is_installed("mlflow"):
        made.skipped.append(f"MLflow: not installed ({dvc_project.INSTALL_HINT}); no curves in a browser")
        return
    if kind := network_disk(workspace.mlflow_db.parent):
        say(f"caution: the MLflow database will lie on a network disk ({kind}), where its locks cannot be trusted")
        say(f"  {LOCAL_DATABASE}")
    say("preparing the MLflow database (once, about ten seconds)")
    failure = prepare(workspace)
    if failure is None:
        what = f"brought up to date for MLflow {installed_version()}" if existed else "MLflow"
        made.created.append(f"{workspace.mlflow_db.relative_to(workspace.path)} ({what})")
    else:
        made.skipped.append(f"MLflow: {failure}")
