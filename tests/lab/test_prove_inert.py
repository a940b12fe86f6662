"""`check --prove-inert`: changed code that trains the same is shown to, bit for bit; code that does not is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.errors import GateRefused, NotFound
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.inert_proofs import Proofs, read_proofs
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.prove_inert import prove_inert
from dreamerlab.protocol.entries import entry_of
from dreamerlab.protocol.hypothesis import Base, Change, Plan
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import read_manifest, write_manifest
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import compute
from tests.lab.conftest import Ran
from tests.lab.hypotheses import propose
from tests.lab.workspaces import TINY, data, dreamerlab, git, inside, light_workspace, the_run

PLAN = Plan("env_steps", 60, (0, 1, 2), (0, 1, 2), fail_score=0.0)
SILENT = Voice(lambda _: None, lambda _: None)


def rules_of(folder: Path) -> list[str]:
    answer = json.loads(inside(folder, "check", "--json", "--allow-dirty").stdout)
    return [one["rule"] for one in answer["violations"]]


def changed_code(ran: Ran, folder: Path) -> tuple[Workspace, RunDirectory]:
    """The shared run as if it had three seeds, in a workspace whose code has changed since: a module nobody uses."""
    copied = ran.copy(folder)
    workspace, run = copied.workspace, copied.run
    write_manifest(run.manifest_path, replace(read_manifest(run.manifest_path), seeds=(0, 1, 2)))
    (folder / "mine").mkdir()
    (folder / "mine" / "spare.py").write_text("SPARE = 1\n")
    workspace.marker.write_text("autocommit: true\ncode:\n  paths: [mine]\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a module nobody uses")
    return workspace, run


@pytest.mark.slow
def test_code_that_trains_the_same_lets_its_baseline_serve(ran: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    workspace, run = changed_code(ran, folder)
    made = propose(
        workspace,
        base=Base("cartpole", None, tuple(TINY), run.id),
        plan=PLAN,
        changes=(Change("optimizer.lr_actor", 4e-5, 1e-3),),
    )
    assert rules_of(folder) == ["undeclared-code"]
    done = dreamerlab(folder, "check", "--prove-inert", "--updates", "3", "--allow-dirty", "--json")
    answer = data(done)
    assert (answer["baseline_run"], answer["violations"]) == (run.id, [])
    assert any("ran other code, proven to behave the same" in line for line in answer["caveats"])
    registry = registry_of(workspace)
    (entry_id,) = registry.ids("E")
    entry = entry_of(registry.read(str(entry_id)))
    assert (entry.kind, entry.about) == ("audit", (run.id,))
    proof = entry.data["proof"]
    assert (proof["before"], proof["now"]) == (read_manifest(run.manifest_path).code.identity, answer["code"])
    assert proof["updates"] >= 3
    assert proof["env_steps"] < 60, "only the start is trained"
    assert git(folder, "log", "-1", "--format=%s").startswith(f"Audit {entry_id}")
    assert not (workspace.cache / "prove-inert").exists()
    again = inside(folder, "check", made, "--prove-inert", "--allow-dirty")
    assert (again.returncode, "nothing to prove" in again.stderr) == (0, True)
    (folder / "mine" / "spare.py").write_text("SPARE = 2\n")
    assert rules_of(folder) == ["undeclared-code"], "a proof is about one code, not about those after it"


def _metric(run: RunDirectory) -> str:
    return _altered(run.trial(0).metrics_path(1), lambda line: line["values"], "wm/reward_loss_nats")


def _return(run: RunDirectory) -> str:
    return _altered(run.trial(0).evals_path, lambda line: line["values"], "eval/return_mode")


def _episode(run: RunDirectory) -> str:
    return _altered(run.trial(0).episodes_path, lambda line: line, "return")


def _altered(path: Path, part: Callable[[dict], dict], key: str) -> str:
    """Move one figure of a record by its last digit."""
    first, *rest = path.read_text().splitlines(keepends=True)
    line = json.loads(first)
    if key not in part(line):
        key = next(name for name in part(line) if not name.startswith("pace/"))
    part(line)[key] = float(part(line)[key]) + 2**-20
    path.write_text(json.dumps(line) + "\n" + "".join(rest))
    return key


@pytest.mark.slow
@pytest.mark.parametrize("alter", [_metric, _return, _episode])
def test_a_last_digit_that_differs_is_named(ran: Ran, tmp_path: Path, alter: Callable[[RunDirectory], str]) -> None:
    workspace, run = changed_code(ran, tmp_path / "lab")
    key = alter(run)
    with pytest.raises(GateRefused, match=f"not inert: {key} at env step"):
        prove_inert(workspace, run, compute(workspace), SILENT, updates=1)
    assert registry_of(workspace).ids("E") == []


@pytest.mark.slow
def test_code_that_trains_otherwise_is_not_inert(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    workspace.marker.write_text("code:\n  paths: [mine]\n")
    (workspace.path / "mine").mkdir()
    module = workspace.path / "mine" / "toys.py"
    toys = (Path(__file__).parents[1] / "toy_envs.py").read_text()
    module.write_text(toys)
    (workspace.path / "mine" / "__init__.py").touch()
    leaves = [leaf for leaf in TINY if not leaf.startswith("env.")]
    words = ("run", "--baseline", "--env", "cartpole", "env.id=mine.toys:Walk-v0", "env.time_limit=50", *leaves)
    done = dreamerlab(workspace.path, *words, "--seeds", "1")
    assert done.returncode == 0, done.stderr
    run = RunDirectory(the_run(workspace))
    module.write_text(toys.replace("reward = float(action)", "reward = 2 * float(action)"))
    with pytest.raises(GateRefused, match="not inert") as refused:
        prove_inert(workspace, run, compute(workspace), SILENT, updates=1)
    assert "propose --code" in str(refused.value.hint)
    module.write_text(toys + "\n# a remark\n")
    assert prove_inert(workspace, run, compute(workspace), SILENT, updates=1).updates >= 1


def test_without_the_recorded_metrics_there_is_nothing_to_compare_with(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    shutil.rmtree(copied.run.artifacts)
    with pytest.raises(NotFound) as refused:
        prove_inert(copied.workspace, copied.run, compute(copied.workspace), SILENT)
    assert refused.value.hint == f"dreamerlab data pull {copied.run.id}"
    assert read_proofs(copied.workspace).entries == {}


def test_proofs_chain_in_both_directions() -> None:
    proofs = Proofs({("a", "b"): "E0001-aaa", ("c", "b"): "E0002-bbb", ("x", "y"): "E0003-ccc"})
    assert proofs.same("a", "a")
    assert proofs.entry("a", "c") == "E0001-aaa, E0002-bbb"
    assert proofs.entry("c", "a") == "E0002-bbb, E0001-aaa"
    assert not proofs.same("a", "y")
