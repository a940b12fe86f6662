"""Episodes of stored agents on film: what is filmed of which environment, and what a model expects to see."""

from __future__ import annotations

import argparse
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image

from dreamerlab import load_policy
from dreamerlab.dreamer.prediction import CONTEXT
from dreamerlab.envs.make import make_env
from dreamerlab.errors import UsageError
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.predictions import LENGTH, Foresight
from dreamerlab.train.stored import open_agent
from dreamerlab.train.watch import foresee, play, record
from tests.toy_envs import Square
from tests.train.stored import SQUARE, finished_trial
from tests.train.trials import lines, timeless


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def squares(lab: Path) -> TrialDirectory:
    """A trial that sees pictures, drawn at every evaluation, of an environment that renders none."""
    return finished_trial(lab, **SQUARE)


@pytest.fixture(scope="module")
def walks(lab: Path) -> TrialDirectory:
    settings = {"env": {"id": "tests.toy_envs:Move-v0"}, "eval": {"every": 40, "episodes": 1}, "budget": {"amount": 40}}
    return finished_trial(lab, run_id="R0002-xyz", **settings)


def asked(out: Path, **changed: Any) -> argparse.Namespace:
    usual = {"format": "gif", "episodes": 1, "policy": "mode", "fps": None, "every": None, "prediction": False}
    return argparse.Namespace(out=out, **{**usual, **changed})


def frames_of(path: Path) -> list[np.ndarray]:
    film, frames = Image.open(io.BytesIO(path.read_bytes())), []
    for place in range(getattr(film, "n_frames", 1)):
        film.seek(place)
        frames.append(np.asarray(film.convert("RGB")))
    return frames


def test_moments_follow_the_episode_and_the_returns_add_up(walks: TrialDirectory) -> None:
    stored = open_agent(walks)
    moments = list(play(stored, make_env(stored.config.env), 2, mode=True))
    assert [(one.episode, one.step) for one in moments] == [(e, s) for e in (1, 2) for s in range(11)]
    assert [one.is_last for one in moments] == ([False] * 10 + [True]) * 2
    assert moments[0].action is None
    assert all(np.abs(one.action).max() <= 0.25 for one in moments[1:11]), "in the environment's own range"
    assert moments[10].episode_return == pytest.approx(sum(one.reward for one in moments[:11]))
    assert moments[11].episode_return == 0.0


def test_what_renders_nothing_is_filmed_as_it_is_seen_or_as_curves(
    squares: TrialDirectory, walks: TrialDirectory, tmp_path: Path
) -> None:
    shown = record(open_agent(squares), asked(tmp_path / "square.gif"))
    assert (shown["shown"], shown["frames"], shown["episodes"][0]["length"]) == ("observed", 17, 16)
    drawn = record(open_agent(walks), asked(tmp_path / "walk.gif", episodes=2))
    assert (drawn["shown"], drawn["frames"], len(drawn["episodes"])) == ("curves", 22, 2)
    curves = frames_of(tmp_path / "walk.gif")
    assert (curves[1] != curves[9]).any()
    again = record(open_agent(walks), asked(tmp_path / "again.gif", episodes=2))
    assert again == drawn
    assert (tmp_path / "again.gif").read_bytes() == (tmp_path / "walk.gif").read_bytes()


def test_a_film_shows_the_states_of_the_episode_in_their_order(squares: TrialDirectory, tmp_path: Path) -> None:
    stored = open_agent(squares)
    record(stored, asked(tmp_path / "film.gif"))
    seen = [one.obs["image"] for one in play(stored, make_env(stored.config.env), 1, mode=True)]
    played = frames_of(tmp_path / "film.gif")
    cells = [Square.cell(frame[:192:3, :192:3]) for frame in played]
    # Two frames that are the same picture are one frame, shown longer: only the caption tells them apart.
    assert cells == [Square.cell(picture) for picture in seen]


def test_the_model_is_shown_what_it_may_see_and_the_truth_beside_it(squares: TrialDirectory, tmp_path: Path) -> None:
    stored = open_agent(squares)
    looks = [Foresight(lambda: make_env(stored.config.env), stored.seed, 2, 20).look(stored.agent) for _ in range(2)]
    first, second = (seen["image"] for seen in looks)
    assert (first.truth == second.truth).all(), "the same beginnings each time"
    assert (first.model == second.model).all()
    # An episode is 17 rows: the window goes on into the next one, of which nothing can be known.
    assert first.valid.sum(1).tolist() == [17, 17]
    cells = [Square.cell(picture) for picture in first.truth[0, :17]]
    assert {abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(cells)} <= {0, 1}, "nothing lost, nothing doubled"


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_what_the_model_expects_is_filmed(squares: TrialDirectory, tmp_path: Path, kind: str) -> None:
    facts = foresee(open_agent(squares), asked(tmp_path / f"seen.{kind}", format=kind, prediction=True))
    assert (facts["windows"], facts["length"], facts["context"]) == (1, LENGTH, CONTEXT)
    frames = frames_of(tmp_path / f"seen.{kind}")
    assert len(frames) == (1 if kind == "png" else LENGTH)
    assert frames[0].shape[1] >= (64 * 10 if kind == "png" else 128)


def test_an_agent_without_images_has_nothing_to_show(walks: TrialDirectory, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"sees no images \(tests.toy_envs:Move-v0 gives vector\)"):
        foresee(open_agent(walks), asked(tmp_path / "x.png", format="png", prediction=True))
    assert not list(tmp_path.iterdir())


def test_an_agent_that_sees_pictures_reads_them_raw(lab: Path, squares: TrialDirectory) -> None:
    policy = load_policy(squares.run.id, workspace=lab)
    env = gymnasium.make(policy.env_id)
    obs, _ = env.reset(seed=0)
    assert env.action_space.contains(policy(obs))
    with pytest.raises(UsageError, match=r"this is no observation of tests.toy_envs:Square-v0: .*shape \(3, 3\)"):
        policy(np.zeros((3, 3), np.uint8))


@pytest.mark.usefixtures("checked_shapes")
def test_a_trial_draws_at_every_evaluation_and_trains_the_same_as_without(
    squares: TrialDirectory, tmp_path: Path
) -> None:
    drawn = sorted(path.name for path in squares.predictions.iterdir())
    assert drawn == ["env-steps-000000020.png", "env-steps-000000040.png"]
    quiet = finished_trial(tmp_path, **SQUARE, log={"predictions": False})
    assert not quiet.predictions.exists()
    assert timeless(lines(quiet.metrics_path(1))) == timeless(lines(squares.metrics_path(1)))
    assert lines(quiet.evals_path)[-1]["returns"] == lines(squares.evals_path)[-1]["returns"]


def test_code_that_knows_no_hockey_is_not_asked_for_an_opponent(
    walks: TrialDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot an agent was trained by may be older than the game: said, and never answered with another film."""
    monkeypatch.setattr("dreamerlab.train.watch.find_spec", lambda name: None)
    stored = open_agent(walks, "latest")
    assert record(stored, asked(tmp_path / "plain.gif"))["episodes"]
    with pytest.raises(UsageError, match="knows no hockey"):
        record(stored, asked(tmp_path / "asked.gif", opponent=["strong"]))
