"""Whole notebooks as tests need them: runs through the real writers, hypotheses through the real registry and judge.

Nothing is trained: evaluations are given. Times are given as well, so that the pages can be compared.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.chain import Event
from dreamerlab.protocol.figures import Arm
from dreamerlab.protocol.hypothesis import Base, Change, Expectation, KillRule, Plan, Proposal
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.protocol.state import COMPARED, CORRECTED, JUDGED, LAUNCHED, MEASURED, NOTED, PROPOSED, TRIAL_FINISHED
from dreamerlab.protocol.verdict import Levels, judge, measure
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Budget
from dreamerlab.runs.reducers import parse_reducer, score
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import read_summary
from tests.lab.arms import make_arm

FAMILY = "cartpole/3f2a"
METRIC = "eval/return_mode"
RISE = Expectation(METRIC, "rise", 50.0)


class Notebook:
    """A workspace that is written to event by event, on a clock of its own."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.registry = registry_of(workspace)
        self._minutes = 0

    def time(self) -> str:
        self._minutes += 7
        day, minutes = divmod(self._minutes, 1440)
        return f"2026-03-{day + 1:02d}T{minutes // 60:02d}:{minutes % 60:02d}:00+00:00"

    def event(self, name: str, data: Mapping[str, Any], author: str = "Ada") -> Event:
        return Event(name, self.time(), author, data)

    def propose(self, sentence: str, expectation: Expectation | None = RISE, **changes: Any) -> str:
        return self.registry.create(
            HYPOTHESIS, self.event(PROPOSED, a_proposal(sentence, expectation, **changes).to_dict())
        )

    def add(self, record: str, name: str, **data: Any) -> None:
        self.registry.append(record, self.event(name, data))

    def launch(self, hypothesis: str, run: RunDirectory, base: RunDirectory | None = None, **data: Any) -> None:
        facts = {"proposal_commit": "c0ffee" * 6 + "abcd", "dirty": False, "caveats": [], "gates": [], "code": {}}
        self.add(hypothesis, LAUNCHED, run=run.id, baseline_run=base.id if base else None, **{**facts, **data})

    def finish(self, hypothesis: str, *runs: RunDirectory) -> None:
        for run in runs:
            for trial in run.trials():
                summary = read_summary(trial)
                if summary is not None:
                    self.add(
                        hypothesis,
                        TRIAL_FINISHED,
                        run=run.id,
                        seed=trial.seed,
                        state=summary["state"],
                        score=summary["score"],
                    )

    def judge(self, hypothesis: str, run: RunDirectory, base: RunDirectory | None = None, **given: Any) -> None:
        """Record the verdict that the rules give on what the runs scored."""
        state = next(s for s in _states(self) if s.id == hypothesis)
        arms = [None if one is None else arm(one, state.proposal) for one in (run, base)]
        assert arms[0] is not None
        if state.proposal.expectation is None:
            self.add(hypothesis, MEASURED, **measure(state.proposal, arms[0], METRIC))
            return
        faults = given.pop("faults", ())
        levels = given.pop("levels", Levels(22.47, 475.0))
        verdict = judge(state.proposal, arms[0], arms[1], faults, levels=levels, **given)
        self.add(hypothesis, JUDGED, **verdict.to_dict())

    def note(self, kind: str, text: str, *about: str, **fields: str) -> str:
        data = {
            "kind": kind,
            "text": text,
            "about": list(about),
            "fields": {k.replace("_", "-"): v for k, v in fields.items()},
        }
        return self.registry.create(ENTRY, self.event(NOTED, data))

    def correct(self, entry: str, kind: str, text: str, *about: str) -> None:
        self.add(entry, CORRECTED, kind=kind, text=text, about=list(about), fields={})

    def compared(self, *runs: str, markdown: str = "# Title\n\n| a | b |\n| --- | --- |\n| 1 | 2 |") -> str:
        data = {"runs": list(runs), "reducer": f"final_mean(3) of {METRIC}", "records": {}, "markdown": markdown}
        return self.registry.create(ENTRY, self.event(COMPARED, data))


def _states(book: Notebook) -> list[Any]:
    from dreamerlab.protocol.state import hypotheses

    return list(hypotheses(book.registry))


