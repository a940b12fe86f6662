"""Opponents that are agents: of other runs (`R12@best`) and of the trial's own past (`self@20000`).

Which checkpoint a run's agent is, is decided once, when a trial begins, and recorded with its attempts; a later attempt
that would meet another one is refused. An agent acts with its sampled policy, from a generator that follows from the
seed of the game, one observation at a time on the CPU; it sees the field as it was trained to (its own scaling) and
keeps to an action for as many steps as it was trained to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamerlab.config.layers import load_config, load_recorded
from dreamerlab.config.lineage import unfit_opponent
from dreamerlab.config.opponents import BOTS, runs_among
from dreamerlab.config.schema import Config
from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.dreamer.agent import Agent
from dreamerlab.envs.hockey.opponents import Opponent, make_bot
from dreamerlab.envs.hockey.rules import OBSERVED
from dreamerlab.envs.make import make_env
from dreamerlab.errors import Conflict, UsageError
from dreamerlab.experience.matchmaking import stages_of
from dreamerlab.runs.checkpoints import KEPT, name_of
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.lineage import find_origin
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec
from dreamerlab.train import checkpoint
from dreamerlab.train.agent_seat import AgentSeat
from dreamerlab.train.generators import Env
from dreamerlab.train.pool import SELF

_SPEC = EnvSpec({"vector": ObsSpec.vector(OBSERVED)}, ActionSpec.continuous(4))
_AT_HAND = 16
"""Networks kept in memory; the least recently asked for goes first."""


@dataclass(frozen=True)
class Guest:
    """The agent of a run that is played against."""

    written: str
    """As the config says it: `R12@best`."""
    name: str
    """What that is: `R0012-9qd@20000`."""
    run: str
    seed: int
    env_steps: int
    file: str
    sha256: str
    trial: Path

    def facts(self) -> dict[str, Any]:
        """Return who it is, as records say it."""
        return {key: value for key, value in asdict(self).items() if key != "trial"}


@dataclass(frozen=True)
class Company:
    """Whom an agent meets beside the bots: runs' agents, and its own past in the folder `pool`."""

    guests: tuple[Guest, ...] = ()
    pool: Path | None = None
    belongs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Run, seed and family of the trial, which go with what it saves."""

    @property
    def resolved(self) -> dict[str, str]:
        """What each run's agent that the config names is called now."""
        return {guest.written: guest.name for guest in self.guests}


def plays(config: Config) -> bool:
    """Tell whether a trial plays games against opponents."""
    return config.env.id == HOCKEY_ID


def plays_itself(config: Config) -> bool:
    """Tell whether the agent's own past is among its opponents."""
    return plays(config) and any(one.kind == "self" for stage in stages_of(config.hockey) for one in stage.opponents)


def find_company(trial: TrialDirectory, config: Config, family: str = "", *, training: bool = True) -> Company:
    """Return whom a trial meets, each run's agent decided on; without `training` those of its evaluations alone.

    Raises NotFound, Conflict or UsageError, naming the leaf, for a run's agent that is not there or cannot play, and
    UsageError for self-play of an agent that sees pictures.
    """
    if not plays(config):
        return Company()
    if training and plays_itself(config) and config.env.observe != "state":
        raise UsageError(
            f"an opponent is shown no pictures, so that one trained with env.observe={config.env.observe} cannot play "
            "itself",
            hint="env.observe=state, or opponents without 'self'",
        )
    hockey = config.hockey
    trained = (hockey.opponent, hockey.curriculum) if training else ((), ())
    wanted = runs_among(*trained, hockey.eval_opponents)
    guests = tuple(find_guest(trial, text, key) for text, key in wanted.items())
    return Company(guests, trial.opponents, {"run": trial.run.id, "seed": trial.seed, "family": family})


def require_the_same(company: Company, before: Sequence[Mapping[str, Any]]) -> None:
    """Raise Conflict when an earlier attempt, of which `before` are the records, met another agent by the same name."""
    for record in before:
        for known in record.get("opponents") or ():
            for guest in company.guests:
                if guest.written == known.get("written") and guest.sha256 != known.get("sha256"):
                    raise Conflict(
                        f"{guest.written} is {guest.file} of {guest.run} now, and an earlier attempt of this trial "
                        f"played against {known.get('file')} of {known.get('run')}",
                        hint="bring that file back (dreamerlab data pull), or propose the run anew with its env steps",
                    )


