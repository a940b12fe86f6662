"""`showcase.py TRIAL_DIR --out FOLDER`: write a stored agent without what acting has no use for, in this process.

Left out are the optimiser and the critic; the decoder stays, for films of what the model expects. Prints one JSON
line: which checkpoint it was, and the file that was written.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import dreamerlab.train

# This file may be newer than the code it looks through: what that code does not have yet is found beside this file.
if (_HERE := str(Path(__file__).resolve().parent)) not in dreamerlab.train.__path__:
    dreamerlab.train.__path__.append(_HERE)

from dreamerlab.errors import LabError
from dreamerlab.runs.checkpoints import Checkpoint
from dreamerlab.runs.directory import TrialDirectory

LEFT_OUT = ("optimizer.", "behavior.critic.", "behavior.slow_critic.", "behavior.return_scale.")
"""How the names of what is left out begin."""


def main() -> int:
    """Strip, write and print; return an exit code."""
    parser = argparse.ArgumentParser(prog="showcase.py", description=__doc__)
    parser.add_argument("trial", type=Path, help="trial directory, such as runs/R0012-9qd/seed-3")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    parser.add_argument("--checkpoint", default="latest", help="latest, best, or env steps")
    asked = parser.parse_args()
    try:
        source, written = strip(TrialDirectory(asked.trial.resolve()), asked.checkpoint, asked.out)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(json.dumps({"source": asdict(source), "written": asdict(written)}))
    return 0


def strip(trial: TrialDirectory, name: str, out: Path) -> tuple[Checkpoint, Checkpoint]:
    """Write the agent of a checkpoint into `out` without `LEFT_OUT`; return the descriptions of both.

    Raises LabError where `open_agent` does: what cannot be opened here is not shown elsewhere.
    """
    from dreamerlab.train import checkpoint
    from dreamerlab.train.stored import open_agent

    stored = open_agent(trial, name, device="cpu")
    info = stored.info
    kept = {key: value for key, value in stored.agent.state_dict().items() if not key.startswith(LEFT_OUT)}
    facts = {key: getattr(info, key) for key in ("run", "seed", "family", "env_steps", "updates", "episodes", "wall_s")}
    state = {"session": {"agent": kept, "left_out": list(LEFT_OUT)}}
    kind = info.file.partition("-")[0]
    return info, checkpoint.save(out, state, None, kind=kind, **facts, score=info.score, has_replay=False)


if __name__ == "__main__":
    sys.exit(main())