def a_proposal(sentence: str, expectation: Expectation | None = RISE, **changes: Any) -> Proposal:
    seeds = tuple(changes.pop("seeds", (0, 1, 2, 3, 4)))
    plan: dict[str, Any] = {
        "budget_unit": "env_steps",
        "budget_amount": 2400,
        "seeds": seeds,
        "baseline_seeds": seeds,
        "fail_score": 0.0,
    }
    plan |= {name: changes.pop(name) for name in ("reducer", "looks", "kill", "fail_score") if name in changes}
    values: dict[str, Any] = {
        "kind": "config",
        "sentence": sentence,
        "reading": sentence,
        "base": Base("cartpole", "nano"),
        "family": FAMILY,
        "baseline_family": FAMILY,
        "changes": (Change("optimizer.lr_actor", 3e-5, 1e-4),),
        "expectation": expectation,
    }
    return Proposal(**{**values, **changes}, plan=Plan(**plan))


def arm(run: RunDirectory, proposal: Proposal) -> Arm:
    """Return a run as the judge sees it."""
    metric = proposal.expectation.metric if proposal.expectation else METRIC
    reducer = parse_reducer(f"{proposal.plan.reducer} of {metric}")
    scores: dict[int, float | None] = {}
    missing: dict[int, str] = {}
    reached: dict[int, int | None] = {}
    for trial in run.trials():
        summary = read_summary(trial)
        if summary is None or summary["state"] != "finished":
            scores[trial.seed], missing[trial.seed] = None, "the trial was interrupted"
            continue
        scores[trial.seed] = score(trial, reducer, budget_env_steps=2400).value
        if proposal.expectation and proposal.expectation.form == "reaches":
            at = score(
                trial,
                parse_reducer(f"env_steps_to({proposal.expectation.amount:g}) of {metric}"),
                budget_env_steps=2400,
            )
            reached[trial.seed] = None if at.censored else int(at.value or 0)
    return Arm(run.id, scores, missing, reached=reached, summaries=dict.fromkeys(scores, "ab" * 32))


def rising(top: float, *, seeds: int = 5, spread: float = 12.0, seed: int = 0, points: int = 16) -> list[list[float]]:
    """Return noisy learning curves that end around `top`."""
    source = random.Random(f"{top} {seed}")
    curves: list[list[float]] = []
    for _ in range(seeds):
        height, goal = 20.0, top + source.gauss(0, spread)
        curve: list[float] = []
        for _ in range(points):
            height += (goal - height) * 0.22
            curve.append(round(max(8.0, height + source.gauss(0, spread / 2)), 2))
        curves.append(curve)
    return curves


def a_run(workspace: Workspace, name: str, curves: Sequence[Sequence[float]], **changes: Any) -> RunDirectory:
    return make_arm(workspace, name, curves, budget=Budget("env_steps", 2400), **changes)


def full_story(book: Notebook) -> dict[str, str]:
    """Write one of everything that a log can hold; return name -> id."""
    story = _Story(book)
    story.hypotheses()
    story.unfinished()
    story.entries()
    return story.ids


def leaf(key: str, before: Any, after: Any) -> dict[str, Any]:
    return {"changes": (Change(key, before, after),)}


