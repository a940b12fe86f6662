"""A small workspace whose files and line numbers the tests of this folder know by heart."""

from __future__ import annotations

from pathlib import Path

import pytest

CARTPOLE = """\
# A comment on line 1.
env:
  id: CartPole-v1
  time_limit: 500
reference: {random: 22.47, solved: 475}
optimizer:
  lr_actor: 1e-3
  lr_critic: 2e-3
"""
NANO = """\
optimizer:
  lr_actor: 3.0e-4
twohot:
  support:
    - -5
    - 5
train.batch_size: 8
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    files = {
        "protocol/workspace.yaml": "autocommit: true\n",
        "env_configs/cartpole.yaml": CARTPOLE,
        "env_configs/acrobot.yaml": "env: {id: Acrobot-v1}\n",
        "env_configs/experiments/nano.yaml": NANO,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path
