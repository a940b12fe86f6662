"""The rules of diagnosis on a trial that is training: what they find at every evaluation goes into its status.

Findings are said, never acted on: what a trial does depends on no rule (`control` is what acts).
"""

from __future__ import annotations

from collections.abc import Mapping

from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten
from dreamerlab.diagnostics.live import LIMIT, Watch
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.sampled import sample_lines
from dreamerlab.runs.series import line_values

SAID = ("critical", "warning")
"""Severities worth saying while a trial runs."""


class LiveRules:
    """The rules on one trial, line by line."""

    def __init__(self, config: Config) -> None:
        self._watch = Watch(flatten(config))
        self._budget = config.budget.amount

    def catch_up(self, trial: TrialDirectory, attempt: int, env_steps: int) -> None:
        """Take in what earlier attempts wrote up to where this one goes on."""
        for path in [*(trial.metrics_path(number) for number in range(1, attempt)), trial.evals_path]:
            for line in sample_lines(path, LIMIT, until=env_steps).lines:
                self.add(int(line["env_steps"]), line_values(line))

    def add(self, env_steps: int, values: Mapping[str, float]) -> None:
        """Take in a metric line or an evaluation."""
        self._watch.add(env_steps, values)

    def look(self, spent: float) -> tuple[str, ...]:
        """Return what the rules find now, causes first and without what follows from them, each in one line."""
        found = self._watch.findings(min(1.0, spent / self._budget))
        return tuple(
            f"{one.rule.severity}: {one.rule.symptom} ({one.key})"
            for one in found
            if one.is_root and one.rule.severity in SAID
        )
