"""Rules of the policy: entropy, advantages, the actor's loss.

The four cases of an entropy that stays high, or is gone (M-DIAG-16), are told apart by what the advantages say:

    high, advantages nil, scale at its limit     no-learning-signal
    high, bonus above what the advantages weigh  entropy-scale-too-high
    high, while the return rises                 exploring (healthy_rules.py)
    gone early, while the return never rose      collapsed-early

Entropy is read as a share of the interval that the head allows, so that figures hold for any number of actions. That
the entropy of a density is negative is no fault (DIS-01), and no ratio of entropy to advantage is aimed at
(M-DIAG-15): it only tells which of the two terms the loss consists of.
"""

from __future__ import annotations

from dreamerlab.diagnostics.bounds import OfMetric
from dreamerlab.diagnostics.conditions import Level, Share, Stays, Trend
from dreamerlab.diagnostics.peaks import Jump, PeakDrop, Progress
from dreamerlab.diagnostics.rule import Change, Rule

ENTROPY = "behavior/entropy_frac"
ADVANTAGE = "behavior/advantage_abs_mean"
WEIGHED = "behavior/advantage_contribution|behavior/gain_abs_mean"
BONUS = "behavior/entropy_contribution|behavior/entropy_term"
HIGH, GONE, NIL = 0.9, 0.1, 0.01
"""Of the interval: an entropy that says nothing was learnt, and one that leaves no choice. Of the scale: advantages
that tell nothing (S1's own words for it, M-ENT-09)."""
BASE = "behavior/entropy_base_nats|behavior/entropy_nats"
"""Of the head itself: under `policy.entropy=squashed` behavior/entropy_nats is another quantity."""
_FAR_FROM_ENTROPY = OfMetric(
    "behavior/entropy_squashed_nats|behavior/entropy_nats", 1.0, 10.0, "10 + size of the entropy", size=True
)
"""The mean of -log p IS the entropy of the actions: only what is beyond diverges (M-DIAG-14 has 10)."""
_SMALLER_BONUS = Change("behavior.entropy_scale", to=3e-4, unless_below=4e-4)
_SLOWER_ACTOR = Change("optimizer.lr_actor", times=0.1)
_AFTER_COLLAPSE = (
    *("actor-idle", "prior-not-learning", "deterministic-and-bad"),
    *("not-learning", "below-random", "actions-saturated", "policy-flat"),
)
"""A policy without choice gets no gradient, and plays one sort of episode, of which a prior has little to learn."""

RULES: tuple[Rule, ...] = (
    Rule(
        "reward-says-nothing",
        "critical",
        "Every imagined state promises nearly the same reward, and none an end",
        (
            # Not the advantages: while the critic still climbs to what a constant reward is worth they are not nil.
            Level("behavior/imagined_reward_std", below=0.01),
            Level("behavior/imagined_survival", above=0.98),
            Progress(made=False),
        ),
        (
            "the reward of the task is constant, or is not passed on by a wrapper",
            "rewards are so rare that replay holds none",
            "the reward head has not learnt (look at wm/reward_excess)",
        ),
        "Print the rewards of a few training episodes: do two of them differ? Then look at probe/reward_correlation.",
        ("M-DIAG-01", "M-DIAG-06", "M-QC-04"),
        (),
        ("no-learning-signal", "scale-at-floor", "pinned-at-ceiling", "not-learning", "below-random"),
        also=("train/return", "wm/reward_excess"),
        recorded="CartPole behind a wrapper that pays 1 and swallows the fall, nano, 3,000 env steps",
    ),
    Rule(
        "no-learning-signal",
        "critical",
        "The policy stays random: advantages are nil, so no action is told from another",
        (
            Level(ENTROPY, above=HIGH),
            Level(ADVANTAGE, below=NIL),
            Level("behavior/return_scale_at_limit", above=0.95),
        ),
        (
            "the reward does not reach imagination: too rare, constant, or the reward head is blind",
            "returns differ by less than the lower limit of the return scale, which then shrinks the advantages",
            "the horizon is too short for an action to be seen in the return",
        ),
        "Is behavior/return_scale_raw far below return_norm.limit? Then compare train/return over episodes.",
        ("M-DIAG-01", "M-DIAG-16", "M-DIAG-19"),
        (Change("smooth.kernel", to="gaussian"), Change("behavior.horizon", to=30)),
        ("pinned-at-ceiling", "scale-at-floor", "not-learning", "below-random", "entropy-high-late", "policy-flat"),
        also=("behavior/return_scale_raw", "behavior/imagined_reward"),
        recorded="CartPole behind a wrapper that loses the reward, nano, 3,000 env steps",
    ),
    Rule(
        "entropy-scale-too-high",
        "critical",
        "The entropy bonus outweighs the advantages: the policy is paid for being random",
        (
            Level(ENTROPY, above=HIGH),
            Level(BONUS, above=1.0, over=WEIGHED, size=True),
        ),
        (
            "behavior.entropy_scale is too large for scaled advantages",
            "the return scale is too large, so that advantages shrink (look at behavior/return_scale)",
        ),
        "Compare behavior/entropy_term with behavior/policy_gradient_term: which one does the loss consist of?",
        ("M-DIAG-02", "M-DIAG-16", "M-DIAG-19", "M-QC-06"),
        (_SMALLER_BONUS, Change("behavior.entropy_scale", times=0.1)),
        ("pinned-at-ceiling", "not-learning", "below-random", "entropy-high-late", "critic-off", "policy-flat"),
        unless=(Level("behavior/return_scale_at_limit", above=0.95), Progress(made=True)),
        also=(ADVANTAGE, "behavior/entropy_scale"),
        recorded="CartPole, nano, behavior.entropy_scale=0.3, 3,000 env steps",
    ),
    Rule(
        "pinned-at-ceiling",
        "critical",
        "The policy is pinned at the widest spread its head allows",
        (
            # Only the end: an agent may take most of its budget to climb there.
            Level(ENTROPY, above=0.97, last=0.15),
            Stays(BASE, within=0.02, relative=True, last=0.15),
            Level("behavior/action_saturated_frac", above=0.5, last=0.15),
        ),
        (
            "a bonus on the entropy before tanh has no end: it pulls the spread to the top of policy.std, where "
            "actions are bang-bang and look random only on paper",
            "nothing in the return speaks against it: no learning signal",
            "policy.std allows far more spread than an action of size 1 can use",
        ),
        "Compare behavior/entropy_base_nats with behavior/entropy_squashed_nats: far apart means saturation.",
        ("M-DIAG-05", "M-DIAG-19", "M-ENT-05", "FACTS A13.3"),
        (Change("policy.entropy", to="squashed"), Change("policy.std", to=(0.1, 1.0)), _SMALLER_BONUS),
        ("not-learning", "below-random", "entropy-high-late", "policy-flat", "actions-saturated", "policy-diverges"),
        also=("behavior/action_std", "behavior/entropy_squashed_nats"),
        recorded="Pendulum, nano, tanh_normal, policy.std=[0.1353, 7.389], policy.entropy=base, "
        "behavior.entropy_scale=0.03, 4,000 env steps",
    ),
    Rule(
        "actor-rate-too-high",
        "critical",
        "The return never rose, at an actor rate far above the critic's",
        (
            # To which end the policy runs, no choice or all spread, is chance: a discrete one did the former, a
            # Normal the latter.
            Level("optim/lr_actor", above=3.0, over="optim/lr_critic", last=1.0, share=0.5),
            Progress(made=False),
        ),
        ("optimizer.lr_actor is too high: the policy settles before the critic knows anything",),
        "Look at behavior/entropy_frac over the first updates: did it run to one end within a tenth of the run?",
        ("M-DIAG-10", "M-DIAG-13", "FACTS A13.13"),
        (_SLOWER_ACTOR,),
        ("collapsed-early", "pinned-at-ceiling", "policy-diverges", *_AFTER_COLLAPSE),
        unless=(PeakDrop(),),
        also=(ENTROPY, "optim/grad_norm_actor"),
        recorded="CartPole, nano, optimizer.lr_actor=0.1, 2,500 env steps",
    ),
    Rule(
        "collapsed-early",
        "critical",
        "The policy became deterministic before it was any good",
        (Level(ENTROPY, below=GONE), Progress(made=False)),
        (
            "the actor learns too fast for its critic",
            "the entropy bonus is too small for this return scale",
            "advantages of noise are blown up (look at scale-amplifies-noise)",
        ),
        "Watch an episode: does it always do the same? Did entropy fall before behavior/value_excess did?",
        ("M-DIAG-10", "M-DIAG-16", "M-QC-06"),
        (Change("optimizer.lr_actor", times=0.3), Change("behavior.entropy_scale", times=10.0)),
        _AFTER_COLLAPSE,
        unless=(PeakDrop(),),
        also=(ADVANTAGE,),
        recorded="CartPole, nano, optimizer.lr_actor=0.1, 2,500 env steps",
    ),
    Rule(
        "scale-amplifies-noise",
        "warning",
        "Advantages are divided by less than 1: noise of tiny returns can become the signal",
        (Level("behavior/return_scale", below=0.5),),
        ("return_norm.limit is far below 1, and returns spread by less than that",),
        "How large is behavior/return_scale_raw beside the noise of train/return?",
        ("M-DIAG-06", "DIS-03", "FACTS A13.4"),
        (Change("return_norm.limit", to=1.0, unless_above=0.99),),
        ("collapsed-early", "advantages-out-of-scale", "policy-diverges", "not-learning", "below-random"),
        also=(ADVANTAGE,),
        recorded="CartPole without its reward, nano, return_norm.limit=0.0001, 3,000 env steps",
    ),
    Rule(
        "scale-at-floor",
        "warning",
        "Imagined returns never spread beyond the lower limit of the return scale",
        (Share("behavior/return_scale_at_limit", above=0.95), Progress(made=False)),
        (
            "the reward is too rare or too small to reach imagined returns",
            "rewards are far below 1 in size: the limit was made for returns above it",
        ),
        "How far is behavior/return_scale_raw below the limit, and does it grow? At the limit alone nothing is stuck.",
        ("M-DIAG-06", "DIS-03"),
        (Change("smooth.kernel", to="gaussian"), Change("return_norm.limit", times=0.1, unless_below=0.05)),
        ("not-learning", "below-random"),
        also=("behavior/return_scale_raw",),
        recorded="CartPole behind a wrapper that loses the reward, nano, 3,000 env steps",
    ),
    Rule(
        "scale-abnormal",
        "warning",
        "Imagined returns spread far more than real ones",
        (
            Level("behavior/return_scale_raw", above=100.0),
            Level("behavior/return_scale_raw", above=3.0, over="train/return", size=True),
        ),
        (
            "the value diverges, or bootstraps on itself",
            "a few rewards are many times larger than the others",
        ),
        "Compare behavior/return_p95 with the best train/return: can the task pay that much?",
        ("M-DIAG-07", "DIS-04"),
        (Change("optimizer.lr_critic", times=0.3), Change("behavior.bootstrap", to="slow")),
        ("advantages-out-of-scale", "critic-off"),
        also=("behavior/return_p95",),
    ),
    Rule(
        "advantages-out-of-scale",
        "warning",
        "Scaled advantages are far outside [-2, 2]",
        (Level(ADVANTAGE, above=2.0),),
        (
            "the critic is far from the returns it is trained on",
            "the return scale follows too slowly, or its limit is too low",
        ),
        "Compare behavior/value with behavior/imagined_return; above 1000 look for a reward of wrong size.",
        ("M-DIAG-11", "M-ADD-09"),
        (Change("optimizer.lr_critic", times=3.0), Change("return_norm.rate", times=3.0)),
        ("policy-diverges",),
        also=("behavior/value_excess",),
    ),
    Rule(
        "policy-loss-rises",
        "warning",
        "The actor's loss climbs: its returns run ahead of its critic",
        (
            Trend("behavior/policy_gradient_term", amount=0.1, last=0.5),
            Level("behavior/policy_gradient_term", above=0.1, last=0.1, share=0.8),
        ),
        (
            "the actor finds what the critic does not know yet, often errors of the model",
            "the critic cannot follow: its rate is too low, or its bins end",
        ),
        "Does behavior/value rise while eval/return falls? In one log such a climb came long before the collapse.",
        ("M-DIAG-08", "M-EXP-15"),
        (Change("optimizer.lr_actor", times=0.3), Change("behavior.entropy_scale", times=0.3)),
        also=("behavior/advantage_mean",),
    ),
    Rule(
        "action-std-collapsing",
        "warning",
        "The policy's spread is nearly gone",
        (Level("behavior/action_std", below=0.05, last=0.2),),
        ("the actor learns too fast", "policy.std allows a spread of nearly nothing"),
        "Is the return at its best? Then this is convergence; otherwise exploration is over too early.",
        ("M-DIAG-09", "M-OPT-01"),
        (Change("policy.std", to=(0.1, 1.0)), Change("behavior.entropy_scale", times=3.0)),
        ("not-learning",),
        also=("behavior/action_std_min",),
    ),
    Rule(
        "policy-diverges",
        "critical",
        "Log-probabilities of actions are far from what the policy's entropy says: it diverges",
        (Level("behavior/log_prob_abs_mean", above=_FAR_FROM_ENTROPY),),
        (
            "under tanh: actions at the end of their range, where the density has no bounds",
            "the actor's rate is too high, or its gradients explode",
        ),
        "Look at behavior/action_saturated_frac and optim/grad_norm_actor at the same env steps.",
        ("M-DIAG-13", "M-DIAG-14"),
        (Change("optimizer.lr_actor", times=0.3), Change("policy.dist", to="bounded_normal")),
        ("not-learning", "below-random", "actions-saturated"),
        unless=(Progress(made=True),),
        also=("optim/grad_norm_actor", "behavior/action_saturated_frac"),
    ),
    Rule(
        "actions-saturated",
        "warning",
        "Nearly every action is at an end of its range, and the return has not risen",
        (Level("behavior/action_saturated_frac", above=0.9), Progress(made=False)),
        ("the mean of the policy has run away beyond 1", "the spread is so wide that tanh leaves only its ends"),
        "Look at behavior/action_mean/0 and the others: at the ends, or around 0 with a wide spread?",
        ("M-DIAG-13", "M-ENT-05"),
        (Change("optimizer.lr_actor", times=0.3), Change("policy.dist", to="bounded_normal")),
        ("not-learning", "below-random"),
        also=("behavior/action_std",),
    ),
    Rule(
        "entropy-outside-interval",
        "critical",
        "The logged entropy is impossible under the interval of its own head",
        (Level(BASE, above=OfMetric("behavior/entropy_upper_nats", 1.0, 0.01, "its interval")),),
        ("log and head disagree: another entropy is logged than the one that is meant",),
        "Compute ½ ln(2πe σ²) a dimension from behavior/action_std, and compare.",
        ("M-ADD-10", "M-ADD-11"),
    ),
    Rule(
        "entropy-below-interval",
        "critical",
        "The logged entropy is below what its own head can have",
        (Level(BASE, below=OfMetric("behavior/entropy_lower_nats", 1.0, -0.01, "its interval")),),
        ("log and head disagree: another entropy is logged than the one that is meant",),
        "Compute ½ ln(2πe σ²) a dimension from behavior/action_std, and compare.",
        ("M-ADD-10", "M-ADD-11"),
    ),
    Rule(
        "entropy-high-late",
        "warning",
        "The policy is still nearly random after 200,000 env steps",
        (Level(ENTROPY, above=HIGH, for_steps=200_000, last=1.0), Progress(made=False)),
        ("the world model has not learnt", "there is no learning signal", "the entropy bonus is too strong"),
        "Did wm/recon_loss fall, and is wm/kl_nats near the free bits? First the model, then the policy.",
        ("M-DIAG-12", "DIS-08"),
        (_SMALLER_BONUS, Change("train.train_ratio", times=4.0)),
        ("not-learning",),
        also=("wm/recon_loss", "wm/kl_nats"),
    ),
    Rule(
        "behavior-reset",
        "critical",
        "Actor and critic began anew in the middle of the run",
        (Jump("behavior/value", by=-0.3, to_zero=True, beside=Jump(ENTROPY, by=0.3)),),
        (
            "a resume brought back the world model and not the behaviour",
            "a checkpoint of other parts was loaded",
        ),
        "Compare the env steps of the jump with where attempts began: dreamerlab show RUN lists them.",
        ("M-CP-33", "M-DIAG-19"),
        also=("eval/return_mode",),
    ),
    Rule(
        "behavior-fresh",
        "warning",
        "Actor and critic began at nothing on a world model that was trained already",
        (
            Level("wm/loss", below=OfMetric("wm/loss", 1.5, words="1.5 x its level later"), start=True),
            Level(ENTROPY, above=0.9, start=True),
            Level(
                "behavior/value",
                below=OfMetric("behavior/value", 0.1, words="a tenth of later", size=True),
                size=True,
                start=True,
            ),
            Level("behavior/value", above=1.0, size=True),
        ),
        ("the run was meant to continue another one, and took over its world model only (init.parts)",),
        "Is that what was meant? dreamerlab config explain init.parts",
        ("M-CP-33", "M-CP-31"),
        (Change("init.parts", to=("world", "behavior", "optimizer")),),
        also=("behavior/value",),
        recorded="CartPole, nano, init.parts=[world] from a run of 4,000 env steps, 3,000 env steps",
    ),
)
