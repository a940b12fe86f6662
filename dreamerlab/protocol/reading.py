"""What the words of a sentence mean here: full keys, values typed by the schema, full names of metrics.

Takes the parts of `sentence.py` and the resolved config under the change; gives the frozen changes. Refuses what could
never be tested: a change that changes nothing, a leaf that does nothing (`active_when`), a change of how long is
trained or how is measured. What an amount is worth is `pricing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dreamerlab.errors import ConfigError, GateRefused, did_you_mean
from dreamerlab.metrics import ALIASES, CATALOGUE
from dreamerlab.protocol.expectation_words import SaidExpectation
from dreamerlab.protocol.hypothesis import Change
from dreamerlab.protocol.quantities import THOUSANDS, parse_number
from dreamerlab.protocol.sentence import SaidChange, Sentence, misread

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

ORIGIN = "the sentence"


def changed(control: Resolved, changes: Sequence[Change]) -> Resolved:
    """Return the treatment: the config under the change with the declared leaves set; ConfigError when that is none."""
    from dreamerlab.config.layers import Resolved, flatten, from_flat

    values = {change.key: change.after for change in changes}
    origins = {**control.origins, **{key: f"{ORIGIN}: {key}={_spelled(value)}" for key, value in values.items()}}
    config = from_flat({**control.flat, **values}, origins)
    return Resolved(config, flatten(config), origins)


def read_changes(sentence: Sentence, control: Resolved) -> tuple[Change, ...]:
    """Return the changes with full keys and typed values.

    UsageError for an unknown key or a value it does not take, GateRefused for a change that can have no effect or
    would make the arms incomparable.
    """
    from dreamerlab.config.catalogue import inactive_leaves

    values: dict[str, object] = {}
    for said in sentence.changes:
        key = _key(said, sentence)
        if key in values:
            raise misread(f"{key} is changed twice", [f"change {one}" for one in sentence.changes[:1]], str(said))
        values[key] = _typed(said.value, key, sentence)
    proposed = [Change(key, control.flat[key], value) for key, value in values.items()]
    try:
        treatment = changed(control, proposed)
    except ConfigError as error:
        raise ConfigError(error.message, hint=f"dreamerlab config explain {next(iter(values), '')}") from None
    inert = inactive_leaves(treatment.flat)
    found: list[Change] = []
    for said, key in zip(sentence.changes, values, strict=True):
        change = Change(key, control.flat[key], treatment.flat[key])
        _check_start(said, change, control)
        _check_effect(change, control, inert)
        found.append(change)
    return tuple(found)


def read_metric(said: SaidExpectation, sentence: Sentence) -> str:
    """Return the full name of the metric; UsageError with the nearest when the trainer emits no such metric."""
    name = ALIASES.get(said.metric, said.metric)
    if name in CATALOGUE:
        return name
    near = did_you_mean(said.metric, [*CATALOGUE, *ALIASES])
    raise misread(
        f"no metric is called '{said.metric}'{near}; protocol/reference/metrics.md lists all",
        [*_understood(sentence), _tail(said)],
        said.metric,
        str(Sentence(sentence.changes, sentence.code, _renamed(said, _nearest_metric(near)))),
    )


def _key(said: SaidChange, sentence: Sentence) -> str:
    from dreamerlab.config.catalogue import find_leaves, leaves
    from dreamerlab.config.validation import unknown_tail

    candidates = find_leaves(said.key)
    if len(candidates) == 1:
        return candidates[0]
    problem = unknown_tail(said.key, ORIGIN) or ""
    near = candidates or _named_in(did_you_mean(said.key, leaves()))
    named = near[0] if near else said.key
    others = tuple(SaidChange(named, said.value, said.before) if one is said else one for one in sentence.changes)
    instead = str(Sentence(others, None, sentence.expectation)) if near else None
    understood = [text for text in _understood(sentence) if said.key not in text]
    expected = [] if sentence.expectation is None else [f"expect {sentence.expectation}"]
    raise misread(problem, [*understood, *expected], said.key, instead)


def _typed(text: str, key: str, sentence: Sentence) -> object:
    """Return the value as the schema will judge it: plain YAML, and `30k` where a number belongs."""
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.strict_yaml import YamlFault, parse_value

    kind = leaves()[key].type_text
    if text[-1:] in THOUSANDS and kind.startswith(("integer", "number")):
        number = parse_number(text)
        if number is not None:
            return int(number) if number.is_integer() else number
    try:
        return parse_value(text)
    except YamlFault as fault:
        raise misread(f"the value of {key}: {fault.reason}", _understood(sentence), text) from None


def _check_start(said: SaidChange, change: Change, control: Resolved) -> None:
    if said.before is None:
        return
    from dreamerlab.config.diff import canonical, show

    claimed = _typed(said.before, change.key, Sentence((said,)))
    if canonical(claimed) != canonical(change.before):
        origin = control.origins.get(change.key, "default")
        raise GateRefused(
            f"the change starts from {change.key}={said.before}, and the baseline has {show(change.before)} ({origin})",
            hint=f"say what is true: change {change.key} from {show(change.before)} to {show(change.after)}, "
            f"or give the baseline that value: --set {change.key}={said.before}",
        )


def _check_effect(change: Change, control: Resolved, inert: Mapping[str, str]) -> None:
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.diff import canonical, show

    zone = leaves()[change.key].zone.value
    set_for_both = f"for both arms alike: --set {change.key}={show(change.after)}"
    if zone == "BUDGET":
        raise GateRefused(
            f"{change.key} is in the zone BUDGET: arms that train for different lengths cannot be compared",
            hint=set_for_both,
        )
    if zone == "EVALUATION":
        raise GateRefused(
            f"{change.key} is in the zone EVALUATION: arms that are measured differently cannot be compared",
            hint=set_for_both,
        )
    if zone == "BOOKKEEPING":
        raise GateRefused(
            f"{change.key} is in the zone BOOKKEEPING: it only changes what is written down, never a result",
            hint=set_for_both,
        )
    if canonical(change.before) == canonical(change.after):
        origin = control.origins.get(change.key, "default")
        raise GateRefused(
            f"nothing would change: {change.key} is {show(change.before)} already ({origin})",
            hint=f"dreamerlab config explain {change.key}",
        )
    if change.key in inert:
        raise GateRefused(
            f"{change.key} does nothing here: it acts only when {inert[change.key]}",
            hint=f"choose a leaf that acts; dreamerlab config explain {change.key}",
        )


def _understood(sentence: Sentence) -> list[str]:
    if sentence.code is not None:
        return [f"code: {sentence.code}"]
    return [f"change {one}" for one in sentence.changes] or ["nothing is changed"]


def _tail(said: SaidExpectation) -> str:
    return str(said).partition(" ")[2]


def _renamed(said: SaidExpectation, name: str) -> SaidExpectation:
    return SaidExpectation(name, said.form, said.amount, said.by_env_steps)


def _nearest_metric(near: str) -> str:
    return next(iter(_named_in(near)), "eval/return")


def _named_in(near: str) -> list[str]:
    """Return the words that `did_you_mean` offers."""
    return near.split("'")[1::2]


def _spelled(value: Any) -> str:
    from dreamerlab.config.diff import show

    return show(value)
