"""The catalogue of metrics: the only place a metric gets its name, unit, direction and meaning.

Code may emit only names listed here (a test trains and compares the sets); whatever refers to a metric (tables,
plots, mirrors) looks it up here. `direction` says which way is better, where that can be said at all.
Names are `area/quantity`, with the unit in the name where it is not obvious; `area/quantity/2` is what a metric of
BY_DIMENSION is in dimension 2. The rows lie in `dreamerlab.measured`, the names that other projects give these
quantities in `measured.aliases`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dreamerlab.errors import NotFound, did_you_mean
from dreamerlab.measured import aliases, control, experience, learning, probes, second_family
from dreamerlab.measured.row import Direction, Row


@dataclass(frozen=True)
class Metric:
    """One quantity: what it is called, what it is measured in, which way is better, what it means."""

    name: str
    unit: str
    direction: Direction
    meaning: str


SOMETIMES: dict[str, str] = {
    "wm/recon_loss": "numbers are observed",
    "wm/image_loss": "pictures are observed",
    "wm/discrete_loss": "choices are observed",
    "wm/explore_loss": "explore.bonus is on",
    "behavior/explore_bonus": "explore.bonus is on",
    "wm/auxiliary_loss": "heads.auxiliary names heads",
    "wm/auxiliary_known_frac": "heads.auxiliary names heads",
    "behavior/entropy_base_nats": "policy.dist is tanh_normal",
    "behavior/entropy_squashed_nats": "policy.dist is tanh_normal",
    "replay/mirrored_frac": "train.augment has mirror",
    "replay/swapped_frac": "train.augment has swap",
    "behavior/action_std": "actions are numbers drawn from a Normal",
    "behavior/action_std_min": "actions are numbers drawn from a Normal",
    "behavior/action_std_max": "actions are numbers drawn from a Normal",
    "behavior/action_mean": "actions are numbers",
    "behavior/action_saturated_frac": "actions are numbers",
    **second_family.SOMETIMES,
}
"""Metrics of updates that not every trial has, and which trials have them."""

_ROWS: tuple[Row, ...] = (*experience.ROWS, *learning.ROWS, *probes.ROWS, *control.ROWS, *second_family.ROWS)
BY_DIMENSION = ("behavior/action_mean", "behavior/action_std")
"""Metrics that are also logged for each dimension, as NAME/0 and so on."""


class Catalogue(Mapping[str, Metric]):
    """Every metric by its name, in order; one of a dimension is found and not listed: how many there are varies."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self._listed = {row[0]: Metric(*row) for row in rows}
        assert len(self._listed) == len(rows), "a metric is listed twice"

    def __getitem__(self, name: str) -> Metric:
        whole, _, index = name.rpartition("/")
        if whole not in BY_DIMENSION or not (index.isascii() and index.isdecimal()):
            return self._listed[name]
        mean = self._listed[whole]
        return replace(mean, name=name, meaning=f"dimension {index} of: {mean.meaning}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


CATALOGUE = Catalogue(_ROWS)


class Aliases(Mapping[str, str]):
    """Our name by each of its other names, which may be written with dots; so may ours."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = dict(table)

    def __getitem__(self, name: str) -> str:
        slashed = name.replace(".", "/")
        if slashed in self._table:
            return self._table[slashed]
        whole, _, index = slashed.rpartition("/")
        if (of_one := f"{self._table.get(whole)}/{index}") in CATALOGUE:
            return of_one
        if slashed != name and slashed in CATALOGUE:
            return slashed
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


ALIASES = Aliases(aliases.ALIASES)


def is_return(name: str) -> bool:
    """Tell whether a metric is a return that agents get in the task: what a task's random and solved levels speak of.

    Evaluations (`eval/return`, its policies) and training episodes (`train/return`); returns that a model imagines and
    the scale they are divided by are none.
    """
    return name.startswith("eval/return") or name == "train/return"


def get_metric(name: str) -> Metric:
    """Return the metric called `name` (aliases allowed); an unknown name is answered with the nearest ones."""
    known = CATALOGUE.get(ALIASES.get(name, name))
    if known is None:
        near = did_you_mean(name, [*CATALOGUE, *ALIASES])
        raise NotFound(f"no metric is called '{name}'{near}", hint="see protocol/reference/metrics.md for all names")
    return known
