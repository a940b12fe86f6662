"""Controllers, each alone, on hand-made signals: when they act, for how long, and that they go on from their state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from dreamerlab.config.schedule import parse_schedule
from dreamerlab.config.schema_control import Control
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


def drive(controller: Controller, seen: Sequence[Seen], start: int = 1) -> list[Wish]:
    """Return the wish before each update that shows `seen`."""
    wishes: list[Wish] = []
    for number, one in enumerate(seen, start):
        wishes.append(controller.decide(number))
        controller.saw(one)
    return wishes


def surprises(*values: float | None) -> list[Seen]:
    return [Seen(value, 1.0, 1.0) for value in values]


def withheld(wishes: Sequence[Wish]) -> str:
    return "".join(".w"[wish.withhold] for wish in wishes)


def test_surprise_slows_the_actor_at_once_and_lets_go_slowly_M_SUR_07() -> None:
    """Scale = 1 / (1 + 10 s), s = max(0.9 s, surprise), negative surprise counting for nothing."""
    wishes = drive(SurpriseRate(Control(surprise_gain=10.0)), surprises(None, 0.1, -0.5, 0.02, 0.0))
    expected = [1.0, 1.0, 1 / 2, 1 / (1 + 10 * 0.09), 1 / (1 + 10 * 0.081)]
    assert [wish.rate for wish in wishes] == pytest.approx(expected)
    assert [wish.active for wish in wishes] == [False, False, True, True, True]
    assert withheld(wishes) == "....."


def test_focus_holds_the_actor_back_for_a_stretch_and_then_pauses_M_SUR_08() -> None:
    settings = Control(focus_threshold=0.05, focus_duration=4, focus_cooldown=3, focus_actor_every=2)
    # Surprise all the time: a stretch of four with the actor in every second update, a pause of three, one to watch.
    wishes = drive(Focus(settings), surprises(*[0.06] * 18))
    assert withheld(wishes) == ".w.w.....w.w....." + "w"
    assert [wish.active for wish in wishes][:10] == [False] + [True] * 4 + [False] * 4 + [True]
    never = drive(Focus(settings), surprises(*[0.05] * 18))
    assert not any(wish.active for wish in never), "the threshold itself is no surprise"
    alone = Control(focus_threshold=0.05, focus_duration=3, focus_cooldown=0, focus_actor_every=None)
    assert withheld(drive(Focus(alone), surprises(None, *[1.0] * 8))) == "..www.www"


def test_a_camp_opens_after_enough_surprises_in_a_row_and_lasts_as_long_as_they_do_M_SUR_06() -> None:
    settings = Control(camp_threshold=math.log(1.2), camp_patience=3)
    series = [0.2, 0.2, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.2]
    assert withheld(drive(Camp(settings), surprises(*series))) == "......www" + "."


def test_a_kl_spike_pauses_the_actor_M_CP_38() -> None:
    settings = Control(kl_pause_factor=2.0, kl_pause_updates=3)
    kl = [1.0, 1.5, 2.5, 1.0, 1.0, 1.0, 1.0]
    assert withheld(drive(KlPause(settings), [Seen(0.0, value, 1.0) for value in kl])) == "...www."
    steady = [1.0 + 0.01 * n for n in range(200)]
    assert "w" not in withheld(drive(KlPause(settings), [Seen(0.0, value, 1.0) for value in steady]))


def test_the_adaptive_ratio_is_high_while_the_model_learns_and_low_once_it_is_steady_M_SUR_12() -> None:
    controller = AdaptiveRatio(Control(adaptive_ratio=(1, 4)))
    falling = drive(controller, [Seen(0.0, 1.0, 10.0 * 0.99**n) for n in range(300)])
    assert withheld(falling[200:]).count("w") == 75
    assert all(wish.active for wish in falling[100:])
    steady = drive(controller, [Seen(0.0, 1.0, 0.5)] * 8000)
    assert withheld(steady[-100:]) == "." * 100
    assert not steady[-1].active


def test_the_ratio_follows_its_schedule_M_SUR_12() -> None:
    wishes = drive(ScheduledRatio(4, parse_schedule("linear to 0.25x over 30 updates")), surprises(*[0.0] * 60))
    pattern = withheld(wishes)
    assert pattern.startswith("www.")
    assert pattern.endswith("." * 25)
    assert pattern.count("w") < 30


def test_a_solved_task_that_is_held_freezes_for_good_M_CP_37() -> None:
    freeze = Freeze(475.0, hold=1000)
    for steps, score in ((500, 480.0), (1000, 490.0), (1400, 470.0), (2000, 500.0), (2900, 480.0)):
        freeze.evaluated(score, steps)
        assert not freeze.frozen, steps
    freeze.evaluated(476.0, 3000)
    assert freeze.frozen
    freeze.evaluated(9.0, 4000)
    assert freeze.decide(1).active
    at_once = Freeze(475.0, hold=0)
    at_once.evaluated(475.0, 500)
    assert at_once.frozen


MAKERS: dict[str, Callable[[], Controller]] = {
    "surprise_rate": lambda: SurpriseRate(Control(surprise_gain=10.0)),
    "focus": lambda: Focus(Control(focus_threshold=0.05, focus_duration=4, focus_cooldown=3)),
    "camp": lambda: Camp(Control(camp_threshold=0.05, camp_patience=2)),
    "kl_pause": lambda: KlPause(Control(kl_pause_factor=1.2, kl_pause_updates=4)),
    "adaptive_ratio": lambda: AdaptiveRatio(Control(adaptive_ratio=(1, 4))),
    "schedule": lambda: ScheduledRatio(4, parse_schedule("cosine to 0.25x over 30 updates")),
}


@pytest.mark.parametrize("name", MAKERS)
def test_each_goes_on_from_its_state_exactly_F20(name: str) -> None:
    series = [Seen(0.3 * math.sin(n), 1.0 + 0.5 * math.sin(n / 3), 2.0 + math.cos(n)) for n in range(60)]
    whole = drive(MAKERS[name](), series)
    assert any(wish.active for wish in whole)
    assert MAKERS[name]().name == name
    first, second = MAKERS[name](), MAKERS[name]()
    before = drive(first, series[:25])
    restore(second, state_of(first))
    assert before + drive(second, series[25:], start=26) == whole
