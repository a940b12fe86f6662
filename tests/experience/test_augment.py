"""Windows upside down, games from the other side, and rewards shaped on the way into replay."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema_experience import Smooth
from dreamerlab.config.schema_hockey import HOCKEY_ID, Hockey
from dreamerlab.config.schema_task import Env
from dreamerlab.envs.hockey import HockeyEnv
from dreamerlab.envs.hockey.shaping import Shaping
from dreamerlab.envs.hockey.symmetry import mirrored_action, mirrored_obs, tell_other_side
from dreamerlab.envs.make import describe, make_env
from dreamerlab.experience.augment import Mirror, OtherSide
from dreamerlab.experience.collector import Collector, EpisodeEnd
from dreamerlab.experience.replay import Replay
from dreamerlab.experience.rewards import Smoother
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec

SPEC = EnvSpec({"vector": ObsSpec.vector(18)}, ActionSpec.continuous(4))
DETER, STOCH = 3, 2
HEADS = parse_heads(["regression:obs/vector/1", "regression:obs/vector/0", "binary:obs/vector/2", "binary:info/speed"])
STRONG = Hockey(opponent=("strong",), mode="defense")


def hockey_replay(**options: Any) -> Replay:
    return Replay(5000, SPEC, deter=DETER, stoch=STOCH, online=False, **options)


def filled(rows: int, **options: Any) -> Replay:
    replay, rng = hockey_replay(**options), np.random.default_rng(0)
    for number in range(rows):
        replay.add(
            {
                "obs": {"vector": rng.normal(size=18).astype(np.float32)},
                "action": rng.uniform(-1, 1, 4).astype(np.float32),
                "reward": float(number),
                "is_first": number % 20 == 0,
                "is_last": number % 20 == 19,
                "is_terminal": number % 40 == 39,
                "deter": np.full(DETER, number, np.float32),
                "stoch": np.full(STOCH, number % 5, np.int16),
                "info": {"speed": float(number % 2)},
            }
        )
    return replay


@settings(max_examples=20)
@given(batch=st.integers(1, 9), seed=st.integers(0, 99))
def test_half_of_the_windows_are_upside_down_and_begin_from_nothing(batch: int, seed: int) -> None:
    replay = filled(100, heads=HEADS)
    plain = replay.sample(batch, 6, np.random.default_rng(seed))
    mirrored = Mirror(SPEC.action, HEADS)(plain, np.random.default_rng(seed))
    assert mirrored.mirrored.sum() in (batch // 2, (batch + 1) // 2)
    for place, turned in enumerate(mirrored.mirrored):
        for name, change in (("obs", mirrored_obs), ("action", mirrored_action)):
            one, other = (getattr(sample, name) for sample in (mirrored, plain))
            one, other = (part["vector"] if name == "obs" else part for part in (one, other))
            assert np.array_equal(one[place], change(other[place]) if turned else other[place])
        for name, nothing in (("prev_action", 0), ("context_deter", 0), ("context_stoch", -1)):
            one, other = (getattr(sample, name)[place] for sample in (mirrored, plain))
            assert one.dtype == other.dtype
            assert np.array_equal(one, np.full_like(other, nothing) if turned else other)
        for name, target in plain.targets.items():
            sign = -1 if turned and name == "obs/vector/1" else 1
            assert np.array_equal(mirrored.targets[name][place], sign * target[place]), name
    for name in ("reward", "is_first", "is_last", "is_terminal", "streams", "starts"):
        assert np.array_equal(getattr(mirrored, name), getattr(plain, name))
    assert np.array_equal(plain.obs["vector"], replay.sample(batch, 6, np.random.default_rng(seed)).obs["vector"])


def test_latent_states_of_mirrored_windows_are_not_written_back_but_their_losses_count() -> None:
    replay = filled(60, mixture=(0.0, 1.0, 0.0))
    sample = Mirror(SPEC.action, ())(replay.sample(8, 5, np.random.default_rng(0)), np.random.default_rng(1))
    before = replay.read(0, 0, 60)
    replay.write_back(sample, np.full((8, 5, DETER), 999.0, np.float32), np.full((8, 5, STOCH), 9, np.int16))
    replay.prioritise(sample, np.full((8, 5), 7.0))
    after = replay.read(0, 0, 60)
    kept = np.zeros(60, bool)
    for start in sample.starts[~sample.mirrored]:
        kept[start : start + 5] = True
    assert sample.mirrored.sum() == 4
    assert np.array_equal((after["deter"] == 999.0).all(1), kept)
    assert np.array_equal((after["stoch"] == 9).all(1), kept)
    assert np.array_equal(after["deter"][~kept], before["deter"][~kept])
    assert np.isfinite(after["priority"][sample.starts]).all()


class RandomPolicy:
    """Actions from a generator; latent states that tell the call."""

    def __init__(self, seed: int) -> None:
        self.rng, self.calls = np.random.default_rng(seed), 0

    def __call__(self, obs: Any, is_first: Any, streams: Any, actions: Any = None, /) -> Any:
        self.calls += 1
        count = len(streams)
        chosen = self.rng.uniform(-1, 1, (count, 4)).astype(np.float32)
        deter, stoch = np.full((count, DETER), self.calls, np.float32), np.full((count, STOCH), 1, np.int16)
        return chosen if actions is None else actions, deter, stoch


def collector_of(replay: Replay, game: Hockey, *, swap: bool = False, envs: int = 1, seed: int = 0) -> Collector:
    made = [make_env(Env(id=HOCKEY_ID), hockey=game) for _ in range(envs)]
    assert describe(made[0]) == SPEC
    other = None
    if swap:
        for env in made:
            tell_other_side(env)
        other = OtherSide(replay.add, envs, deter=DETER, stoch=STOCH, wants_info=replay.wants_info)
    rngs = [np.random.default_rng(seed + number) for number in range(envs)]
    return Collector(made, replay, rngs, shaping=Shaping.of(game), other_side=other)


def episodes(replay: Replay, stream: int) -> list[dict[str, np.ndarray]]:
    """The finished episodes of a stream, as columns."""
    rows = replay.read(stream, *replay.span(stream))
    lasts = np.flatnonzero(rows["is_last"])
    firsts = np.flatnonzero(rows["is_first"])[: len(lasts)]
    return [{k: v[a : b + 1] for k, v in rows.items()} for a, b in zip(firsts, lasts, strict=True)]


def test_a_game_kept_from_the_other_side_is_the_same_game_played_by_the_other() -> None:
    """Both streams together are a two-player game: player two's own view, reward and actions, at the same rows."""
    replay = hockey_replay(streams=4, heads=parse_heads(["regression:info/goal_distance"]))
    collector = collector_of(replay, STRONG, swap=True, envs=2)
    for _ in range(300):
        collector.step(RandomPolicy(collector.env_steps))
    goals = 0
    for stream in (0, 1):
        for own, other in zip(episodes(replay, stream), episodes(replay, 2 + stream), strict=True):
            assert len(own["reward"]) == len(other["reward"])
            for flag in ("is_first", "is_last", "is_terminal"):
                assert np.array_equal(own[flag], other[flag])
            assert not other["deter"].any()
            assert (other["stoch"] == -1).all()
            assert not other["action"][-1].any()
            # The game again, from the first state, with the actions of both streams.
            game = HockeyEnv(clean_reset=True, truncate=True, tidy=True)
            game.reset(seed=0, mode="TRAIN_DEFENSE")
            game.set_state(own["obs/vector"][0].astype(float))
            for row in range(1, min(6, len(own["reward"]))):
                game.step(np.concatenate([own["action"][row - 1], other["action"][row - 1]]))
                if row == 1:  # the first shot is pending at the reset, and no state says so
                    game.set_state(own["obs/vector"][1].astype(float))
                assert np.allclose(game.obs_agent_two(), other["obs/vector"][row], atol=2e-2)
            won = own["reward"][-1] - other["reward"][-1]
            goals += bool(own["is_terminal"][-1])
            assert abs(won) > 15 if own["is_terminal"][-1] else abs(won) < 1
            x, y = other["obs/vector"][:, 12], other["obs/vector"][:, 13]
            assert np.allclose(other["target/info/goal_distance"], np.hypot(5 - x, y), atol=1e-5)
    assert goals


