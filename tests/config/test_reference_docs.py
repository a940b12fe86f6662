"""The generated pages are complete, current, and a stale one is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.reference_docs import COMMAND, config_page, main, metrics_page
from dreamerlab.metrics import CATALOGUE


def test_the_committed_pages_are_current() -> None:
    assert main(["--check"]) == 0, f"run: {COMMAND}"


def test_every_leaf_and_metric_is_on_its_page() -> None:
    config, metrics = config_page(), metrics_page()
    for key, info in leaves().items():
        assert f"| `{key}` | " in config
        assert info.docstring.replace("|", "\\|") in config
    for name in CATALOGUE:
        assert f"| `{name}` | " in metrics


def test_a_stale_or_missing_page_fails_the_check_and_is_mended_by_writing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--folder", str(tmp_path)]
    assert main([*here, "--check"]) == 6
    assert not list(tmp_path.iterdir()), "a check writes nothing"
    assert main(here) == 0
    assert main([*here, "--check"]) == 0
    (tmp_path / "config.md").write_text("typed by hand\n")
    assert main([*here, "--check"]) == 6
    assert "config.md" in capsys.readouterr().err.splitlines()[-3]
