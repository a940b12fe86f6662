"""Looks: declared numbers of seeds after which a verdict may end a hypothesis early, with alpha spent for each.

The share of alpha that may be spent once a share t of the seeds is in follows O'Brien and Fleming,

    spent(t) = 2 (1 - Phi(z / sqrt(t))),  z the two-sided normal quantile of alpha

and each look gets what is new since the one before, as if the looks were independent tests (Bonferroni: on the safe
side). Looks at 5, 7 and 10 of 10 seeds get .0056, .0136 and .0309 of .05. Every rule of `rules.py` is then asked with
the look's alpha in place of alpha. Looking without these would make 10% of the verdicts wrong, seed by seed 15%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from dreamerlab.protocol.figures import Arm
from dreamerlab.protocol.hypothesis import Plan
from dreamerlab.protocol.rules import REFUTED, SUPPORTED
from dreamerlab.protocol.verdict import INVALID

DECISIVE = frozenset({SUPPORTED, REFUTED, INVALID})
"""Outcomes at a look that end the hypothesis."""
_LEAST = 1e-6


def alpha_of_looks(looks: Sequence[int], alpha: float) -> dict[int, float]:
    """Return look -> the alpha it may spend; `looks` are numbers of seeds, ascending, the last being all of them.

    A look so early that it could spend next to nothing is left out: nothing could ever be decided there.
    """
    from statistics import NormalDist

    assert looks, "no look"
    assert list(looks) == sorted(set(looks)), looks
    assert looks[0] > 0, looks
    z = NormalDist().inv_cdf(1 - alpha / 2)
    # 2 (1 - Phi(x)) = erfc(x / sqrt(2)), which keeps its digits far out.
    spent = {look: math.erfc(z / math.sqrt(2 * look / looks[-1])) for look in looks[:-1]}
    total = {look: share for look, share in spent.items() if share >= _LEAST} | {looks[-1]: alpha}
    return {look: now - before for (look, now), before in zip(total.items(), [0.0, *total.values()], strict=False)}


def stages(plan: Plan) -> dict[int, float]:
    """Return number of treatment seeds -> the alpha spent on a verdict there; without looks one stage, all of both."""
    return alpha_of_looks(plan.looks, plan.alpha) if plan.looks else {len(plan.seeds): plan.alpha}


def first_seeds(arm: Arm, seeds: Sequence[int]) -> Arm:
    """Return the arm as it was when only `seeds` had been trained."""
    kept = frozenset(seeds)
    return replace(
        arm,
        scores={seed: score for seed, score in arm.scores.items() if seed in kept},
        missing={seed: why for seed, why in arm.missing.items() if seed in kept},
        failed={seed: why for seed, why in arm.failed.items() if seed in kept},
        censored=arm.censored & kept,
        reached={seed: step for seed, step in arm.reached.items() if seed in kept},
        summaries={seed: digest for seed, digest in arm.summaries.items() if seed in kept},
    )
