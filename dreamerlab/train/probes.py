"""Probes: what the agent expects held against what is in replay, at every evaluation.

    open loop    the model sees CONTEXT rows, then the recorded actions only: how wrong is the observation 5, 15, 50
                 rows later, beside always saying the mean (M-QC-03)
    heads        reward and continue on posterior states, against what was recorded (M-QC-04, M-QC-05)
    values       of states of finished training episodes, against the discounted rewards that really followed (M-QC-07)
    imagination  the lambda-return of rollouts from the same states, against the same rewards

Where a time limit ended an episode the rewards after it are unknown, and a return that bootstraps would hold the critic
against itself. So real returns count rewards up to the end alone, and what value and imagined return hold to lie beyond
it, discount^n times the value of the last row, is taken off both of them first (n rows ahead; `probe/tail_frac` says of
how many states). Where the task was over nothing is taken off.

Looking changes nothing: rows are copies, random numbers come from streams of their own, begun anew each time, and
nothing learns. So what is found follows from agent, replay and seed.

Windows go through the agent in batches that are always of one size (of the open loop, one for each of AHEAD that has
room): the first ones stand in again where there are too few, and are cut off before anything is counted. For the
libraries below torch keep something of every new shape, for good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.codecs import squash
from dreamerlab.dreamer.maths import lambda_return
from dreamerlab.dreamer.prediction import CONTEXT
from dreamerlab.experience.replay import Replay
from dreamerlab.train.probe_figures import of_ends, of_rewards, of_values
from dreamerlab.train.probe_rows import Rows, newest_rows
from dreamerlab.train.runtime import numpy_stream, torch_stream
from dreamerlab.train.session import Session, to_batch

AHEAD = (5, 15, 50)
"""Rows after the last one seen whose observation is foreseen (M-QC-03)."""
NEWEST = 5_000
"""Newest rows of replay that are looked among: few enough to be of about the policy there is now."""
WINDOWS = 40
"""Windows of each kind; twice as many for the heads."""


def probes_of_trial(session: Session) -> Probes | None:
    """Return what is measured at every evaluation of a trial; None where nothing is to be."""
    config = session.config
    return Probes(session.agent, session.replay, session.seed, config.collect.envs) if config.log.probes else None


class Probes:
    """Looks at an agent through the first `streams` streams of its replay, those it plays itself."""

    def __init__(self, agent: Agent, replay: Replay, seed: int, streams: int) -> None:
        self._agent, self._replay, self._seed, self.streams = agent, replay, seed, streams

    @torch.no_grad()
    def look(self, beat: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Return the metrics of `measured.probes` that can be told by now; `beat` is called now and then."""
        device = self._agent.optimizer.momentum.device
        rows = newest_rows(self._replay, self.streams, NEWEST)
        generators = numpy_stream(self._seed, "probe rows"), torch_stream(self._seed, "probes", device)
        look = _Look(self._agent, self._replay, rows, *generators)
        found: dict[str, float] = {}
        for part in (look.heads, look.values, look.open_loop):
            beat()
            found |= part()
        return {f"probe/{name}": value for name, value in found.items() if math.isfinite(value)}


