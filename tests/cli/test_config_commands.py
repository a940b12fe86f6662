"""`config explain|diff|audit`: the right answer on stdout, in text and as JSON, for layers and for runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dreamerlab.cli.config_commands import app
from dreamerlab.config.catalogue import leaves
from dreamerlab.config.layers import resolve, to_yaml
from dreamerlab.errors import ConfigError, FindingsReported, NotFound, UsageError
from dreamerlab.runs.directory import RunDirectory


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "protocol/workspace.yaml": "",
        "env_configs/cartpole.yaml": "env: {id: CartPole-v1}\nreference: {solved: 475}\noptimizer:\n  lr_actor: 1e-3\n",
        "env_configs/acrobot.yaml": "env: {id: Acrobot-v1}\n",
        "env_configs/experiments/nano.yaml": "model: {deter: 64}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(workspace: Path) -> RunDirectory:
    """A run that recorded cartpole+nano, and one leaf that this version does not know."""
    directory = RunDirectory(workspace / "runs" / "R0012-9qd")
    directory.path.mkdir(parents=True)
    resolved = resolve(workspace, "cartpole", "nano", ["lr_critic=5e-4"])
    directory.config_path.write_text(to_yaml(resolved.config) + "later:\n  wings: 2\n")
    directory.origins_path.write_text(json.dumps(resolved.origins))
    directory.manifest_path.write_text("{}")
    return directory


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def answer(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def data(*arguments: str) -> Any:
    return json.loads(answer(*arguments, "--json"))


def test_a_key_is_explained_by_its_tail_with_its_origin(workspace: Path) -> None:
    text = answer("explain", "lr_actor", "--env", "cartpole", "--experiment", "nano")
    assert text.startswith("optimizer.lr_actor = 0.001\n  Learning rate of the actor.\n")
    assert "accepts      number > 0 and <= 1\n" in text
    assert "default      4.0e-05\n" in text
    assert "reference    4.0e-05 (FACTS A9)\n" in text
    assert "origin       env_configs/cartpole.yaml:4\n" in text


def test_an_override_is_explained_as_such_and_needs_no_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = data("explain", "behavior.slow_rate", "slow_regularizer=0")
    assert found["value"] == 0.02
    assert found["origin"] == "default"
    assert found["inactive"] is True
    assert "does nothing here; it acts only when" in answer("explain", "slow_rate", "slow_regularizer=0")
    assert data("explain", "deter", "deter=64")["origin"] == "command line: deter=64"


def test_without_a_key_all_leaves_are_listed_and_a_section_lists_its_own(workspace: Path) -> None:
    lines = answer("explain").splitlines()
    assert [line.split()[0] for line in lines] == ["key", *leaves()]
    assert [row["key"] for row in data("explain", "return_norm")] == [
        "return_norm.rate",
        "return_norm.limit",
        "return_norm.low",
        "return_norm.high",
        "return_norm.debias",
    ]


def test_a_run_is_explained_as_it_was_recorded(run: RunDirectory) -> None:
    found = data("explain", "lr_critic", "--run", "R12")
    assert (found["value"], found["origin"]) == (5e-4, "command line: lr_critic=5e-4")
    assert "this version of dreamerlab has no such key" in answer("explain", "later.wings", "--run", "R12")
    assert data("explain", "later.wings", "--run", "R12") == {"key": "later.wings", "value": 2}


@pytest.mark.parametrize("text", [None, "", "[1, 2]", "{", "3"])
def test_a_run_without_origins_is_still_explained(run: RunDirectory, text: str | None) -> None:
    run.origins_path.unlink() if text is None else run.origins_path.write_text(text)
    result = invoke("explain", "lr_critic", "--run", "R12")
    assert "origins.json is missing or damaged" in result.stderr
    assert result.stdout.startswith("optimizer.lr_critic = 0.0005")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["explain", "lr_actr"], ConfigError, "did you mean 'optimizer.lr_actor'"),
        (["explain", "every"], ConfigError, "may be any of eval.every"),
        (["explain", "deter", "units"], UsageError, "one key at a time"),
        (["explain", "deter", "--run", "R12", "--env", "cartpole"], UsageError, "already resolved"),
        (["explain", "deter", "--env", "cartpol"], NotFound, "did you mean 'cartpole'"),
        (["explain", "deter", "--run", "../R12"], UsageError, "R12"),
        (["explain", "deter", "--run", "R77"], NotFound, "R77"),
        (["diff", "cartpole", "cartpol"], NotFound, "did you mean 'cartpole'"),
        (["diff", "cartpole+nanno", "cartpole"], NotFound, "did you mean 'nano'"),
        (["audit", "lr_actor=fast"], ConfigError, "got the text 'fast'"),
    ],
)
def test_what_cannot_be_understood(run: RunDirectory, arguments: list[str], error: type, message: str) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, error), result.exception
    assert message in str(result.exception)
    assert result.stdout == ""


def test_two_layerings_differ_where_their_files_do(workspace: Path) -> None:
    found = data("diff", "cartpole", "acrobot+nano")
    assert (found["a"], found["b"]) == ("cartpole", "acrobot+nano")
    assert [(d["key"], d["zone"], d["a"], d["b"], d["origin_b"]) for d in found["differences"]] == [
        ("model.deter", "ARCHITECTURE", 512, 64, "env_configs/experiments/nano.yaml:1"),
        ("env.id", "ENVIRONMENT", "CartPole-v1", "Acrobot-v1", "env_configs/acrobot.yaml:1"),
        ("optimizer.lr_actor", "DYNAMICS", 1e-3, 4e-5, "default"),
        ("reference.solved", "EVALUATION", 475.0, None, "default"),
    ]
    header, *rows = answer("diff", "cartpole", "acrobot+nano").splitlines()
    assert header.split("  ")[0] == "zone"
    assert len(rows) == 4


def test_a_run_is_compared_with_the_layers_it_came_from(run: RunDirectory) -> None:
    found = data("diff", "R12", "cartpole+nano")
    assert [(d["key"], d["absent_in"]) for d in found["differences"]] == [
        ("optimizer.lr_critic", None),
        ("later.wings", "b"),
    ]
    assert found["a"] == "R0012-9qd"
    assert found["differences"][1]["b"] is None


def test_equal_configs_print_nothing_on_stdout(workspace: Path) -> None:
    result = invoke("diff", "cartpole", "cartpole")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "do not differ" in result.stderr
    assert data("diff", "cartpole", "Pendulum-v1")["differences"][0]["b"] == "Pendulum-v1"


def test_an_audit_lists_departures_and_notes_and_succeeds(workspace: Path) -> None:
    text = answer("audit", "--env", "cartpole")
    assert "optimizer.lr_actor  0.001  4.0e-05" in text
    assert "note: actor-faster-than-critic: " in text
    assert len(answer("audit", "--all").splitlines()) > 50


def test_an_audit_with_an_error_says_so_and_exits_6(workspace: Path) -> None:
    result = invoke("audit", "--env", "cartpole", "support=[-5, 5]")
    assert isinstance(result.exception, FindingsReported)
    assert result.exception.exit_code == 6
    assert "error: support-too-small: " in result.stdout
    as_json = json.loads(invoke("audit", "--env", "cartpole", "support=[-5, 5]", "--json").stdout)
    assert as_json["findings"][0]["rule"] == "support-too-small"
    assert {p["key"] for p in as_json["reference"] if p["severity"] != "same"} >= {"twohot.support"}


def test_the_record_of_another_version_is_audited_as_far_as_it_goes(run: RunDirectory) -> None:
    found = data("audit", "--run", "R12")
    assert [finding["rule"] for finding in found["findings"]] == [
        "actor-faster-than-critic",
        "protected-key",
        "other-version",
    ]
    assert found["findings"][-1]["message"] == "not judged, unknown here: later.wings"
    assert {p["key"] for p in found["reference"] if p["severity"] == "size"} == {"model.deter"}
    run.config_path.write_text("model: {deter: enormous}\n")
    (only,) = data("audit", "--run", "R12")["findings"]
    assert (only["rule"], only["severity"]) == ("other-version", "warning")
    assert "got the text 'enormous'" in only["message"]
