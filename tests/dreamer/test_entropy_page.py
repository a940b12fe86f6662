"""Every number on the page about entropy is computed again (M-ENT-01 to 05, M-OPT-08)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from dreamerlab.config.catalogue import leaves
from dreamerlab.metrics import get_metric

PAGE = Path(__file__).resolve().parents[2] / "protocol" / "reference" / "entropy.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [
    [float(cell.strip().removesuffix(" %")) for cell in line.strip("| ").split("|")]
    for line in TEXT.splitlines()
    if re.match(r"\| -?[0-9]", line)
]


def normal_entropy(sigma: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * sigma**2)


def squashed_entropy(sigma: float) -> float:
    """H + E[ln(1 - tanh^2 u)] by numerical integration."""
    x = np.linspace(-12.0, 12.0, 48_001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    log_slope = 2 * (math.log(2) - sigma * x - np.logaddexp(0.0, -2 * sigma * x))
    return normal_entropy(sigma) + float(np.sum(density * log_slope) * (x[1] - x[0]))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"log_sigma={row[0]:g}")
def test_the_table_of_deviations_M_ENT_02_M_ENT_05(row: list[float]) -> None:
    log_sigma, sigma, one, four, squashed, beyond = row
    assert sigma == pytest.approx(math.exp(log_sigma), rel=1e-2)
    assert one == pytest.approx(normal_entropy(math.exp(log_sigma)), abs=0.006)
    assert four == pytest.approx(4 * normal_entropy(math.exp(log_sigma)), abs=0.006)
    assert squashed == pytest.approx(squashed_entropy(math.exp(log_sigma)), abs=0.006)
    assert beyond == pytest.approx(100 * math.erfc(math.atanh(0.98) / math.exp(log_sigma) / math.sqrt(2)), abs=0.6)


def test_the_figures_in_the_text_M_ENT_03_M_ENT_07_M_OPT_03_M_OPT_08() -> None:
    assert len(ROWS) == 10
    assert f"{1 / math.sqrt(2 * math.pi * math.e):.3f} and a negative" in TEXT.replace(", and", " and")
    for choices, words in ((2, "0.693 for two"), (16, "2.773 for sixteen")):
        assert f"{math.log(choices):.3f}" in words
        assert words in " ".join(TEXT.split())
    assert f"{4 * math.log(16):.2f} for four" in " ".join(TEXT.split())
    of_target = math.exp(-1.0 - normal_entropy(1.0))
    assert f"sigma = {of_target:.2f} in each of four" in " ".join(TEXT.split())
    assert of_target < math.exp(-2)


def test_the_keys_and_metrics_it_names_exist() -> None:
    known = leaves()
    for name in re.findall(r"`([a-z_]+/[a-z_0-9]+)`", TEXT):
        assert get_metric(name)
    keys = re.findall(r"`([a-z_]+\.[a-z_]+)`", TEXT)
    assert keys
    assert set(keys) <= known.keys()
