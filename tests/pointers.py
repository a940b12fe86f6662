"""Whether a test that is pointed to has to do with what points to it: what its code spells."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]


def spelled(pointer: str) -> set[str]:
    """Return names and texts in the code of the test at `path::name`, and in what of its own module it names.

    Empty for what is no test.
    """
    path, _, name = pointer.partition("::")
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    defined: dict[str, ast.stmt] = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    test = defined.get(name)
    if not isinstance(test, ast.FunctionDef) or not name.startswith("test_"):
        return set()
    named = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    found: set[str] = set()
    for tree in (test, *(defined[one] for one in named & defined.keys())):
        for node in ast.walk(tree):
            found |= {str(getattr(node, field, "")) for field in ("id", "arg", "attr", "value", "name")}
    return found


def turns(pointer: str, key: str) -> bool:
    """Tell whether a test spells a leaf: `collect.slack` whole, or its section and its name."""
    words = spelled(pointer)
    return key in words or set(key.split(".")) <= words


def cites(pointer: str, ids: Collection[str]) -> bool:
    """Tell whether a test names one of these ids, as `DIS-02` in a text or as `DIS_02` at the end of a name."""
    text = "\n".join(spelled(pointer))
    wanted = "|".join(re.sub(r"[-.]", "[-._]", one) for one in ids)
    return re.search(rf"(?<![A-Za-z0-9])({wanted})(?!\d)", text) is not None
