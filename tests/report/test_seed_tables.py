"""Every seed of a page: what is held against the levels of the task, and what must not be (M-PROT-15)."""

from __future__ import annotations

import pytest

from dreamerlab.protocol.hypothesis import Base, Expectation, Plan, Proposal
from dreamerlab.protocol.state import DONE_JUDGED, Hypothesis
from dreamerlab.report.log_data import RunRecord, SeedRecord, Story
from dreamerlab.report.seed_tables import curves_svg, seed_table

CURVE = tuple((step, 5.0) for step in range(100, 1100, 100))


def a_story(metric: str, reducer: str = "final_mean(3)") -> Story:
    plan = Plan("env_steps", 1000, (0,), (0,), reducer=reducer)
    base = Base("cartpole")
    expected = Expectation(metric, "fall", 1.0)
    proposal = Proposal("code", "said", "read", base, plan, "f/1", "f/1", code="less", expectation=expected)
    figures = {"metric": metric, "treatment": {"seeds": {"0": 5.0}}, "baseline": {"seeds": {"1": 5.0}}}
    verdict = {"outcome": "INCONCLUSIVE", "figures": figures}
    state = Hypothesis("H0001-aaa", proposal, "now", "somebody", DONE_JUDGED, verdict=verdict)
    runs = [
        RunRecord(name, None, 22.5, 475.0, (SeedRecord(seed, "finished", env_steps=1000, attempts=1, curve=CURVE),))
        for seed, name in enumerate(("R0002-aaa", "R0001-aaa"))
    ]
    return Story(state, (), runs[0], runs[1])


@pytest.mark.parametrize("metric", ["eval/return_mode", "train/return"])
def test_a_return_is_held_against_the_levels_of_the_task(metric: str) -> None:
    story = a_story(metric)
    assert [(row[4], row[7], row[8]) for row in seed_table(story).rows] == [
        ("never", "stuck", "worse than random play")
    ] * 2
    assert "random play" in (curves_svg(story) or "")


def test_a_metric_that_is_no_return_has_nothing_to_do_with_random_play() -> None:
    story = a_story("pace/acting_share")
    assert [(row[4], row[7], row[8]) for row in seed_table(story).rows] == [("-", "-", "")] * 2
    assert "random play" not in (curves_svg(story) or "")


def test_a_time_is_no_return_either() -> None:
    story = a_story("eval/return_mode", "env_steps_to(400)")
    assert [row[8] for row in seed_table(story).rows] == [""] * 2
