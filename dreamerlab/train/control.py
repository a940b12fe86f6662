"""The controllers of a trial at one board: what they wish for together, what came of it, and when each began and ended.

    before an update   `allow`       who of world model, actor and critic learns, and at what share of their rates
    after it           `after`       surprise, and how often each controller acted, as metrics
    after evaluations  `evaluated`   freeze what has been solved and held; go back to the best agent

Surprise is always measured; without a controller nothing is read from the device. Decisions are events, one when a
controller begins to act and one when it ends (`Recorder.write_decisions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dreamerlab.config.schedule import parse_schedule
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.optim import Optimizer
from dreamerlab.dreamer.schedules import Learn, what_learns
from dreamerlab.errors import ConfigError
from dreamerlab.train.controllers import (
    AdaptiveRatio,
    Camp,
    Controller,
    Focus,
    Freeze,
    KlPause,
    ScheduledRatio,
    Seen,
    SurpriseRate,
    Wish,
    restore,
    state_of,
)
from dreamerlab.train.surprise import Surprise

_ACTED_ON = ("actor", "critic")
_FROZEN: dict[str, Learn] = {"actor": "world", "world": "behavior"}
"""What still learns once the other part is frozen."""
_NEVER_SPENT = (("all", "updates"), ("all", "actor_updates"), ("actor", "actor_updates"))
"""What freezes, and the unit of a budget that then stands still."""


class Board:
    """Every controller that a config turns on, in a fixed order; `optimizer` is the agent's."""

    def __init__(self, config: Config, optimizer: Optimizer) -> None:
        self._settings, self._optimizer = config.control, optimizer
        self._surprise = Surprise(config.control.surprise_beta)
        self._freeze = _freeze(config)
        self.controllers = _controllers(config) + ([] if self._freeze is None else [self._freeze])
        # Where a controller sets the ratio, the constant one does not act.
        sets = any(isinstance(one, AdaptiveRatio | ScheduledRatio) for one in self.controllers)
        self._train = config.train.model_copy(update={"actor_every": 1}) if sets else config.train
        self._acting = dict.fromkeys((one.name for one in self.controllers), False)
        self._rate, self._withheld = 1.0, False
        self._above, self._restores = False, 0
        self._events: list[dict[str, Any]] = []

    @property
    def stopped(self) -> bool:
        """Whether learning has come to its end for good (`control.freeze=all`)."""
        return self._settings.freeze == "all" and self._freeze is not None and self._freeze.frozen

    def allow(self, update: int) -> Learn:
        """Return what update number `update` (from 1) teaches, and set the rates of actor and critic for it.

        A frozen part stays frozen whatever else was planned; what does not learn anyway cannot be withheld.
        """
        planned = what_learns(update, self._train)
        self._withheld = False
        if not self.controllers:
            return planned
        wishes = {one.name: one.decide(update) for one in self.controllers}
        for name, wish in wishes.items():
            self._note(name, wish, update)
        rate = 1.0
        for wish in wishes.values():
            rate *= wish.rate
        if rate != self._rate:
            self._rate = rate
            self._optimizer.scale_rates(_ACTED_ON, rate)
        if self._freeze is not None and self._freeze.frozen:
            assert not self.stopped, "no update is made any more"
            return _FROZEN[self._settings.freeze]
        if planned == "all" and any(wish.withhold for wish in wishes.values()):
            self._withheld = True
            return "world"
        return planned

    def after(self, metrics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Show the controllers what an update showed; return its surprise and what they did, as 0-dim tensors."""
        surprise = self._surprise.after(metrics)
        if not self.controllers:
            return surprise
        if surprise:
            ready, total, kl, loss = torch.stack(
                [
                    surprise["surprise/ready"],
                    surprise["surprise/total_log_ratio"],
                    metrics.get("wm/kl_nats", metrics["wm/loss"].new_zeros(())),
                    metrics["wm/loss"],
                ]
            ).tolist()
            seen = Seen(total if ready else None, kl, loss)
            for one in self.controllers:
                one.saw(seen)
        like = next(iter(metrics.values()))
        did = {f"control/{name}_active_frac": float(acting) for name, acting in self._acting.items()}
        did |= {"control/actor_lr_scale": self._rate, "control/updates_withheld_frac": float(self._withheld)}
        return surprise | {name: like.new_tensor(value) for name, value in did.items()}

    def evaluated(self, score: float, env_steps: int) -> bool:
        """Take in an evaluation's eval/return; return whether to go back to the best agent so far."""
        if self._freeze is not None and not self._freeze.frozen:
            self._freeze.evaluated(score, env_steps)
            if self._freeze.frozen:
                self._tell("freeze", f"{self._settings.freeze} frozen", score)
        level = self._settings.restore_below
        if level is None:
            return False
        fell = self._above and score < level
        self._above = score >= level
        if fell:
            self._restores += 1
            self._tell("restore", "best agent restored", score)
        return fell

    @property
    def line_metrics(self) -> dict[str, float]:
        """What a metric line says beside the means over updates."""
        return {} if self._settings.restore_below is None else {"control/restores": float(self._restores)}

    def take_events(self) -> list[dict[str, Any]]:
        """Return the decisions since the last call."""
        events, self._events = self._events, []
        return events

    def _note(self, name: str, wish: Wish, update: int) -> None:
        if wish.active != self._acting[name]:
            self._acting[name] = wish.active
            said = {"controller": name, "decision": "begins" if wish.active else "ends", "update": update}
            self._events.append(said | ({"rate": wish.rate} if wish.rate != 1.0 else {}))

    def _tell(self, name: str, decision: str, score: float) -> None:
        self._events.append({"controller": name, "decision": decision, "eval/return": score})

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decisions to come depend on."""
        return {
            "surprise": self._surprise.state_dict(),
            "controllers": {one.name: state_of(one) for one in self.controllers},
            "acting": dict(self._acting),
            "above": self._above,
            "restores": self._restores,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly, for the same config."""
        self._surprise.load_state_dict(state["surprise"])
        for one in self.controllers:
            restore(one, state["controllers"][one.name])
        self._acting = dict(state["acting"])
        self._above, self._restores = bool(state["above"]), int(state["restores"])
        # Whatever the optimiser's rates are now, the next decision sets them.
        self._rate = -1.0


def _controllers(config: Config) -> list[Controller]:
    """Return the controllers that a config turns on, but for freezing."""
    settings, made = config.control, list[Controller]()
    if config.train.learn != "all":
        return made
    if settings.surprise_gain > 0.0:
        made.append(SurpriseRate(settings))
    if settings.focus_threshold is not None:
        made.append(Focus(settings))
    if settings.camp_threshold is not None:
        made.append(Camp(settings))
    if settings.kl_pause_factor is not None:
        made.append(KlPause(settings))
    if settings.adaptive_ratio is not None:
        made.append(AdaptiveRatio(settings))
    schedule = parse_schedule(settings.actor_every_schedule)
    if schedule.shape != "constant" and config.train.actor_every > 1:
        made.append(ScheduledRatio(config.train.actor_every, schedule))
    return made


def _freeze(config: Config) -> Freeze | None:
    """Return what freezes, if anything does; ConfigError where nobody said what solved means."""
    settings = config.control
    if settings.freeze == "off" or config.train.learn != "all":
        return None
    level = config.reference.solved if settings.freeze_return is None else settings.freeze_return
    if level is None:
        raise ConfigError(
            f"control.freeze={settings.freeze} waits for a solved task, and no level says when it is",
            hint="set control.freeze_return, or reference.solved of the environment",
        )
    if (settings.freeze, config.budget.unit) in _NEVER_SPENT:
        raise ConfigError(
            f"budget.unit={config.budget.unit} would never be spent once control.freeze={settings.freeze} has frozen",
            hint="give the budget in env_steps",
        )
    return Freeze(level, settings.freeze_hold)
