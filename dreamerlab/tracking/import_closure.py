"""Which source files of a package can be imported from one of its modules, found by reading, not by running.

Imports inside functions count, so do both readings of `from package.x import y` (a module `y`, or a name in `x`),
relative imports, `import_module("package.x")`, and the `__init__` of every package on the way. The one exception is a
module-level `__getattr__`: it is a door for people at a prompt, and what lies behind it is not what a trial executes.

Nothing after the last word `import` of a file can import, so a file is read as far as that: a fifth of the package.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dreamerlab.errors import UsageError

_CALLS = ("import_module", "__import__")


def import_closure(package: Path, entry: str) -> list[Path]:
    """Return the source files of `package` reachable from its module `entry` (a full dotted name), sorted.

    UsageError when the entry does not exist or a file is, as far as it is read, not valid Python.
    """
    found: dict[str, Path] = {}
    seen, waiting = set[str](), [entry]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _locate(package, name)
        if path is not None:
            found[name] = path
            waiting += [name.rpartition(".")[0], *_imports(package.name, name, path)]
    if entry not in found:
        raise UsageError(f"there is no module {entry} in {package}")
    return sorted(found.values())


def _locate(package: Path, name: str) -> Path | None:
    """The file of a module or of a package's `__init__`; None when `name` is neither."""
    top, _, rest = name.partition(".")
    if top != package.name:
        return None
    base = package.joinpath(*rest.split(".")) if rest else package
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _imports(top: str, name: str, path: Path) -> tuple[str, ...]:
    """Every name that a module may import; those that are no modules are sorted out by `_locate`."""
    inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return _imports_of(path.read_bytes(), top, inside, str(path))


@lru_cache(maxsize=1024)
def _imports_of(source: bytes, top: str, inside: str, path: str) -> tuple[str, ...]:
    # One command asks for the code identity several times; what a text imports is read from it once.
    try:
        tree = ast.parse(_head(source))
    except SyntaxError:  # cut inside brackets, a text or a block
        tree = parsed(source, path)
    calls = any(name.encode() in source for name in _CALLS)
    return tuple(_named(tree, top, inside, calls=calls))


def _head(source: bytes) -> bytes:
    last = source.rfind(b"import")
    end = source.find(b"\n", last)
    return b"" if last < 0 else source if end < 0 else source[: end + 1]


def parsed(source: bytes, path: str) -> ast.Module:
    """Return the tree of a whole file; UsageError names the line that is not valid Python."""
    try:
        return ast.parse(source, filename=path)
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno}: not valid Python: {error.msg}") from error


def _named(tree: ast.Module, top: str, inside: str, *, calls: bool) -> Iterator[str]:
    for node in _walk(tree, calls=calls):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(inside, node)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and _called(node.func) in _CALLS:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.startswith(f"{top}."):
                yield first.value


def _walk(tree: ast.Module, *, calls: bool) -> Iterator[ast.AST]:
    """Every node with `calls`, otherwise statements alone: imports are statements, most of a tree is expressions."""
    waiting: list[ast.AST] = [
        one for one in tree.body if not (isinstance(one, ast.FunctionDef) and one.name == "__getattr__")
    ]
    while waiting:
        node = waiting.pop()
        yield node
        if calls:
            waiting += ast.iter_child_nodes(node)
            continue
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, block, ())


def _absolute(inside: str, node: ast.ImportFrom) -> str:
    """The full name of the module after `from`, dots resolved against the package the import stands in."""
    if not node.level:
        return node.module or ""
    base = inside.split(".")[: len(inside.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None
