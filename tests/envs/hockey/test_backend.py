"""`env.backend`: upstream's package behind our interface, against a stand-in of its interface (M-HK-01).

It was never run against upstream itself.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dreamerlab.config.schema_hockey import HOCKEY_ID, TWO_PLAYERS_ID
from dreamerlab.config.schema_task import Env
from dreamerlab.envs.hockey import HockeyEnv
from dreamerlab.envs.hockey.backend import UpstreamGame, game_class, upstream_is_installed
from dreamerlab.envs.hockey.one_player import HockeyOne
from dreamerlab.envs.hockey.rules import BadInput
from dreamerlab.envs.make import make_env
from dreamerlab.errors import LabError, ToolFailed, UsageError

HERE = Path(__file__).parent


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "hockey"]:
        del sys.modules[name]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    _forget()
    monkeypatch.syspath_prepend(HERE / "stand_in")
    yield
    _forget()


def test_without_the_package_the_error_says_how_to_install_it() -> None:
    assert not upstream_is_installed()
    assert game_class("builtin") is HockeyEnv
    assert game_class("auto") is HockeyEnv
    with pytest.raises(ToolFailed, match="not installed") as caught:
        game_class("upstream")
    assert "pip install git+https://github.com/martius-lab/hockey-env" in str(caught.value.hint)
    for env_id in (HOCKEY_ID, TWO_PLAYERS_ID):
        with pytest.raises(ToolFailed, match="not installed"):
            make_env(Env(id=env_id, backend="upstream"))
    with pytest.raises(UsageError, match=r"'upsteam'.*did you mean 'upstream'"):
        game_class("upsteam")


def test_an_installation_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget()
    monkeypatch.syspath_prepend(HERE / "stand_in_old")
    with pytest.raises(ToolFailed, match="older than December 2024: it lacks Mode"):
        game_class("auto")
    _forget()


@pytest.mark.usefixtures("installed")
def test_an_installation_that_breaks_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hockey").mkdir()
    (tmp_path / "hockey" / "__init__.py").touch()
    (tmp_path / "hockey" / "hockey_env.py").write_text("import laserhockey_of_old\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ToolFailed, match="cannot be imported: ModuleNotFoundError: No module named 'laserhockey_of"):
        game_class("upstream")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("better", [True, False])
def test_both_backends_are_the_same_game(keep: bool, better: bool) -> None:
    """Every mode, switched in one object, timers carried over or not; rewards, infos, views and bodies."""
    assert game_class("auto") is game_class("upstream") is UpstreamGame
    wishes = {"clean_reset": better, "truncate": better, "tidy": better}
    ours, theirs = HockeyEnv(keep, **wishes), game_class("upstream")(keep, **wishes)
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    assert ours.discrete_action_space == theirs.discrete_action_space
    rng = np.random.default_rng(0)
    for seed, mode in enumerate((0, 1, 2, "NORMAL", None, None)):
        start = None if seed % 2 else bool(seed % 3)
        one, other = ours.reset(start, mode, seed=seed), theirs.reset(start, mode, seed=seed)
        assert np.array_equal(one[0], other[0])
        assert one[1] == other[1]
        for _ in range(90):
            action = rng.uniform(-1.3, 1.3, ours.action_space.shape)
            one, other = ours.step(action), theirs.step(action)
            assert np.array_equal(one[0], other[0])
            assert one[0].dtype == other[0].dtype
            assert one[1:] == other[1:]
            assert np.array_equal(ours.obs_agent_two(), theirs.obs_agent_two())
            assert np.array_equal(ours._observe(), theirs._observe())
            info = theirs.get_info_agent_two()
            assert ours.get_info_agent_two() == info
            assert ours.get_reward_agent_two(info) == theirs.get_reward_agent_two(info)
            assert ours.get_reward(one[4]) == theirs.get_reward(other[4])
        assert ours.scene() == theirs.scene()
        assert ours.max_timesteps == theirs.max_timesteps
    state = ours._observe()
    theirs.set_state(state)
    assert np.array_equal(theirs._observe(), state.astype(theirs._observe().dtype))


@pytest.mark.usefixtures("installed")
def test_bad_input_is_refused_in_our_words_and_copies_at_all() -> None:
    game = game_class("upstream")()
    with pytest.raises(BadInput, match=r"shape \(8,\); got \(4,\)"):
        game.step(np.zeros(4))
    with pytest.raises(BadInput, match="holds nan"):
        game.step(np.full(8, np.nan))
    with pytest.raises(BadInput, match="18 finite numbers"):
        game.set_state(np.zeros(16))
    with pytest.raises(BadInput, match="no mode has the number 7"):
        game.reset(mode=7)
    with pytest.raises(LabError, match="cannot be copied"):
        copy.deepcopy(game)
    with pytest.raises(AttributeError, match="no attribute 'puk'"):
        _ = game.puk


@pytest.mark.usefixtures("installed")
def test_an_older_layout_of_set_state_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    game = game_class("upstream")()
    theirs = type(game.inner).set_state
    monkeypatch.setattr(type(game.inner), "set_state", lambda self, state: theirs(self, np.roll(state, 2)))
    with pytest.raises(ToolFailed, match="older than February 2025"):
        game.set_state(np.array((-3, 1, 0, 2, 0, 0, 3, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0), float))


@pytest.mark.usefixtures("installed")
def test_training_against_upstream_is_the_same_task() -> None:
    """`env.backend=upstream` through the trainer's way of making environments."""
    assert isinstance(make_env(Env(id=TWO_PLAYERS_ID, backend="upstream")).unwrapped, UpstreamGame)
    ours, theirs = (make_env(Env(id=HOCKEY_ID, backend=backend)) for backend in ("builtin", "auto"))
    made = theirs.unwrapped
    assert isinstance(made, HockeyOne)
    assert isinstance(made.game, UpstreamGame)
    one, other = ours.reset(seed=3)[0], theirs.reset(seed=3)[0]
    rng = np.random.default_rng(0)
    for _ in range(120):
        assert all(np.array_equal(one[key], other[key]) for key in one)
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        one, other = ours.step(action)[0], theirs.step(action)[0]
