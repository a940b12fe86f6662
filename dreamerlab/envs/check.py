"""`python -m dreamerlab.envs.check ENV_ID`: what an environment looks like, or why it cannot be used.

One JSON line on stdout, or `error: ...` with a hint on stderr and exit code 2. The light wing asks this in a
process of its own before it opens a run, since it never imports gymnasium itself. Imports no torch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from pydantic import ValidationError

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.make import describe, make_env, time_limit
from dreamerlab.envs.random_play import random_returns
from dreamerlab.errors import LabError, UsageError
from dreamerlab.spaces import ActionSpec, ObsSpec

_HINT = (
    "python -m dreamerlab.envs.check ENV_ID [--time-limit N] [--observe state|pixels|both] [--image-size N] "
    "[--action-repeat N] [--random-episodes N]"
)


def check(asked: Env, random_episodes: int = 0) -> dict[str, Any]:
    """Return the facts of an environment as plain data; raise LabError when it cannot be used.

    Keys: env, observations {key: {kind, shape, and classes of choices}}, action {kind, and classes or size},
    num_actions (of a single choice only), time_limit and, when `random_episodes` > 0, random {episodes, seed, mean,
    std, min, max} of the return of random play.
    """
    env = make_env(asked)
    try:
        spec = describe(env)
        facts: dict[str, Any] = {
            "env": asked.id,
            "observations": {key: _observed(obs) for key, obs in spec.observations.items()},
            **_acted(spec.action),
            "time_limit": time_limit(env),
        }
        if random_episodes:
            returns = random_returns(env, random_episodes, seed=0)
            figures = {"mean": returns.mean(), "std": returns.std(ddof=1), "min": returns.min(), "max": returns.max()}
            rounded = {name: round(float(value), 3) for name, value in figures.items()}
            facts["random"] = {"episodes": random_episodes, "seed": 0, **rounded}
        return facts
    finally:
        env.close()


def _observed(spec: ObsSpec) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": spec.kind, "shape": list(spec.shape)}
    return facts | {"classes": list(spec.classes)} if spec.classes else facts


def _acted(spec: ActionSpec) -> dict[str, Any]:
    """Return the facts of an action; `num_actions` is there where it is a single choice."""
    if not spec.is_discrete:
        return {"action": {"kind": "continuous", "size": spec.size}}
    facts: dict[str, Any] = {"action": {"kind": "discrete", "classes": list(spec.classes)}}
    return facts | {"num_actions": spec.classes[0]} if len(spec.classes) == 1 else facts


def _env(asked: argparse.Namespace) -> Env:
    names = ("time_limit", "observe", "image_size", "action_repeat")
    try:
        return Env(id=asked.env_id, **{name: getattr(asked, name) for name in names})
    except ValidationError as error:
        problem = error.errors()[0]
        flag = "ENV_ID" if problem["loc"] == ("id",) else f"--{str(problem['loc'][0]).replace('_', '-')}"
        raise UsageError(f"{flag} is {problem['input']!r}: {problem['msg']}", hint=_HINT) from None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=_HINT)


def main(argv: Sequence[str]) -> int:
    """Run the check as a command; return the exit code."""
    parser = _Parser(prog="python -m dreamerlab.envs.check", description="Say what an environment looks like.")
    parser.add_argument("env_id", metavar="ENV_ID", help="gymnasium id, such as CartPole-v1 or module:Id-v0")
    parser.add_argument("--time-limit", type=int, metavar="N", help="longest episode in env steps")
    parser.add_argument("--observe", choices=("state", "pixels", "both"), default="state", help="what the agent sees")
    parser.add_argument("--image-size", type=int, default=64, metavar="N", help="height and width of pictures")
    parser.add_argument("--action-repeat", type=int, default=1, metavar="N", help="steps that an action lasts")
    parser.add_argument("--random-episodes", type=int, default=0, metavar="N", help="also measure random play (N > 1)")
    try:
        asked = parser.parse_args(argv)
        if asked.random_episodes and asked.random_episodes < 2:
            raise UsageError(f"--random-episodes is {asked.random_episodes}; it must be 2 or more", hint=_HINT)
        # Some environments greet on stdout when imported; that line belongs to the reader of the JSON.
        with contextlib.redirect_stdout(sys.stderr):
            facts = check(_env(asked), asked.random_episodes)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
