"""The page of one hypothesis: what was asked and why, what was expected, what happened, and how sure that is.

Rendered from a `Story` alone, the same bytes for the same records. The order of the parts is that of a lab notebook,
and it is the same whatever came out. The short form is `log_entries.py`, tables and figures are `seed_tables.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from dreamerlab.protocol.state import DONE_JUDGED, DONE_WITHDRAWN, Hypothesis
from dreamerlab.report.hypothesis_words import (
    asked,
    early_ends,
    expected,
    moment,
    rule_words,
    score_rule,
    short_expectation,
    value,
)
from dreamerlab.report.links import LOG, curves_name, effect_name
from dreamerlab.report.log_data import Story
from dreamerlab.report.log_entries import Fill, caveats_of, damage, entry, lineage, so_far, times, words_of
from dreamerlab.report.page_history import ROOT, history, listed, provenance, section
from dreamerlab.report.prose import code, details, plain, said
from dreamerlab.report.seed_tables import arms_of, reducer_is_optimistic, seed_table, way_table
from dreamerlab.report.verdict_words import (
    effect,
    figures_of,
    happened,
    is_no_result,
    qualifiers,
    state_words,
    sureness,
    verdict_words,
)
from dreamerlab.report.wording import duration, figure
from dreamerlab.tables import Table

_FEW = 4
"""More overrides than this are folded away."""


def hypothesis_page(story: Story, fill: Fill, *, has_curves: bool, has_effect: bool) -> str:
    """Return the page as markdown; `fill` fills in the citations of notes, the flags tell which figures were drawn."""
    state = story.state
    name = f" ({plain(state.proposal.name)})" if state.proposal.name else ""
    parts = [f"# {state.id}{name}: {state_words(state)}", words_of(state)]
    parts.append(f"{times(state)} [Back to the log]({ROOT}{LOG}#{state.id.lower()}).")
    parts += [damage(state.faults)] if state.faults else []
    parts += [_asked(story), _expected(story), _happened(story, has_curves=has_curves, has_effect=has_effect)]
    parts += [_verdict(state), _mind(story), _written(story, fill), _next(story), provenance(story), history(story)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _asked(story: Story) -> str:
    proposal = story.state.proposal
    table = None
    if proposal.changes:
        rows = Table(("value", "before", "after"))
        for change in proposal.changes:
            rows.add(code(change.key), code(value(change.before)), code(value(change.after)))
        table = rows.to_markdown() if len(proposal.changes) > 1 else None
    base = [f"environment {code(proposal.base.env)}"]
    base += [f"experiment {code(proposal.base.experiment)}"] if proposal.base.experiment else []
    overrides = ", ".join(map(code, proposal.base.overrides))
    many = len(proposal.base.overrides) > _FEW
    base += [f"and {'the values below' if many else overrides}"] if overrides else []
    both = "" if proposal.kind == "baseline" else ", the same in both arms"
    family = f"Family {code(proposal.family)}."
    if proposal.family != proposal.baseline_family:
        family = f"Family {code(proposal.family)}, held against {code(proposal.baseline_family)}: another one."
    under = f"Under it: {', '.join(base)}{both}. {family}"
    folded = details(f"{len(proposal.base.overrides)} values set under both arms", overrides) if many else None
    return section("What was asked", asked(proposal), table, under, folded, listed(lineage(story, ROOT)))


def _expected(story: Story) -> str:
    state = story.state
    proposal = state.proposal
    lines = [expected(proposal), score_rule(proposal), *early_ends(proposal)]
    if proposal.expectation is not None:
        lines.append(rule_words(proposal.expectation, proposal.plan.alpha))
    lines += _forecast(proposal.forecast)
    for event in state.amendments:
        changed = ", ".join(code(key) for key in cast("Mapping[str, Any]", event.data.get("changes") or {}))
        why = f", {said(str(event.data['why']))}" if event.data.get("why") else ""
        lines.append(f"Amended before launch on {moment(event.time)} ({changed}){why}")
    if state.launched_at is not None:
        standing = f"Frozen since {moment(state.launched_at)}."
    elif state.phase == DONE_WITHDRAWN:
        standing = None
    else:
        standing = "It can still be amended, in the open, until it is launched."
    return section("What was expected beforehand", listed(lines), standing)


def _forecast(forecast: Mapping[str, Any]) -> list[str]:
    """Return what was said at proposal about power and cost, as far as it is there."""
    foreseen: list[str] = []
    detectable = cast("Mapping[str, Any]", forecast.get("detectable") or {})
    if detectable.get("in_sd") is not None:
        unit = "" if detectable.get("in_unit") is None else f" = {figure(detectable['in_unit'])}"
        power = detectable.get("power")
        sure = f" with {100 * power:.0f} % probability" if isinstance(power, float) else ""
        foreseen.append(
            f"Said at proposal: these seeds can tell {detectable['in_sd']:.2f} SD{unit} from nothing{sure}."
        )
    cost = cast("Mapping[str, Any]", forecast.get("cost") or {})
    if cost.get("total_s") is not None:
        foreseen.append(f"Cost foreseen: {cost.get('trials')} trials, {duration(cost['total_s'])} of training in all.")
    return foreseen


def _happened(story: Story, *, has_curves: bool, has_effect: bool) -> str:
    state, figures = story.state, figures_of(story.state.verdict)
    if state.launched_at is None:
        ended = state.phase == DONE_WITHDRAWN
        return section("What happened", "Nothing: it was withdrawn before its launch." if ended else "Nothing yet.")
    words = happened(state) if figures else so_far(story)
    pictures = [f"![{state.id}: scores and effect]({ROOT}{effect_name(state.id)})"] if has_effect else []
    pictures += [f"![{state.id}: learning curves]({ROOT}{curves_name(state.id)})"] if has_curves else []
    table, way = seed_table(story), way_table(story)
    tables = ["### Every seed", table.to_markdown()] if table.rows else []
    tables += ["### On the way", way.to_markdown()] if way is not None else []
    faults = [f"- {run.id}: {plain(run.fault)}" for _, run, _ in arms_of(story) if run.fault]
    return section("What happened", words, *pictures, *tables, "\n".join(faults), _cost(story))


def _cost(story: Story) -> str | None:
    costs: list[str] = []
    for what, run, _ in arms_of(story):
        ended = [seed for seed in run.seeds if seed.state is not None and seed.wall_s > 0]
        if ended:
            mean = sum(seed.wall_s for seed in ended) / len(ended)
            pace = sum(seed.env_steps for seed in ended) / sum(seed.wall_s for seed in ended)
            costs.append(f"{what} {duration(mean)} a seed, {pace:,.0f} env steps per second")
    return f"Training time: {'; '.join(costs)}." if costs else None


def _verdict(state: Hypothesis) -> str:
    if state.phase == DONE_WITHDRAWN:
        after = (
            "after its launch. It has no verdict and counts in the tally as tried." if state.launched_at else "first."
        )
        return section("Verdict", f"None: it was withdrawn {after}")
    if state.verdict is None:
        return section("Verdict", "None yet.")
    if state.phase != DONE_JUDGED:
        return section("Verdict", "None: nothing was predicted. The figures are a measurement.")
    lines = [sureness(state.verdict), *qualifiers(state.verdict)]
    lines += [] if is_no_result(state.verdict) else _sureness(state)
    return section("Verdict", verdict_words(state.verdict), "### How sure that is", listed(lines))


def _sureness(state: Hypothesis) -> list[str]:
    """Return the figures that bear on how far a verdict can be trusted, one sentence each."""
    figures = figures_of(state.verdict)
    found = state.proposal.expectation
    lines = [f"Expected: {plain(short_expectation(state.proposal))}. Found: {effect(figures, found)}."]
    if figures.get("least_p") and figures.get("p_permutation") is not None:
        lines.append(f"So few seeds cannot give a smaller exact permutation p than {figures['least_p']:.2g}.")
    if found is not None and found.form in ("rise", "fall") and figures.get("improvement") is not None:
        share = 100 * figures["improvement"]
        lines.append(f"In {share:.0f} % of all pairs of seeds the one with the change is ahead as expected.")
    if figures.get("detectable") is not None:
        size = figure(figures["detectable"])
        lines.append(f"With this spread and these seeds a true difference of {size} is found four times in five.")
    iqm = cast("Mapping[str, Any]", figures.get("iqm") or {})
    if iqm:
        means = f"{figure(iqm.get('treatment'))} and {figure(iqm.get('baseline'))}"
        lines.append(f"Without the extreme quarters of the seeds the means are {means}.")
    return [*lines, *(f"Look after {_seeds_of(look)}: {plain(str(look.get('outcome')))}." for look in state.looks)]


def _seeds_of(look: Mapping[str, Any]) -> str:
    seeds = look.get("seeds")
    return f"{seeds} seeds an arm, alpha {look['alpha']:.4g} spent" if look.get("alpha") else f"{seeds} seeds an arm"


def _mind(story: Story) -> str:
    lines = caveats_of(story.state)
    if story.state.launched_at and story.treatment is not None and reducer_is_optimistic(story):
        lines.append("The score is a peak, picked by looking at the whole curve: optimistic by construction.")
    return section("What to mind", listed(lines) if lines else "Nothing that the records know of.")


def _written(story: Story, fill: Fill) -> str:
    return section("Written about it", *(entry(one, ROOT, fill) for one in story.entries))


def _next(story: Story) -> str:
    state, verdict = story.state, story.state.verdict or {}
    lines = [f"{one.author} ({one.id}): {plain(text)}" for one in story.entries if (text := one.fields.get("next"))]
    if verdict.get("needs_seeds"):
        lines.append(
            f"Would {verdict['needs_seeds']} fresh seeds an arm decide it? `dreamerlab propose --replicates {state.id}`"
        )
    elif verdict.get("outcome") == "SUPPORTED" and not story.led_to:
        lines.append(f"Does it hold on fresh seeds? `dreamerlab propose --replicates {state.id}`")
    return section("Next question", listed([line for line in lines if line]))
