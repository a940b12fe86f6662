"""Where a run was created: Python, packages, processor, GPUs, variables, load, other trainers.

Recorded with every run, because results are bit-exact only for one torch build, CPU capability and thread count.
Versions come from package metadata: nothing heavy is imported. What only a trainer can see (the kernels torch chose,
its BLAS, its threads) every attempt records itself.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from dreamerlab.runs.processes import hostname, trainers
from dreamerlab.runs.surroundings import load, processor, variables

PACKAGES = ("torch", "numpy", "gymnasium", "box2d", "pygame", "pydantic", "pyyaml", "dvc", "mlflow", "dreamerlab")
_NAMES = {"box2d": ("box2d", "box2d-py", "box2d-kengz"), "pygame": ("pygame", "pygame-ce")}


def capture() -> dict[str, Any]:
    """Return the machine and its software as JSON-ready values; what the system does not tell is None or left out."""
    model, flags = processor()
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "host": hostname(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "torch_build": _torch_build(),
        "numpy_blas": numpy_blas(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "cpu": model,
        "cpu_flags": flags,
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "gpus": _gpus(),
        "variables": variables(),
        "load": load(),
        "other_trainers": len(trainers()),
    }


def package_version(name: str) -> str | None:
    """Return the installed version of a package by its metadata, or None; box2d and pygame have several names."""
    for distribution in _NAMES.get(name, (name,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def freeze() -> str:
    """Return every installed distribution as `name==version`, one a line, sorted."""
    found: set[str] = set()
    for item in importlib.metadata.distributions():
        name = item.metadata["Name"]
        if name:
            found.add(f"{name}=={item.version}")
    return "".join(f"{line}\n" for line in sorted(found, key=str.lower))


def _torch_build() -> dict[str, str]:
    """What torch's own version file says: for which CUDA it was built, and from which commit."""
    try:
        located = importlib.metadata.distribution("torch").locate_file("torch/version.py")
        text = Path(str(located)).read_text()
    except (importlib.metadata.PackageNotFoundError, OSError):
        return {}
    return dict(re.findall(r"^(cuda|hip|git_version)\b[^=\n]*= *'([^'\n]+)'", text, flags=re.MULTILINE))


def numpy_blas() -> str | None:
    """Return the BLAS numpy was built with, read from its own record of that without importing it; None when unknown.

    Such as `scipy-openblas 0.3.31 (OpenBLAS 0.3.31 ... Haswell MAX_THREADS=64)`.
    """
    try:
        located = importlib.metadata.distribution("numpy").locate_file("numpy/__config__.py")
        tree = ast.parse(Path(str(located)).read_text())
    except (importlib.metadata.PackageNotFoundError, OSError, SyntaxError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            below = dict(zip(map(_literal, node.keys), node.values, strict=True))
            if isinstance(blas := below.get("blas"), ast.Dict):
                told = dict(zip(map(_literal, blas.keys), map(_literal, blas.values), strict=True))
                named = " ".join(str(told[key]) for key in ("name", "version") if told.get(key))
                built = told.get("openblas configuration")
                return f"{named} ({' '.join(str(built).split())})" if built else named or None
    return None


def _literal(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _gpus() -> list[dict[str, str]]:
    """Name, driver and memory of every NVIDIA GPU; empty without one, or without its tool."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [line.split(", ") for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return [dict(zip(("name", "driver", "memory"), row, strict=True)) for row in rows if len(row) == 3]
