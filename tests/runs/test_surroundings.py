"""What surrounds a process: variables by an allow-list without secrets, and who else trains here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.runs.surroundings import busy, changes_numbers, masked, masked_words, processor, variables

HUNDREDFOLD = "a1B2" * 12


@pytest.mark.parametrize(
    "told, kept",
    [
        ("http://ada:pa55@127.0.0.1:5000/x", "http://***@127.0.0.1:5000/x"),
        ("postgresql+psycopg://ada:p@ss@db/x?sslmode=no", "postgresql+psycopg://***@db/x?sslmode=no"),
        ("https://host/x?access_token=abc123&page=2", "https://host/x?access_token=***&page=2"),
        ("env.kwargs.password=hunter2", "env.kwargs.password=***"),
        (f"ghp_{HUNDREDFOLD}", "***"),
        (f"bearer of hf_{HUNDREDFOLD} and more", "bearer of *** and more"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        # What is no secret stays as it was typed, to the letter.
        ("optimizer.lr_actor=2e-3", "optimizer.lr_actor=2e-3"),
        ("change model.stoch to 8 -> expect eval/return to rise by 5%", None),
        ("http://127.0.0.1:5000", None),
        (":4096:8", None),
    ],
)
def test_secrets_are_masked_and_nothing_else(told: str, kept: str | None) -> None:
    assert masked(told) == (told if kept is None else kept)


def test_a_secret_is_masked_also_as_the_word_after_its_option() -> None:
    words = ("dreamerlab", "run", "--token", "abc", "--seeds", "3", "--api-key", "x", "--password=y")
    assert masked_words(words) == (
        "dreamerlab",
        "run",
        "--token",
        "***",
        "--seeds",
        "3",
        "--api-key",
        "***",
        "--password=***",
    )


def test_only_variables_of_the_list_are_told_and_no_secret_is() -> None:
    given = {
        "OMP_NUM_THREADS": "3",
        "CUDA_VISIBLE_DEVICES": "0",
        "MLFLOW_TRACKING_URI": "http://ada:pw@tracker:5000",
        "TORCH_HUB_TOKEN": "very-secret",
        "CUDA_API_KEY": "very-secret",
        "TORCHINDUCTOR_CACHE_DIR": "/tmp/x",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "HOME": "/home/ada",
    }
    assert variables(given) == {
        "CUDA_VISIBLE_DEVICES": "0",
        "MLFLOW_TRACKING_URI": "http://***@tracker:5000",
        "OMP_NUM_THREADS": "3",
    }
    assert changes_numbers("MKL_CBWR")
    assert changes_numbers("OPENBLAS_CORETYPE")
    assert not changes_numbers("LANG")


def test_other_trainers_are_counted_and_those_of_the_same_launch_apart(tmp_path: Path) -> None:
    """M-PROT-21: what else trains at the time is part of the record."""
    package = tmp_path / "dreamerlab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "dreamerlab.train", str(tmp_path / "seed-0")]
    before = busy(os.getpid())
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            ours, others = busy(os.getpid()), busy(-1)
        finally:
            process.kill()
    assert ours["siblings"] == before["siblings"] + 1
    assert others["other_trainers"] >= 1
    assert len(ours["load"]) == 3
    assert json.loads(json.dumps(ours)) == ours


def test_the_processor_is_told() -> None:
    model, flags = processor()
    assert model
    assert len(flags) == len(set(flags))
