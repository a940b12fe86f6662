"""What every group of config leaves is: frozen, strict, and documented leaf by leaf.

The groups themselves are in the `schema_*` modules; `schema.py` puts them together.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

MANY = 10_000_000_000
"""No count of steps is larger: every number leaf has both ends, so that a slip of the finger is caught here."""


class Section(BaseModel):
    """A frozen group of leaves; unknown keys and silent type changes are refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
