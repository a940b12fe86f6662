"""dreamerlab: a lab notebook that cannot lie, attached to a DreamerV3 trainer.

For code of your own there is `load_policy`, a trained agent as a callable (`dreamerlab.train.policy`).
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Opened when somebody asks: importing dreamerlab must not import torch.
    if name == "load_policy":
        from importlib import import_module

        return import_module("dreamerlab.train.policy").load_policy
    raise AttributeError(f"module 'dreamerlab' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*globals(), "load_policy"]
