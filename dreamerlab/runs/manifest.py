"""The manifest: what a run is, written once at its creation and never changed by its execution.

Unknown keys written by a later version are kept and written back. What happened to the run is in the trials'
`status.json` and `summary.json`, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from dreamerlab.atomic import atomic_write_json, read_object
from dreamerlab.errors import LabError, NotFound, ToolFailed

Kind = Literal["treatment", "baseline", "pilot"]
DEFAULT_SCORE = "final_mean(3) of eval/return_mode"


@dataclass(frozen=True)
class Budget:
    """How long each trial trains: `amount` of `unit` (env_steps, updates, actor_updates or wall_clock seconds)."""

    unit: str
    amount: int


@dataclass(frozen=True)
class Kept:
    """A file of the code that is in no commit: what it was, and where in the run it lies."""

    sha256: str
    size_bytes: int
    where: str
    """`code.patch`, or a path inside the run."""


@dataclass(frozen=True)
class Code:
    """Which code: `identity` is the hash that decides; the rest is provenance, None outside git."""

    identity: str
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    untracked: tuple[str, ...] = ()
    """Files inside the code scope that git does not know."""
    note: str | None = None
    """Why git's part is missing, in one line."""
    patch_sha256: str | None = None
    """Of `code.patch`; None without one, and in records from before it was kept."""
    kept: Mapping[str, Kept] = field(default_factory=dict[str, "Kept"])
    """Every file that git does not give back and that the run could import or read, by name."""


@dataclass(frozen=True)
class Manifest:
    """One resolved config and one code identity, to be executed over the declared seeds."""

    id: str
    kind: str
    """`treatment`, `baseline` or `pilot`; other words may come from later versions."""
    env: str
    """Name of the environment's yaml, or a Gymnasium id."""
    family: str
    created_at: str
    """UTC, ISO 8601."""
    seeds: tuple[int, ...]
    budget: Budget
    code: Code
    name: str | None = None
    """Alias chosen by the user, unique in the workspace."""
    environment: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Python, packages, processor, threads: what `tracking.environment` captured."""
    command: tuple[str, ...] = ()
    hypothesis: str | None = None
    """Full id of the hypothesis this is the treatment or the baseline of; a pilot may have one as well."""
    score: str = DEFAULT_SCORE
    """How a curve becomes one score per seed."""
    schema: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Keys of a later version, kept as they are."""

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON-ready values, schema first."""
        return {
            "schema": self.schema,
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "env": self.env,
            "family": self.family,
            "created_at": self.created_at,
            "seeds": list(self.seeds),
            "budget": {"unit": self.budget.unit, "amount": self.budget.amount},
            "score": self.score,
            "hypothesis": self.hypothesis,
            "command": list(self.command),
            "code": {
                **vars(self.code),
                "untracked": list(self.code.untracked),
                "kept": {name: vars(one) for name, one in self.code.kept.items()},
            },
            "environment": dict(self.environment),
            **self.extra,
        }


_KNOWN = frozenset(item.name for item in fields(Manifest)) - {"extra"}
_CODE = frozenset(item.name for item in fields(Code))


def manifest_from_dict(data: Mapping[str, Any]) -> Manifest:
    """Return the manifest in `data`; KeyError, TypeError or ValueError when a part is missing or of a wrong kind."""
    known = {key: value for key, value in data.items() if key in _KNOWN}
    code = {key: value for key, value in data["code"].items() if key in _CODE}
    code["untracked"] = tuple(code.get("untracked") or ())
    kept = cast("Mapping[str, Mapping[str, Any]]", code.get("kept") or {})
    code["kept"] = {
        name: Kept(str(one["sha256"]), int(one["size_bytes"]), str(one["where"])) for name, one in kept.items()
    }
    known["code"] = Code(**code)
    known["budget"] = Budget(str(data["budget"]["unit"]), int(data["budget"]["amount"]))
    known["seeds"] = tuple(int(seed) for seed in data["seeds"])
    known["command"] = tuple(data.get("command") or ())
    if len(known) < len(data):
        known["extra"] = {key: value for key, value in data.items() if key not in _KNOWN}
    manifest = Manifest(**known)
    for key in ("id", "kind", "env", "family", "created_at", "score"):
        if not isinstance(known.get(key, ""), str):
            raise TypeError(f"'{key}' must be text, not {known[key]!r}")
    if not isinstance(manifest.environment, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"'environment' must be an object, not {manifest.environment!r}")
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest to `path`, all at once."""
    atomic_write_json(path, manifest.to_dict())


def read_manifest(path: Path | str) -> Manifest:
    """Return the manifest at `path`; NotFound when there is none, ToolFailed when it cannot be understood."""
    try:
        return manifest_from_dict(read_object(str(path)))
    except FileNotFoundError as error:
        raise NotFound(f"there is no run manifest at {path}", hint="see what there is: dreamerlab list") from error
    except OSError as error:
        raise ToolFailed(f"cannot read {path}: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unreadable_manifest(path, error) from error


def unreadable_manifest(path: Path | str, error: Exception) -> LabError:
    """Return the error for a manifest that was read but makes no sense."""
    reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return ToolFailed(f"{path} is damaged: {reason}", hint=f"restore it from git: git checkout -- {path}")
