"""Hypothesis strategies for configs: any leaf anywhere in its range, any set of leaves that go together."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.schema import Config

SCHEDULES = st.sampled_from(["constant", "linear to 0.1x over 5000 updates", "cosine to 1e-3x over 10 updates"])

# Leaves tied to others by a rule get values that satisfy it whatever the others are; sizes stay below the limits.
_TIED: dict[str, st.SearchStrategy[Any]] = {
    "env.id": st.from_regex(r"[A-Za-z0-9_.:/-]{1,200}", fullmatch=True),
    "model.deter": st.integers(1, 256).map(lambda n: 8 * n),
    "model.blocks": st.sampled_from([1, 2, 4, 8]),
    "twohot.bins": st.integers(1, 500).map(lambda n: 2 * n + 1),
    "twohot.support": st.floats(0, 80, exclude_min=True).map(lambda x: (-x, x)),
    "return_norm.low": st.floats(0, 49),
    "return_norm.high": st.floats(50, 100),
    "train.batch_size": st.integers(1, 512),
    "train.batch_length": st.integers(64, 256),
    "train.imagination_starts": st.one_of(st.just("all"), st.integers(2, 64)),
    "replay.capacity": st.integers(100, 10_000_000),
    "behavior.horizon": st.integers(1, 100),
    "env.image_size": st.integers(1, 16).map(lambda n: 16 * n),
    "heads.auxiliary": st.lists(
        st.sampled_from(["binary:reward_within_15", "regression:obs/vector/0", "regression:info/speed"]), unique=True
    ).map(tuple),
    "policy.std": st.tuples(st.floats(1e-3, 0.5), st.floats(0.6, 1000)),
    "replay.mixture": st.sampled_from([(1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.0, 0.0, 1.0), (0.25, 0.5, 0.25)]),
    "smooth.width": st.none(),
    "execution.cuda_graphs": st.just(False),
    "behavior.entropy_schedule": SCHEDULES,
    "optimizer.lr_schedule": SCHEDULES,
    "explore.schedule": SCHEDULES,
    "control.actor_every_schedule": SCHEDULES,
    "control.adaptive_ratio": st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(5, 9))),
    "init.checkpoint": st.one_of(st.none(), st.sampled_from(["R0012-9qd", "R0001-95y@best", "R0002-wl9@10000"])),
    "init.parts": st.sampled_from([("world",), ("world", "behavior", "optimizer"), ("replay", "behavior")]),
    "hockey.opponent": st.sampled_from([("weak",), ("weak:3", "strong"), ("self:0.5", "R0012-9qd@best")]),
    "hockey.eval_opponents": st.sampled_from([("weak",), ("random", "strong"), ("R12",)]),
    "hockey.curriculum": st.sampled_from([(), ("0 shooting weak", "50k normal weak:3+strong")]),
    "hockey.shaping": st.lists(st.sampled_from(["touch:0.1", "closeness:-1", "direction:1"]), unique=True).map(tuple),
    "train.augment": st.lists(st.sampled_from(["mirror", "swap"]), unique=True).map(tuple),
    **{f"model.{name}": st.integers(2, 256) for name in ("hidden", "units", "stoch", "classes")},
}


def value_of(key: str) -> st.SearchStrategy[Any]:
    """Values that leaf `key` accepts, beside any accepted value of the other leaves."""
    if key in _TIED:
        return _TIED[key]
    section, _, name = key.partition(".")
    field = Config.model_fields[section].annotation.model_fields[name]  # type: ignore[union-attr]
    bounds = {
        k: v for mark in field.metadata for k in ("ge", "gt", "le", "lt") if (v := getattr(mark, k, None)) is not None
    }
    return _of_type(field.annotation, bounds)


def _of_type(annotation: Any, bounds: dict[str, Any]) -> st.SearchStrategy[Any]:
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.integers(bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt")))
    if annotation is float:
        return st.floats(
            bounds.get("ge", bounds.get("gt")),
            bounds.get("le", bounds.get("lt")),
            exclude_min="gt" in bounds,
            exclude_max="lt" in bounds,
            allow_nan=False,
            allow_infinity=False,
        )
    arguments = get_args(annotation)
    if all(isinstance(argument, str) for argument in arguments):
        return st.sampled_from(arguments)
    return st.one_of([_of_type(argument, bounds) for argument in arguments])


def any_flats() -> st.SearchStrategy[dict[str, Any]]:
    """Partial flat configs whose values all go together."""
    keys = st.lists(st.sampled_from(list(leaves())), unique=True, max_size=12)
    return keys.flatmap(lambda chosen: st.fixed_dictionaries({key: value_of(key) for key in chosen}))
