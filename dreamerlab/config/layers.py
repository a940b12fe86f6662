"""Layers: how values from several places become one config, and where each value came from (M-CFG-01).

    defaults < env_configs/ENV.yaml < env_configs/experiments/NAME.yaml < KEY=VALUE on the command line

A later layer wins leaf by leaf. Every leaf keeps its origin: `default`, `env_configs/cartpole.yaml:7`, or
`command line: optimizer.lr_actor=1e-4`. All problems of all layers are reported together. How a resolved config is
written and read back is `record.py`, offered here as well, so that users of configs need one import.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.config.catalogue import find_leaves
from dreamerlab.config.record import load_config, load_recorded, to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.config.strict_yaml import YamlFault, parse_value, read_entries, shorten
from dreamerlab.config.validation import config_error, flatten, from_flat, unknown_tail, validate
from dreamerlab.errors import NotFound, UsageError, did_you_mean

__all__ = ["Resolved", "env_names", "experiment_names", "flatten", "from_flat", "load_config", "load_recorded"]
__all__ += ["resolve", "shipped_env_configs", "to_yaml"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")
_NAMESPACED_ID = re.compile(r"[\w:-]+/[\w.:-]+-v[0-9]+")
_GYM_ID = re.compile(r".+-v[0-9]+")


@dataclass(frozen=True)
class Resolved:
    """One config with its leaves as a flat dict and the origin of each leaf (same keys, order of the schema)."""

    config: Config
    flat: dict[str, object]
    origins: dict[str, str]


@dataclass(frozen=True)
class _Setting:
    key: str
    value: object
    origin: str


def resolve(workspace: Path, env: str | None, experiment: str | None, overrides: Sequence[str]) -> Resolved:
    """Return the config that the layers give in `workspace` (the folder that holds `env_configs/`).

    `env` names a file in `env_configs/`, or is a gymnasium id such as `Acrobot-v1` that has none; `experiment` names
    a file in `env_configs/experiments/`; `overrides` are KEY=VALUE, where KEY may be a unique tail. Raises NotFound
    for an unknown name (with the nearest), UsageError for a path in place of a name, ConfigError listing the rest.
    """
    problems: list[str] = []
    settings: list[_Setting] = []
    if env is not None:
        settings += _env_layer(workspace, env, problems)
    if experiment is not None:
        settings += _experiment_layer(workspace, experiment, problems)
    settings += _command_line_layer(overrides, problems)

    values = {setting.key: setting.value for setting in settings}
    origins = {setting.key: setting.origin for setting in settings}
    config, invalid = validate(values, origins)
    if config is None or problems:
        raise config_error([*problems, *invalid])
    flat = flatten(config)
    return Resolved(config, flat, {key: origins.get(key, "default") for key in flat})


def env_names(workspace: Path) -> list[str]:
    """Return the environments that have a file in this workspace, sorted."""
    return sorted(path.stem for path in (workspace / "env_configs").glob("*.yaml"))


def experiment_names(workspace: Path) -> list[str]:
    """Return the experiments that have a file in this workspace, sorted."""
    return sorted(path.stem for path in (workspace / "env_configs" / "experiments").glob("*.yaml"))


def shipped_env_configs() -> Path:
    """Return the folder of env configs that came with dreamerlab, which `init` copies into a new workspace."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_env_configs", package.parent / "env_configs"):  # in a wheel; in a checkout
        if folder.is_dir():
            return folder
    raise NotFound(f"this installation has no env configs beside {package}", hint="reinstall dreamerlab")


def _env_layer(workspace: Path, env: str, problems: list[str]) -> list[_Setting]:
    if _NAMESPACED_ID.fullmatch(env):  # looks like a path, and is never used as one
        return [_Setting("env.id", env, f"command line: --env {env}")]
    _require_name("env", env)
    if env in (names := env_names(workspace)):
        return _file_layer(workspace, f"env_configs/{env}.yaml", problems)
    if _GYM_ID.fullmatch(env):
        return [_Setting("env.id", env, f"command line: --env {env}")]
    raise NotFound(
        f"there is no env_configs/{env}.yaml{did_you_mean(env, names)}; {_available('env configs', names)}",
        hint="name one of these, or give a gymnasium id with its version, such as CartPole-v1",
    )


def _experiment_layer(workspace: Path, experiment: str, problems: list[str]) -> list[_Setting]:
    _require_name("experiment", experiment)
    if experiment in (names := experiment_names(workspace)):
        return _file_layer(workspace, f"env_configs/experiments/{experiment}.yaml", problems)
    raise NotFound(
        f"there is no env_configs/experiments/{experiment}.yaml{did_you_mean(experiment, names)}; "
        f"{_available('experiments', names)}",
        hint="name one of these, or write the file",
    )


def _available(what: str, names: Sequence[str]) -> str:
    return f"{what} here: {', '.join(names)}" if names else f"this workspace has no {what}"


def _require_name(what: str, text: str) -> None:
    """Refuse anything that could lead out of env_configs/, before the disk is touched."""
    if _NAME.fullmatch(text) and ".." not in text:
        return
    raise UsageError(f"{what} is a name, not a path: got {shorten(text)}")


def _file_layer(workspace: Path, relative: str, problems: list[str]) -> list[_Setting]:
    try:
        entries = read_entries(workspace / relative)
    except YamlFault as fault:
        problems.append(f"{relative}:{fault.line}: {fault.reason}")
        return []
    return [_Setting(entry.key, entry.value, f"{relative}:{entry.line}") for entry in entries]


def _command_line_layer(overrides: Sequence[str], problems: list[str]) -> list[_Setting]:
    settings: dict[str, _Setting] = {}
    for override in overrides:
        tail, equals, text = override.partition("=")
        tail = tail.strip()
        shown = override if override.isprintable() else override.encode("unicode_escape").decode()
        origin = f"command line: {shown[:200]}"
        if not equals or not tail:
            problems.append(f"{origin}: an override is written KEY=VALUE")
            continue
        if (problem := unknown_tail(tail, origin)) is not None:
            problems.append(problem)
            continue
        key = find_leaves(tail)[0]
        try:
            value = parse_value(text)
        except YamlFault as fault:
            problems.append(f"{key} ({origin}): {fault.reason}")
            continue
        if key in settings:
            problems.append(f"{key} ({origin}): already set by {settings[key].origin}")
        settings[key] = _Setting(key, value, origin)
    return list(settings.values())
