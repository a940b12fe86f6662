"""The words and cells of a comparison: what is said where a figure does not exist, and what survives escaping."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

from dreamerlab.report.comparison import sections, to_markdown, to_text
from dreamerlab.report.comparison_data import to_csv, to_data
from dreamerlab.report.evidence import Evidence, LeafDifference, Pair, RunEvidence, SeedEvidence, Threshold
from dreamerlab.runs.manifest import Budget, Code, Manifest
from dreamerlab.runs.series import Point
from dreamerlab.stats.curves import course
from dreamerlab.stats.permutation import exact_permutation, least_p
from dreamerlab.stats.welch import welch

MACHINE = dict.fromkeys(("torch", "numpy", "gymnasium", "cpu", "device", "threads"), "-")
SOLVED = Threshold("solved", 475.0, falling=False)


def seed(number: int, score: float | None, **changes: Any) -> SeedEvidence:
    point = Point(100, 50, 61.0, 1e9, 1, 480.0)
    values: dict[str, Any] = {
        **{"seed": number, "state": "finished", "score": score, "so_far": False, "score_reason": None},
        **{"env_steps": 1000, "updates": 500, "replayed_steps": 128_000, "episodes": 9, "wall_s": 75.0},
        **{"evaluations": [point], "reached": {"solved": point}, "course": course([480.0])},
        **{"actor_loss": None, "pattern": "stuck"},
    }
    return SeedEvidence(**{**values, **changes})


def run(number: int, *seeds: SeedEvidence, name: str | None = None) -> RunEvidence:
    made = Manifest(
        **{"id": f"R000{number}-abc", "name": name, "kind": "baseline", "env": "cartpole", "family": "cartpole/3f2a"},
        **{"created_at": "2026-01-02T03:04:05+00:00", "seeds": tuple(one.seed for one in seeds)},
        **{"budget": Budget("env_steps", 1000), "code": Code("ab" * 32)},
    )
    evaluation = {"every": "100 env steps", "episodes": "10", "score": made.score}
    reference = {"random": 22.5, "solved": 475.0, "fail": 0.0}
    return RunEvidence(made, "CartPole-v1", "eval/return_mode", evaluation, MACHINE, reference, [SOLVED], seeds, [])


def evidence(*runs: RunEvidence, pairs: list[Pair] | None = None) -> Evidence:
    leaf = LeafDifference("DYNAMICS", "a.b", ["x|y", "null"], ["default", "command line: a.b=null"], [True, True])
    return Evidence(runs, [leaf], [], pairs or [], ["first caveat"])


def computed(a: list[float], b: list[float]) -> Pair:
    return Pair(
        "R0001-abc",
        "R0002-abc",
        welch=welch(a, b),
        permutation=exact_permutation(a, b),
        least_p=least_p(len(a), len(b)),
        improvement=0.5,
    )


def differences(pair: Pair) -> dict[str, str]:
    """The rows of the table of differences by their first cell."""
    shown = evidence(run(1, seed(0, 1.0)), run(2, seed(0, 2.0)), pairs=[pair])
    (section,) = [part for part in sections(shown) if part.heading.startswith("Difference of mean scores")]
    assert section.table is not None
    return {row[0]: row[1] for row in section.table.rows}


def test_where_a_figure_does_not_exist_the_reason_stands() -> None:
    alone = differences(computed([100.0], [200.0]))
    assert alone["difference"] == "+100.0"
    assert alone["95 % interval (Welch)"] == "none: one seed has no spread"
    assert alone["detectable at these n"] == "unknown: one seed has no spread"
    assert alone["difference of IQM"] == "from 4 seeds a run on"
    many = differences(computed([1.0] * 11, [2.0] * 11))
    assert many["exact permutation p"] == "not enumerated: too many splits"


def test_the_reach_of_the_permutation_test_is_said_only_where_it_is_short() -> None:
    assert "5 % is out of reach" in differences(computed([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]))["exact permutation p"]
    four = differences(computed([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]))["exact permutation p"]
    assert four == "0.0286 over all 70 splits"


def test_scores_that_are_missing_or_not_final_are_marked() -> None:
    page = to_text(evidence(run(1, seed(0, 100.0), seed(1, None), seed(2, 200.0, so_far=True)), run(2, seed(0, 9.0))))
    assert "0: 100.0, 1: none, 2: 200.0*" in page
    assert "*: so far, the seed is not finished" in page
    assert "*: so far" not in to_text(evidence(run(1, seed(0, 1.0)), run(2, seed(0, 1.0))))


def test_what_a_share_is_in_percent_is_said_where_scores_are_shares() -> None:
    said = "shares: 0.1 is 10 %, and a difference of 0.1 is 10 pp"
    one, two = run(1, seed(0, 0.1)), run(2, seed(0, 0.2))
    assert said not in to_text(evidence(one, two))
    won = {**one.evaluation, "score": "final_mean(3) of eval/win_rate_mode"}
    assert said in to_text(evidence(replace(one, evaluation=won), two))
    timed = {**one.evaluation, "score": "env_steps_to(0.5) of eval/win_rate_mode"}
    assert said not in to_text(evidence(replace(one, evaluation=timed), two))


def test_a_level_not_reached_is_said_with_how_far_training_went() -> None:
    page = to_text(evidence(run(1, seed(0, 1.0)), run(2, seed(0, 1.0, reached={"solved": None}))))
    assert "not reached in 1,000" in page
    assert "solved (475.0), R0001-abc: 1 of 1 seeds, median 100 env steps" in page
    assert "solved (475.0), R0002-abc: 0 of 1 seeds, median not reached" in page


def test_markdown_has_every_section_as_a_table_that_no_cell_breaks() -> None:
    shown = evidence(run(1, seed(0, 1.0)), run(2, seed(0, 2.0)), pairs=[computed([1.0], [2.0])])
    text = to_markdown(shown)
    assert text.startswith("# R0002-abc beside R0001-abc\n")
    assert [f"## {section.heading}" in text for section in sections(shown)] == [True] * len(sections(shown))
    assert "x\\|y" in text
    assert text.endswith("## Caveats\n\n- first caveat")


def test_csv_and_json_carry_full_digits_and_empty_cells() -> None:
    nothing = seed(1, None, course=None, evaluations=[], reached={"solved": None}, pattern=None)
    shown = evidence(run(1, seed(0, 1 / 3), nothing), run(2, seed(0, 2.0)))
    first, second, _ = csv.DictReader(io.StringIO(to_csv(shown)))
    assert (float(first["score"]), first["solved_updates"], first["peak"]) == (1 / 3, "50", "480.0")
    assert (second["score"], second["solved_updates"], second["peak"], second["pattern"]) == ("", "", "", "")
    seeds = to_data(shown)["runs"][0]["seeds"]
    assert seeds[0]["reached"]["solved"] == {"env_steps": 100, "updates": 50, "wall_s": 61.0, "value": 480.0}
    assert (seeds[1]["reached"], seeds[1]["peak"]) == ({"solved": None}, None)
