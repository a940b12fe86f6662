"""What a trainer sees of the machine and the libraries it computes with: the part of the record that decides the bits.

Only here torch is loaded anyway, so only here it can be asked. What is known without it: `runs.surroundings`.
"""

from __future__ import annotations

import os
import platform
import re
from typing import Any

import gymnasium
import numpy as np
import torch

from dreamerlab.config.schema_process import Execution
from dreamerlab.runs.surroundings import COMMAND_VARIABLE, gpu_driver, processor, variables

_LIBRARIES = {
    "mkl": r"Math Kernel Library Version (\S+)",
    "mkldnn": r"MKL-DNN v(\S+)",
    "openmp": r"OpenMP (\d+)",
    "cudnn": r"CuDNN (\S+)",
}


def machine(execution: Execution) -> dict[str, Any]:
    """Return JSON-ready facts of this process: versions, kernels, threads, device, variables, command.

    A library that torch was built without is left out of `libraries`; `gpu` is None unless one is trained on.
    """
    seen = variables()
    # The launcher puts the run's own code in front of it: that is told by the code identity.
    seen.pop("PYTHONPATH", None)
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "gymnasium": gymnasium.__version__,
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "cpu": processor()[0],
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "libraries": libraries(torch.__config__.show()),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "device": execution.device,
        "dtype": execution.dtype,
        "gpu": _gpu() if execution.device == "cuda" else None,
        "variables": seen,
        "command": os.environ.get(COMMAND_VARIABLE),
    }


def libraries(told: str) -> dict[str, str]:
    """Return which BLAS torch multiplies with, and the versions of the libraries below it, from what torch tells."""
    found = {name: match[1] for name, pattern in _LIBRARIES.items() if (match := re.search(pattern, told))}
    blas = re.search(r"BLAS_INFO=(\w+)", told)
    return ({"blas": blas[1]} if blas else {}) | found


def _gpu() -> dict[str, Any]:
    """Return the GPU that is trained on, by what torch and the kernel's driver tell of it."""
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "name": found.name,
        "capability": f"{found.major}.{found.minor}",
        "memory_bytes": found.total_memory,
        "driver": gpu_driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }
