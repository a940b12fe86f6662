"""Disputes about how to train: every position, the leaves that take it, and what to expect; read by `disputes.py`.

The first position of a dispute is ours and is the schema's default; every other can be set, or the dispute says why
not. `A13.n` numbers FACTS A13, `DIS-nn` the list of disagreements; each appears exactly once. S0 to S4 are the five
source documents, "reference" is the reference code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Position:
    """One answer: who gives it, and the leaves that follow it (none where no leaf can)."""

    claim: str
    who: str
    settings: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class Dispute:
    """A question with several answers; the first is the one followed here by default."""

    ids: tuple[str, ...]
    question: str
    positions: tuple[Position, ...]
    expect: str
    """What to expect of the other positions, or how to find out."""
    no_leaf: str = ""
    """Why some position has no leaf; empty when every one can be set."""


def dispute(ids: str, question: str, *positions: Position, expect: str, no_leaf: str = "") -> Dispute:
    """Return a row of the table; `ids` are separated by commas."""
    return Dispute(tuple(ids.split(", ")), question, positions, expect, no_leaf)


ERROR = "the other position is an error of arithmetic or history, not a choice"
LATER = "not offered yet"

ABOUT_TRAINING: tuple[Dispute, ...] = (
    # -- policy and entropy
    dispute(
        "A13.1, DIS-01",
        "Is a negative policy entropy a bug?",
        Position(
            "no: a density's entropy has no lower bound", "mathematics, reference", {"behavior.entropy_floor": None}
        ),
        Position(
            "yes: floor the bonus at 0", "S1, S2 (S1 itself quotes a target of -4)", {"behavior.entropy_floor": 0.0}
        ),
        expect="With four dimensions -3.5 to 5.7 is the reference's whole range. The bonus pulls equally hard whatever "
        "the sign; floored, it has no gradient exactly where the policy is narrow. Read behavior/entropy_frac instead.",
    ),
    dispute(
        "A13.2",
        "What entropy belongs to which standard deviation?",
        Position("0.5 ln(2 pi e sigma^2): -0.581 at e^-2, 0.919 at e^-0.5, 1.419 at 1, 3.419 at e^2", "mathematics"),
        Position("-0.84 (or -1.55) at e^-2, 0.5 at e^-0.5, -3.0 at e^-5", "S1, S2"),
        expect="Zero lies at sigma 0.242. Thresholds taken from the wrong figures misread a healthy policy.",
        no_leaf=ERROR,
    ),
    dispute(
        "A13.3",
        "Which distribution for continuous actions, and whose entropy is rewarded?",
        Position("a Normal with bounded mean and deviation", "reference", {"policy.dist": "bounded_normal"}),
        Position(
            "a Normal under tanh, rewarding the entropy before tanh",
            "S0, S1, S2",
            {"policy.dist": "tanh_normal", "policy.entropy": "base"},
        ),
        Position(
            "a Normal under tanh, rewarding the entropy of the action",
            "mathematics",
            {"policy.dist": "tanh_normal", "policy.entropy": "squashed"},
        ),
        Position("bins of each dimension", "S1", {"policy.dist": "categorical"}),
        expect="Entropy before tanh grows without end while the action's own has its maximum near sigma 0.87: S0's "
        "13.67 nats in four dimensions are sigma at its ceiling and bang-bang play.",
    ),
    dispute(
        "DIS-02",
        "Between which deviations may the policy move?",
        Position("0.1 to 1", "reference, S0 for the least", {"policy.std": (0.1, 1.0)}),
        Position("ln sigma in -2 to 2", "S1", {"policy.dist": "tanh_normal", "policy.std": (0.1353, 7.389)}),
        Position("ln sigma in -0.5 to 2", "S1, S2", {"policy.dist": "tanh_normal", "policy.std": (0.6065, 7.389)}),
        expect="A least sigma of 0.607 (S1 calls it 0.368) keeps four dimensions above 3.68 nats: the 0.5 to 1.5 "
        "called converged cannot be reached.",
    ),
    dispute(
        "DIS-16",
        "How large is the entropy bonus?",
        Position("3e-4, fixed", "reference, S1, S2", {"behavior.entropy_scale": 3e-4}),
        Position("0.003", "S0, S1 as a diagnostic", {"behavior.entropy_scale": 3e-3}),
        Position("0.01", "S3", {"behavior.entropy_scale": 0.01}),
        Position("falling over training", "S4", {"behavior.entropy_schedule": "cosine to 0.01x over 5000 updates"}),
        expect="Returns are scaled before, so one value fits many tasks; on CartPole 3e-3 did no harm (one seed).",
    ),
    dispute(
        "DIS-20",
        "Does the entropy bonus matter, or only the learning rate?",
        Position("open: propose one change of each", "this product"),
        Position("entropy is the centre of it", "S0, S1, S2"),
        Position("the rate dominates, entropy hardly matters", "S4, from an unfinished sweep"),
        expect="Two hypotheses settle it on a task; neither source has more than one seed per cell.",
        no_leaf="a question for hypotheses over behavior.entropy_scale and optimizer.lr_actor",
    ),
    dispute(
        "DIS-08",
        "From when on is a high entropy an alarm?",
        Position("report it as a share of its range, without a fixed time", "this product"),
        Position("above 10 nats after 100k env steps", "S2's code"),
        Position("above 10 nats after 200k env steps", "S2's text"),
        expect="Four dimensions of the reference's head cannot exceed 5.7 nats at all.",
        no_leaf=LATER + " as a rule of diagnosis",
    ),
    # -- actor and critic
    dispute(
        "A13.14, DIS-15",
        "Where does the policy's gradient come from?",
        Position(
            "REINFORCE, no gradient through the model", "reference, S1, S2", {"behavior.actor_gradient": "reinforce"}
        ),
        Position("back through the imagined dynamics", "S3", {"behavior.actor_gradient": "dynamics"}),
        Position("a mix of both", "an earlier version of the reference", {"behavior.actor_gradient": "mix"}),
        expect="The author reports the dynamics' gradient slightly faster for continuous control, REINFORCE as good "
        "elsewhere. Saving and restoring gradients, as S3 does, is not needed: the model is frozen meanwhile.",
    ),
    dispute(
        "A13.5",
        "Which critic supplies the values of the returns?",
        Position("the trained one, with a slow one as regulariser", "reference", {"behavior.bootstrap": "fast"}),
        Position("the slow one", "S2", {"behavior.bootstrap": "slow"}),
        expect="On CartPole the slow one was clearly later (one seed). Both agree on the rate, 0.02 per update.",
    ),
    dispute(
        "A13.4, DIS-03",
        "What is the least scale that advantages are divided by?",
        Position(
            "1, with a running average", "reference, S2, S4", {"return_norm.limit": 1.0, "return_norm.rate": 0.01}
        ),
        Position("0.01", "S1's code", {"return_norm.limit": 0.01}),
        Position("no running average", "one snippet of S2", {"return_norm.rate": 1.0}),
        Position("a running average that is debiased", "a usual variant", {"return_norm.debias": True}),
        expect="0.01 multiplies the noise of tiny sparse returns by up to 100.",
    ),
    dispute(
        "DIS-04",
        "Does the return scale shrink over training?",
        Position("it starts small and grows with the spread of returns", "reference, S4's data, S1's own table"),
        Position("large early, small late", "S1, S2"),
        expect="The average starts at 0, so the scale is its limit at first. See behavior/return_scale and _at_limit.",
        no_leaf="an observation, logged in every trial",
    ),
    dispute(
        "DIS-26",
        "Are returns scaled, advantages standardised, or both?",
        Position("returns scaled only", "reference, S1, S2", {"behavior.advantage_norm": False}),
        Position("advantages standardised over the batch as well", "S4's sweep", {"behavior.advantage_norm": True}),
        expect="Standardising inflates noise when nothing is left to learn. Advantages are logged as they came.",
    ),
    dispute(
        "A13.6, DIS-19",
        "Which reward, discount and value enter a lambda-return?",
        Position("those of the state that an action leads to", "reference, S4 after its fix"),
        Position(
            "the reward of this step with the value of the next; gamma left out, one index too far", "S2's snippet"
        ),
        expect="One function with an arrival convention and a golden test: 6.23, 5.40, 7.00.",
        no_leaf=ERROR,
    ),
    dispute(
        "DIS-09",
        "Is lambda = 0.95 mostly bootstrap or mostly trajectory?",
        Position("mostly trajectory: 1 is Monte Carlo, 0 one step", "mathematics, S2", {"behavior.lam": 0.95}),
        Position("mostly bootstrap", "S3"),
        expect="The value is the same in all; only S3's explanation is reversed.",
        no_leaf=ERROR,
    ),
    dispute(
        "DIS-17",
        "Which discount, and which learning rates of actor and critic?",
        Position(
            "0.997 and 4e-5 for all",
            "reference",
            {"behavior.discount_horizon": 333.0, "optimizer.lr_actor": 4e-5, "optimizer.lr_critic": 4e-5},
        ),
        Position("0.99", "S3, early S4", {"behavior.discount_horizon": 100.0}),
        Position("3e-5 for both", "S3", {"optimizer.lr_actor": 3e-5, "optimizer.lr_critic": 3e-5}),
        Position("1e-4 for both", "S2", {"optimizer.lr_actor": 1e-4, "optimizer.lr_critic": 1e-4}),
        Position("the critic twice as fast", "S4", {"optimizer.lr_actor": 2e-5, "optimizer.lr_critic": 4e-5}),
        expect="4e-5 is meant for a hundred thousand updates; nano has 1e-4 for the actor and 1e-3 for the rest.",
    ),
    dispute(
        "DIS-28",
        "How long are imagined rollouts?",
        Position("15 steps; 5 and 50 are not right", "reference, S2", {"behavior.horizon": 15}),
        Position("15 is too short", "S4, 15 January", {"behavior.horizon": 30}),
        Position("15 is too long", "S4, 18 January", {"behavior.horizon": 10}),
        expect="Returns do not end at the horizon: the critic's value stands for the rest. Cost grows with it.",
    ),
    # -- world model
    dispute(
        "A13.7",
        "What does the continue head predict?",
        Position("the discount, gamma unless terminated", "reference", {"heads.continue_discounted": True}),
        Position(
            "the probability of not being done",
            "S2 (there also false at a time limit)",
            {"heads.continue_discounted": False},
        ),
        expect="Equal in expectation, with another floor of the loss. A time limit is no death in either.",
    ),
    dispute(
        "A13.8",
        "In which space do the bins of reward and value lie, and how far?",
        Position(
            "raw space, symexp-spaced, to symexp(20)",
            "reference",
            {"twohot.spacing": "symexp", "twohot.support": (-20.0, 20.0)},
        ),
        Position("symlog space, symexp of the mean", "S2, S4, the first arXiv version", {"twohot.spacing": "symlog"}),
        Position("-5 to 5", "S4", {"twohot.support": (-5.0, 5.0)}),
        expect="Nine tenths at 0 and one tenth at 10 read 1.0 in raw space and 0.271 in symlog space. With 5 values "
        "end at 147.4, where S4's critic stood still.",
    ),
    dispute(
        "A13.9",
        "Which way round is the representation KL?",
        Position("KL(posterior || prior) in both terms, only the stopped side differs", "reference"),
        Position("KL(prior || posterior)", "S2"),
        expect="The gradient of the reverse would ask the posterior to cover the prior.",
        no_leaf=ERROR,
    ),
    dispute(
        "A13.10, DIS-25",
        "What happens to a KL below the free bits?",
        Position(
            "clipped per element: no gradient", "reference, S2", {"free_bits.mode": "clip", "free_bits.nats": 1.0}
        ),
        Position("value clipped, whole gradient", "S4", {"free_bits.mode": "straight_through"}),
        Position("clipped after the mean", "other ports", {"free_bits.mode": "mean_then_clip"}),
        Position("no free bits", "the same gradient as S4's", {"free_bits.nats": 0.0}),
        expect="On tasks with a handful of numbers the KL lies below 1 nat and the prior learns nothing; 0.1 nats was "
        "ahead early on CartPole. S4's own sequel with the whole gradient collapsed to a KL of 1e-4.",
    ),
    dispute(
        "A13.11",
        "How are the two KL terms weighted?",
        Position("1 and 0.1", "reference", {"loss_scales.dyn": 1.0, "loss_scales.rep": 0.1}),
        Position("0.99 and 0.99", "S4", {"loss_scales.dyn": 0.99, "loss_scales.rep": 0.99}),
        Position("0.5 and 0.1", "the first arXiv version and its ports", {"loss_scales.dyn": 0.5}),
        expect="A strong representation term pulls the posterior towards the prior before it has said anything.",
    ),
    dispute(
        "A13.15",
        "Is S3's model a DreamerV3?",
        Position("no: it is a family of its own", "this product", {"world_model.family": "rssm"}),
        Position(
            "MLP dynamics, Gaussian reward, squared-error critic, three optimisers", "S3", {"world_model.family": "mlp"}
        ),
        expect="Nothing of it is an option on the recurrent model. Its states have no memory, so it suits tasks that "
        "are seen whole.",
    ),
    dispute(
        "DIS-06",
        "How many losses has S3's learner?",
        Position("seven are described", "S3's text"),
        Position("ten are announced", "S3's title"),
        expect="Losses eight to ten are not given anywhere.",
        no_leaf="the seven are the losses of world_model.family=mlp; the other three are nowhere described",
    ),
    dispute(
        "DIS-07",
        "Does S3's dynamics model predict a state or a distribution?",
        Position("a state, by squared error", "S3's first loss", {"mlp.dynamics_loss": "mse"}),
        Position("a distribution, by likelihood", "S3's interface", {"mlp.dynamics_loss": "gaussian"}),
        expect="To be told apart by the prediction error on states that follow more than one way.",
    ),
    # -- optimiser and schedule
    dispute(
        "A13.13",
        "Which optimiser?",
        Position("one LaProp with clipping per tensor", "reference", {"optimizer.name": "laprop_agc"}),
        Position(
            "Adam with clipped norms, 1 to 1000",
            "S1 to S4",
            {"optimizer.name": "adam_clip", "optimizer.max_norm": 100.0},
        ),
        expect="No visible difference on CartPole (one seed). No evidence is known for 'never actor above critic'.",
    ),
    dispute(
        "A13.12, DIS-05",
        "What does a replay ratio of 32 mean?",
        Position(
            "32 replayed steps per env step: an update every 32 steps at 16 x 64",
            "reference",
            {"train.train_ratio": 32.0},
        ),
        Position("32 updates per env step", "S2's text", {"train.train_ratio": 32768.0}),
        Position("32 updates per episode, 0.28 per env step", "S4's public runs", {"train.train_ratio": 287.0}),
        expect="A factor of 1024 between the first two; the effective figure is in every metric line.",
    ),
    dispute(
        "A13.16",
        "Does training begin with random play or with the world model alone?",
        Position("neither", "reference", {"collect.random_steps": 0, "train.model_only_updates": 0}),
        Position("5000 updates of the world model first", "S4", {"train.model_only_updates": 5000}),
        Position("100 random episodes first", "S2", {"collect.random_steps": 2500}),
        expect="A fresh policy is close to random anyway; the wait costs env steps.",
    ),
    dispute(
        "A13.17, DIS-18",
        "How long are training windows, and how many in a batch?",
        Position(
            "64 steps, across episodes; 16 windows", "reference", {"train.batch_length": 64, "train.batch_size": 16}
        ),
        Position("as long as an episode, 25", "S4", {"train.batch_length": 25}),
        Position("32 steps", "S2", {"train.batch_length": 32}),
        Position("8 windows", "S4 before its loader was fixed", {"train.batch_size": 8}),
        expect="Windows cross episode borders, so nothing is padded: S4's reason for short ones does not arise.",
    ),
    dispute(
        "A13.18",
        "Should actor and critic learn less often, or wait while the model is surprised?",
        Position("they learn in every update", "reference", {"train.actor_every": 1}),
        Position("once per four updates of the world model", "S4", {"train.actor_every": 4}),
        Position("less while losses are above their average", "S4's controllers"),
        expect="S4's thresholds never fired or were always on; the one that 'worked' had switched the mechanism off.",
        no_leaf="surprise controllers are " + LATER,
    ),
    dispute(
        "DIS-11",
        "Does the world model go on learning while the policy trains?",
        Position("yes", "reference, later S4", {"train.learn": "all"}),
        Position("no: a frozen one from a checkpoint", "S4's sweep", {"train.learn": "behavior"}),
        expect="A frozen model is wrong wherever the new policy goes; wm/loss still shows. Needs init.checkpoint.",
    ),
    # -- rewards and evaluation
    dispute(
        "A13.19, DIS-27",
        "What is DreamSmooth, and is it needed?",
        Position("a normalised kernel; off", "its authors, reference", {"smooth.kernel": "none"}),
        Position("an exponential average, 0.33", "its authors", {"smooth.kernel": "ema"}),
        Position(
            "the discounted sum of the future, called essential",
            "S0 to S2",
            {"smooth.kernel": "backward_sum"},
        ),
        expect="The sum is not normalised: it doubles all rewards at 0.5. No source for 'essential' could be found.",
    ),
    dispute(
        "A13.20",
        "Is the hockey reward sparse?",
        Position("no: closeness to the puck costs up to about 30 an episode", "the environment's code"),
        Position("10 for a goal, else 0", "all hockey sources"),
        expect="Which of the two is trained on has to be said beside every result.",
        no_leaf=LATER + ": a leaf of the hockey environment",
    ),
    dispute(
        "A13.22",
        "Does evaluation take the mode or a sample of the policy?",
        Position("both, side by side; eval/return is the mode", "this product"),
        Position("a sample", "reference"),
        Position("the mode", "the sources, other ports"),
        expect="They differ most early on, and under wide policies throughout.",
        no_leaf="both are always reported, so there is nothing to set",
    ),
    dispute(
        "DIS-10",
        "What is random play worth on CartPole?",
        Position("measure it and write it into the environment's file", "this product", {"reference.random": None}),
        Position("about 20, 21 or 25", "S4", {"reference.random": 21.0}),
        expect="22.47 over 500 episodes, as env_configs/cartpole.yaml says with its command.",
    ),
)
