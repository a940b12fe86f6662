"""What was asked of `propose`, word by word, and the one sentence it amounts to.

Flags say the same as a sentence and are put into one, so that there is a single grammar and a single reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dreamerlab.errors import UsageError
from dreamerlab.lab.proposal_plan import PlanRequest
from dreamerlab.protocol.sentence import Sentence, parse_sentence

EXAMPLE = 'dreamerlab propose "change optimizer.lr_actor=3e-4 -> expect eval/return to rise by 20%"'
_FORMS = {
    "rise": "to rise by {}",
    "fall": "to fall by {}",
    "at-least": ">= {}",
    "at-most": "<= {}",
    "within": "stays within {}",
    "reaches": "reaches {}",
}


@dataclass(frozen=True)
class ProposeRequest:
    """Every part of the command line; the flags from `changes` to `by` say what a sentence says."""

    sentence: str | None = None
    changes: tuple[str, ...] = ()
    """KEY=VALUE; several make a bundle."""
    code: str | None = None
    nothing: bool = False
    metric: str | None = None
    expected: tuple[tuple[str, str], ...] = ()
    """Form and amount, such as ("rise", "20%"); more than one is refused."""
    by: str | None = None
    env: str | None = None
    experiment: str | None = None
    overrides: tuple[str, ...] = ()
    """KEY=VALUE for both arms."""
    budget: str | None = None
    """An amount in the unit of the config, such as `30k`."""
    baseline: str | None = None
    plan: PlanRequest = field(default_factory=PlanRequest)
    new_family: bool = False
    why: str | None = None
    name: str | None = None
    reason: str | None = None
    queue: bool = False
    replicates: str | None = None
    follows: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether a flag says a part of what a sentence says."""
        return bool(self.changes or self.expected or self.nothing) or not (self.code is self.metric is self.by is None)


def read_request(request: ProposeRequest) -> tuple[str, Sentence]:
    """Return the sentence as typed, or as the flags say it, and its parts; UsageError for none or both."""
    if request.sentence is None and not request.says_something:
        raise UsageError("there is nothing to propose", hint=EXAMPLE)
    if request.sentence is not None and request.says_something:
        raise UsageError(
            "it is said twice, by the sentence and by flags",
            hint="keep the sentence, or leave it out and say all of it by flags",
        )
    text = _composed(request) if request.sentence is None else request.sentence
    return text, parse_sentence(text)


def _composed(request: ProposeRequest) -> str:
    left = _subject(request)
    if not request.expected:
        if request.nothing and request.metric is None and request.by is None:
            return left
        raise UsageError("the flags do not say what is expected", hint="for example: --metric eval/return --rise 20%")
    (form, amount), *more = request.expected
    if more:
        given = " and ".join(f"--{form}" for form, _ in request.expected)
        raise UsageError(f"{given} exclude each other", hint="a hypothesis expects one thing of one metric")
    by = ""
    if request.by is not None:
        if form != "reaches":
            raise UsageError(f"--by goes with --reaches, not with --{form}", hint="--reaches 475 --by '30k env_steps'")
        # A flag says what it counts in its help; in a sentence the unit is never left out.
        by = f" by {request.by}" if request.by.rstrip().endswith("s") else f" by {request.by} env_steps"
    return f"{left} -> expect {request.metric or 'eval/return'} {_FORMS[form].format(amount)}{by}"


def _subject(request: ProposeRequest) -> str:
    given = [request.code is not None, request.nothing, bool(request.changes)]
    if sum(given) > 1:
        raise UsageError("--change, --code and --nothing exclude each other", hint="one hypothesis changes one thing")
    if request.code is not None:
        return f"code: {request.code}"
    if request.nothing:
        return "nothing"
    if not request.changes:
        raise UsageError("the flags do not say what is changed", hint="--change KEY=VALUE, --code 'WHAT', or --nothing")
    return f"change {' and '.join(request.changes)}"
