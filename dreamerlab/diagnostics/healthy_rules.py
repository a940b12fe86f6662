"""Signs of health, shown with `--all` and never counted as findings: what a run that learns looks like."""

from __future__ import annotations

from dreamerlab.diagnostics.conditions import Level, Stays, Trend
from dreamerlab.diagnostics.peaks import Dips, Progress
from dreamerlab.diagnostics.rule import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "learns",
        "healthy",
        "The return is above that of the first episodes",
        (Progress(made=True),),
        (),
        "Time to the solved level is the measure: dreamerlab compare RUN OTHER --level N",
        ("M-DIAG-17", "M-PROT-19"),
    ),
    Rule(
        "converged",
        "healthy",
        "Entropy is low and the return is up: healthy convergence",
        (Level("behavior/entropy_frac", below=0.5), Progress(made=True)),
        (),
        "Nothing to do.",
        ("M-DIAG-03", "M-DIAG-11"),
    ),
    Rule(
        "exploring",
        "healthy",
        "Entropy is high and the return rises: exploring as it should",
        (
            Level("behavior/entropy_frac", above=0.5),
            Level("behavior/advantage_abs_mean", above=0.01),
            Progress(made=True),
        ),
        (),
        "Nothing to do; entropy should fall later.",
        ("M-DIAG-16",),
    ),
    Rule(
        "entropy-steady",
        "healthy",
        "Entropy moves by less than 20 % of its range",
        (Stays("behavior/entropy_frac", within=0.2),),
        (),
        "Nothing to do.",
        ("M-DIAG-11",),
    ),
    Rule(
        "entropy-below-zero",
        "healthy",
        "Entropy is negative, as that of a density may be: the spread is below 0.242",
        (Level("behavior/entropy_nats", below=0.0), Level("behavior/action_std", above=0.0)),
        (),
        "No fault. Whether the value is possible at all is judged against the interval of the head.",
        ("M-DIAG-04", "M-ENT-03", "M-ENT-04", "DIS-01"),
    ),
    Rule(
        "entropy-dips",
        "healthy",
        "Entropy fell at times and came back to where it was",
        (Dips("behavior/entropy_frac"),),
        (),
        "Whether dips are good is an open question: they are counted, so that runs can be compared.",
        ("M-DIAG-18",),
    ),
    Rule(
        "advantages-in-range",
        "healthy",
        "Scaled advantages are within [-2, 2]",
        (Level("behavior/advantage_abs_mean", below=2.0),),
        (),
        "Nothing to do.",
        ("M-DIAG-11", "M-ADD-09"),
    ),
    Rule(
        "model-learns",
        "healthy",
        "The model's loss has fallen",
        (Trend("wm/loss", factor=0.9),),
        (),
        "Nothing to do.",
        ("M-DIAG-17", "M-QC-01"),
    ),
    Rule(
        "scale-grows",
        "healthy",
        "The return scale has grown with the returns",
        (Trend("behavior/return_scale", factor=1.5),),
        (),
        "Nothing to do: it follows the spread of returns, and need not shrink.",
        ("M-DIAG-11", "DIS-04"),
    ),
    Rule(
        "wins-more",
        "healthy",
        "Games are won more often than at the beginning",
        (Trend("train/win_rate", factor=1.2),),
        (),
        "Nothing to do.",
        ("M-DIAG-17",),
    ),
)
