"""Rules of the run as a whole: whether it learns, whether its ratios and controllers do what they are there for."""

from __future__ import annotations

from dreamerlab.diagnostics.bounds import OfMetric
from dreamerlab.diagnostics.conditions import Level, Share
from dreamerlab.diagnostics.peaks import Progress
from dreamerlab.diagnostics.rule import Change, Rule

_HOLDING = "|".join(f"control/{name}_active_frac" for name in ("focus", "camp", "kl_pause"))
_WATCHFUL = f"{_HOLDING}|control/surprise_rate_active_frac"
"""Controllers that wait for something to happen; a schedule that is always on, or a freeze that never came, is none.
The first three hold the actor back; a rate that is slowed a little all the time does what it is there for."""
_LESS_OFTEN = (
    ("control.focus_threshold", 5.0),
    ("control.camp_threshold", 5.0),
    ("control.kl_pause_factor", 2.0),
    ("control.surprise_gain", 0.2),
)
"""What makes each of them act more rarely, in the same order."""

RULES: tuple[Rule, ...] = (
    Rule(
        "controller-always-on",
        "warning",
        "A controller that waits for something is active nearly all the time",
        (Level("control/*_active_frac", above=0.95),),  # it may have begun in the midst of the run
        ("its threshold is below what it watches ever is", "it never gets back to its resting state"),
        "Compare its threshold with the metric it watches: what share of lines is above?",
        ("M-SUR-09", "M-DIAG-29"),
        tuple(Change(leaf, times=factor) for leaf, factor in _LESS_OFTEN),
        explains=(
            *("actor-withheld", "actor-idle", "focus-never-rests", "not-learning", "below-random"),
            *("no-learning-signal", "policy-flat", "value-too-low", "critic-off", "peak-then-drop", "lost-again"),
        ),
        each=_HOLDING,
        also=("surprise/total_log_ratio", "control/updates_withheld_frac"),
        recorded="CartPole, nano, control.focus_threshold=0.02 in stretches of 500 updates, 3,000 env steps",
    ),
    Rule(
        "controller-inert",
        "note",
        "A controller was active almost never: switched on, and without effect",
        (Share("control/*_active_frac", below=0.01),),
        ("its threshold is above what it watches ever reaches",),
        "Compare its threshold with the largest value of the metric it watches.",
        ("M-SUR-09", "M-SUR-10", "M-DIAG-29"),
        tuple(Change(leaf, times=1 / factor) for leaf, factor in _LESS_OFTEN),
        each=_WATCHFUL,
        from_spent=0.5,
        also=("surprise/total_log_ratio",),
        recorded="CartPole, nano, control.focus_threshold=2, 3,000 env steps",
    ),
    Rule(
        "ratio-missed",
        "warning",
        "Far fewer steps are replayed than the configured ratio asks for",
        (
            Level(
                "replay/train_ratio_effective",
                below=OfMetric("replay/train_ratio_configured", 0.85, words="85 % of the configured"),
                last=0.25,
            ),
        ),
        ("updates cannot keep up with env steps", "learning began late in a short run", "a resume lost its place"),
        "dreamerlab show RUN lists configured beside effective.",
        ("M-DIAG-30", "M-CFG-08", "DIS-05"),
        explains=("not-learning", "policy-flat"),
        also=("replay/updates_per_env_step",),
        from_spent=0.5,
    ),
    Rule(
        "few-goals",
        "warning",
        "Fewer than 40 games with a goal before learning, and games are not won more often since",
        (
            Level("replay/goals_before_learning", below=40.0),
            Level("train/win_rate", below=0.2, last=0.3, share=0.6),
            Progress(made=False),
        ),
        ("random play hardly ever ends in a goal, so the reward head knows none",),
        "Count goals in episodes.jsonl: how many games until the fortieth?",
        ("M-ADD-08", "M-HK-16"),
        (Change("train.learning_starts", to=25_000), Change("replay.event_share", to=0.25)),
        ("reward-misjudged", "no-learning-signal", "not-learning"),
    ),
    Rule(
        "policy-flat",
        "warning",
        "The world model is good and the policy has not learnt from it",
        (
            Level("probe/open_loop_error_15", below=0.5, over="probe/open_loop_baseline_15", share=0.8),
            Level("probe/reward_correlation", above=0.5, share=0.8),
            Progress(made=False),
        ),
        ("the actor learns too slowly", "the entropy bonus is in the way", "a controller holds it back"),
        "Look at optim/grad_norm_actor (0?) and behavior/advantage_abs_mean (nil?).",
        ("M-QC-09",),
        (Change("optimizer.lr_actor", times=3.0), Change("behavior.entropy_scale", times=0.3)),
        ("not-learning",),
        also=("optim/grad_norm_actor", "behavior/advantage_abs_mean"),
        recorded="Pendulum, nano, tanh_normal, policy.std=[0.1353, 7.389], policy.entropy=base, "
        "behavior.entropy_scale=0.03, 4,000 env steps",
    ),
    Rule(
        "training-apart-from-evaluation",
        "note",
        "Training episodes and sampled evaluation are far apart",
        (
            Level(
                "train/return",
                below=OfMetric("eval/return_sample", 0.5, words="half of eval/return_sample"),
                last=0.4,
                share=0.8,
            ),
            Level("eval/return_sample", above=0.0, last=0.4),
        ),
        (
            "training plays against others, or under another wrapper, than evaluation",
            "what acts in training has older weights (replay/weights_behind)",
            "random steps or another spread are in the way of training episodes",
        ),
        "Early stopping and claims must look at evaluation, never at training episodes.",
        ("M-DIAG-31", "M-CP-37"),
        also=("replay/weights_behind", "eval/return_mode"),
    ),
    Rule(
        "not-learning",
        "warning",
        "The return is no better than that of the first episodes",
        (Progress(made=False),),
        (
            "the budget is too small for this task",
            "the reward hardly tells good play from bad",
        ),
        "First the model (wm/recon_loss, wm/reward_excess fall?), then the critic, then the policy.",
        ("M-DIAG-26", "M-QC-09", "M-PROT-15"),
        (Change("train.train_ratio", times=4.0), Change("optimizer.lr_world", times=3.0)),
        ("below-random",),
        also=("wm/recon_loss", "wm/reward_excess", "behavior/entropy_frac"),
        recorded="CartPole, nano, loss_scales.dyn=0, 3,000 env steps",
    ),
)
