"""`python -m dreamerlab.train TRIAL_DIR [--attempt N]`: one attempt of one trial, in this process.

Started by the launcher from a snapshot of the code. The environment variable DREAMERLAB_SUPERVISOR
(`pid:start_ticks`) names the process to live and die with; without it the trial runs on its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dreamerlab.errors import LabError


def main() -> int:
    """Run the attempt and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dreamerlab.train", description=__doc__)
    parser.add_argument("trial", type=Path, help="trial directory, such as runs/R0012-9qd/seed-3")
    parser.add_argument(
        "--attempt", type=int, default=None, help="number of this attempt; default: one more than before"
    )
    arguments = parser.parse_args()
    # Imported here, so that --help answers without torch.
    from dreamerlab.train.attempt import execute
    from dreamerlab.train.runtime import Supervisor

    try:
        execute(arguments.trial, arguments.attempt, Supervisor.named_in(os.environ))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
