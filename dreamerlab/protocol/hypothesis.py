"""A hypothesis as it is frozen: one change, one expectation, and everything the verdict will need.

`Proposal` is what the event `proposed` carries; nothing in it changes after launch. What became of it is folded from
the later events in `state.py`. Reading a sentence into a proposal is `sentence.py` and `reading.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, cast

Kind = Literal["config", "code", "bundle", "baseline", "equivalence"]
KINDS: tuple[Kind, ...] = ("config", "code", "bundle", "baseline", "equivalence")
Form = Literal["rise", "fall", "at_least", "at_most", "within", "reaches"]
ALPHA = 0.05
DEFAULT_REDUCER = "final_mean(3)"
FEWEST_SEEDS = 3
"""Fewer seeds in an arm carry no verdict."""


@dataclass(frozen=True)
class Change:
    """One config leaf that the treatment sets otherwise than the base."""

    key: str
    before: Any
    """The base's resolved value when this was proposed."""
    after: Any

    def __post_init__(self) -> None:
        # A record knows lists only; a config holds tuples.
        for name, value in (("before", self.before), ("after", self.after)):
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(cast("list[Any]", value)))


@dataclass(frozen=True)
class Expectation:
    """What is predicted of the primary metric's score, in the metric's own unit."""

    metric: str
    """Full name in the catalogue, aliases resolved."""
    form: Form
    amount: float | None = None
    """rise/fall: the least difference that counts (> 0); at_least/at_most/reaches: the level; within: the half-width.
    None only for rise/fall by a percentage of a baseline that was not measured yet."""
    percent: float | None = None
    """rise/fall by N%: N. With `amount` it says where that came from; without, the contrast T - (1 + N/100) B is
    tested (rise; minus for fall)."""
    by_env_steps: int | None = None
    """reaches: the latest env step that counts."""
    said: str = ""
    """The amount as it was written and what it was turned into: `20% of span = 90.5`."""


@dataclass(frozen=True)
class KillRule:
    """End a trial early, declared beforehand: when `metric` is on the wrong side of `value` at or after `env_steps`."""

    metric: str
    operator: Literal["<", ">"]
    value: float
    env_steps: int


@dataclass(frozen=True)
class Plan:
    """How much is trained, and how scores are made of it; equal in both arms."""

    budget_unit: str
    budget_amount: int
    seeds: tuple[int, ...]
    baseline_seeds: tuple[int, ...]
    """For a baseline that has to be opened; one that exists contributes all its seeds."""
    reducer: str = DEFAULT_REDUCER
    """Without the metric, which is the expectation's."""
    looks: tuple[int, ...] = ()
    """Numbers of treatment seeds after which a verdict may end the run early, the last being all; empty: at the end."""
    kill: tuple[KillRule, ...] = ()
    fail_score: float | None = None
    """The score of a trial that diverged, was killed by a rule, or never reached what the reducer asks for."""
    alpha: float = ALPHA


@dataclass(frozen=True)
class Base:
    """The layers under the change: treatment and baseline share them."""

    env: str
    experiment: str | None = None
    overrides: tuple[str, ...] = ()
    """`KEY=VALUE` as on the command line."""
    run: str | None = None
    """The baseline run, when it was named or found at proposal."""
    digest: str | None = None
    """`gates.base_digest` of the resolved base at proposal: an edit of its layers before the launch is then noticed."""


@dataclass(frozen=True)
class Proposal:
    """A frozen hypothesis."""

    kind: str
    sentence: str
    """As it was typed; for a proposal made of flags, the reading."""
    reading: str
    """The same in canonical words."""
    base: Base
    plan: Plan
    family: str
    """The treatment's."""
    baseline_family: str
    changes: tuple[Change, ...] = ()
    """config: one; bundle: several; code and baseline: none."""
    code: str | None = None
    """What is changed in the code, in words."""
    expectation: Expectation | None = None
    """None only for a baseline that is measured and not predicted."""
    name: str | None = None
    why: str | None = None
    reason: str | None = None
    """Why a bundle's changes cannot be told apart."""
    new_family: bool = False
    replicates: str | None = None
    """The judged hypothesis this one repeats on fresh seeds."""
    follows: str | None = None
    """The hypothesis whose outcome led to this one; of an automatic baseline, the one it was opened for."""
    queued: bool = False
    forecast: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What was said at proposal: minimum detectable effect, cost, gates."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of a later version, kept as they are."""

    def to_dict(self) -> dict[str, Any]:
        """Return the proposal as JSON-ready values."""
        data = asdict(self)
        return {**{key: value for key, value in data.items() if key != "extra"}, **self.extra}


_KNOWN = frozenset(item.name for item in fields(Proposal)) - {"extra"}


def proposal_from_dict(data: Mapping[str, Any]) -> Proposal:
    """Return the proposal in `data`; KeyError, TypeError or ValueError when a part is missing or of a wrong kind."""
    known = {key: value for key, value in data.items() if key in _KNOWN}
    base, plan, expected = dict(data["base"]), dict(data["plan"]), data.get("expectation")
    base["overrides"] = tuple(base.get("overrides") or ())
    for name in ("seeds", "baseline_seeds", "looks"):
        plan[name] = tuple(int(one) for one in plan.get(name) or ())
    plan["kill"] = tuple(KillRule(**_only(KillRule, rule)) for rule in plan.get("kill") or ())
    known["base"] = Base(**_only(Base, base))
    known["plan"] = Plan(**_only(Plan, plan))
    known["changes"] = tuple(Change(**_only(Change, change)) for change in data.get("changes") or ())
    known["expectation"] = None if expected is None else Expectation(**_only(Expectation, expected))
    known["extra"] = {key: value for key, value in data.items() if key not in _KNOWN}
    return Proposal(**known)


def _only(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    return {key: value for key, value in data.items() if key in names}
