"""The table of differences of a comparison: effect, interval, exact test, what could have been found at all.

Puts figures into cells and says where one does not exist; computes nothing and judges nothing.
"""

from __future__ import annotations

from dreamerlab.protocol.figures import signed
from dreamerlab.report.comparison_section import Section
from dreamerlab.report.evidence import Evidence, Pair
from dreamerlab.report.wording import figure
from dreamerlab.tables import Table


def differences(evidence: Evidence) -> Section:
    """Return the differences of mean scores, each with everything that says how sure one can be of it."""
    computed = [pair for pair in evidence.pairs if pair.withheld is None]
    firsts = list(dict.fromkeys(pair.first for pair in evidence.pairs))
    heading = f"Difference of mean scores from {firsts[0]}" if len(firsts) == 1 else "Differences of mean scores"
    lines = [_withheld(pair, named=len(firsts) > 1) for pair in evidence.pairs if pair.withheld]
    if not computed:
        return Section(heading, lines)
    table = Table(("", *(f"{pair.other} minus {pair.first}" for pair in computed)))
    table.add("difference", *map(_difference, computed))
    table.add("95 % interval (Welch)", *map(_interval, computed))
    table.add("exact permutation p", *map(_permutation, computed))
    table.add("detectable at these n", *map(_detectable, computed))
    table.add("probability of improvement", *map(_improvement, computed))
    table.add("difference of IQM", *map(_iqm, computed))
    lines.append("detectable: true difference found with 80 % probability, two-sided 5 %, at the spread seen here")
    lines.append("the last two rows describe; bootstrap intervals are too narrow at few seeds")
    if len(computed) > 1:
        lines.append(f"{len(computed)} intervals are shown; by luck alone one in twenty leaves out 0")
    return Section(heading, lines, table)


def _withheld(pair: Pair, *, named: bool) -> str:
    against = f" against {pair.first}" if named else ""
    return f"{pair.other}{against}: no difference is computed: {pair.withheld}"


def _difference(pair: Pair) -> str:
    assert pair.welch is not None
    return signed(pair.welch.difference)


def _interval(pair: Pair) -> str:
    found = pair.welch
    assert found is not None
    if found.low is None or found.high is None:
        return f"none: {found.reason}"
    return f"{signed(found.low)} to {signed(found.high)}, n={found.num_a} and {found.num_b}"


def _permutation(pair: Pair) -> str:
    assert pair.welch is not None
    if pair.permutation is None or pair.least_p is None:
        return "not enumerated: too many splits"
    text = f"{pair.permutation.p:.3g} over all {pair.permutation.splits:,} splits"
    if pair.least_p > 0.05:
        counts = f"n={pair.welch.num_a} and {pair.welch.num_b}"
        text += f"; {counts} cannot give less than {pair.least_p:.3g}: 5 % is out of reach"
    return text


def _detectable(pair: Pair) -> str:
    if pair.detectable_sd is None:
        return "unknown: one seed has no spread"
    if pair.detectable is None:
        return f"{pair.detectable_sd:.2f} SD; there is no spread here"
    return f"{pair.detectable_sd:.2f} SD = {figure(pair.detectable)}"


def _improvement(pair: Pair) -> str:
    assert pair.improvement is not None
    return f"{100 * pair.improvement:.0f} % of seed pairs"


def _iqm(pair: Pair) -> str:
    if pair.iqm_difference is None or pair.iqm_interval is None:
        return "from 4 seeds a run on"
    low, high = pair.iqm_interval
    return f"{signed(pair.iqm_difference)}, bootstrap {signed(low)} to {signed(high)}"
