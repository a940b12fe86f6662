"""Where the computation runs and what it writes down: execution, metric lines, checkpoints."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from dreamerlab.config.schema_family import RSSM
from dreamerlab.config.section import MANY, Section
from dreamerlab.config.zones import Zone, leaf

EXECUTION = Zone.EXECUTION
BOOKKEEPING = Zone.BOOKKEEPING


class Execution(Section):
    """Where the computation runs."""

    device: Literal["cpu", "cuda"] = leaf("cpu", EXECUTION)
    """Where tensors live."""
    threads: int = leaf(1, EXECUTION, unit="threads", ge=1, le=1024)
    """Torch threads of one trial; small networks are fastest with one thread and several trials at once."""
    dtype: Literal["float32", "bfloat16", "float64"] = leaf("float32", Zone.DYNAMICS, absent_means="float32")
    """Type of matrix products; parameters, norms, losses and distributions stay float32 under bfloat16 (FACTS A9).
    Unlike the device, another type is another experiment: it has to be declared as the change."""
    compile: bool = leaf(False, EXECUTION, absent_means=False, only_when=RSSM)
    """Compile the update with torch.compile; pays on a GPU, not on a CPU (M-CP-21)."""
    cuda_graphs: bool = leaf(False, EXECUTION, absent_means=False)
    """Record the update as one CUDA graph and replay it; needs device cuda, and no compile (M-CP-21)."""
    deterministic: bool = leaf(False, EXECUTION, absent_means=False, active_when=(("execution.device", "==", "cuda"),))
    """Use only operations that repeat bit for bit on a GPU, slower; on the CPU that is always so."""
    step_timeout_s: float = leaf(60.0, EXECUTION, unit="s", gt=0, le=86_400, absent_means=60.0)
    """An environment that takes longer for one step or reset is taken for hung, and the trial fails by name."""

    @model_validator(mode="after")
    def _graphs_fit(self) -> Self:
        if self.cuda_graphs and self.device != "cuda":
            raise ValueError(
                f"execution.cuda_graphs=true needs a GPU, but execution.device={self.device}; "
                "write execution.device=cuda, or leave it false"
            )
        if self.cuda_graphs and self.compile:
            raise ValueError(
                "execution.cuda_graphs=true and execution.compile=true exclude each other: what is compiled is not "
                "recorded; write one of them false"
            )
        return self


class Log(Section):
    """What is written down, and how often."""

    every: int = leaf(100, BOOKKEEPING, unit="env steps", ge=1, le=MANY)
    """Env steps between lines of metrics."""
    every_updates: int | None = leaf(None, BOOKKEEPING, unit="updates", ge=1, le=MANY, absent_means=None)
    """Updates between further lines of metrics (M-CP-23); null writes them by env steps only."""
    predictions: bool = leaf(True, BOOKKEEPING, absent_means=True)
    """Where images are observed, draw the open-loop prediction (truth, model, error) at every evaluation."""
    probes: bool = leaf(True, BOOKKEEPING, absent_means=True)
    """At every evaluation hold what the agent expects against what is in replay: the probe/ metrics."""


class Checkpoint(Section):
    """How much can be lost."""

    every: int = leaf(5_000, BOOKKEEPING, unit="env steps", ge=1, le=MANY)
    """Env steps between checkpoints; one more is written at every stop."""
    keep: int = leaf(2, BOOKKEEPING, unit="checkpoints", ge=2, le=100)
    """Newest checkpoints kept; at least two, so that a torn one has a predecessor."""
    keep_replay: bool = leaf(False, BOOKKEEPING)
    """Keep the replay buffer in the last checkpoint of a finished trial (large)."""
    keep_best: bool = leaf(True, BOOKKEEPING, absent_means=True)
    """Keep the checkpoint of the best evaluation so far (eval/return_mode), without replay (M-CP-35)."""
    keep_every: int | None = leaf(None, BOOKKEEPING, unit="env steps", ge=1, le=MANY, absent_means=None)
    """Also keep a checkpoint, without replay, every so many env steps; null keeps none."""
