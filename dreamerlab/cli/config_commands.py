"""The `config` group: what a key means and where its value comes from, what differs, what does not fit together.

Thin: everything is answered by `dreamerlab.config`. A config is named by `--env`, `--experiment` and KEY=VALUE, or by
the run that recorded it; `diff` names its two by a run (`R12`), an environment, or `environment+experiment`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion
from dreamerlab.cli.options import EnvOption, ExperimentOption
from dreamerlab.cli.output import emit, emit_json, say, warn

if TYPE_CHECKING:
    from dreamerlab.config.catalogue import LeafInfo
    from dreamerlab.config.conformance import Finding

app = typer.Typer(
    help="Explain, compare and audit configurations.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@dataclass(frozen=True)
class _Selected:
    """One config as the user named it; a recorded one may hold keys unknown today."""

    name: str
    flat: Mapping[str, object]
    origins: Mapping[str, str]


def _complete_key(incomplete: str) -> list[str]:
    from dreamerlab.config.catalogue import leaves

    return [key for key in leaves() if key.startswith(incomplete)]


Run = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="RUN", help="What a run recorded, such as R12, instead.", autocompletion=completion.run_ids
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY|KEY=VALUE", help="A key, its tail or a section.", autocompletion=_complete_key),
    ] = None,
    env: EnvOption = None,
    experiment: ExperimentOption = None,
    run: Run = None,
    json: Json = False,
) -> None:
    """Explain a key: meaning, range, value, origin.

    KEY may be a unique tail (`lr_actor`) or a section (`optimizer`); without it, all keys are listed. KEY=VALUE sets
    a value on top of `--env` and `--experiment`.
    """
    from dreamerlab.config.catalogue import find_leaves, leaves, sections
    from dreamerlab.config.validation import unknown_tail
    from dreamerlab.errors import ConfigError, UsageError

    keys = [word for word in words or [] if "=" not in word]
    if len(keys) > 1:
        raise UsageError(f"one key at a time: got {', '.join(keys)}", hint="an override is written KEY=VALUE")
    selected = _select(env, experiment, [word for word in words or [] if "=" in word], run)
    wanted = keys[0] if keys else None
    if wanted is None or wanted in sections():
        shown = [info for info in leaves().values() if wanted in (None, info.section)]
        if json:
            emit_json([_leaf_json(info, selected) for info in shown])
        else:
            _list_leaves(shown, selected)
        return
    if wanted in selected.flat and wanted not in leaves():
        emit_json({"key": wanted, "value": selected.flat[wanted]}) if json else _unknown_today(wanted, selected)
        return
    if (problem := unknown_tail(wanted, "command line")) is not None:
        raise ConfigError(problem, hint="`dreamerlab config explain` lists all keys")
    info = leaves()[find_leaves(wanted)[0]]
    emit_json(_leaf_json(info, selected)) if json else _explain_leaf(info, selected)


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run, an env, or env+experiment.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What to compare it with.")],
    json: Json = False,
) -> None:
    """Show what differs between two configs.

    Each is a run (`R12`), an environment (`cartpole`) or both layers (`cartpole+nano`). Leaves are grouped by zone,
    with the origin of each value.
    """
    from dreamerlab.config.diff import ABSENT, diff_table
    from dreamerlab.config.diff import diff as differences_of

    one, two = _named(a), _named(b)
    differences = differences_of(one.flat, two.flat, one.origins, two.origins)
    if json:
        rows = [
            asdict(d) | {"absent_in": "a" if d.a is ABSENT else "b" if d.b is ABSENT else None} for d in differences
        ]
        for row in rows:
            row.update({side: None for side in ("a", "b") if row["absent_in"] == side})
        emit_json({"a": one.name, "b": two.name, "differences": rows})
    elif differences:
        emit(diff_table(differences, one.name, two.name if two.name != one.name else f"{two.name} (b)").to_text())
    else:
        say(f"{one.name} and {two.name} do not differ")


@app.command()
def audit(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values to set.")] = None,
    env: EnvOption = None,
    experiment: ExperimentOption = None,
    run: Run = None,
    everything: Annotated[bool, typer.Option("--all", help="Show leaves at their reference value as well.")] = False,
    json: Json = False,
) -> None:
    """Check a config against the reference and itself.

    Lists where it departs from the reference algorithm, then what its leaves do to each other. Exit code 6 when a rule
    finds an error; departures, warnings and notes are no errors.
    """
    from dreamerlab.config.reference import compare_with_reference, reference_table
    from dreamerlab.errors import FindingsReported

    selected = _select(env, experiment, overrides or [], run)
    positions = compare_with_reference(selected.flat)
    findings = _findings(selected)
    if json:
        emit_json(
            {
                "config": selected.name,
                "reference": [asdict(position) for position in positions],
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        departures = [position for position in positions if position.severity != "same"]
        if departures or everything:
            emit(reference_table(positions, everything=everything).to_text())
        say(f"{len(positions) - len(departures)} of {len(positions)} leaves are at their reference value")
        for finding in findings:
            sources = f" [{', '.join(finding.sources)}]" if finding.sources else ""
            emit(f"{finding.severity}: {finding.rule}: {finding.message}{sources}")
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        raise FindingsReported(f"{selected.name} breaks {errors} {'rule' if errors == 1 else 'rules'}")


def _findings(selected: _Selected) -> list[Finding]:
    """Return what the rules find; only the record of another version can be unknown or invalid in part."""
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.conformance import Finding
    from dreamerlab.config.conformance import audit as findings_of
    from dreamerlab.config.record import config_of_record
    from dreamerlab.errors import ConfigError

    known = {key: value for key, value in selected.flat.items() if key in leaves()}
    findings: list[Finding] = []
    if unknown := sorted(set(selected.flat) - set(known)):
        findings.append(Finding("other-version", "note", f"not judged, unknown here: {', '.join(unknown)}", ()))
    try:
        return [*findings_of(config_of_record(known, selected.origins)), *findings]
    except ConfigError as error:
        return [*findings, Finding("other-version", "warning", f"no rule could be applied: {error.message}", ())]


def _select(env: str | None, experiment: str | None, overrides: Sequence[str], run: str | None) -> _Selected:
    """Return the config that the options name: resolved now, or recorded by a run."""
    from dreamerlab.config.layers import resolve
    from dreamerlab.errors import UsageError
    from dreamerlab.runs.store import Workspace

    if run is not None:
        if env is not None or experiment is not None or overrides:
            raise UsageError(
                f"the config of run {run} is already resolved: --run goes with no --env, --experiment or KEY=VALUE"
            )
        return _recorded(run)
    needs_workspace = env is not None or experiment is not None
    root = Workspace.find().path if needs_workspace else Path.cwd()
    resolved = resolve(root, env, experiment, overrides)
    name = "+".join(part for part in (env, experiment) if part is not None) or "defaults"
    return _Selected(name, resolved.flat, resolved.origins)


def _named(text: str) -> _Selected:
    """Return the config that one word of `diff` names: a run id, an env, `env+experiment`, or a run's alias."""
    from dreamerlab.config.layers import env_names
    from dreamerlab.errors import NotFound
    from dreamerlab.runs.store import Workspace

    if re.fullmatch(r"[Rr][0-9]+(-[a-z0-9]*)?", text):
        return _recorded(text)
    env, plus, experiment = text.partition("+")
    names = env_names(Workspace.find().path)
    if not plus and env not in names:
        try:
            return _recorded(text)
        except NotFound:
            pass  # no alias either: let the env say which names there are
    return _select(env or None, experiment or None, [], None)


