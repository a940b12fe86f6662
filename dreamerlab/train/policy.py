"""A trained agent as a plain callable for code of your own: raw gymnasium observations in, raw actions out.

    import gymnasium
    from dreamerlab import load_policy

    policy = load_policy("R12", seed=3)
    env = gymnasium.make(policy.env_id)
    obs, over = env.reset(seed=0)[0], False
    policy.reset()
    while not over:
        obs, reward, terminated, truncated, info = env.step(policy(obs))
        over = terminated or truncated

An agent is opened by the dreamerlab that is installed, in this process; `eval` and `watch` open it on the code that
trained it. The process keeps its global generators and its number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch

from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.envs.acting import Actor, actor_for
from dreamerlab.envs.guard import PICTURE_KEY
from dreamerlab.envs.hockey.rules import DIVISORS
from dreamerlab.envs.make import make_env, time_limit
from dreamerlab.envs.observing import ImageReader, Misfit, Observer
from dreamerlab.errors import NotFound, UsageError
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.showcase import agents_folder, as_asked
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.spaces import EnvSpec
from dreamerlab.train.runtime import stream_seed
from dreamerlab.train.stored import LATEST, StoredAgent, open_agent


def load_policy(
    run: str,
    *,
    seed: int | None = None,
    checkpoint: str = LATEST,
    workspace: str | Path = ".",
    device: Literal["cpu", "cuda"] = "cpu",
    policy: Literal["mode", "sample"] = "mode",
    random_seed: int = 0,
) -> Policy:
    """Return the trained agent of a run as a callable.

    Args:
        run: id, unique prefix or name of a run, such as `R12`.
        seed: which of its training seeds; default: the first that has a checkpoint here.
        checkpoint: `latest`, `best` (by the trial's own evaluations), or the env steps it was written at.
        workspace: a folder in the workspace that holds the run.
        device: where to compute.
        policy: `mode` takes the most likely action, `sample` draws from the policy.
        random_seed: of what is drawn while acting: latent states, and actions under `sample`. Equal seeds and equal
            observations give equal actions, on one machine.

    Raises NotFound where no such run, seed or checkpoint is here, UsageError for a word that means nothing, Conflict
    for a checkpoint that is damaged or does not fit.
    """
    if policy not in ("mode", "sample"):
        raise UsageError(f"policy is '{policy}'", hint="mode or sample")
    place = Workspace.find(Path(workspace))
    found = find_run(place, run)
    seeds = read_manifest(found.manifest_path).seeds
    if seed is not None and seed not in seeds:
        raise NotFound(f"{found.id} has no seed {seed}; it has {', '.join(map(str, seeds))}")
    trials = [found.trial(one) for one in seeds] if seed is None else [found.trial(seed)]
    here = [trial for trial in trials if any(agents_folder(trial).glob("*.json"))]
    if not here:
        of = f"seed {seed} of {found.id}" if seed is not None else found.id
        raise NotFound(f"{of} has no checkpoint here", hint=f"dreamerlab data pull {found.id}")
    folder = agents_folder(here[0])
    stored = open_agent(here[0], as_asked(folder, checkpoint), device=device, folder=folder)
    return Policy(stored, _Converter.for_agent(stored), mode=policy == "mode", random_seed=random_seed)


@dataclass
class _Converter:
    """Between an environment's own observations and actions and the agent's arrays."""

    spec: EnvSpec
    observer: Observer | None
    actor: Actor
    image_size: int
    env_id: str
    time_limit: int | None
    observe: str
    divisors: np.ndarray | None = None
    """What the agent's numbers are divided by, where that is not the environment's own doing."""
    _pictures: dict[tuple[int, ...], ImageReader] = field(default_factory=dict[tuple[int, ...], ImageReader])

    @classmethod
    def for_agent(cls, stored: StoredAgent) -> _Converter:
        settings = stored.config.env
        env = make_env(settings)
        assert isinstance(env, gym.Wrapper), env
        raw: gym.Env[Any, Any] = env.env
        limit = time_limit(env)
        observer = Observer(settings.id, raw.observation_space, settings.image_size)
        actor = actor_for(settings.id, raw.action_space)
        env.close()
        seen = None if settings.observe == "pixels" else observer
        divisors = None
        if settings.id == HOCKEY_ID and stored.config.hockey.scaling == "divisors":
            divisors = np.array(DIVISORS, np.float32)
        return cls(stored.spec, seen, actor, settings.image_size, settings.id, limit, settings.observe, divisors)

    def read(self, obs: Any, frame: Any) -> dict[str, np.ndarray]:
        """Return the agent's arrays for an observation and, where it sees pixels, what `env.render()` returned."""
        if self.observe == "pixels" and frame is None:
            frame = obs
        if self.observe == "both" and frame is None:
            raise UsageError("this agent sees rendered pictures as well", hint="policy(obs, env.render())")
        try:
            arrays = self.observer.read(obs) if self.observer is not None else {}
            if self.divisors is not None:
                arrays = {key: value / self.divisors for key, value in arrays.items()}
            if self.observe != "state":
                arrays[PICTURE_KEY] = self._picture(np.asarray(frame))
        except Misfit as misfit:
            raise UsageError(
                f"this is no observation of {self.env_id}: {misfit}", hint=f"use gymnasium.make('{self.env_id}')"
            ) from misfit
        return arrays

    def _picture(self, frame: np.ndarray) -> np.ndarray:
        if frame.dtype != np.uint8 or frame.ndim != 3:
            hint = "policy(env.render()), with render_mode='rgb_array'"
            raise UsageError(
                f"this agent sees rendered pictures, and got {frame.dtype} of shape {frame.shape}", hint=hint
            )
        if frame.shape not in self._pictures:
            self._pictures[frame.shape] = ImageReader("the rendered picture", frame.shape, self.image_size)
        return self._pictures[frame.shape].read(frame)


class Policy:
    """Acts step by step in one environment, and remembers the episode so far; `reset` opens another one."""

    def __init__(self, stored: StoredAgent, converter: _Converter, *, mode: bool, random_seed: int) -> None:
        self._stored, self._converter, self._mode, self._random_seed = stored, converter, mode, random_seed
        self._batch = PolicyBatch(stored, converter, 1, mode=mode, random_seed=random_seed)
        self._is_first = True

    @property
    def env_id(self) -> str:
        """What it was trained on: `gymnasium.make(policy.env_id)`."""
        return self._converter.env_id

    @property
    def time_limit(self) -> int | None:
        """Longest episode it was trained with, in steps of the environment."""
        return self._converter.time_limit

    @property
    def action_repeat(self) -> int:
        """Steps of the environment that each of its actions is meant to be given to in a row."""
        return self._stored.config.env.action_repeat

    @property
    def facts(self) -> dict[str, Any]:
        """Which agent this is: run, seed, checkpoint, env_steps."""
        return {"run": self._stored.info.run, **self._stored.facts()}

    def __call__(self, obs: Any, frame: np.ndarray | None = None) -> Any:
        """Return the action for a raw observation, in the environment's own form and range.

        An agent that sees pixels gets what `env.render()` returned, alone (`env.observe=pixels`) or as `frame`
        beside the observation (`both`). UsageError for anything that is no observation of its environment.
        """
        action = self._batch([obs], np.array([self._is_first]), None if frame is None else [frame])[0]
        self._is_first = False
        return action

    def reset(self) -> None:
        """Forget the episode so far: the next observation is the first of another one."""
        self._is_first = True

    def batch(self, size: int) -> PolicyBatch:
        """Return the same agent for `size` environments that advance together."""
        return PolicyBatch(self._stored, self._converter, size, mode=self._mode, random_seed=self._random_seed)


class PolicyBatch:
    """Acts in several environments at once, which is several times faster than one after the other."""

    def __init__(self, stored: StoredAgent, converter: _Converter, size: int, *, mode: bool, random_seed: int) -> None:
        self._agent, self._converter, self._mode = stored.agent, converter, mode
        self._carry = stored.agent.initial_carry(size)
        self._device, self.size = stored.device, size
        self._generator = torch.Generator(stored.device).manual_seed(stream_seed(random_seed, "acting"))

    def __call__(
        self, observations: Sequence[Any], is_first: np.ndarray, frames: Sequence[np.ndarray] | None = None
    ) -> list[Any]:
        """Return one action for each observation; `is_first` (size,) says which begin an episode."""
        if len(observations) != self.size or np.shape(is_first) != (self.size,):
            got = f"{len(observations)} observations and is_first of shape {np.shape(is_first)}"
            raise UsageError(f"this batch is of {self.size} environments, and got {got}")
        shown = frames if frames is not None else [None] * self.size
        rows = [self._converter.read(obs, frame) for obs, frame in zip(observations, shown, strict=True)]
        tensors = {key: torch.from_numpy(np.stack([row[key] for row in rows])).to(self._device) for key in rows[0]}
        first = torch.from_numpy(np.asarray(is_first, bool)).to(self._device)
        chosen, self._carry = self._agent.act(tensors, first, self._carry, mode=self._mode, generator=self._generator)
        return [self._converter.actor.act(action) for action in chosen.cpu().numpy()]
