"""On what a run was computed: Python, packages, processor, threads, load, other trainers.

Recorded with every run, because results are bit-exact only for one torch build, CPU capability and thread count.
Versions come from package metadata: nothing heavy is imported.
"""

from __future__ import annotations

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

PACKAGES = ("torch", "numpy", "gymnasium", "box2d", "pygame", "pydantic", "pyyaml", "dvc", "mlflow", "dreamerlab")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_PROC_BIND",
    "KMP_AFFINITY",
    "MKL_CBWR",
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
)
# Those that decide which kernels torch and its libraries choose.
_CPU_FLAGS = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")
_NAMES = {"box2d": ("box2d", "box2d-py", "box2d-kengz"), "pygame": ("pygame", "pygame-ce")}


def capture() -> dict[str, Any]:
    """Return the machine and its software as JSON-ready values; what the system does not tell is None or left out."""
    flags, model = _cpu()
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "host": hostname(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "torch_build": _torch_build(),
        "cpu": model,
        "cpu_flags": flags,
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "gpus": _gpus(),
        "threads": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "load": [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None,
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


def _cpu() -> tuple[list[str], str | None]:
    """(the flags that matter, the model's name)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return [], platform.processor() or None
    model = re.search(r"^model name\s*: (.+)$", text, flags=re.MULTILINE)
    listed = re.search(r"^(?:flags|Features)\s*: (.+)$", text, flags=re.MULTILINE)
    present = set(listed[1].split()) if listed else set[str]()
    return [flag for flag in _CPU_FLAGS if flag in present], model[1].strip() if model else platform.processor() or None


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
