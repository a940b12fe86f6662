"""Rules that hold measured values against the recorded config: a value that the config makes impossible, a level of
the task that is not reached. They read more than metrics and are marked so; what a config says before anything is
measured is `config audit` (`dreamerlab/config/conformance.py`).
"""

from __future__ import annotations

from dreamerlab.diagnostics.bounds import OfConfig
from dreamerlab.diagnostics.conditions import Level
from dreamerlab.diagnostics.policy_rules import BASE
from dreamerlab.diagnostics.rule import Change, Rule

_EVALUATION = "eval/return_mode|eval/return_sample"
_DISAGREE = ("the record of the config is not that of this training", "the trainer logs another quantity than it uses")
_COMPARE = "dreamerlab show RUN --provenance, and compare config.yaml with what the run was started with."

RULES: tuple[Rule, ...] = (
    Rule(
        "below-random",
        "warning",
        "The agent is worse than random play",
        (Level(_EVALUATION, below=OfConfig("random play", 1.0, -1e-9), last=0.3),),
        (
            "the policy settled on one bad habit",
            "reward has the wrong sign",
        ),
        "Watch an episode: dreamerlab watch RUN",
        ("M-DIAG-26", "M-PROT-15"),
        (Change("optimizer.lr_actor", times=0.1), Change("behavior.entropy_scale", times=10.0)),
        also=("train/return",),
        from_spent=0.5,
    ),
    Rule(
        "deterministic-and-bad",
        "warning",
        "The policy is deterministic, and less than a quarter of the way to solved",
        (
            Level("behavior/entropy_frac", below=0.1),
            Level(_EVALUATION, below=OfConfig("a quarter of the way from random to solved"), last=0.3),
        ),
        ("exploration ended before the task was understood",),
        "When did behavior/entropy_nats fall: before or after the return stopped rising?",
        ("M-DIAG-10",),
        (Change("behavior.entropy_scale", times=10.0), Change("optimizer.lr_actor", times=0.3)),
        ("not-learning", "below-random"),
        from_spent=0.5,
    ),
    Rule(
        "focus-never-rests",
        "warning",
        "World-model focus begins again as soon as its cooldown allows",
        (Level("control/focus_active_frac", above=OfConfig("most that focus can be on", 0.9), last=1.0, share=0.8),),
        ("control.focus_threshold is below what surprise mostly is",),
        "Compare the threshold with surprise/total_log_ratio: what share of lines is above?",
        ("M-SUR-09", "M-DIAG-29"),
        (Change("control.focus_threshold", times=5.0),),
        ("not-learning", "policy-flat"),
        also=("surprise/total_log_ratio", "control/updates_withheld_frac"),
    ),
    Rule(
        "entropy-above-config",
        "critical",
        "The logged entropy is above what the recorded policy.std allows",
        (Level(BASE, above=OfConfig("largest entropy by policy.std", 1.0, 0.01)),),
        _DISAGREE,
        _COMPARE,
        ("M-ADD-11", "M-DIAG-05"),
    ),
    Rule(
        "entropy-below-config",
        "critical",
        "The logged entropy is below what the recorded policy.std allows",
        (Level(BASE, below=OfConfig("least entropy by policy.std", 1.0, -0.01)),),
        _DISAGREE,
        _COMPARE,
        ("M-ADD-10", "DIS-01"),
    ),
    *(
        Rule(
            f"{name}-not-as-configured",
            "critical",
            f"The logged {what} is above the configured one",
            (Level(metric, above=OfConfig(key, 1.001, 1e-12)),),
            _DISAGREE,
            _COMPARE,
            ("M-DIAG-30", "M-CFG-02"),
        )
        for name, what, metric, key in (
            ("world-rate", "learning rate of the world model", "optim/lr_world", "optimizer.lr_world"),
            ("actor-rate", "learning rate of the actor", "optim/lr_actor", "optimizer.lr_actor"),
            ("critic-rate", "learning rate of the critic", "optim/lr_critic", "optimizer.lr_critic"),
            ("entropy-scale", "weight of the entropy", "behavior/entropy_scale", "behavior.entropy_scale"),
            ("ratio", "replay ratio", "replay/train_ratio_configured", "train.train_ratio"),
        )
    ),
)