def test_shaping_is_trained_on_and_stays_out_of_returns_and_smoothing_comes_after_it() -> None:
    """Rows have reward plus terms, episodes the raw return and the sum of each term; kernels act on the sum (B1)."""
    game = Hockey(opponent=("strong",), mode="defense", shaping=("closeness:3", "touch:0.5"), reward="sparse")
    bare = game.model_copy(update={"shaping": ()})
    kernel = Smooth(kernel="gaussian", width=2.0)
    replays = {"bare": hockey_replay(), "shaped": hockey_replay(), "smooth": hockey_replay(smooth=kernel)}
    ends: dict[str, list[EpisodeEnd]] = {}
    for name, replay in replays.items():
        collector = collector_of(replay, bare if name == "bare" else game)
        policy = RandomPolicy(1)
        ends[name] = [end for _ in range(300) for end in collector.step(policy)]
    assert len(ends["bare"]) > 3
    touches = 0.0
    for raw, end, plain, shaped, smooth in zip(
        ends["bare"], ends["shaped"], *(episodes(replay, 0) for replay in replays.values()), strict=False
    ):
        assert (raw.episode_return, raw.length, raw.seed) == (end.episode_return, end.length, end.seed)
        assert raw.shaping is None
        assert end.shaping is not None
        assert end.shaping.keys() == {"closeness", "touch"}
        extra = shaped["reward"] - plain["reward"]
        assert extra.sum() == pytest.approx(sum(end.shaping.values()), abs=1e-4)
        assert extra[0] == 0.0
        assert end.shaping["closeness"] <= 0.0
        touches += end.shaping["touch"]
        expected = Smoother(kernel).smooth(shaped["reward"][1:].astype(float))
        assert smooth["reward"][1:] == pytest.approx(expected, abs=1e-4)
    assert touches > 0


