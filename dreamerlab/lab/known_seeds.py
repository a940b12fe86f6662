"""Which seeds of a prediction are known already: trained before with exactly its config and code, whatever for.

Such a seed is no evidence: training it again gives what somebody has seen, and of many seeds one could declare those
that came out well. A pilot is shorter than what it tries, and so another config; one of full length counts.
"""

from __future__ import annotations

from dreamerlab.errors import LabError
from dreamerlab.lab.baseline_search import recorded_arm
from dreamerlab.lab.inert_proofs import Proofs
from dreamerlab.protocol.families import family
from dreamerlab.protocol.gates import Arm, like_baseline
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace, run_ids


def known_seeds(
    workspace: Workspace, proposal: Proposal, treatment: Arm, code: str, proofs: Proofs
) -> dict[str, list[int]]:
    """Return run id -> declared seeds that were trained in it as they would be now; none for what predicts nothing."""
    found: dict[str, list[int]] = {}
    if proposal.expectation is None:
        return found
    plan, of = proposal.plan, family(proposal.base.env, treatment.flat)
    for run_id in map(str, run_ids(workspace)):
        run = workspace.run(run_id)
        try:
            made = read_manifest(run.manifest_path)
            shared = sorted(set(plan.seeds) & set(made.seeds))
            budget = (made.budget.unit, made.budget.amount)
            if proposal.code is not None and made.kind == "baseline":
                continue  # that the code has not changed yet is another rule's business
            if not shared or made.family != of or budget != (plan.budget_unit, plan.budget_amount):
                continue  # told from the manifest alone: there may be a thousand runs
            trained = [seed for seed in shared if read_status(run.trial(seed)).env_steps > 0]
            same = trained and proofs.same(made.code.identity, code)
            if same and not like_baseline(treatment, recorded_arm(run), run_id, proposal.sentence):
                found[run_id] = trained
        except LabError:
            continue  # named by lint and doctor
    return found
