"""`python -m dreamerlab.train.eval_checkpoint TRIAL_DIR`: measure a stored agent again, in this process.

Prints one JSON line. With the trial's own number of episodes it repeats the last evaluation of the trial exactly,
on the same host: same start seeds, same generators, same parameters.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from dreamerlab.errors import Conflict, LabError
from dreamerlab.runs.directory import TrialDirectory


def main() -> int:
    """Evaluate and print; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m dreamerlab.train.eval_checkpoint", description=__doc__)
    parser.add_argument("trial", type=Path, help="trial directory, such as runs/R0012-9qd/seed-3")
    parser.add_argument("--episodes", type=int, default=None, help="episodes per policy; default: as in the run")
    arguments = parser.parse_args()
    try:
        print(json.dumps(evaluate_newest(TrialDirectory(arguments.trial.resolve()), arguments.episodes)))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def evaluate_newest(trial: TrialDirectory, episodes: int | None) -> dict[str, object]:
    """Return the evaluation of the newest whole checkpoint: position, mean and every return per policy."""
    import torch

    from dreamerlab.config.layers import load_config
    from dreamerlab.dreamer.agent import Agent
    from dreamerlab.envs.make import describe, make_env
    from dreamerlab.train import checkpoint
    from dreamerlab.train.evaluate import Evaluator, as_metrics
    from dreamerlab.train.runtime import prepare_process

    loaded = checkpoint.load_newest(trial.checkpoints)
    belongs = (loaded.info.run, loaded.info.seed)
    if belongs != (trial.run.id, trial.seed):
        raise Conflict(
            f"{loaded.info.file} belongs to {belongs[0]} seed {belongs[1]}, not to {trial.run.id} seed {trial.seed}"
        )
    config = load_config(trial.run.config_path)
    prepare_process(trial.seed, config.execution.threads)
    evaluator = Evaluator(partial(make_env, config.env), episodes or config.eval.episodes, trial.seed)
    agent = Agent(describe(evaluator.envs[0]), config).to(torch.device(config.execution.device))
    agent.load_state_dict(loaded.state["session"]["agent"])
    results = evaluator.evaluate(agent)
    evaluator.close()
    return {
        "seed": trial.seed,
        "checkpoint": loaded.info.file,
        "env_steps": loaded.info.env_steps,
        "episodes": len(evaluator.envs),
        "values": as_metrics(results),
        "returns": {policy: outcome.returns for policy, outcome in results.items()},
        "passed_over": loaded.passed_over,
    }


if __name__ == "__main__":
    sys.exit(main())
