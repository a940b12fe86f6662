"""Looks: declared numbers of seeds after which a verdict may end a hypothesis early, with alpha spent for each.

The share of alpha that may be spent once a share t of the seeds is in follows O'Brien and Fleming,

    spent(t) = 2 (1 - Phi(z / sqrt(t))),  z the two-sided normal quantile of alpha

and each look gets what is new since the one before, as if the looks were independent tests (Bonferroni: on the safe
side). Looks at 5, 7 and 10 of 10 seeds get .0056, .0136 and .0309 of .05. Every rule of `rules.py` is then asked with
the look's alpha in place of alpha. Looking without these would make 10% of the verdicts wrong, seed by seed 15%.

An early end rests on few seeds, and on those no interval holds for every shape of scores: three seeds of each arm fall
into opposite clusters by chance in 3% of the cases, whatever alpha asks for. So a look counts only where an exact test
on so many seeds could reach its alpha at all (permutation; the sign test for one arm); else its share of alpha goes to
the next. Whether it counts depends on numbers that are declared, never on scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from dreamerlab.protocol.figures import Arm
from dreamerlab.protocol.hypothesis import Plan
from dreamerlab.protocol.rules import REFUTED, SUPPORTED, needs_baseline
from dreamerlab.protocol.verdict import INVALID
from dreamerlab.stats.one_sample import sign_test_seeds
from dreamerlab.stats.permutation import least_p

DECISIVE = frozenset({SUPPORTED, REFUTED, INVALID})
"""Outcomes at a look that end the hypothesis."""
_LEAST = 1e-6


def alpha_of_looks(
    looks: Sequence[int], alpha: float, counts: Callable[[int, float], bool] = lambda seeds, share: True
) -> dict[int, float]:
    """Return look -> the alpha it may spend; `looks` are numbers of seeds, ascending, the last being all of them.

    `counts` tells whether a look at so many seeds with so much alpha can decide anything; the last one always counts.
    """
    from statistics import NormalDist

    assert looks, "no look"
    assert list(looks) == sorted(set(looks)), looks
    assert looks[0] > 0, looks
    z, spent = NormalDist().inv_cdf(1 - alpha / 2), 0.0
    found: dict[int, float] = {}
    for look in looks[:-1]:
        # 2 (1 - Phi(x)) = erfc(x / sqrt(2)), which keeps its digits far out.
        share = math.erfc(z / math.sqrt(2 * look / looks[-1])) - spent
        if share >= _LEAST and counts(look, share):
            found[look] = share
            spent += share
    return {**found, looks[-1]: alpha - spent}


def stages(plan: Plan, form: str = "rise", num_baseline: int | None = None) -> dict[int, float]:
    """Return number of treatment seeds -> the alpha spent on a verdict there, for looks that count and for the end.

    `num_baseline` is the number of seeds of the whole baseline, which every look uses (default: as planned). A count of
    seeds (`reaches`) is never ended early.
    """
    others = len(plan.baseline_seeds) if num_baseline is None else num_baseline
    if not plan.looks or form == "reaches":
        return {len(plan.seeds): plan.alpha}

    def counts(seeds: int, share: float) -> bool:
        if not needs_baseline(form):
            return sign_test_seeds(share) <= seeds
        return others > 0 and least_p(seeds, others) <= share

    return alpha_of_looks(plan.looks, plan.alpha, counts)


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
