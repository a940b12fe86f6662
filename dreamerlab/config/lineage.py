"""Whether parts of an agent trained under one config can go on under another: which leaves must be equal for that.

Asked before a trial is started from another run's checkpoint, or plays against it, of flat configs, recorded or
resolved. That the tensors fit as well is asked when they are there (`train/checkpoint.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dreamerlab.config.catalogue import inactive_leaves
from dreamerlab.config.diff import Difference, diff, show
from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.config.zones import Zone

_BEHAVIOR = ("behavior.", "policy.", "model.policy_", "model.value_")
_LATENTS = ("world_model.family", "model.deter", "model.stoch", "model.classes")
_REPLAY = (
    "replay.latent_context",
    "replay.priority_exponent",
    "collect.envs",
    "heads.auxiliary",
    "smooth.",
    "hockey.shaping",
    "train.augment",
)
"""What the rows of a replay hold, and how many streams of them; how many rows fit is nobody's business."""


def unfit_leaves(theirs: Mapping[str, object], ours: Mapping[str, object], parts: Collection[str]) -> list[Difference]:
    """Return the leaves that differ and must not, for these parts: what the task is, and how what is taken is built."""
    there, here = inactive_leaves(theirs).keys(), inactive_leaves(ours).keys()
    acting = [one for one in diff(theirs, ours) if not (one.key in there and one.key in here)]
    return [one for one in acting if _matters(one, parts, one.key in there or one.key in here)]


def differing(found: Collection[Difference]) -> str:
    """Return the differences in words, `model.deter is 256 there and 512 here`."""
    return ", ".join(f"{one.key} is {show(one.a)} there and {show(one.b)} here" for one in found)


def _matters(one: Difference, parts: Collection[str], idle: bool) -> bool:
    """Tell so of a leaf that is `idle` in one of the two configs, or in none."""
    if one.zone is Zone.ENVIRONMENT or ("replay" in parts and one.key.startswith(_REPLAY) and not idle):
        return True
    if one.zone is not Zone.ARCHITECTURE:
        return False
    if one.key.startswith(_BEHAVIOR):
        return "behavior" in parts
    return bool({"world", "behavior"} & set(parts)) or one.key in _LATENTS


def unfit_opponent(theirs: Mapping[str, object]) -> str | None:
    """Return why an agent trained under a config cannot be an opponent in hockey, in words; None where it can.

    How its observations are scaled and how long it keeps to an action are its own business.
    """
    if theirs.get("env.id") != HOCKEY_ID:
        return f"it was trained on {theirs.get('env.id')}, not on {HOCKEY_ID}"
    observed = theirs.get("env.observe", "state")
    return None if observed == "state" else f"it sees pictures (env.observe={observed}), and an opponent is shown none"
