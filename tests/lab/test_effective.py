"""What was done beside what was configured, from the committed text of a run."""

from __future__ import annotations

import json
from pathlib import Path

from dreamerlab.lab.effective import of_details
from dreamerlab.lab.show import collect
from dreamerlab.report.facts import Effective
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, inside


def told(ran: Ran) -> dict[str, Effective]:
    return {line.name: line for line in of_details(collect(ran.workspace, ran.run))}


def test_the_effective_ratio_stands_beside_the_configured_one(ran: Ran) -> None:
    """M-HK-18: updates per env step as they were, not as they were asked for."""
    lines = told(ran)
    status = json.loads(ran.run.trial(0).status_path.read_text())
    ratio = lines["replayed steps per env step"]
    assert ratio.configured == "2"
    low = min(json.loads(trial.status_path.read_text())["updates"] for trial in ran.run.trials())
    assert ratio.effective.startswith(f"{20 * low / status['env_steps']:.2f}")
    assert ratio.agrees is False, "no update is made before replay holds a window, and this run is short"
    assert ratio.marked.endswith(" !")


def test_what_was_done_as_configured_agrees(ran: Ran) -> None:
    lines = told(ran)
    for name, words in (
        ("budget spent per seed", "60 env steps"),
        ("evaluations per seed", "3"),
        ("episodes per evaluation", "2"),
        ("policies evaluated", "mode, sample"),
        ("device", "cpu"),
        ("dtype", "float32"),
        ("threads", "1"),
        ("actor updates per update", "1.00"),
    ):
        assert (lines[name].effective, lines[name].agrees) == (words, True), name
    assert lines["learning rate of the actor"].configured == "4e-05, warm-up 1000 updates"
    assert lines["return scale at its limit"].effective.endswith("% of updates")


def test_show_and_its_json_tell_of_it(ran: Ran) -> None:
    page = inside(ran.workspace.path, "show", "first").stdout
    assert "configured beside effective" in page
    assert "!: not what was configured" in page
    found = data(inside(ran.workspace.path, "show", "first", "--json"))
    assert {"name": "device", "configured": "cpu", "effective": "cpu", "agrees": True} in found["effective"]
    assert found["trials"][0]["actor_updates"] == found["trials"][0]["updates"]


def test_another_device_fewer_episodes_and_an_early_end_are_marked(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    trial = copied.run.trial(0)
    attempts = json.loads(trial.attempts_path.read_text())
    attempts[0] |= {"device": "cuda", "threads": 4}
    trial.attempts_path.write_text(json.dumps(attempts))
    lines = [json.loads(line) for line in trial.evals_path.read_text().splitlines()]
    lines[1]["returns"]["mode"] = [1.0]
    trial.evals_path.write_text("".join(f"{json.dumps(line)}\n" for line in lines[:2]))
    status = json.loads(trial.status_path.read_text())
    trial.status_path.write_text(json.dumps(status | {"spent": 40.0}))
    found = told(copied)
    assert found["device"] == Effective("device", "cpu", "cuda, cpu", agrees=False)
    assert found["threads"].agrees is False
    assert found["episodes per evaluation"] == Effective("episodes per evaluation", "2", "1 to 2", agrees=False)
    assert found["evaluations per seed"].agrees is False
    assert found["budget spent per seed"].agrees is False


def test_without_its_config_or_any_training_nothing_is_claimed(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    copied.run.config_path.write_text("a: [")
    assert told(copied) == {}
    assert inside(copied.workspace.path, "show", "first").returncode == 0
