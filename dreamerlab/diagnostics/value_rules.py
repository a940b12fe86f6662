"""Rules of the critic and of what happens after a peak: bins that end, values that are off, dreams that mislead."""

from __future__ import annotations

from dreamerlab.diagnostics.bounds import OfConfig, OfMetric
from dreamerlab.diagnostics.conditions import Level, Share, Stays, Trend
from dreamerlab.diagnostics.peaks import AfterPeak, PeakDrop, Progress
from dreamerlab.diagnostics.rule import Change, Rule

_WIDER_BINS = Change("twohot.support", to=(-20.0, 20.0))

# Where a time limit cuts episodes that would go on, a right value is up to twice the return that was seen: 333 beside
# 160 for an agent that holds CartPole's pole for ever. Hence a factor of three above, and of two below.
RULES: tuple[Rule, ...] = (
    Rule(
        "value-at-ceiling",
        "critical",
        "Values stand at the largest bin: the critic cannot say what more there is",
        (Level("behavior/value_ceiling_frac", above=0.95, share=0.5),),
        ("twohot.support ends below the largest discounted return of the task",),
        "dreamerlab config audit says what return the support must hold; is behavior/return_p95 flat at its end?",
        ("M-CFG-12", "M-CP-62", "M-DIAG-28", "M-EXP-15"),
        (_WIDER_BINS,),
        (
            "value-at-ceiling-of-config",
            "peak-then-drop",
            "exploits-model",
            "critic-off",
            "policy-loss-rises",
            "value-too-low",
            "not-learning",
        ),
        also=("behavior/value", "behavior/return_p95"),
    ),
    Rule(
        "value-at-ceiling-of-config",
        "critical",
        "Values stand at the end of the recorded support",
        (Level("behavior/return_p95", above=OfConfig("end of twohot.support", 0.97), last=0.25),),
        ("twohot.support ends below the largest discounted return of the task",),
        "dreamerlab config audit says what return the support must hold.",
        ("M-CFG-12", "M-CP-62"),
        (_WIDER_BINS,),
        ("peak-then-drop", "exploits-model", "critic-off", "policy-loss-rises", "value-too-low"),
        also=("behavior/value",),
    ),
    Rule(
        "imagination-blind",
        "warning",
        "Imagination went on promising the same while real episodes failed",
        (
            PeakDrop(),
            AfterPeak("behavior/imagined_reward", stays=0.02),
            AfterPeak("behavior/imagined_survival", stays=0.02),
        ),
        (
            "reward and continue heads do not know the states in which episodes now fail",
            "replay holds few failures of the recent policy",
        ),
        "Look at probe/termination_recall: are real ends foreseen at all?",
        ("M-DIAG-27", "M-EXP-12"),
        (Change("replay.mixture", to=(0.5, 0.0, 0.5)), Change("train.train_ratio", times=2.0)),
        ("exploits-model", "peak-then-drop"),
        also=("eval/return_mode", "probe/termination_recall"),
    ),
    Rule(
        "exploits-model",
        "warning",
        "The value kept rising while the real return fell, and the model looked unchanged",
        (
            PeakDrop(),
            AfterPeak("behavior/value", above=0.95),
            AfterPeak("wm/loss", stays=0.25),
        ),
        (
            "the actor plays into errors of the model: imagined reward that is not there, which the critic learns too",
            "the critic's bins end, and everything above looks alike",
        ),
        "Compare probe/imagined_return_gap before and after the peak.",
        ("M-DIAG-24", "M-EXP-16"),
        (
            Change("behavior.horizon", times=0.67),
            Change("train.actor_every", to=4),
            Change("optimizer.lr_actor", times=0.3),
        ),
        ("peak-then-drop",),
        unless=(AfterPeak("wm/reward_excess", above=2.0), AfterPeak("wm/kl_nats", below=0.2)),
        also=("behavior/policy_gradient_term", "probe/imagined_return_gap"),
    ),
    Rule(
        "model-lags",
        "warning",
        "The world model fell behind the policy: dreams went stale as the return fell",
        (
            PeakDrop(),
            AfterPeak("behavior/value", above=0.95),
            AfterPeak("wm/reward_excess", above=2.0),
        ),
        (
            "the policy visits states that replay hardly holds yet",
            "too few updates of the model for an update of the actor",
        ),
        "Is wm/kl_nats falling while wm/reward_excess rises? Then the latents lose what reward depends on.",
        ("M-DIAG-24", "M-EXP-17", "M-DIAG-25"),
        (Change("train.actor_every", to=4), Change("train.train_ratio", times=2.0)),
        ("peak-then-drop",),
        also=("wm/kl_nats", "behavior/policy_gradient_term"),
    ),
    Rule(
        "peak-then-drop",
        "warning",
        "The return rose, fell again, and stayed down",
        (PeakDrop(),),
        (
            "the actor moves on faster than critic and model can follow",
            "the critic's values are off, or at their ceiling",
            "replay forgets how early, worse play looked",
        ),
        "Which signal moved first? dreamerlab compare RUN --lag behavior/policy_loss",
        ("M-PROT-17", "M-DIAG-24", "M-DIAG-08"),
        (Change("optimizer.lr_actor", times=0.3), Change("train.actor_every", to=4)),
        also=("behavior/value", "behavior/policy_gradient_term"),
    ),
    Rule(
        "value-too-low",
        "warning",
        "Values are less than half of what the same states really returned",
        (
            Level(
                "probe/value_mean",
                below=OfMetric("probe/return_mean", 0.5, words="half of probe/return_mean"),
                share=0.8,
            ),
            Level("probe/return_mean", above=1.0, share=0.8),
        ),
        (
            "the critic learns too slowly for the return that the policy already gets",
            "imagined episodes end too early (look at behavior/imagined_survival)",
            "the bins end below the returns",
        ),
        "Compare probe/value_mean with probe/return_mean, and behavior/value_ceiling_frac.",
        ("M-DIAG-28", "M-QC-07"),
        (Change("optimizer.lr_critic", times=3.0), _WIDER_BINS),
        ("policy-flat",),
        also=("behavior/value_excess",),
    ),
    Rule(
        "value-too-high",
        "warning",
        "Values are more than three times what the same states really returned",
        (
            Level(
                "probe/value_mean", above=OfMetric("probe/return_mean", 3.0, words="3 x probe/return_mean"), share=0.8
            ),
            Level("probe/return_mean", above=1.0, share=0.8),
        ),
        (
            "the critic believes rewards that the model only imagines",
            "a bootstrap on the critic's own values runs away",
        ),
        "Up to twice is no fault where a time limit cuts episodes that would go on; compare probe/imagined_return_gap.",
        ("M-DIAG-28", "M-EXP-16"),
        (Change("behavior.bootstrap", to="slow"), Change("optimizer.lr_critic", times=0.3)),
        ("exploits-model",),
        also=("probe/imagined_return_gap",),
    ),
    Rule(
        "critic-off",
        "warning",
        "The critic explains little of what the same states really returned",
        (Level("probe/value_explained_variance", below=0.3, share=0.8), Progress(made=False)),
        (
            "the critic has not learnt: its rate, or its targets",
            "returns are mostly noise to it: rare rewards, other players",
        ),
        "Look at behavior/value_std: about 0 means one value for all states.",
        ("M-QC-07", "M-DIAG-28"),
        (Change("optimizer.lr_critic", times=3.0),),
        ("policy-flat",),
        also=("behavior/value_std", "behavior/value_excess"),
    ),
    Rule(
        "critic-collapsed",
        "critical",
        "The critic gives every state the same value, though returns differ",
        (
            Stays("behavior/value_std", within=1e-6, at=0.0),
            Level("behavior/return_scale_raw", above=1e-3),
        ),
        ("the critic is not trained", "its features are the same for all states"),
        "Look at optim/grad_norm_critic and wm/feature_std.",
        ("M-QC-07",),
        (Change("optimizer.lr_critic", times=3.0),),
        ("critic-off", "not-learning", "no-learning-signal"),
        also=("optim/grad_norm_critic",),
    ),
    Rule(
        "dreams-drift-from-play",
        "note",
        "Dreamt value climbs threefold while episodes get shorter",
        (
            Trend("behavior/imagined_return", factor=3.0, last=0.7),
            Trend("train/length", factor=0.6, last=0.7),
            Trend("train/return", factor=0.6, last=0.7),
        ),
        ("the model lags behind the policy", "the policy exploits the model"),
        "Look at wm/reward_excess and wm/kl_nats over the same env steps.",
        ("M-EXP-17", "M-DIAG-24"),
        (Change("train.actor_every", to=4),),
        ("peak-then-drop",),
        also=("wm/reward_excess", "wm/kl_nats"),
    ),
    Rule(
        "actor-idle",
        "critical",
        "The actor is not trained: its loss or its gradient is exactly nothing",
        (Stays("optim/grad_norm_actor", within=1e-12, at=0.0),),
        (
            "a controller holds actor and critic back all the time",
            "train.learn is set to the world model alone",
            "advantages are exactly nil",
        ),
        "dreamerlab show RUN lists actor updates beside updates; then look at control/updates_withheld_frac.",
        ("M-DIAG-23", "M-SUR-09", "M-QC-06"),
        (Change("train.learn", to="all"),),
        ("not-learning", "below-random"),
        also=("control/updates_withheld_frac", "behavior/policy_loss"),
    ),
    Rule(
        "actor-withheld",
        "critical",
        "Actor and critic were held back in nearly every update",
        (Share("control/updates_withheld_frac", above=0.95),),
        ("the threshold of a controller is so low that it is always on",),
        "Compare the threshold with surprise/total_log_ratio: how often is it above?",
        ("M-SUR-09", "M-DIAG-29", "M-DIAG-23"),
        (),
        ("actor-idle", "not-learning", "below-random", "policy-flat", "no-learning-signal"),
        also=("surprise/total_log_ratio",),
    ),
)
