"""Evaluation: the agent in its own environments, from fixed start seeds, with its own generators.

Reports the mode and the sampled policy, on the raw reward (FACTS A13.22, F24; M-CP-36). Nothing here reads or
advances a stream that training draws from: evaluating more or less often leaves training bit-identical. Its result is a
function of agent and seed alone: the environments are built anew each time, so that one which remembers something
from reset to reset cannot tell how often it was evaluated before, and a resumed trial evaluates as one that never
stopped. All episodes of one policy advance together as one batch, which costs about as much as a single episode.
In hockey every opponent plays the same start seeds; who starts, and on which side, goes by the number of the game.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dreamerlab.config.opponents import parse_opponents
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.experience.balance import balanced_game
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.generators import Env, undisturbed_globals, with_own_generators
from dreamerlab.train.opponents import Company, find_company, maker, plays, require_the_same
from dreamerlab.train.runtime import numpy_stream, torch_stream

POLICIES = ("mode", "sample")
OUTCOMES = ("win", "draw", "loss")


@dataclass(frozen=True)
class Episodes:
    """Returns and lengths of the episodes of one policy, in the order of their start seeds."""

    returns: list[float]
    lengths: list[int]
    games: list[dict[str, Any]] | None = None
    """Of hockey: opponent, mode, side, own_start, outcome and goal_step of each, opponent after opponent."""

    def outcomes(self) -> dict[str, str]:
        """Return the outcomes against each opponent in order, a letter each: `{"weak": "wdlw"}`."""
        found: dict[str, str] = {}
        for game in self.games or ():
            found[game["opponent"]] = found.get(game["opponent"], "") + game["outcome"][0]
        return found


def balanced_games(config: Config, company: Company, episodes: int | None = None) -> list[dict[str, Any]]:
    """Return the reset options of a whole evaluation, `episodes` games (default: as configured) for each opponent.

    In whole games starts alternate, and sides after every second one where `hockey.side` names both.
    """
    hockey = config.hockey
    count = config.eval.episodes if episodes is None else episodes
    names = [company.resolved.get(one.name, one.name) for one in parse_opponents(hockey.eval_opponents)]
    return [balanced_game(hockey.mode, name, number, hockey.side) for name in names for number in range(count)]


def evaluator_of(trial: TrialDirectory, config: Config) -> Callable[[int, int], Evaluator]:
    """Return what makes an evaluator of a stored trial, given the number of episodes and a seed.

    In hockey its opponents are those the trial's own evaluations met; raises LabError where one is not there any more.
    """
    if not plays(config):
        return lambda episodes, seed: Evaluator(maker(config, watched=False), episodes, seed)
    company = find_company(trial, config, training=False)
    require_the_same(company, read_attempts(trial))
    make = maker(config, company, watched=False)
    return lambda episodes, seed: Evaluator(make, episodes, seed, balanced_games(config, company, episodes))


class Evaluator:
    """Runs the same `episodes` start seeds every time it is asked, in environments from `make`.

    `games` are reset options, a whole number of times as many: each opponent's games begin from the same seeds.
    """

    def __init__(
        self, make: Callable[[], Env], episodes: int, seed: int, games: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        self.episodes = episodes
        self._make, self._seed = make, seed
        seeds = [int(s) for s in numpy_stream(seed, "evaluation starts").integers(2**31, size=episodes)]
        self._games = None if games is None else [dict(game) for game in games]
        self._start_seeds = seeds if games is None else seeds * (len(games) // episodes)
        assert games is None or len(self._start_seeds) == len(games), (episodes, len(games))

    def evaluate(
        self, agent: Agent, beat: Callable[[], None] = lambda: None, *, policies: Sequence[str] = POLICIES
    ) -> dict[str, Episodes]:
        """Return the episodes under each policy: `mode`, the most likely action each step, and `sample`.

        `beat` is called at every step of the batch, for evaluations can outlast what a reader takes for a sign of life.
        """
        envs: list[Env] = []
        with undisturbed_globals():
            try:
                for _ in self._start_seeds:
                    envs.append(with_own_generators(self._make, alternating=False))
                    beat()
                return {policy: self._run(agent, envs, beat, mode=policy == "mode") for policy in policies}
            finally:
                _release(envs)

    def _run(self, agent: Agent, envs: Sequence[Env], beat: Callable[[], None], *, mode: bool) -> Episodes:
        count = len(envs)
        carry = agent.initial_carry(count)
        device = carry.deter.device
        generator = torch_stream(self._seed, f"evaluation actions mode={mode}", device)
        options = self._games or [None] * count
        starts = zip(envs, self._start_seeds, options, strict=True)
        obs = [env.reset(seed=seed, options=told)[0] for env, seed, told in starts]
        is_first = torch.ones(count, dtype=torch.bool, device=device)
        returns, lengths = np.zeros(count), np.zeros(count, int)
        games: list[dict[str, Any]] = [{}] * count
        running = list(range(count))
        while running:
            beat()
            tensors = {key: torch.from_numpy(np.stack([o[key] for o in obs])).to(device) for key in obs[0]}
            actions, carry = agent.act(tensors, is_first, carry, mode=mode, generator=generator)
            is_first = torch.zeros_like(is_first)
            chosen = actions.cpu().numpy()
            # Finished episodes stay in the batch with their last observation: a fixed batch size keeps the
            # random draws of every episode independent of how long the others last.
            for index in list(running):
                obs[index], reward, terminated, truncated, info = envs[index].step(chosen[index])
                returns[index] += float(reward)
                lengths[index] += 1
                if terminated or truncated:
                    running.remove(index)
                    if self._games is not None:
                        games[index] = dict(info["game"])
        return Episodes(returns.tolist(), lengths.tolist(), None if self._games is None else games)


def as_metrics(results: dict[str, Episodes]) -> dict[str, float]:
    """Return the evaluation metrics of the catalogue."""
    values: dict[str, float] = {}
    for policy, episodes in results.items():
        values[f"eval/return_{policy}"] = float(np.mean(episodes.returns))
        values[f"eval/length_{policy}"] = float(np.mean(episodes.lengths))
        if episodes.games is not None:
            shares = shares_of([game["outcome"] for game in episodes.games])
            values |= {f"eval/{outcome}_rate_{policy}": share for outcome, share in shares.items()}
    return values


def shares_of(outcomes: Sequence[str]) -> dict[str, float]:
    """Return the shares of wins, draws and losses among some games, by outcome."""
    return {outcome: outcomes.count(outcome) / len(outcomes) for outcome in OUTCOMES}


def _release(envs: Sequence[Env]) -> None:
    """Close the environments; what was measured counts all the same where one cannot be closed."""
    for env in envs:
        try:
            env.close()
        except Exception as error:
            print(f"warning: an environment could not be closed: {type(error).__name__}: {error}", file=sys.stderr)