def _recorded(text: str) -> _Selected:
    import json

    from dreamerlab.config.layers import load_recorded
    from dreamerlab.runs.store import Workspace, find_run

    run = find_run(Workspace.find(), text)
    try:
        origins = dict(json.loads(run.origins_path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        warn(f"{run.id}: {run.origins_path.name} is missing or damaged; values are shown without their origins")
        origins = {}
    return _Selected(run.id, load_recorded(run.config_path), {key: str(origin) for key, origin in origins.items()})


def _list_leaves(infos: Iterable[LeafInfo], selected: _Selected) -> None:
    from dreamerlab.config.diff import show
    from dreamerlab.tables import Table

    table = Table(("key", "value", "unit", "zone", "accepts", "origin"))
    for info in infos:
        value = show(selected.flat[info.key]) if info.key in selected.flat else None
        table.add(info.key, value, info.unit, info.zone, info.accepts, selected.origins.get(info.key))
    emit(table.to_text())


def _explain_leaf(info: LeafInfo, selected: _Selected) -> None:
    from dreamerlab.config.catalogue import inactive_leaves
    from dreamerlab.config.diff import show
    from dreamerlab.config.disputes import disputes_about, spell
    from dreamerlab.config.reference import REFERENCE

    present = info.key in selected.flat
    emit(f"{info.key} = {show(selected.flat[info.key])}" if present else f"{info.key} is not in {selected.name}")
    emit(f"  {info.docstring}")
    rows = [("accepts", info.accepts), ("unit", info.unit), ("zone", info.zone.value), ("default", show(info.default))]
    if info.key in REFERENCE:
        value, source = REFERENCE[info.key]
        rows.append(("reference", f"{show(value)} ({source})"))
    if not info.founding:
        rows.append(("absent means", show(info.absent_means)))
    rows.append(("origin", selected.origins.get(info.key, "")))
    if info.key in inactive_leaves(selected.flat):
        rows.append(("inactive", f"does nothing here; it acts only when {info.active_text}"))
    for dispute in disputes_about(info.key):
        rows.append(("disputed", f"{', '.join(dispute.ids)}: {dispute.question}"))
        rows += [("", f"{spell(p) or 'no leaf'}: {p.claim} ({p.who})") for p in dispute.positions]
    for name, text in rows:
        if text:
            emit(f"  {name:<12} {text}")


def _unknown_today(key: str, selected: _Selected) -> None:
    from dreamerlab.config.diff import show

    emit(f"{key} = {show(selected.flat[key])}")
    emit(f"  recorded by {selected.name}; this version of dreamerlab has no such key")


def _leaf_json(info: LeafInfo, selected: _Selected) -> dict[str, object]:
    from dreamerlab.config.catalogue import inactive_leaves
    from dreamerlab.config.disputes import disputes_about

    data: dict[str, object] = {
        "key": info.key,
        "value": selected.flat.get(info.key),
        "origin": selected.origins.get(info.key),
        "default": info.default,
        "unit": info.unit,
        "zone": info.zone.value,
        "accepts": info.accepts,
        "meaning": info.docstring,
        "active_when": info.active_text,
        "inactive": info.key in inactive_leaves(selected.flat),
        "disputes": [name for dispute in disputes_about(info.key) for name in dispute.ids],
    }
    return data if info.founding else data | {"absent_means": info.absent_means}
