"""The catalogue of metrics: which of them are returns of the task, and are held against its levels."""

from __future__ import annotations

import pytest

from dreamerlab.config.reference_docs import metrics_page
from dreamerlab.errors import NotFound
from dreamerlab.measured.aliases import ALIASES as TABLE
from dreamerlab.measured.aliases import NOTES
from dreamerlab.metrics import ALIASES, CATALOGUE, SOMETIMES, get_metric, is_return


def test_returns_are_those_that_agents_get_and_no_others() -> None:
    """`return` in the name is not enough: behavior/return_scale must never be held against the solved level."""
    found = {name for name in [*CATALOGUE, *ALIASES] if is_return(name)}
    assert found == {"eval/return", "eval/return_mode", "eval/return_sample", "train/return"}


def test_every_metric_says_what_it_is_measured_in_DIS_21() -> None:
    assert {name for name, metric in CATALOGUE.items() if not metric.unit.strip()} == set()


@pytest.mark.parametrize("name", ["behavior/return_scale", "behavior/imagined_return", "train/returned", "return"])
def test_what_only_sounds_like_a_return_is_none(name: str) -> None:
    assert not is_return(name)


def test_metrics_of_one_dimension_are_known_and_not_listed_M_LOG_02() -> None:
    of_one = get_metric("behavior/action_std/3")
    assert (of_one.name, of_one.unit) == ("behavior/action_std/3", CATALOGUE["behavior/action_std"].unit)
    assert "dimension 3" in of_one.meaning
    assert "behavior/action_mean/0" in CATALOGUE
    assert "behavior/action_mean/0" not in list(CATALOGUE)
    assert {"behavior/action_mean/11", "wm/loss"} <= CATALOGUE.keys()
    for unknown in ("behavior/value/0", "behavior/action_mean/x", "behavior/action_mean/", "behavior/action_mean/-1"):
        with pytest.raises(NotFound):
            get_metric(unknown)


def test_conditions_are_of_metrics_that_exist() -> None:
    assert SOMETIMES.keys() <= CATALOGUE.keys()


@pytest.mark.parametrize("alias", list(TABLE))
def test_names_of_others_resolve_in_slashes_and_dots_M_LOG_06(alias: str) -> None:
    ours = get_metric(alias)
    assert ours.name in CATALOGUE
    assert get_metric(alias.replace("/", ".")) == ours
    assert alias not in CATALOGUE, "a name of ours must not mean something else as well"


def test_every_name_of_the_sources_is_in_the_table_M_LOG_03_M_LOG_04_M_LOG_05_M_SUR_02() -> None:
    """M-LOG-01 to M-LOG-05 word by word; M-SUR-02 with its dots."""
    for ours, theirs in {
        "behavior/entropy_nats": "behavior/entropy_mean actor/entropy_mean actor/entropy/mean entropy",
        "behavior/entropy_std_nats": "behavior/entropy_std actor/entropy_std actor/entropy/std",
        "behavior/entropy_min_nats": "behavior/entropy_min",
        "behavior/entropy_max_nats": "behavior/entropy_max",
        "behavior/advantage_mean": "behavior/advantages_mean advantages/mean",
        "behavior/advantage_std": "behavior/advantages_std advantages/std",
        "behavior/advantage_abs_mean": "behavior/advantages_abs_mean advantages/mean_abs",
        "behavior/advantage_abs_max": "advantages/max_abs",
        "behavior/advantage_contribution": "diagnostics/advantage_contribution",
        "behavior/entropy_contribution": "diagnostics/entropy_contribution",
        "behavior/entropy_advantage_ratio": "diagnostics/entropy_advantage_ratio",
        "behavior/action_std_min": "actor/min_std",
        "behavior/action_std_max": "actor/max_std",
        "behavior/return_p5": "returns/percentile_5",
        "behavior/return_p95": "returns/percentile_95",
        "behavior/return_scale_raw": "returns/percentile_range",
        "behavior/return_scale": "returns/scale_S diagnostics/return_range_S",
        "behavior/return_scale_at_limit": "returns/scale_at_floor diagnostics/return_range_at_floor",
        "behavior/policy_gradient_term": "actor_loss/policy_gradient_term",
        "behavior/entropy_term": "actor_loss/entropy_term",
        "behavior/policy_loss": "actor_loss/total loss/actor/total",
        "behavior/action_mean/2": "policy/action_mean/2",
        "behavior/action_std/3": "policy/action_std/3 policy.action_std.3 behavior.action_std.3",
        "behavior/log_prob_abs_mean": "policy/diverging",
        "wm/recon_loss": "world/recon_loss decoder_reconstruction_loss",
        "wm/reward_loss": "world/reward_loss reward_loss",
        "wm/kl_dyn_nats": "world/kl_loss",
        "eval/win_rate_mode": "eval/win_rate",
        "train/length": "env/episode_length env.episode_length",
        "eval/length_mode": "eval/length",
        "wm/loss": "loss/wm/total wm.loss",
        "wm/kl_nats": "wm/rssm/kl_dynamics_raw wm/rssm/kl_representation_raw",
        "behavior/imagined_reward": "dream/wm_reward/mean",
        "behavior/value": "dream/critic_value/mean",
        "behavior/value_std": "critic_value_std dream/critic_value/std",
        "pace/updates_per_s": "train/throughput",
        "wm/dynamics_mse": "dynamics_loss dynamics_mse",
        "wm/reward_mae": "reward_mae",
        "wm/reward_nll_nats": "reward_nll",
        "wm/continue_accuracy": "continue_accuracy",
        "probe/termination_precision": "continue_precision",
        "probe/termination_recall": "continue_recall",
        "behavior/imagined_return": "mean_imagined_return",
        "optim/grad_norm_actor": "actor_grad_norm",
        "optim/grad_norm_world": "world_model_grad_norm",
        "behavior/value_mse": "critic_loss",
        "behavior/td_error": "critic_td_error_mean",
        "wm/feature_std": "representation_std",
        "surprise/ready": "wm.surprise.ready",
        "surprise/max_component_log_ratio": "wm.surprise.max_component_log_ratio",
        "surprise/kl_rep_log_ratio": "wm.surprise.kl_rep_log_ratio",
    }.items():
        assert {get_metric(name).name for name in theirs.split()} == {ours}


def test_differences_are_noted_of_names_in_the_table_and_shown_on_the_page() -> None:
    assert NOTES.keys() <= TABLE.keys() == set(ALIASES)
    page = metrics_page()
    for alias in ALIASES:
        assert f"| `{alias}` | `{ALIASES[alias]}` | {NOTES.get(alias, '')}" in page


def test_a_wrong_name_is_answered_with_near_ones_of_both() -> None:
    with pytest.raises(NotFound, match="advantages_mean"):
        get_metric("behavior/advantages_meen")
