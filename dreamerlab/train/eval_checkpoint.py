"""`python -m dreamerlab.train.eval_checkpoint TRIAL_DIR`: measure a stored agent again, in this process.

Prints one JSON line; what there is to say meanwhile goes to stderr. Episodes are played in parts. The first part has as
many as the trial's own evaluations and repeats the one made at this checkpoint exactly, on the same host: same start
seeds, same generators, same parameters. Further episodes begin at starts that no evaluation of the trial has seen, and
so do all with `--fresh`. With `--games` an agent of hockey plays new games, as `hockey_games.py` says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dreamerlab.experience
import dreamerlab.train

# This file may be newer than the code it looks through: what that code does not have yet is found beside this file.
if (_HERE := str(Path(__file__).resolve().parent)) not in dreamerlab.train.__path__:
    dreamerlab.train.__path__.append(_HERE)
    dreamerlab.experience.__path__.append(str(Path(_HERE).parent / "experience"))

from dreamerlab.errors import LabError
from dreamerlab.runs.directory import TrialDirectory

POLICIES = {"mode": ("mode",), "sample": ("sample",), "both": ("mode", "sample")}
MOST_AT_ONCE = 50
"""Environments that are open at the same time, beyond the first part."""


def main() -> int:
    """Evaluate and print; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m dreamerlab.train.eval_checkpoint", description=__doc__)
    parser.add_argument("trial", type=Path, help="trial directory, such as runs/R0012-9qd/seed-3")
    parser.add_argument("--episodes", type=int, default=None, help="episodes per policy; default: as in the run")
    parser.add_argument("--checkpoint", default="latest", help="latest, best, or env steps")
    parser.add_argument("--folder", type=Path, default=None, help="where checkpoints are; default: with the trial's")
    parser.add_argument("--policy", choices=sorted(POLICIES), default="both")
    parser.add_argument("--fresh", action="store_true", help="only starts that no evaluation of the trial has seen")
    parser.add_argument("--device", default=None, help="cpu or cuda; default: as in the run")
    parser.add_argument("--compile", action="store_true", help="compile acting first, which takes a minute")
    parser.add_argument("--games", action="store_true", help="hockey: new games, starts and sides in turn")
    parser.add_argument("--opponent", action="append", default=[], help="with --games: who is played against")
    parser.add_argument("--maps", action="store_true", help="with --games: where shots came from, where the puck was")
    asked = parser.parse_args()
    try:
        measured = measure(
            TrialDirectory(asked.trial.resolve()),
            asked.episodes,
            name=asked.checkpoint,
            folder=asked.folder,
            policies=POLICIES[asked.policy],
            fresh=asked.fresh,
            device=asked.device,
            compiled=asked.compile,
            opponents=asked.opponent if asked.games else None,
            maps=asked.maps,
        )
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(json.dumps(measured))
    return 0


def measure(
    trial: TrialDirectory,
    episodes: int | None,
    *,
    name: str = "latest",
    folder: Path | None = None,
    policies: Sequence[str] = ("mode", "sample"),
    fresh: bool = False,
    device: str | None = None,
    compiled: bool = False,
    opponents: Sequence[str] | None = None,
    maps: bool = False,
) -> dict[str, Any]:
    """Return the evaluation of a checkpoint: which one, mean metrics, and every return and length per policy.

    `episodes` per policy, default as in the run. With `opponents`, maybe none by name, so many new games of hockey are
    played against each (`hockey_games.measure_games`, whose result is part of this one). Raises LabError when there is
    no such checkpoint, it is damaged or not of this trial, its environment cannot be used, or acting cannot be
    `compiled`.
    """
    from dreamerlab.envs.make import make_env
    from dreamerlab.train import evaluate
    from dreamerlab.train.evaluate import Episodes, Evaluator, as_metrics
    from dreamerlab.train.runtime import prepare_process, stream_seed
    from dreamerlab.train.stored import open_agent

    stored = open_agent(trial, name, device=device, folder=folder)
    if compiled:
        from dreamerlab.train.compiled import compile_acting

        compile_acting(stored.agent)
    config = stored.config
    prepare_process(trial.seed, config.execution.threads)
    own = config.eval.episodes
    wanted = own if episodes is None else episodes
    if opponents is not None:
        from dreamerlab.train.hockey_games import measure_games

        played = measure_games(stored, trial, opponents, wanted, policies, maps=maps, said=_progress)
        of = {
            policy: Episodes(*(played[key][policy] for key in ("returns", "lengths", "games"))) for policy in policies
        }
        how = {"device": str(stored.device), "compiled": compiled, "episodes": wanted, "own_starts": 0}
        return {**stored.facts(), **how, "values": as_metrics(of), **played}
    # Older code knows neither games nor opponents.
    known = getattr(evaluate, "evaluator_of", None)
    make = known(trial, config) if known else partial(Evaluator, partial(make_env, config.env))
    found: dict[str, tuple[list[float], list[int]]] = {policy: ([], []) for policy in policies}
    games: dict[str, list[dict[str, Any]]] = {policy: [] for policy in policies}
    done = 0
    for number, count in enumerate(parts(wanted, own, fresh=fresh), start=1 if fresh else 0):
        # Part 0 is the trial's own evaluation; the seed of a later one gives it starts and generators of its own.
        seed = trial.seed if number == 0 else stream_seed(trial.seed, f"evaluation part {number}")
        evaluator = make(count, seed)
        # Older code always plays both.
        both = len(policies) == 2
        results = evaluator.evaluate(stored.agent) if both else evaluator.evaluate(stored.agent, policies=policies)
        for policy in policies:
            found[policy][0].extend(results[policy].returns)
            found[policy][1].extend(results[policy].lengths)
            games[policy].extend(getattr(results[policy], "games", None) or ())
        done += count
        if done < wanted:
            _progress(f"{done} of {wanted} episodes")
    episodes_of = {
        policy: Episodes(*lists, **({"games": games[policy]} if games[policy] else {}))
        for policy, lists in found.items()
    }
    return {
        **stored.facts(),
        "device": str(stored.device),
        "compiled": compiled,
        "episodes": wanted,
        "own_starts": 0 if fresh else min(wanted, own),
        "values": as_metrics(episodes_of),
        "returns": {policy: one.returns for policy, one in episodes_of.items()},
        "lengths": {policy: one.lengths for policy, one in episodes_of.items()},
        **({"games": games} if any(games.values()) else {}),
    }


def _progress(line: str) -> None:
    print(f"progress: {line}", file=sys.stderr, flush=True)


def parts(wanted: int, own: int, *, fresh: bool) -> list[int]:
    """Return how many episodes each part plays: the trial's own number first, unless `fresh`, then so many at once."""
    sizes: list[int] = [] if fresh else [min(wanted, own)]
    while (left := wanted - sum(sizes)) > 0:
        sizes.append(min(left, MOST_AT_ONCE))
    return sizes


if __name__ == "__main__":
    sys.exit(main())