class _Story:
    def __init__(self, book: Notebook) -> None:
        self.book, self.lab = book, book.workspace
        self.ids: dict[str, str] = {}
        self.first_run = ""
        self.base = a_run(self.lab, "reference", rising(210, seed=1), created_at=book.time())
        why = "Something to hold the rest against."
        first = book.propose("nothing", None, kind="baseline", changes=(), name="reference", why=why)
        book.launch(first, self.base)
        book.finish(first, self.base)
        book.judge(first, self.base)
        book.add(first, "adopted", family=FAMILY, run=self.base.id, why="the first reference")
        self.ids["measured"] = first

    def tried(
        self,
        name: str,
        sentence: str,
        curves: list[list[float]],
        expectation: Expectation = RISE,
        *,
        launch: Mapping[str, Any] | None = None,
        judged: Mapping[str, Any] | None = None,
        unfinished: Mapping[int, str] | None = None,
        **changes: Any,
    ) -> None:
        """Propose, launch, finish and judge a hypothesis whose run has these curves."""
        book = self.book
        seeds = tuple(range(len(curves)))
        hypothesis = book.propose(f"{sentence}", expectation, name=name, **{"seeds": seeds, **changes})
        run = a_run(self.lab, name, curves, created_at=book.time(), unfinished=unfinished)
        self.first_run = self.first_run or run.id
        book.launch(hypothesis, run, self.base, **(launch or {}))
        book.finish(hypothesis, run)
        book.judge(hypothesis, run, self.base, **(judged or {}))
        self.ids[name] = hypothesis

    def hypotheses(self) -> None:
        """Every outcome, every form of expectation, every qualifier of a launch."""
        tried, rise = self.tried, "-> expect eval/return to rise by 50"
        lr = f"change optimizer.lr_actor=1e-4 {rise}"
        why = "The actor looked slow: its loss was still falling.\n\nSee the curves."
        tried("faster-actor", lr, rising(320, seed=2), why=why)
        entropy = leaf("behavior.entropy_scale", 3e-4, 3e-2)
        tried("reversed", f"change behavior.entropy_scale=3e-2 {rise}", rising(110, seed=3), **entropy)
        ratio = leaf("train.train_ratio", 32.0, 64.0)
        tried("too-small", f"change train.train_ratio=64 {rise}", rising(175, seed=4, spread=30), **ratio)
        said, expected = (
            "change model.unimix=0.02 -> expect eval/return to rise by 80",
            Expectation(METRIC, "rise", 80.0),
        )
        tried("equivalent", said, rising(212, seed=5, spread=5), expected, **leaf("model.unimix", 0.01, 0.02))
        span = Expectation(METRIC, "rise", 90.5, said="20% of span (22.47 to 475) = 90.5")
        said = "change behavior.horizon=10 -> expect eval/return to rise by 20% of span"
        tried("undecided", said, rising(260, seed=8, spread=60), span, **leaf("behavior.horizon", 15, 10))
        tried("two-seeds", lr, rising(300, seed=7, seeds=2), follows=self.ids["faster-actor"])
        level, said = (
            Expectation(METRIC, "at_least", 150.0),
            "change optimizer.lr_world=1e-3 -> expect eval/return >= 150",
        )
        tried("level", said, rising(230, seed=8), level, **leaf("optimizer.lr_world", 3e-4, 1e-3))
        time = Expectation(METRIC, "reaches", 180.0, by_env_steps=1500)
        said = "change optimizer.lr_world=3e-3 -> expect eval/return reaches 180 by 1500 env_steps"
        tried("reaching", said, rising(190, seed=9), time, **leaf("optimizer.lr_world", 3e-4, 3e-3))
        same, said = (
            Expectation(METRIC, "within", 40.0),
            "change behavior.lam=0.96 -> expect eval/return stays within 40",
        )
        tried("same", said, rising(208, seed=10), same, kind="equivalence", **leaf("behavior.lam", 0.95, 0.96))
        batch = (Change("train.batch_size", 16, 8), Change("train.batch_length", 64, 32))
        dirty = {"dirty": True, "caveats": ["other processes used 70 % of the cores"], "gates": ["--allow-dirty"]}
        said = f"change train.batch_size=8 and train.batch_length=32 {rise}"
        reason = "Only their product keeps the memory constant."
        more = {"kind": "bundle", "changes": batch, "reason": reason, "launch": dirty, "judged": {"marks": ["dirty"]}}
        tried("bundle", said, rising(330, seed=11), **more)
        code = "lambda-returns bootstrap from the value, not from the slow critic"
        unproven = {"launch": {"proposal_commit": None}, "judged": {"marks": ["order-unproven"]}}
        tried(
            "fixed-code", f"code: {code} {rise}", rising(240, seed=12), kind="code", changes=(), code=code, **unproven
        )
        wide = {"family": "cartpole/9c01", "new_family": True, **leaf("model.deter", 128, 256)}
        tried("wide", f"change model.deter=256 {rise}", rising(300, seed=13), **wide)
        fault = "The effective config differs from the declared one: behavior.gamma is 0.997."
        gamma = leaf("behavior.gamma", 0.997, 0.99)
        tried("broken", f"change behavior.gamma=0.99 {rise}", rising(220, seed=14), judged={"faults": [fault]}, **gamma)
        fall, said = Expectation(METRIC, "fall", 40.0), "change optimizer.eps=1e-6 -> expect eval/return to fall by 40"
        eps = leaf("optimizer.eps", 1e-8, 1e-6)
        tried("incomplete", said, rising(180, seed=16), fall, unfinished={2: "interrupted"}, **eps)

    def unfinished(self) -> None:
        """What has no verdict: withdrawn before and after launch, running, open, amended, queued."""
        book, rise = self.book, "-> expect eval/return to rise by 50"
        late = book.propose(f"change model.units=128 {rise}", **leaf("model.units", 64, 128))
        stopped = a_run(self.lab, "gave-up", rising(200, seed=15), unfinished={3: "interrupted", 4: "interrupted"})
        book.launch(late, stopped, self.base)
        book.finish(late, stopped)
        book.add(late, "withdrawn", why="The machine is needed elsewhere.")
        early = book.propose(f"change model.units=256 {rise}", **leaf("model.units", 64, 256))
        book.add(early, "withdrawn", why="Asked already.")
        kill = (KillRule(METRIC, "<", 30.0, 1200),)
        more = {"looks": (3, 5), "kill": kill, "replicates": self.ids["reversed"]}
        said = f"change behavior.entropy_scale=1e-3 {rise}"
        running = book.propose(said, name="busy", **more, **leaf("behavior.entropy_scale", 3e-4, 1e-3))
        states = {1: "running", 2: "running", 3: "queued", 4: "queued"}
        busy = a_run(self.lab, "busy", rising(250, seed=17), unfinished=states)
        book.launch(running, busy, self.base)
        book.finish(running, busy)
        thirty = Expectation(METRIC, "rise", 30.0)
        said = "change train.learning_starts=500 -> expect eval/return to rise by 30"
        waiting = book.propose(said, thirty, **leaf("train.learning_starts", 1000, 500))
        changes = {"expectation": {"metric": METRIC, "form": "rise", "amount": 40.0}}
        book.add(waiting, "amended-before-launch", changes=changes, why="30 is below what 5 seeds can tell.")
        said = "change optimizer.lr_actor=2e-5 -> expect eval/return to fall by 20"
        queued = book.propose(
            said, Expectation(METRIC, "fall", 20.0), queued=True, **leaf("optimizer.lr_actor", 3e-5, 2e-5)
        )
        self.ids |= {"late": late, "early": early, "running": running, "open": waiting, "queued": queued}

    def entries(self) -> None:
        """Notes of many kinds with their fields, citations, a correction, a pilot, an idea, a comparison."""
        note, ids, base = self.book.note, self.ids, self.base.id
        seen = "Return drops after 1,500 env steps.\n\n| step | length |\n| ---: | ---: |\n| 1000 | 210 |"
        first = ids["faster-actor"]
        ids["seen"] = note("observation", seen, first, tool="show --plot", next="Look at the KL.", status="open")
        causes = {"cause": "bins end at 147", "possible_causes": "clipping;\nor the rate", "files": "`behavior.py`"}
        ids["cause"] = note("cause", "The critic saturates.", ids["reversed"], **causes)
        caution = "The fix was applied; that it caused the recovery is *not* shown."
        ids["caution"] = note("caution", caution, ids["fixed-code"], status="cautioned")
        cited = (
            f"A mean of {{{base} eval/return final_mean(3)}} before, {{{first} difference}} on top "
            f"({{{first} interval}}); {{{first} verdict}}. At 1,200 steps it was {{{base} eval/return at 1200}}, "
            f"seed 3 alone {{{base} seed 3 score}}. Nothing is known of {{R99 score}}, nor of `{{R98 score}}`."
        )
        ids["cited"] = note("conclusion", cited, first)
        wild = "# A heading\n\n<b>HTML</b> and `code <b>` and\n```python\nif a < b:\n    # not a heading\n```"
        ids["bug"] = note("bug", wild, dated="2025-12-31", status="fixed")
        ids["profiling"] = note("profiling", "2.4 ms an update.", base, setup="one thread", results="2.4 ms")
        ids["idea"] = note("idea", "Pause the actor on KL spikes.", needs="a controller", source="the old list")
        ids["pilot"] = note("pilot", "One seed, 10 % of the budget: it runs.", setup="cartpole")
        ids["decision"] = note("decision", "Keep lr_actor at 1e-5.", first)
        self.book.correct(ids["decision"], "decision", "Keep lr_actor at 1e-4.", first)
        ids["comparison"] = self.book.compared(base, self.first_run)
