"""Rules about modes and options that only make sense beside others; part of the table in `conformance.py`."""

from __future__ import annotations

from dreamerlab.config.opponents import parse_shaping
from dreamerlab.config.schema import Config
from dreamerlab.config.schema_hockey import HOCKEY_ID

_LEAST_LIMIT, _LARGEST_BONUS, _NOISE_OF_SURPRISE = 0.1, 0.03, 0.02
"""Of the return scale; of the entropy bonus, a hundred times the reference's; of surprise, in nats."""


def frozen_world_is_random(config: Config) -> str | None:
    """A frozen world model has to come from somewhere (M-CP-31, DIS-11)."""
    start = config.init
    if config.train.learn != "behavior" or (start.checkpoint is not None and "world" in start.parts):
        return None
    return (
        "train.learn=behavior freezes the world model, but none is taken over: it would stay random; "
        "name one with init.checkpoint=R0012-9qd"
    )


def policy_never_learns(config: Config) -> str | None:
    """A bootstrap run trains no policy (M-CP-30)."""
    if config.train.learn != "world":
        return None
    return "train.learn=world trains the world model alone: the policy, and with it every return, stays as initialised"


def budget_never_spent(config: Config) -> str | None:
    """A budget of actor updates needs an actor that learns."""
    if config.budget.unit != "actor_updates" or config.train.learn != "world":
        return None
    return "budget.unit=actor_updates counts updates of the actor, but train.learn=world makes none: it would never end"


def absurd_train_ratio(config: Config) -> str | None:
    """A ratio is read as updates per env step so often that the product is worth a look (DIS-05)."""
    per_step = config.train.train_ratio / (config.train.batch_size * config.train.batch_length)
    if per_step <= 8:
        return None
    return (
        f"train.train_ratio={config.train.train_ratio:g} replayed steps per env step are {per_step:,.0f} updates per "
        "env step; the ratio counts replayed steps, not updates"
    )


def smoothing_multiplies_reward(config: Config) -> str | None:
    """The un-normalised sum is no smoothing (FACTS A13.19, DIS-27)."""
    if config.smooth.kernel != "backward_sum":
        return None
    width = config.smooth.used_width
    factor = 1.0 / (1.0 - width)
    return (
        f"smooth.kernel=backward_sum multiplies all rewards by about {factor:.3g} (width {width:g}): it "
        "is an un-normalised sum, not DreamSmooth"
    )


def entropy_floor_cuts_gradient(config: Config) -> str | None:
    """Flooring the bonus removes exploration where the policy is narrow (FACTS A13.1, M-OPT-02)."""
    floor = config.behavior.entropy_floor
    if floor is None:
        return None
    return f"behavior.entropy_floor={floor:g}: below it the entropy bonus has no gradient at all; an ablation"


def tanh_saturates(config: Config) -> str | None:
    """A wide Normal under tanh plays bang-bang (M-ENT-05, FACTS A13.3)."""
    high = config.policy.std[1]
    if config.policy.dist != "tanh_normal" or high <= 1.65 or config.policy.entropy != "base":
        return None
    return (
        f"policy.std up to {high:g} under tanh_normal with policy.entropy=base: the bonus grows with the deviation "
        "while actions saturate at -1 and 1; policy.entropy=squashed rewards the entropy of the action itself"
    )


def augment_needs_hockey(config: Config) -> str | None:
    """The symmetries are those of one game, as it is observed without pictures."""
    augment = config.train.augment
    if not augment:
        return None
    named = f"train.augment={list(augment)}"
    if config.env.id != HOCKEY_ID:
        return f"{named} are symmetries of hockey ({HOCKEY_ID}); env.id={config.env.id} has none that are known"
    if config.env.observe != "state":
        return f"{named} need env.observe=state: pictures are not turned, and env.observe={config.env.observe}"
    if "swap" in augment and config.env.action_repeat > 1:
        return (
            f"train.augment=swap needs env.action_repeat=1, not {config.env.action_repeat}: opponents choose anew at "
            "every step of the game, which is no single action of theirs"
        )
    return None


def closeness_twice(config: Config) -> str | None:
    """The reward of the environment has the closeness term in it (M-HK-01)."""
    hockey = config.hockey
    if config.env.id != HOCKEY_ID or hockey.reward != "env" or "closeness" not in parse_shaping(hockey.shaping):
        return None
    return "hockey.reward=env has closeness in it once; hockey.shaping adds it again, in training only"


def straight_through_is_none(config: Config) -> str | None:
    """The straight-through form has the gradient of no free bits (FACTS A13.10, DIS-25)."""
    if config.free_bits.mode != "straight_through":
        return None
    return "free_bits.mode=straight_through has exactly the gradient of free_bits.nats=0; only the logged loss differs"


def return_limit_amplifies(config: Config) -> str | None:
    """A limit far below 1 makes a signal of the noise of tiny returns (DIS-03, FACTS A13.4)."""
    limit = config.return_norm.limit
    if limit >= _LEAST_LIMIT:
        return None
    return (
        f"return_norm.limit={limit:g} (the reference: 1) divides advantages by as little as that: where returns hardly "
        f"differ, their noise is multiplied by up to {1 / limit:,.0f}"
    )


def entropy_bonus_dominates(config: Config) -> str | None:
    """Scaled advantages are rarely above 1: a bonus of a hundred times the reference outweighs them (DIS-16)."""
    scale = config.behavior.entropy_scale
    if scale < _LARGEST_BONUS:
        return None
    return (
        f"behavior.entropy_scale={scale:g} per nat (the reference: 0.0003) is of the size of scaled advantages: "
        "the policy may be paid more for being random than for being good"
    )


def focus_always_on(config: Config) -> str | None:
    """Surprise moves by some hundredths of a nat by itself: a threshold among them is always on (M-SUR-09)."""
    threshold = config.control.focus_threshold
    if threshold is None or threshold > _NOISE_OF_SURPRISE:
        return None
    return (
        f"control.focus_threshold={threshold:g} nats is what surprise moves by itself: one log has 0.02 always on and "
        "0.05 never; control/focus_active_frac will tell"
    )
