"""Families: which runs share an architecture and a task, and may therefore be compared without further ado.

A family is named by its environment and a hash of every ARCHITECTURE and ENVIRONMENT leaf that is not at the value
that means absent (DESIGN section 2, M-GATE-01, M-GATE-03). A leaf added to the schema later leaves existing families
as they are. What a difference of family forbids is decided by the gates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dreamerlab.config.catalogue import LeafInfo
    from dreamerlab.config.record import Rename


def family(env_name: str, flat: Mapping[str, object], known: Mapping[str, LeafInfo] | None = None) -> str:
    """Return the family's name, `cartpole/3f2a`: the environment's name and the first four digits of the hash."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", env_name)
    return f"{readable}/{family_hash(flat, known)[:4]}"


def family_hash(
    flat: Mapping[str, object],
    known: Mapping[str, LeafInfo] | None = None,
    renames: Sequence[Rename] | None = None,
) -> str:
    """Return the sha256 over the family-defining leaves of a flat config, resolved today or recorded by any version."""
    # Inside the function: the protocol wing stays free of the schema's validator until a family is asked for.
    from dreamerlab.config.catalogue import FAMILY_ZONES, leaves
    from dreamerlab.config.diff import canonical
    from dreamerlab.config.record import RENAMES, original_name

    renames = RENAMES if renames is None else renames
    lines: list[str] = []
    for key, info in (leaves() if known is None else known).items():
        if info.zone not in FAMILY_ZONES or key not in flat:
            continue
        value = canonical(flat[key])
        if info.founding or value != canonical(info.absent_means):
            lines.append(f"{original_name(key, renames)}={value}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
