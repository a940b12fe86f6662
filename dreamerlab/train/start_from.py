"""Starting a trial from what another one has learnt, instead of from fresh networks (M-CP-31, M-CP-33, M-PROT-13).

`init.checkpoint` says from which, `init.parts` what is taken; everything else starts afresh, the counters too: it is a
new trial, and its record says what it came from. Nothing is taken that does not fit, and a trial whose first attempt
came from one file never starts from another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dreamerlab.config.layers import flatten
from dreamerlab.config.lineage import differing, unfit_leaves
from dreamerlab.config.recorded import load_recorded
from dreamerlab.errors import Conflict, UsageError
from dreamerlab.experience.archive import damage
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.lineage import find_origin
from dreamerlab.train import checkpoint
from dreamerlab.train.session import Session

_GROUPS = {"world": ("world",), "behavior": ("actor", "critic")}
"""Which groups of the optimiser belong to which part of the agent."""


def start_from(session: Session, trial: TrialDirectory, before: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Take over what `init.checkpoint` names into a fresh session; return where it came from, None when from nowhere.

    `before` are the records of earlier attempts of this trial. Raises NotFound when it is not there, Conflict when it
    does not fit or is not what an earlier attempt started from, UsageError when it does not hold what is asked for.
    """
    init = session.config.init
    if init.checkpoint is None:
        return None
    parts = tuple(init.parts)
    if parts == ("optimizer",):
        raise UsageError("init.parts=[optimizer] takes over nothing", hint="name world or behavior as well")
    origin = find_origin(trial.run.path.parent, init.checkpoint, trial.seed, replay="replay" in parts)
    where = f"{origin.info.file} of {origin.trial.run.id} seed {origin.trial.seed}"
    if origin.trial == trial:
        raise UsageError(f"init.checkpoint={init.checkpoint} is the trial itself", hint="name another run")
    for record in before:
        known = record.get("started_from")
        if isinstance(known, Mapping) and known.get("sha256") not in (None, origin.info.sha256):
            raise Conflict(
                f"init.checkpoint={init.checkpoint} is {where} now, and an earlier attempt of this trial started from "
                f"{known.get('file')} of {known.get('run')}",
                hint="bring that file back (dreamerlab data pull), or propose the run anew with its env steps",
            )
    found = unfit_leaves(load_recorded(origin.trial.run.config_path), flatten(session.config), parts)
    if found:
        raise Conflict(
            f"{where} does not fit: {differing(found)}",
            hint="take other init.parts, or a run in which these leaves are equal",
        )
    state = checkpoint.open_exactly(origin.trial.checkpoints, origin.name)["session"]
    _take(session, state, parts, where, origin.trial.replay)
    info = origin.info
    facts = {"run": info.run, "seed": info.seed, "file": info.file, "sha256": info.sha256, "parts": list(parts)}
    held = {"replay_steps": len(session.replay)} if "replay" in parts else {}
    return {**facts, "env_steps": info.env_steps, "updates": info.updates, **held}


def in_words(origin: Mapping[str, Any], seed: int) -> str:
    """Return where a trial came from, in one line."""
    other = f"; that run has no seed {seed}" if origin["seed"] != seed else ""
    steps = f" of {origin['replay_steps']} steps" if "replay_steps" in origin else ""
    parts = ", ".join(f"{part}{steps}" if part == "replay" else part for part in origin["parts"])
    return f"started from {origin['file']} of {origin['run']} seed {origin['seed']} ({parts}){other}"


def _take(session: Session, state: Mapping[str, Any], parts: Sequence[str], where: str, folder: Path) -> None:
    agent, given = session.agent, state["agent"]
    for part in ("world", "behavior"):
        if part in parts:
            _load(agent.get_submodule(part), _below(given, part), where, part)
    if "optimizer" in parts:
        ours = agent.optimizer.state_dict()
        theirs = _below(given, "optimizer")
        checkpoint.refuse_misfits(where, checkpoint.misfits(theirs, ours, "optimizer."))
        optimizer = agent.optimizer
        total = sum(parameter.numel() for parameter in optimizer.parameters_in_order)
        groups = [group for part in parts for group in _GROUPS.get(part, ())]
        for name, tensor in ours.items():
            for group in groups:
                # Moments have a stretch for each group, counts one number: bias correction and warm-up follow it.
                place = optimizer.elements[group] if tensor.shape == (total,) else optimizer.names.index(group)
                tensor[place] = theirs[name][place].to(tensor.device)
    if "replay" in parts:
        if state.get("replay") is None:
            hint = "leave replay out of init.parts, or train that run with checkpoint.keep_replay=true"
            raise UsageError(f"{where} holds no replay", hint=hint)
        if (problem := damage(state["replay"], folder)) is not None:
            raise Conflict(f"{where} cannot be used: {problem}", hint="dreamerlab data pull fetches stored artifacts")
        session.load_replay(state["replay"], folder)


def _load(module: torch.nn.Module, given: dict[str, torch.Tensor], where: str, part: str) -> None:
    checkpoint.refuse_misfits(where, checkpoint.misfits(given, module.state_dict(), f"{part}."))
    module.load_state_dict(given)


def _below(given: Mapping[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{part}."): one for name, one in given.items() if name.startswith(f"{part}.")}
