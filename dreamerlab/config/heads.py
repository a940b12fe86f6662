"""What an auxiliary head predicts, read from `KIND:SOURCE` (`heads.auxiliary`, M-HK-15).

    binary:reward_within_15     will a reward other than 0 arrive within the next 15 env steps?
    binary:terminal_within_15   will the task be over within them (in hockey: a goal, whoever's)?
    regression:obs/vector/3     a number of the observation, by key and place (flattened, from 0)
    regression:info/speed       what the environment's info says under a key, where it is a number

Where the targets come from at run time is `experience/targets.py`; which observations exist is known only once the
environment is built, so `KEY` and `INDEX` are checked there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dreamerlab.errors import did_you_mean

KINDS = ("binary", "regression")
_FORMS = ("reward_within_K", "terminal_within_K", "obs/KEY/INDEX", "info/KEY")
_MOST_STEPS = 10_000


@dataclass(frozen=True)
class HeadSpec:
    """One auxiliary head."""

    name: str
    """Its source as written, `reward_within_15`: the name of its target and of its network."""
    kind: Literal["binary", "regression"]
    """`binary`: the logit of the target being other than 0. `regression`: the target itself."""
    source: Literal["reward_within", "terminal_within", "obs", "info"]
    key: str = ""
    """Of `obs` and `info`: which observation or entry."""
    index: int = 0
    """Of `obs`: which of its numbers, counted through the flattened array."""
    steps: int = 0
    """Of `reward_within` and `terminal_within`: how many env steps ahead."""

    @property
    def looks_ahead(self) -> bool:
        """Whether the target of a row depends on later rows."""
        return self.steps > 0


def parse_head(text: str) -> HeadSpec:
    """Return the head that `text` describes; raise ValueError in plain words when it describes none."""
    kind, colon, source = text.partition(":")
    if not colon:
        raise ValueError(f"'{text}' must be KIND:SOURCE, such as binary:reward_within_15")
    if kind not in KINDS:
        raise ValueError(
            f"'{text}': '{kind}' is no kind of head{did_you_mean(kind, KINDS)}; it is one of {_either(KINDS)}"
        )
    if match := re.fullmatch(r"(reward|terminal)_within_([1-9][0-9]{0,8})", source):
        if (steps := int(match[2])) > _MOST_STEPS:
            raise ValueError(f"'{text}' looks {steps} env steps ahead, more than the limit of {_MOST_STEPS}")
        return HeadSpec(source, kind, "reward_within" if match[1] == "reward" else "terminal_within", steps=steps)
    if match := re.fullmatch(r"obs/(.{1,200})/(0|[1-9][0-9]{0,8})", source):
        return HeadSpec(source, kind, "obs", key=match[1], index=int(match[2]))
    if match := re.fullmatch(r"info/(.{1,200})", source):
        return HeadSpec(source, kind, "info", key=match[1])
    stem = re.split(r"[0-9/]", source)[0].rstrip("_")
    near = did_you_mean(stem, [re.split(r"[/]|_K", form)[0] for form in _FORMS])
    raise ValueError(f"'{text}': '{source}' is no source{near}; it is one of {_either(_FORMS)}")


def parse_heads(texts: Sequence[str]) -> tuple[HeadSpec, ...]:
    """Return all heads; raise ValueError also when two have the same source."""
    heads = tuple(parse_head(text) for text in texts)
    names = [head.name for head in heads]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two heads predict '{twice}'; each source can have one")
    return heads


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
