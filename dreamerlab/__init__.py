"""dreamerlab: a lab notebook that cannot lie, attached to a DreamerV3 trainer.

For code of your own there are `load_policy`, a trained agent as a callable (`dreamerlab.train.policy`), and `load_runs`
and `load_curves`, what was recorded as pandas DataFrames (`dreamerlab.frames`).
"""

from typing import Any

__version__ = "0.1.0"
_ELSEWHERE = {
    "load_policy": "dreamerlab.train.policy",
    "load_runs": "dreamerlab.frames",
    "load_curves": "dreamerlab.frames",
}


def __getattr__(name: str) -> Any:
    # Opened when somebody asks: importing dreamerlab must import neither torch nor pandas.
    if name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module 'dreamerlab' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*globals(), *_ELSEWHERE]
