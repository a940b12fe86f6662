"""The same rules on a trial that grows: what comes out is what the whole record gives, at a cost that does not grow."""

from __future__ import annotations

import time
from itertools import pairwise

from dreamerlab.diagnostics.engine import diagnose
from dreamerlab.diagnostics.live import LIMIT, Growing, Watch
from tests.diagnostics.courses import LEARNS, course
from tests.diagnostics.stories import STORIES


def fed(name: str | None, lines: int) -> Watch:
    shapes = {**LEARNS, **(STORIES[name].shapes if name else {})}
    whole = course(shapes)
    watch = Watch()
    for i in range(lines):
        at = i * 100 // lines
        watch.add(100 * (i + 1), {metric: one.values[at] for metric, one in whole.series.items()})
    return watch


def test_a_growing_record_gives_what_the_whole_one_gives() -> None:
    for name in ("no-learning-signal", "value-at-ceiling", "controller-always-on", "free-bits-no-gradient"):
        told = [one.rule.id for one in fed(name, 1000).findings(1.0)]
        assert told == [one.rule.id for one in diagnose({0: STORIES[name].course()}).findings]
    assert fed(None, 1000).findings(1.0) == []


def test_a_series_thins_itself_and_keeps_its_shape() -> None:
    grown = Growing()
    for i in range(100_000):
        grown.add(i, float(i))
    assert LIMIT <= len(grown.steps) < 2 * LIMIT
    gaps = {b - a for a, b in pairwise(grown.steps)}
    assert gaps == {grown.stride}
    assert grown.steps[-1] > 99_000


def test_what_no_rule_watches_and_what_is_not_finite_is_left_out() -> None:
    watch = Watch()
    watch.add(1, {"pace/update_ms": 3.0, "wm/loss": float("nan"), "behavior/value": 1.0, "behavior/action_std/0": 0.2})
    assert set(watch.course().series) == {"behavior/value", "behavior/action_std/0"}


def test_a_line_and_a_look_cost_the_same_after_many_lines() -> None:
    def cost(lines: int) -> float:
        watch = fed(None, lines)
        values = dict.fromkeys(LEARNS, 1.0)
        start = time.process_time()
        for i in range(200):
            watch.add(100 * (lines + i + 1), values)
        return time.process_time() - start

    assert cost(4000) < 5 * cost(400) + 0.02
