"""How much a config may ask for: estimates that catch a slip of the finger before any memory is touched.

Each leaf has its own range in `schema.py`; these are the products of several leaves. The estimates are rough (to a
factor of about two) and the limits generous: what they refuse could not run on any one machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dreamerlab.config.schema import Config

GIB = 2**30
MAX_PARAMETER_BYTES = 64 * GIB
MAX_REPLAY_BYTES = 1024 * GIB
MAX_IMAGINED_BYTES = 1024 * GIB
MAX_BATCH_STEPS = 2**22


def too_large(config: Config) -> list[str]:
    """Return one line per resource of which `config` asks an absurd amount; empty for every usable config."""
    train, replay, behavior = config.train, config.replay, config.behavior
    problems: list[str] = []
    if (size := 4 * parameters(config)) > MAX_PARAMETER_BYTES:
        problems.append(
            f"model: its parameters alone would take about {size / GIB:,.0f} GiB, more than the limit of 64"
        )
    steps = train.batch_size * train.batch_length
    if steps > MAX_BATCH_STEPS:
        problems.append(
            f"train.batch_size={train.batch_size} times train.batch_length={train.batch_length} is {steps:,} steps "
            f"in a batch, more than the limit of {MAX_BATCH_STEPS:,}"
        )
    if (size := replay.capacity * stored_step_bytes(config)) > MAX_REPLAY_BYTES:
        problems.append(
            f"replay.capacity={replay.capacity} steps would take about {size / GIB:,.0f} GiB, "
            "more than the limit of 1,024"
        )
    starts = train.batch_length if train.imagination_starts == "all" else train.imagination_starts
    size = 4 * train.batch_size * starts * (behavior.horizon + 1) * _feature(config)
    if size > MAX_IMAGINED_BYTES:
        problems.append(
            f"train.batch_size, train.imagination_starts and behavior.horizon={behavior.horizon} together imagine "
            f"about {size / GIB:,.0f} GiB of states, more than the limit of 1,024"
        )
    return problems


@dataclass(frozen=True)
class _Sizes:
    """What there is to know of one family of world models before it is built."""

    core: Callable[[Config], int]
    """About how many parameters there are between the encoder and the heads."""
    feature: Callable[[Config], int]
    """Numbers that the heads read."""
    carried_bytes: Callable[[Config], int]
    """Bytes of the state that goes on from one step to the next."""
    outputs: Callable[[Config], int]
    """Outputs of the reward head and the critic together."""


def parameters(config: Config) -> int:
    """Return about how many parameters the networks have, for a small vector observation and few actions."""
    m, sizes = config.model, _FAMILIES[config.world_model.family]
    heads = (m.decoder_layers, m.reward_layers, m.continue_layers, m.policy_layers, m.value_layers)
    hidden_layers = sum(layers - 1 for layers in (*heads, m.encoder_layers))
    own = 5 * sizes.feature(config) * m.units + hidden_layers * m.units**2 + m.units * sizes.outputs(config)
    return sizes.core(config) + own


def stored_step_bytes(config: Config) -> int:
    """Return about how many bytes one step takes in replay, without its observation."""
    context = _FAMILIES[config.world_model.family].carried_bytes(config) if config.replay.latent_context else 0
    return context + 16


def _feature(config: Config) -> int:
    return _FAMILIES[config.world_model.family].feature(config)


def _recurrent_core(config: Config) -> int:
    m = config.model
    latent, group = m.stoch * m.classes, m.deter // m.blocks
    inputs = (m.deter + latent) * m.hidden
    core = m.deter * (group + 3 * m.hidden) + (m.dyn_layers - 1) * m.deter * group + 3 * m.deter * group
    prior = m.deter * m.hidden + (m.prior_layers - 1) * m.hidden**2 + m.hidden * latent
    posterior = (m.deter + m.units) * m.hidden + (m.posterior_layers - 1) * m.hidden**2 + m.hidden * latent
    return inputs + core + prior + posterior


def _modular_core(config: Config) -> int:
    mlp, units = config.mlp, config.model.units
    hidden = (mlp.representation_layers + mlp.dynamics_layers - 1) * units**2
    return hidden + mlp.state * units * (4 if mlp.dynamics_loss == "gaussian" else 3)


_FAMILIES = {
    "rssm": _Sizes(
        core=_recurrent_core,
        feature=lambda config: config.model.deter + config.model.stoch * config.model.classes,
        carried_bytes=lambda config: 4 * config.model.deter + 2 * config.model.stoch,
        outputs=lambda config: 2 * config.twohot.bins,
    ),
    "mlp": _Sizes(
        core=_modular_core,
        feature=lambda config: config.mlp.state,
        carried_bytes=lambda config: 0,
        outputs=lambda config: 3,
    ),
}
