"""Everything that moves in a trial, put together from its config and seed, and saved and restored as one.

The state is complete: parameters, optimiser, return scale, replay with its online queue, the open episode, the
policy's carry, every generator (the global ones of Python, numpy and torch as well), the carried remainder of the train
ratio and the sums of the next metric line (FACTS F20). What a trial does with it is `loop.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema import Config
from dreamerlab.config.schema_experience import Train
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.cuda_graphs import RecordedUpdates
from dreamerlab.envs.make import describe
from dreamerlab.errors import ConfigError, TrialFailed, UsageError
from dreamerlab.experience.archive import Archive
from dreamerlab.experience.collector import Collector, RandomStart
from dreamerlab.experience.limiter import Limiter, Ratio
from dreamerlab.experience.matchmaking import HockeyMatches
from dreamerlab.experience.replay import Replay, Sample
from dreamerlab.runs.checkpoints import name_of
from dreamerlab.train.acting import ActingPolicy
from dreamerlab.train.collectors import ProcessCollectors
from dreamerlab.train.control import Board
from dreamerlab.train.evaluate import Evaluator, balanced_games
from dreamerlab.train.finite import Inspector, require_finite_parameters
from dreamerlab.train.generators import globals_state, seed_globals, set_globals, with_own_generators
from dreamerlab.train.opponents import Company, maker, plays, plays_itself
from dreamerlab.train.pool import Pool
from dreamerlab.train.recorder import Counters
from dreamerlab.train.runtime import numpy_stream, prepare_process, repeat_gradients, torch_stream, usable_device
from dreamerlab.train.sparse import (
    augment_metrics,
    mirror_of,
    other_side_of,
    shaping_of,
    streams_of,
    swaps,
    too_few_goals,
)

COUNT_UPDATES = ("updates", "actor_updates")
"""Units of a budget that is spent by updating."""


class Session:
    """One trial in memory; `company` is whom the agent meets in hockey, beside the bots."""

    def __init__(
        self, config: Config, seed: int, replay_folder: Path | None = None, company: Company | None = None
    ) -> None:
        self.config, self.seed = config, seed
        _require_room(config)
        seed_globals(seed)
        prepare_process(seed, config.execution.threads)
        device = usable_device(config.execution.device)
        repeat_gradients(device, deterministic=config.execution.deterministic)
        company = company or Company()
        make = maker(config, company)
        count, inline = config.collect.envs, config.collect.mode == "inline"
        envs = [with_own_generators(make, alternating=count > 1) for _ in range(count if inline else 1)]
        spec = describe(envs[0])
        train = config.train
        self.agent = Agent(spec, config).to(device)
        core = self.agent.world.dynamics
        # Where a state needs none before it there is nothing to keep.
        self._keeps_latents = config.replay.latent_context and core.deter + core.stoch > 0
        self.replay = Replay(
            config.replay.capacity,
            spec,
            deter=core.deter,
            stoch=core.stoch,
            streams=streams_of(config),
            online=config.replay.online,
            latent_context=self._keeps_latents,
            mixture=config.replay.mixture,
            priority_exponent=config.replay.priority_exponent,
            event_share=config.replay.event_share,
            smooth=config.smooth,
            heads=parse_heads(config.heads.auxiliary),
            max_bytes=config.replay.max_bytes,
            memory_bytes=config.replay.memory_bytes,
            folder=replay_folder,
        )
        self._archive = None if replay_folder is None else Archive(self.replay, replay_folder)
        self.policy = ActingPolicy(self.agent, count, torch_stream(seed, "actions", device))
        ratio = train.train_ratio, train.batch_size * train.batch_length
        self._processes: ProcessCollectors | None = None
        self.counters = Counters()
        self._pool = self._make_pool(company)
        matches = self._make_matches(company)
        if inline:
            starts = [numpy_stream(seed, "episode starts" + (f" {n}" if n else "")) for n in range(count)]
            random_start = RandomStart(config.collect.random_steps, spec.action, numpy_stream(seed, "random actions"))
            self.collector = Collector(
                envs,
                self.replay,
                starts,
                random_start,
                matches,
                shaping_of(config),
                other_side_of(config, envs, self.replay, (core.deter, core.stoch)),
            )
            self.ratio = Ratio(*ratio)
        else:
            envs[0].close()
            self.ratio = Limiter(*ratio, config.collect.slack)
            self._processes = ProcessCollectors(config, seed, self.agent, self.replay, self.ratio, company, matches)
            self.collector = self._processes
        games = balanced_games(config, company) if plays(config) else None
        self.evaluator = Evaluator(make, config.eval.episodes, seed, games)
        self.controls = Board(config, self.agent.optimizer)
        # Asking a GPU in the middle of an update would make the host wait for it.
        inspect = Inspector(self.agent) if device.type == "cpu" else None
        recorded = config.execution.cuda_graphs
        self._learn = RecordedUpdates(self.agent) if recorded else partial(self.agent.update, inspect=inspect)
        self._replay_rng = numpy_stream(seed, "replay")
        self._mirror = mirror_of(config, spec)
        self._update_generator = torch_stream(seed, "updates", device)
        # What is recorded takes a batch from wherever it is.
        self._batch_device = torch.device("cpu") if recorded else device
        self._learning_starts = first_update_at(train)
        if config.replay.max_bytes is not None:
            self._require_bytes()

    def _make_pool(self, company: Company) -> Pool | None:
        if not plays_itself(self.config):
            return None
        if company.pool is None:
            raise UsageError("self-play keeps agents on disk, and no folder was given", hint="train it as a run")
        belongs = company.belongs

        def facts() -> dict[str, Any]:
            return {**belongs, "updates": self.counters.updates, "episodes": self.counters.episodes}

        return Pool(self.config.hockey, company.pool, self.agent, facts)

    def _make_matches(self, company: Company) -> HockeyMatches | None:
        if not plays(self.config):
            return None
        rng = numpy_stream(self.seed, "opponents")
        return HockeyMatches(self.config.hockey, rng, resolved=company.resolved, members=self._pool)

    @property
    def can_learn(self) -> bool:
        """Whether replay holds enough for a first update."""
        train = self.config.train
        enough = len(self.replay) >= self._learning_starts
        return enough and self.replay.can_sample(train.batch_size, train.batch_length)

    def updates_due(self) -> int:
        """Return how many updates the train ratio grants now."""
        if not self.can_learn:
            self._require_windows()
            return 0
        if isinstance(self.ratio, Ratio):
            due = self.ratio.due(self.counters.env_steps)
            return 0 if self.controls.stopped else due
        assert self._processes is not None
        if self.controls.stopped:
            self._processes.forgive()
            return 0
        return self._processes.updates_due()

    def update(self) -> dict[str, torch.Tensor]:
        """Make one update of the agent from replay; return its metrics."""
        train = self.config.train
        if not self.counters.updates and (warning := too_few_goals(self.config, self.counters.early_goals)):
            print(f"warning: {warning}", file=sys.stderr)
        sample = self.replay.sample(train.batch_size, train.batch_length, self._replay_rng)
        if self._mirror is not None:
            sample = self._mirror(sample, self._replay_rng)
        learn = self.controls.allow(self.counters.updates + 1)
        done = self._learn(to_batch(sample, self._batch_device), self._update_generator, learn=learn)
        if self._keeps_latents:
            self.replay.write_back(sample, done.deter.cpu().numpy(), done.stoch.cpu().numpy())
        if self.config.replay.mixture[1] > 0:
            self.replay.prioritise(sample, done.rank.float().cpu().numpy())
        self.counters.updates += 1
        self.counters.actor_updates += self.agent.repeats["actor"] if learn != "world" else 0
        if self._processes is not None:
            self._processes.updated(self.counters.updates)
        metrics = done.metrics | self.controls.after(done.metrics)
        return metrics | augment_metrics(self.config, sample, done.model_loss) if train.augment else metrics

    def spent(self) -> float:
        """Return how much of the budget is used, in the budget's unit."""
        at, unit = self.counters, self.config.budget.unit
        if unit == "wall_clock":
            return at.wall_s
        return {"updates": at.updates, "actor_updates": at.actor_updates}.get(unit, at.env_steps)

    def pace_metrics(self) -> dict[str, float]:
        """Return effective ratios and replay size (M-HK-18: measured, beside the configured ones)."""
        at, train = self.counters, self.config.train
        per_step = at.updates / max(at.env_steps, 1)
        return {
            "replay/steps": float(len(self.replay)),
            "replay/updates_per_env_step": per_step,
            "replay/train_ratio_effective": per_step * train.batch_size * train.batch_length,
            "replay/train_ratio_configured": train.train_ratio,
            **self.replay.event_metrics(),
            **({"replay/goals_before_learning": float(at.early_goals)} if plays(self.config) else {}),
            **(self._processes.metrics() if self._processes is not None else {}),
            **self.controls.line_metrics,
        }

    def _require_windows(self) -> None:
        """Raise TrialFailed when replay has lost its windows, or is full without any: waiting could last for ever.

        Only rows that are final can be drawn, and an open episode may have to end before its rows are.
        """
        full = len(self.replay) >= self.replay.capacity
        if self.ratio.is_open or full:
            raise TrialFailed(
                f"an episode fills replay ({self.replay.ring} steps for each environment), and none of its steps can "
                "be trained on before it ends: its rewards are smoothed, or a head looks ahead in it",
                hint="make replay.capacity (or replay.max_bytes) larger than any episode, or the episodes shorter: "
                "env.time_limit",
            )

    def _require_bytes(self) -> None:
        """Raise ConfigError when `replay.max_bytes` leaves too little for a first update."""
        replay, train = self.replay, self.config.train
        windows = replay.streams * max(0, replay.ring - train.batch_length + 1)
        if replay.capacity < self._learning_starts or windows < train.batch_size:
            raise ConfigError(
                f"replay.max_bytes={self.config.replay.max_bytes} holds {replay.ring} steps of {replay.row_bytes} "
                f"bytes for each of {replay.streams} environments: too few for a first update, which needs "
                f"{self._learning_starts} steps in all and {train.batch_size} windows of {train.batch_length}",
                hint="raise it, or lower train.batch_length, train.learning_starts or collect.envs",
            )

    def close(self) -> None:
        """Release the environments, and end their processes."""
        self.collector.close()

    def check_finite(self) -> None:
        """Raise Diverged, naming the first tensor, when something the agent has learnt is not finite."""
        require_finite_parameters(self.agent, self.counters.updates)

    def agent_state(self) -> dict[str, Any]:
        """Return what was learnt and when: enough to measure the agent, or to start another trial from it."""
        return {"agent": self.agent.state_dict(), "counters": dict(vars(self.counters))}

    def load_replay(self, state: Mapping[str, Any], folder: Path | None = None) -> None:
        """Restore replay alone, whose files lie in `folder` where they are another trial's."""
        if self._archive is None:
            self.replay.load_state_dict(state)
        else:
            self._archive.load_state_dict(state, folder)

    def sweep(self, checkpoints: Collection[str]) -> None:
        """Remove the files that none of the checkpoints with these names needs any more: of replay, of the pool."""
        if self._archive is not None:
            self._archive.sweep(checkpoints) if checkpoints else self._archive.remove()
        if self._pool is not None:
            self._pool.sweep(checkpoints)

    def _replay_state(self) -> dict[str, Any]:
        name = name_of(self.counters.env_steps)
        return self.replay.state_dict() if self._archive is None else self._archive.state_dict(name)

    def state_dict(self, *, with_replay: bool = True) -> dict[str, Any]:
        """Return the whole state: nested dicts of tensors, arrays and numbers."""
        return {
            **self.agent_state(),
            "replay": self._replay_state() if with_replay else None,
            "collector": self.collector.state_dict(),
            "policy": self.policy.state_dict(),
            "ratio": self.ratio.state_dict(),
            "controls": self.controls.state_dict(),
            "replay_rng": self._replay_rng.bit_generator.state,
            "update_generator": self._update_generator.get_state(),
            "globals": globals_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore exactly; the environment is brought back by replaying its open episode."""
        self.agent.load_state_dict(state["agent"])
        self.load_replay(state["replay"])
        self.collector.load_state_dict(state["collector"])
        self.policy.load_state_dict(state["policy"])
        self.ratio.load_state_dict(state["ratio"])
        self.controls.load_state_dict(state["controls"])
        self._replay_rng.bit_generator.state = state["replay_rng"]
        self._update_generator.set_state(state["update_generator"])
        self.counters = Counters(**state["counters"])
        # Last: bringing back the open episode has drawn from them.
        set_globals(state["globals"])


def first_update_at(train: Train) -> int:
    """Return how many steps must be in replay before the first update."""
    return train.learning_starts or (train.batch_size + 1) * train.batch_length


def _require_room(config: Config) -> None:
    """Raise UsageError for a replay that can never hold enough for a first update: the trial would only collect."""
    train, capacity, streams = config.train, config.replay.capacity, streams_of(config)
    ring = max(1, capacity // streams)
    sharing = f", shared by collect.envs={config.collect.envs}" + (" and its other sides," if swaps(config) else ",")
    shared = f"replay.capacity={capacity}" + (sharing if streams > 1 else "")
    windows = streams * max(0, ring - train.batch_length + 1)
    if windows < train.batch_size:
        raise UsageError(
            f"a batch is train.batch_size={train.batch_size} windows of {train.batch_length} steps, "
            f"and {shared} holds only {windows} different ones",
            hint="make replay.capacity larger, or the batch smaller",
        )
    if (first := first_update_at(train)) > streams * ring:
        given = "" if train.learning_starts is None else f" (train.learning_starts={first})"
        raise UsageError(
            f"the first update waits for {first} steps{given}, and {shared} never holds more than {streams * ring}",
            hint="make replay.capacity larger, or start earlier: train.learning_starts",
        )


def to_batch(sample: Sample, device: torch.device) -> Batch:
    """Return windows of replay as tensors on `device`."""

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    return Batch(
        obs={key: tensor(value) for key, value in sample.obs.items()},
        action=tensor(sample.action),
        reward=tensor(sample.reward),
        is_first=tensor(sample.is_first),
        is_last=tensor(sample.is_last),
        is_terminal=tensor(sample.is_terminal),
        prev_action=tensor(sample.prev_action),
        context_deter=tensor(sample.context_deter),
        context_stoch=tensor(sample.context_stoch).long(),
        targets={name: tensor(value) for name, value in sample.targets.items()},
    )
