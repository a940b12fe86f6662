"""Which classes a family of world models is made of: the only place that knows the families by name."""

from __future__ import annotations

from collections.abc import Callable

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.behavior import Behavior
from dreamerlab.dreamer.family import Parts
from dreamerlab.dreamer.mlp_behavior import MlpBehavior
from dreamerlab.dreamer.mlp_model import MlpWorldModel
from dreamerlab.dreamer.world_model import WorldModel
from dreamerlab.spaces import EnvSpec


def make_parts(spec: EnvSpec, config: Config) -> Parts:
    """Return world and behavior of the family that `world_model.family` names, freshly initialised."""
    return _FAMILIES[config.world_model.family](spec, config)


def _recurrent(spec: EnvSpec, config: Config) -> Parts:
    world = WorldModel(spec, config)
    behavior = Behavior(world.dynamics.feature_size, spec.action, config)
    # One backward pass for everything: the replay value loss is meant to reach the world model (FACTS A7).
    return Parts(world, behavior, isolated=False, repeats={"world": 1, "actor": 1, "critic": 1})


def _modular(spec: EnvSpec, config: Config) -> Parts:
    world, mlp = MlpWorldModel(spec, config), config.mlp
    behavior = MlpBehavior(world.dynamics.feature_size, spec.action, config)
    repeats = {"world": mlp.world_updates, "actor": mlp.actor_updates, "critic": mlp.critic_updates}
    return Parts(world, behavior, isolated=True, repeats=repeats)


_FAMILIES: dict[str, Callable[[EnvSpec, Config], Parts]] = {"rssm": _recurrent, "mlp": _modular}
