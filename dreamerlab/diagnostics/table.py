"""The whole table of rules, causes first, and its look-ups."""

from __future__ import annotations

from dreamerlab.diagnostics import config_rules, healthy_rules, model_rules, policy_rules, run_rules, value_rules
from dreamerlab.diagnostics.rule import Rule

RULES: tuple[Rule, ...] = (
    *model_rules.RULES,
    *policy_rules.RULES,
    *value_rules.RULES,
    *run_rules.RULES,
    *config_rules.RULES,
    *healthy_rules.RULES,
)
BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
ORDER: dict[str, int] = {rule.id: index for index, rule in enumerate(RULES)}


def watched() -> tuple[str, ...]:
    """Return every metric that some rule reads or shows; a pattern such as `control/*_active_frac` as it is."""
    names = (
        name for rule in RULES for part in (*rule.watches(), *rule.also, rule.each or "") for name in part.split("|")
    )
    return tuple(dict.fromkeys([*(name for name in names if name), "behavior/action_std/*"]))
