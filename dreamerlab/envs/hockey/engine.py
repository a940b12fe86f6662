"""The physics engine, imported so that it survives where warnings are errors: its binding crashes on one of its own.

Raises ImportError without the package, with the way to install it.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import Box2D
    except ModuleNotFoundError as error:
        raise ImportError(
            "the game of hockey needs Box2D, which is not installed: pip install 'dreamerlab[env]'", name="Box2D"
        ) from error

__all__ = ["Box2D"]
