"""Which changes of the code were proven to change nothing: entries of the log, written by `check --prove-inert`.

A proof connects two code identities; proofs chain, since bit-equal is an equivalence. How one is made is
`prove_inert.py`. Notes typed by hand cannot be one: they carry no `proof`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from dreamerlab.errors import LabError
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.protocol.state import NOTED
from dreamerlab.runs.store import Workspace

PROOF = "proof"
"""Where the first event of such an entry holds `before` and `now` (code identities), `run`, `seed`, `updates`,
`env_steps`, and `sha256` of the lines that were equal."""


@dataclass(frozen=True)
class Proofs:
    """What is proven equal: (code identity, code identity) -> the entry that says so."""

    entries: Mapping[tuple[str, str], str]

    def same(self, one: str, other: str) -> bool:
        """Tell whether two code identities are equal or proven to behave the same."""
        return one == other or self.entry(one, other) is not None

    def entry(self, one: str, other: str) -> str | None:
        """Return the entries that connect two different identities, as text; None when none do."""
        steps: dict[str, tuple[str, ...]] = {one: ()}
        waiting = [one]
        while waiting:
            here = waiting.pop(0)
            for (a, b), entry in self.entries.items():
                there = b if a == here else a if b == here else None
                if there is not None and there not in steps:
                    steps[there] = (*steps[here], entry)
                    waiting.append(there)
        return ", ".join(steps[other]) if steps.get(other) else None


def read_proofs(workspace: Workspace) -> Proofs:
    """Return every proof on record whose entry is whole."""
    found: dict[tuple[str, str], str] = {}
    registry = registry_of(workspace)
    for record_id in registry.ids(ENTRY):
        try:
            record = registry.read(str(record_id))
        except LabError:
            continue
        first = record.events[0] if record.events else None
        proof: Any = first.data.get(PROOF) if first is not None and first.event == NOTED else None
        known = cast("dict[str, Any]", proof) if isinstance(proof, dict) else {}
        if not record.faults and "before" in known and "now" in known:
            found[str(known["before"]), str(known["now"])] = record.id
    return Proofs(found)