def test_the_other_side_is_shaped_by_its_own_terms() -> None:
    """Each row of the other player has its own reward and its own closeness, three times over."""
    game = Hockey(opponent=("strong",), mode="defense", reward="sparse", shaping=("closeness:3",))
    heads = parse_heads(["regression:info/reward_closeness_to_puck"])
    replay = hockey_replay(streams=2, heads=heads)
    collector, policy = collector_of(replay, game, swap=True), RandomPolicy(3)
    for _ in range(250):
        collector.step(policy)
    for stream in (0, 1):
        for one in episodes(replay, stream):
            extra = 3 * one["target/info/reward_closeness_to_puck"][1:]
            goal = np.zeros_like(extra)
            if one["is_terminal"][-1]:
                goal[-1] = 10.0 * np.sign(one["reward"][-1] - extra[-1])
            assert one["reward"][1:] == pytest.approx(extra + goal, abs=1e-5)
            assert one["reward"][0] == 0.0
    assert any(one["reward"][:-1].any() for one in episodes(replay, 1))


@pytest.mark.parametrize("swap", [False, True])
def test_an_open_game_that_is_brought_back_goes_on_exactly(swap: bool) -> None:
    """FACTS F20, with shaping and the other side: the same rows, and the same sums of terms."""
    game = Hockey(opponent=("strong",), mode="defense", shaping=("closeness:1", "direction:2"))
    streams = 2 if swap else 1
    whole = hockey_replay(streams=streams)
    one, policy = collector_of(whole, game, swap=swap), RandomPolicy(0)
    ends = [end for _ in range(230) for end in one.step(policy)]
    before, after = hockey_replay(streams=streams), hockey_replay(streams=streams)
    first, policy = collector_of(before, game, swap=swap), RandomPolicy(0)
    found = [end for _ in range(115) for end in first.step(policy)]
    after.load_state_dict(before.state_dict())
    second = collector_of(after, game, swap=swap, seed=77)
    second.load_state_dict(first.state_dict())
    found += [end for _ in range(115) for end in second.step(policy)]
    assert found == ends
    for stream in range(streams):
        left, right = (replay.read(stream, *replay.span(stream)) for replay in (whole, after))
        assert all(left[name].tobytes() == right[name].tobytes() for name in left)
