"""Golden traces: what the first 20 updates of the shipped presets say, for three kinds of task.

    python -m tests.dreamer.record_golden      writes tests/dreamer/golden/PRESET-TASK.json anew

To be run only after a deliberate change of the algorithm or of its random draws. Networks and settings are the
preset's; batches are small, of random data, the warm-up is off. Computed in float64, so that another processor or
another order of summation does not change the draws, and with them everything after.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from dreamerlab.config.layers import resolve
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from tests.oracles.cases import CONTINUOUS, DISCRETE, VECTORS, random_batch

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(__file__).parent / "golden"
UPDATES = 20

TASKS: dict[str, tuple[dict[str, ObsSpec], ActionSpec]] = {
    "discrete": (VECTORS, DISCRETE),
    "continuous": (VECTORS, CONTINUOUS),
    "pixels": ({"image": ObsSpec.image(16, 16, 3)}, DISCRETE),
}
PRESETS = ("nano", "tiny")
CASES = [f"{preset}-{task}" for preset in PRESETS for task in TASKS]

OVERRIDES = [
    "train.batch_size=4", "train.batch_length=6", "train.imagination_starts=2", "behavior.horizon=4",
    "optimizer.warmup_updates=0",
]  # fmt: skip

METRICS = (
    "wm/loss", "wm/recon_loss", "wm/image_loss", "wm/reward_loss", "wm/continue_loss", "wm/kl_nats",
    "behavior/policy_loss", "behavior/entropy_nats", "behavior/return_scale", "behavior/value", "behavior/value_loss",
    "behavior/replay_value_loss", "optim/grad_norm_world", "optim/grad_norm_actor", "optim/grad_norm_critic",
)  # fmt: skip


def setting(case: str) -> tuple[EnvSpec, Config]:
    preset, task = case.split("-")
    observations, action = TASKS[task]
    return EnvSpec(observations, action), resolve(ROOT, None, preset, OVERRIDES).config


def trace(case: str, updates: int = UPDATES) -> dict[str, list[float]]:
    """Give the metrics of the first updates."""
    spec, config = setting(case)
    torch.manual_seed(0)
    agent = Agent(spec, config).double()
    generator = torch.Generator().manual_seed(0)
    out: dict[str, list[float]] = {name: [] for name in METRICS}
    for update in range(updates):
        batch = random_batch(spec, config, seed=update, dtype=torch.float64)
        metrics = agent.update(batch, generator).metrics
        for name in METRICS:
            if name in metrics:
                out[name].append(float(f"{float(metrics[name]):.7g}"))
    return {name: values for name, values in out.items() if values}


def path_of(case: str) -> Path:
    return FOLDER / f"{case}.json"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        lines = [f'  "{name}": {json.dumps(values)}' for name, values in trace(case).items()]
        path_of(case).write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(path_of(case).relative_to(ROOT))


if __name__ == "__main__":
    main()
