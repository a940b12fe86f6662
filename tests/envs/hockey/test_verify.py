"""`dreamerlab hockey verify`: recordings replayed, made anew, and refused where they are none (M-HK-01)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dreamerlab.cli.main import main
from dreamerlab.envs.hockey import HockeyEnv, verify
from dreamerlab.envs.hockey.recording import first_deviation, recorded, replayed
from dreamerlab.envs.hockey.recording_files import load, save
from dreamerlab.errors import NotFound, UsageError

STAND_IN = Path(__file__).parent / "stand_in"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("games") / "fresh.npz"
    save(path, recorded(HockeyEnv, 24, seed=3), {"backend": "builtin"})
    return path


def test_a_fresh_recording_has_every_kind_of_game_and_replays(recording: Path) -> None:
    arrays = load(recording)
    assert first_deviation(arrays, replayed(arrays, HockeyEnv)) is None
    assert set(arrays["ep_mode"]) == {0, 1, 2}
    assert set(arrays["ep_keep"]) == {0, 1}
    assert set(arrays["ep_one_starting"]) == {-1, 0, 1}
    assert len(set(arrays["ep_env"])) < 24, "some games share an object"
    assert (~np.isnan(arrays["ep_set_state"][:, 0])).any()
    assert len(arrays["step_action"]) > 1000
    again = recorded(HockeyEnv, 24, seed=3)
    assert all(np.array_equal(arrays[name], again[name], equal_nan=arrays[name].dtype.kind == "f") for name in arrays)


@pytest.mark.parametrize(
    ("name", "row", "change", "says"),
    [
        ("step_obs1", (700, 3), 1e-6, "obs1[3]"),
        ("step_obs2", (1, 17), 1.0, "game 0 at step 1: obs2[17]"),
        ("step_reward1", 9, 2e-12, "game 0 at step 9: reward1[0]"),
        ("step_info2", (9, 2), -2e-12, "info2[2]"),
        ("reset_obs1", (2, 12), 1e-6, "game 2 at the reset: obs1[12]"),
        ("ep_one_starts_after", 4, 1, "game 4 at the reset: one_starts_after[0]"),
        ("step_winner", 11, 1, "game 0 at step 11: winner[0] is 1.0, recorded 0.0"),
    ],
)
def test_the_first_number_that_differs_is_told(
    recording: Path, name: str, row: int | tuple[int, ...], change: float, says: str
) -> None:
    kept, changed = load(recording), load(recording)
    changed[name] = changed[name].astype(float) if changed[name].dtype.kind != "f" else changed[name]
    changed[name][row] = changed[name][row] + change if name != "ep_one_starts_after" else 1 - changed[name][row]
    found = first_deviation(kept, changed)
    assert found is not None
    assert says in str(found)
    # Rewards that differ less than 1e-12 are equal.
    kept["step_reward2"] += 5e-13
    assert first_deviation(load(recording), kept) is None


def _broken(recording: Path, path: Path, how: str) -> None:
    arrays = dict(load(recording))
    if how == "lacks":
        del arrays["step_obs2"], arrays["ep_keep"]
    elif how == "shape":
        arrays["step_obs1"] = arrays["step_obs1"][:, :17]
    elif how == "objects":
        arrays["ep_seed"] = np.array([{}] * len(arrays["ep_seed"]))
    elif how == "words":
        arrays["ep_seed"] = np.array(["one"] * len(arrays["ep_seed"]))
    elif how == "rows":
        arrays["ep_length"] = arrays["ep_length"] + 1
    elif how == "mode":
        arrays["ep_mode"] = arrays["ep_mode"] + 7
    elif how == "empty":
        arrays = {name: array[:0] for name, array in arrays.items()}
    elif how == "nan":
        arrays["step_action"][5, 1] = np.nan
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("lacks", "it lacks the arrays ep_keep, step_obs2"),
        ("shape", r"step_obs1 has shape \(\d+, 17\)"),
        ("objects", "Object arrays cannot be loaded"),
        ("words", "ep_seed holds no numbers"),
        ("rows", "do not lie one after the other"),
        ("mode", "ep_mode is not within 0 to 2"),
        ("empty", "it holds no game"),
        ("nan", "step_action holds numbers that are none"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(recording: Path, tmp_path: Path, how: str, says: str) -> None:
    path = tmp_path / "bad.npz"
    _broken(recording, path, how)
    with pytest.raises(UsageError, match=says) as caught:
        load(path)
    assert caught.value.hint


def test_what_is_no_archive_of_arrays_is_refused(recording: Path, tmp_path: Path) -> None:
    text, cut, one = tmp_path / "text.npz", tmp_path / "cut.npz", tmp_path / "one.npy"
    text.write_text("hello")
    cut.write_bytes(recording.read_bytes()[:5000])
    np.save(one, np.zeros(3))
    (tmp_path / "nothing.npz").touch()
    for path in (text, cut, one, tmp_path / "nothing.npz"):
        with pytest.raises(UsageError, match="no recording of games"):
            load(path)
    with pytest.raises(NotFound, match="there is no recording"):
        load(tmp_path / "absent.npz")


def test_the_command_tells_equal_and_different(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 and 6; upstream's recording is the default; nothing runs in the light wing's own process."""
    assert main(["hockey", "verify", "--golden", str(recording)]) == 0
    assert capsys.readouterr().out.startswith("equal: 24 games, ")
    arrays = load(recording)
    arrays["step_obs1"][50, 2] += 0.5
    save(tmp_path / "changed.npz", arrays, {})
    assert main(["hockey", "verify", "--golden", str(tmp_path / "changed.npz"), "--json"]) == 6
    facts = json.loads(capsys.readouterr().out)
    assert facts["deviation"].startswith("game 0 at step 50: obs1[2] is ")
    assert verify.GOLDEN.is_file()


def test_the_command_refuses_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hockey", "verify", "--golden", str(tmp_path / "absent.npz")]) == 4
    assert "there is no recording" in capsys.readouterr().err
    assert main(["hockey", "verify", "--backend", "upstream"]) == 5
    assert "hint: pip install git+" in capsys.readouterr().err
    assert main(["hockey", "verify", "--games", "3"]) == 2
    assert main(["hockey", "verify", "--record", "a.npz", "--golden", "b.npz"]) == 2


def test_any_installation_of_upstreams_interface_can_be_recorded(tmp_path: Path) -> None:
    """Recorded from the stand-in, and replayed on our own game."""
    path = tmp_path / "theirs.npz"
    command = [sys.executable, "-m", "dreamerlab.envs.hockey.verify", "--backend", "upstream"]
    done = subprocess.run(
        [*command, "--record", str(path), "--games", "30", "--seed", "1"],
        env={"PYTHONPATH": f"{Path.cwd()}:{STAND_IN}", "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["recorded"], facts["backend"], facts["games"], facts["deviation"]) == (
        "upstream",
        "builtin",
        30,
        None,
    )
    assert json.loads(str(np.load(path)["meta"]))["backend"] == "upstream"
    assert load(path)["step_action"].shape[1] == 8