@dataclass(frozen=True)
class _Look:
    """One look: the rows there are by now, and generators that begin with it."""

    agent: Agent
    replay: Replay
    rows: Rows
    rng: np.random.Generator
    generator: torch.Generator

    @property
    def discount(self) -> float:
        return 1.0 - 1.0 / self.agent.config.behavior.discount_horizon

    def heads(self) -> dict[str, float]:
        """Return how well rewards and ends are known where they are recorded, on posterior states."""
        fits = self.rows.with_room(CONTEXT)
        some = self._draw(np.flatnonzero(fits), 2 * WINDOWS)
        ends = self._draw(np.flatnonzero(fits & self.rows.is_terminal), WINDOWS)
        if not len(some):
            return {}
        batch = self._windows(np.resize(np.concatenate([np.resize(some, 2 * WINDOWS), ends]), 3 * WINDOWS))
        features = self.agent.world.observe(batch, self.generator).features
        says = self.agent.world.predict_reward, self.agent.world.predict_continue
        reward, cont = (_numbers(head(features.flatten(0, 1))).reshape(batch.reward.shape) for head in says)
        over = cont < 0.5 * self.discount  # the bare probability of going on, discount taken off
        real, first, terminal = (
            x.cpu().numpy()[: len(some)] for x in (batch.reward, batch.is_first, batch.is_terminal)
        )
        rewarded = ~first  # on the first row there is nothing to receive
        return {
            **of_rewards(reward[: len(some)][rewarded], real[rewarded].astype(np.float64)),
            **of_ends(
                over[2 * WINDOWS :][: len(ends), -1],
                over[: len(some)][~terminal],
                float(self.rows.is_terminal.mean()),
            ),
        }

    def values(self) -> dict[str, float]:
        """Return values and imagined returns beside what followed, on states of finished episodes."""
        inside = self.rows.finished & (self.rows.last > np.arange(len(self.rows)))
        chosen = self._draw(np.flatnonzero(inside & self.rows.with_room(CONTEXT)), WINDOWS)
        if not len(chosen):
            return {}
        world, behavior = self.agent.world, self.agent.behavior
        filled, count = np.resize(chosen, WINDOWS), len(chosen)
        batch = self._windows(np.concatenate([filled, self.rows.last[filled]]))
        states, last = world.observe(batch, self.generator).features[:, -1].split(WINDOWS)
        returns, tail = self.rows.outcomes(chosen, self.discount)
        beyond = tail * _numbers(behavior.predict_value(last))[:count]
        imagined = self._imagined_return(states)[:count] - beyond
        return {
            **of_values(_numbers(behavior.predict_value(states))[:count] - beyond, returns),
            "imagined_return_gap": float((imagined - returns).mean()),
            "tail_frac": float((tail > 0.0).mean()),
        }

    def _imagined_return(self, states: Tensor) -> np.ndarray:
        """Return the lambda-return of one rollout from each state (N, F), with the critic's values."""
        world, behavior, config = self.agent.world, self.agent.behavior, self.agent.config.behavior

        def draw(now: Tensor, _: int) -> tuple[Tensor, None]:
            return behavior.act(now, mode=False, generator=self.generator), None

        features, _ = world.dynamics.imagine(states, draw, config.horizon, self.generator)
        ahead = features[1:].flatten(0, 1)
        shape = config.horizon, len(states)
        says = world.predict_reward, world.predict_continue, behavior.predict_value
        reward, cont, value = (head(ahead).view(shape) for head in says)
        return _numbers(lambda_return(reward, cont, value, config.lam)[0])

    def open_loop(self) -> dict[str, float]:
        """Return the errors of AHEAD, each on windows of its own, and those of the mean of all their rows.

        Of numbers after symlog; where only pictures are observed, of their bytes as 0 to 1, in fewer windows.
        """
        decoder = self.agent.world.decoder
        if not (decoder.vectors or decoder.pictures.keys):
            return {}
        count = WINDOWS if decoder.vectors else WINDOWS // 4
        drawn = {ahead: self._draw(np.flatnonzero(self.rows.with_room(CONTEXT, ahead)), count) for ahead in AHEAD}
        filled = {ahead: np.resize(chosen, count) for ahead, chosen in drawn.items() if len(chosen)}
        windows = {ahead: self._windows(chosen, ahead) for ahead, chosen in filled.items()}
        found: dict[str, float] = {}
        for ahead, foreseen in self._foreseen(windows, list(filled.values())):
            obs, different = windows[ahead].obs, len(drawn[ahead])
            if decoder.vectors:
                expected, real, most = decoder(foreseen), squash(obs, decoder.vectors), 1.0
            else:
                keys, pictures = decoder.pictures.keys, decoder.pictures_of(foreseen)
                expected = torch.cat([pictures[key].flatten(1) for key in keys], -1)
                real, most = torch.cat([obs[key].flatten(2) for key in keys], -1), 255.0
            expected, real = expected[:different], real[:different]
            target = real[:, -1].to(expected.dtype) / most
            mean = real.flatten(0, 1).mean(0, dtype=expected.dtype) / most
            found[f"open_loop_error_{ahead}"] = float((expected - target).square().mean())
            found[f"open_loop_baseline_{ahead}"] = float((mean - target).square().mean())
        return found

    def _foreseen(self, windows: Mapping[int, Batch], chosen: list[np.ndarray]) -> Iterator[tuple[int, Tensor]]:
        """Give (ahead, features so many rows ahead) of each group of windows; all groups are rolled out together."""
        if not windows:
            return
        world = self.agent.world
        states = world.observe(self._windows(np.concatenate(chosen)), self.generator).features[:, -1]
        done, going = 0, [(batch.action, ahead) for ahead, batch in windows.items()]
        while going:
            # The action of a row leads to the next one, so the last row seen already acts.
            ahead = going[0][1]
            rows = slice(CONTEXT - 1 + done, CONTEXT - 1 + ahead)
            actions = torch.cat([action[:, rows] for action, _ in going])
            rolled, _ = world.dynamics.imagine(states, partial(_recorded, actions), ahead - done, self.generator)
            first = len(going[0][0])
            yield ahead, rolled[-1, :first]
            states, done, going = rolled[-1, first:], ahead, going[1:]

    def _draw(self, candidates: np.ndarray, count: int) -> np.ndarray:
        """Return up to `count` different ones."""
        return self.rng.choice(candidates, min(count, len(candidates)), replace=False)

    def _windows(self, chosen: np.ndarray, ahead: int = 0) -> Batch:
        """Return a window for each of the rows at the indices `chosen`: CONTEXT rows up to it, `ahead` after it."""
        starts = self.rows.numbers[chosen] - (CONTEXT - 1)
        sample = self.replay.windows(self.rows.streams[chosen], starts, CONTEXT + ahead)
        like = self.agent.optimizer.momentum
        return to_batch(sample, like.device).in_type(like.dtype)


def _numbers(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()


def _recorded(actions: Tensor, _: Tensor, step: int) -> tuple[Tensor, None]:
    """Return what was done at this step, as a policy."""
    return actions[:, step], None