def find_guest(trial: TrialDirectory, text: str, key: str, *, itself: bool = False) -> Guest:
    """Return the run's agent that `text` names beside `trial`; `itself` allows the trial's own checkpoints.

    UsageError for an agent that cannot play, Conflict for a checkpoint of another run in its place; as `find_origin`
    says for one that is not there.
    """
    origin = find_origin(trial.run.path.parent, text, trial.seed, key=key, use="play against")
    info, whose = origin.info, origin.trial
    if whose == trial and not itself:
        raise UsageError(f"{key}={text} is the trial itself", hint="its own past is called self")
    where = f"{key}={text}: {info.file} of {whose.run.id} seed {whose.seed}"
    if (info.run, info.seed) != (whose.run.id, whose.seed):
        raise Conflict(f"{where} belongs to {info.run} seed {info.seed}")
    problem = unfit_opponent(load_recorded(whose.run.config_path))
    if problem is not None:
        raise UsageError(f"{where} cannot play: {problem}", hint="name a run that was trained on hockey")
    name = f"{whose.run.id}@{info.env_steps}"
    return Guest(text, name, info.run, info.seed, info.env_steps, info.file, info.sha256, whose.path)


class AgentOpponent:
    """An agent as an opponent: one seat of one game, under the sampled policy; several may share a network."""

    def __init__(self, agent: Agent) -> None:
        self._seat = AgentSeat(agent, mode=False)
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a game, drawing from `rng`."""
        self._seat.begin(1, int(rng.integers(2**63)))

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Return (4,) float64, drawn from the policy, for an unscaled own view (18,)."""
        return self._seat.act(obs.astype(np.float32)[None], (0,))[0]


class Roster:
    """Where the opponents of a trial come from (`OpponentSource`): bots, runs' agents and the pool, by name.

    Networks are built when first asked for and shared; every opponent remembers its own game.
    """

    def __init__(self, config: Config, company: Company) -> None:
        self._config, self._company = config, company
        self._guests = {guest.name: guest for guest in company.guests} | {one.written: one for one in company.guests}
        self._networks: dict[str, Agent] = {}

    def __call__(self, name: str) -> Opponent:
        """Return an opponent; Conflict when its file is damaged or does not fit, UsageError for an unknown name."""
        if name in BOTS:
            return make_bot(name)
        network = self._networks.pop(name, None)
        if network is None:
            network = self._network(name)
        self._networks[name] = network  # last: the one that was asked for most recently
        while len(self._networks) > _AT_HAND:
            del self._networks[next(iter(self._networks))]
        return AgentOpponent(network)

    def _network(self, name: str) -> Agent:
        if name in self._guests:
            guest = self._guests[name]
            run = TrialDirectory(guest.trial)
            state = checkpoint.open_exactly(run.checkpoints, guest.file.removesuffix(".pt"))
            where = f"{guest.file} of {guest.run} seed {guest.seed}"
            return network_of(load_config(run.run.config_path), state["session"], where)
        if name.startswith(SELF) and self._company.pool is not None:
            state = checkpoint.open_exactly(self._company.pool, name_of(int(name.removeprefix(SELF)), KEPT))
            return network_of(self._config, state["session"], name)
        known = ", ".join((*BOTS, *(guest.written for guest in self._company.guests)))
        raise UsageError(f"no opponent is called '{name}' here", hint=f"those who can play: {known}")


def network_of(config: Config, state: Mapping[str, Any], where: str) -> Agent:
    """Return the agent of a checkpoint's `state` on the CPU; Conflict naming `where` when its tensors do not fit.

    What the state leaves out stays as it is drawn. The generators of the process stay as they were.
    """
    here = config.execution.model_copy(update={"device": "cpu", "compile": False, "cuda_graphs": False})
    with torch.random.fork_rng(devices=[]):
        agent = Agent(_SPEC, config.model_copy(update={"execution": here}))
    given, left_out = state["agent"], tuple(state.get("left_out", ()))
    drawn = {key: value for key, value in agent.state_dict().items() if left_out and key.startswith(left_out)}
    whole = {**drawn, **given}
    checkpoint.refuse_misfits(where, checkpoint.misfits(whole, agent.state_dict()))
    agent.load_state_dict(whole)
    return agent


def maker(config: Config, company: Company | None = None, *, watched: bool = True) -> partial[Env]:
    """Return what builds the environments of a trial; their players come from one roster.

    `watched` environments have `execution.step_timeout_s` for a step. Runs' agents are opened now: Conflict for one
    that is damaged or does not fit.
    """
    limit = {"step_timeout_s": config.execution.step_timeout_s} if watched else {}
    if not plays(config):
        return partial(make_env, config.env, **limit)
    company = company or Company()
    roster = Roster(config, company)
    for guest in company.guests:
        roster(guest.name)
    return partial(make_env, config.env, hockey=config.hockey, opponents=roster, **limit)
