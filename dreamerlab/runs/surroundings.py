"""What a process can tell of what surrounds it: processor, load, other trainers, environment variables.

Shared by the launcher, which records where a run was created, and by every trainer, which records where it trained.
Of variables only an allow-list is looked at, and nothing that looks like a secret is ever written down. Imports
nothing heavy; versions of packages are `tracking.environment`.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerlab.runs.processes import trainers

COMMAND_VARIABLE = "DREAMERLAB_COMMAND"
"""A launcher tells its trainers in this variable what was typed, masked."""
VARIABLES = (
    *("PYTHONHASHSEED", "PYTHONOPTIMIZE", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "LD_PRELOAD"),
    *("LD_LIBRARY_PATH", "GLIBC_TUNABLES", "LANG", "LC_ALL", "TZ", "CI", "CUBLAS_WORKSPACE_CONFIG", "MKL_CBWR"),
    *("NVIDIA_TF32_OVERRIDE", "ATEN_CPU_CAPABILITY", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "MUJOCO_GL", "DISPLAY"),
    *("PYOPENGL_PLATFORM", "SDL_VIDEODRIVER", "SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "SLURM_JOB_PARTITION"),
    *("MLFLOW_TRACKING_URI", "NPY_DISABLE_CPU_FEATURES"),
)
_PREFIXES = (
    *("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "BLIS_", "VECLIB_", "NUMEXPR_", "MALLOC_"),
    *("ONEDNN_", "DNNL_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "TRITON_", "CUDA_", "CUDNN_", "CUBLAS_"),
)
_NO_NUMBERS = frozenset(
    {
        *("PYTHONPATH", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "LANG", "LC_ALL", "TZ", "CI", "DISPLAY"),
        *("SDL_VIDEODRIVER", "SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "SLURM_JOB_PARTITION", "MLFLOW_TRACKING_URI"),
    }
)
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(token|secret|passw(?:or)?d|passwd|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|auth)(?:$|[_.-])"
)
_CREDENTIALS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s]*@")
_PAIR = re.compile(
    r"(?i)(?P<name>[\w.-]*(?:token|secret|password|passwd|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|signature)"
    r"\s*[=:]\s*)(?P<value>[^\s&;,]+)"
)
_KNOWN_SHAPES = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_\w{20,}|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)
MASK = "***"
# Those that decide which kernels torch and its libraries choose.
_CPU_FLAGS = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


def masked(text: str) -> str:
    """Return `text` without the parts that look like secrets: credentials in URLs, token=..., well-known shapes."""
    text = _CREDENTIALS.sub(rf"\g<scheme>{MASK}@", text)
    text = _PAIR.sub(rf"\g<name>{MASK}", text)
    return _KNOWN_SHAPES.sub(MASK, text)


def masked_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line with every secret masked, also one that stands after its `--token`."""
    told: list[str] = []
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        named = before.startswith("-") and "=" not in before and _SECRET_NAME.search(before.lstrip("-"))
        told.append(MASK if named and not word.startswith("-") else masked(word))
    return tuple(told)


def variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables that can matter to a training, by name; secrets never, credentials masked."""
    given = os.environ if environment is None else environment
    wanted = (name for name in sorted(given) if name in VARIABLES or name.startswith(_PREFIXES))
    kept = (name for name in wanted if not _SECRET_NAME.search(name) and not name.endswith("_CACHE_DIR"))
    return {name: masked(given[name]) for name in kept}  # torch itself sets where it keeps what it compiled


def changes_numbers(variable: str) -> bool:
    """Tell whether an environment variable can change the bits of a training, and not only its pace or its place."""
    return variable not in _NO_NUMBERS


def busy(parent: int) -> dict[str, Any]:
    """Return the load of this host and the living trainers beside this process (M-PROT-21).

    `load`: of the last 1, 5 and 15 minutes; `other_trainers`: those that are none of ours; `siblings`: those that
    `parent`, a process id, has started as well. A trainer that asks is not counted.
    """
    others = [one for one in trainers() if one.pid != os.getpid()]
    siblings = sum(one.ppid == parent for one in others)
    return {"load": load(), "other_trainers": len(others) - siblings, "siblings": siblings}


def load() -> list[float] | None:
    """Return the load of the last 1, 5 and 15 minutes; None where the system does not tell."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return None


def processor() -> tuple[str | None, list[str]]:
    """Return the processor's model and those of its flags that decide which kernels run."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or None, []
    model = re.search(r"^model name\s*: (.+)$", text, flags=re.MULTILINE)
    listed = re.search(r"^(?:flags|Features)\s*: (.+)$", text, flags=re.MULTILINE)
    present = set(listed[1].split()) if listed else set[str]()
    return model[1].strip() if model else platform.processor() or None, [f for f in _CPU_FLAGS if f in present]


def gpu_driver() -> str | None:
    """Return the version of NVIDIA's kernel driver, None without one."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    found = re.search(r"Kernel Module(?: for \S+)?\s+(\d[\d.]+)", text)
    return found[1] if found else None
