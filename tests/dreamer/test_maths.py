"""Pure functions against literals, slow loops and laws (FACTS F1, F2, F4, F5, A7)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dreamerlab.dreamer import maths
from dreamerlab.dreamer.maths import (
    averaged,
    lambda_return,
    moments,
    percentiles,
    replay_return,
    running_sum,
    shift_actions,
    symexp,
    symexp_bins,
    symlog,
    tanh,
    tanh_,
    triangle,
    worth,
)


def t(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def vector(length: int, low: float = -10.0, high: float = 10.0) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(np.float64, length, elements=st.floats(low, high, width=32))


# -- means and deviations


def test_metrics_are_averaged_shape_by_shape_under_their_own_names_in_their_order() -> None:
    turned = t([[1.0, 3.0, 5.0], [2.0, 4.0, 9.0]]).T
    metrics = {"a": t([1.0, 2.0, 6.0]), "once": t(7.0), "b": turned, "c": t([0.0, 0.0, 1.5])}
    assert {name: x.item() for name, x in averaged(metrics).items()} == {"a": 3.0, "once": 7.0, "b": 4.0, "c": 0.5}
    assert list(averaged(metrics)) == list(metrics)
    assert averaged({"once": metrics["once"]})["once"] is metrics["once"]


def test_what_is_averaged_has_no_gradient() -> None:
    x = t([1.0, 2.0]).requires_grad_()
    assert not averaged({"x": x})["x"].requires_grad
    means, deviations = moments({"x": x})
    assert not means["x"].requires_grad
    assert not deviations.requires_grad


@given(vector(6), vector(6, -(2.0**-10), 2.0**-10), st.floats(-1e4, 1e4))
def test_moments_are_numpys(x: np.ndarray, y: np.ndarray, offset: float) -> None:
    means, deviations = moments({"x": t(x).view(2, 3), "y": t(y + offset).view(2, 3)})
    assert {name: mean.item() for name, mean in means.items()} == pytest.approx(
        {"x": x.mean(), "y": (y + offset).mean()}, abs=1e-9
    )
    assert deviations.tolist() == pytest.approx([x.std(), (y + offset).std()], abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_deviations_of_single_precision_do_not_cancel(dtype: torch.dtype) -> None:
    rows = torch.stack([torch.full((640,), 0.3), 1000.0 + torch.linspace(0.0, 1.0, 640)]).to(dtype)
    _, deviations = moments({"same": rows[0], "far": rows[1]})
    assert deviations.dtype == dtype
    assert deviations[0].item() < 1e-6
    assert deviations[1].item() == pytest.approx(rows[1].double().std(correction=0).item(), rel=1e-4)


# -- symlog, symexp


@settings(deadline=None)
@given(st.floats(-1e6, 1e6, width=32))
def test_symlog_and_symexp_are_inverse_and_odd_F1(x: float) -> None:
    assert symexp(symlog(t(x))).item() == pytest.approx(x, rel=1e-5, abs=1e-12)
    single = torch.tensor(x, dtype=torch.float32)
    assert symexp(symlog(single)).item() == pytest.approx(x, rel=1e-5, abs=1e-6)
    assert symlog(-single).item() == -symlog(single).item()
    assert symexp(symlog(-single)).item() == -symexp(symlog(single)).item()


def test_symlog_of_ten_F1() -> None:
    assert symlog(t(10.0)).item() == pytest.approx(2.397895, abs=1e-6)


@pytest.mark.parametrize("on_intel", [True, False])
def test_tanh_in_place_is_tanh_to_the_last_bit(on_intel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maths, "_ON_INTEL", on_intel)
    x = torch.linspace(-20.0, 20.0, 4001)
    assert torch.allclose(tanh(x).double(), torch.tanh(x.double()), atol=1e-6)
    assert torch.equal(tanh_(x.clone()), tanh(x))


def test_bins_are_antisymmetric_bit_for_bit_with_zero_in_the_middle_F2() -> None:
    bins = symexp_bins(255, 20.0)
    assert bins.shape == (255,)
    assert bins[127].item() == 0.0
    assert torch.equal(bins, -bins.flip(0))
    assert bins[-1].item() == pytest.approx(math.exp(20) - 1, rel=1e-6)
    assert (bins.diff() > 0).all()
    # Evenly spaced by 40 / 254 in symlog space (FACTS A5).
    assert symlog(bins.double()).diff().numpy() == pytest.approx(np.full(254, 40 / 254), rel=1e-4)


# -- returns


def slow_lambda_return(reward: np.ndarray, cont: np.ndarray, value: np.ndarray, lam: float) -> np.ndarray:
    """Mixture of all n-step returns, written out: O(H^2)."""
    horizon = len(reward)
    out = np.zeros(horizon)
    for start in range(horizon):
        n_step = []
        for n in range(1, horizon - start + 1):
            total, factor = 0.0, 1.0
            for k in range(start, start + n):
                total += factor * reward[k]
                factor *= cont[k]
            n_step.append(total + factor * value[start + n - 1])
        weights = [(1 - lam) * lam**i for i in range(len(n_step) - 1)] + [lam ** (len(n_step) - 1)]
        out[start] = sum(w * r for w, r in zip(weights, n_step, strict=True))
    return out


def test_lambda_return_golden_F4() -> None:
    """DIS-19: with gamma, in the continues; without it these returns would be others."""
    # Rewards, continues and values of states 0 .. 3; state 0 is not an argument.
    got = lambda_return(t([1.0, 2.0, 3.0]), t([1.0, 0.5, 1.0]), t([2.0, 3.0, 4.0]), 0.95)
    assert got.tolist() == pytest.approx([6.23, 5.40, 7.00])


@settings(deadline=None)
@given(reward=vector(6), cont=vector(6, 0.0, 1.0), value=vector(6), lam=st.floats(0.0, 1.0))
def test_lambda_return_is_the_mixture_of_n_step_returns_F4(
    reward: np.ndarray, cont: np.ndarray, value: np.ndarray, lam: float
) -> None:
    got = lambda_return(t(reward), t(cont), t(value), lam)
    assert got.numpy() == pytest.approx(slow_lambda_return(reward, cont, value, lam), abs=1e-9)


@settings(deadline=None)
@given(reward=vector(5), cont=vector(5, 0.0, 1.0), value=vector(5))
def test_lambda_zero_is_one_step_and_lambda_one_is_monte_carlo_F4(
    reward: np.ndarray, cont: np.ndarray, value: np.ndarray
) -> None:
    """DIS-09: which way round lambda is."""
    one_step = lambda_return(t(reward), t(cont), t(value), 0.0).numpy()
    assert one_step == pytest.approx(reward + cont * value, abs=1e-9)
    expected, total = [], value[-1]
    for r, c in zip(reward[::-1], cont[::-1], strict=True):
        total = r + c * total
        expected.insert(0, total)
    assert lambda_return(t(reward), t(cont), t(value), 1.0).numpy() == pytest.approx(np.array(expected), abs=1e-9)


@settings(deadline=None)
@given(reward=vector(5), value=vector(5), cut=st.integers(0, 4), lam=st.floats(0.0, 1.0))
def test_a_death_cuts_all_later_credit_F4(reward: np.ndarray, value: np.ndarray, cut: int, lam: float) -> None:
    cont = np.full(5, 0.9)
    cont[cut] = 0.0
    changed_reward, changed_value = reward.copy(), value.copy()
    changed_reward[cut + 1 :] += 100.0
    changed_value[cut:] -= 50.0
    before = lambda_return(t(reward), t(cont), t(value), lam)
    after = lambda_return(t(changed_reward), t(cont), t(changed_value), lam)
    assert torch.equal(before[: cut + 1], after[: cut + 1])


def test_returns_accept_any_trailing_shape() -> None:
    reward, cont, value = torch.rand(3, 4, 2, 5).unbind(0)
    got = lambda_return(reward, cont, value, 0.8)
    assert torch.allclose(got[:, 1, 3], lambda_return(reward[:, 1, 3], cont[:, 1, 3], value[:, 1, 3], 0.8))


def slow_replay_return(
    reward: np.ndarray, last: np.ndarray, terminal: np.ndarray, boot: np.ndarray, discount: float, lam: float
) -> np.ndarray:
    """FACTS A7 as it is written, one scalar at a time."""
    following = boot[-1]
    out = []
    for i in reversed(range(len(reward) - 1)):
        live = discount * (1 - terminal[i + 1])
        trace = lam * (1 - last[i + 1])
        following = reward[i + 1] + live * ((1 - trace) * boot[i + 1] + trace * following)
        out.insert(0, following)
    return np.array(out)


flags = st.lists(st.booleans(), min_size=6, max_size=6).map(lambda x: np.array(x, dtype=np.float64))


@settings(deadline=None)
@given(reward=vector(6), last=flags, terminal=flags, boot=vector(6), lam=st.floats(0.0, 1.0))
def test_replay_return_is_the_slow_loop_F5(
    reward: np.ndarray, last: np.ndarray, terminal: np.ndarray, boot: np.ndarray, lam: float
) -> None:
    terminal = terminal * last
    got = replay_return(t(reward), t(last), t(terminal), t(boot), 0.997, lam)
    assert got.shape == (5,)
    assert got.numpy() == pytest.approx(slow_replay_return(reward, last, terminal, boot, 0.997, lam), abs=1e-9)


def test_the_end_of_an_episode_cuts_the_trace_and_still_bootstraps_F5() -> None:
    reward, boot = t([0.0, 1.0, 2.0, 0.0, 5.0]), t([10.0, 20.0, 30.0, 40.0, 50.0])
    last = t([0.0, 0.0, 1.0, 0.0, 0.0])
    got = replay_return(reward, last, t([0.0] * 5), boot, 0.9, 0.95)
    assert got[1].item() == pytest.approx(2.0 + 0.9 * 30.0)  # the imagined return of the last row, nothing beyond
    beyond = replay_return(
        reward + t([0, 0, 0, 7.0, 7.0]), last, t([0.0] * 5), boot + t([0, 0, 0, 9.0, 9.0]), 0.9, 0.95
    )
    assert torch.equal(got[:2], beyond[:2])  # no value crosses the next is_first


def test_a_death_in_replay_removes_the_bootstrap_F5() -> None:
    reward, boot = t([0.0, 1.0, 2.0]), t([10.0, 20.0, 30.0])
    ends = t([0.0, 0.0, 1.0])
    got = replay_return(reward, ends, ends, boot, 0.9, 0.95)
    assert got[1].item() == 2.0


# -- percentiles, action shift


@settings(deadline=None)
@given(
    arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3, width=32)),
    st.floats(0.0, 100.0),
    st.floats(0.0, 100.0),
)
def test_percentiles_are_numpys_F7(x: np.ndarray, low: float, high: float) -> None:
    got = percentiles(t(x), (low, high))
    assert got.numpy() == pytest.approx(np.percentile(x, [low, high]), abs=1e-6)


def test_actions_are_shifted_right_by_one_A1() -> None:
    shifted = shift_actions(torch.tensor([-1, 4]), torch.tensor([[0, 1, 2], [3, 2, 1]]))
    assert shifted.tolist() == [[-1, 0, 1], [4, 3, 2]]


# -- running sums


def test_a_running_sum_is_also_a_product_with_a_triangle() -> None:
    """What a GPU computes where everything has to repeat; torch refuses cumsum there. 16 and 32 are even on a CPU."""
    for length in (5, 16, 32, 48):
        x = torch.rand(7, length, dtype=torch.float64)
        torch.testing.assert_close(x @ triangle(length, x.dtype, x.device), running_sum(x))
        torch.testing.assert_close(x.cumsum(-1), running_sum(x))
    before = torch.are_deterministic_algorithms_enabled()
    try:
        torch.use_deterministic_algorithms(True)
        assert running_sum(x.to("meta")).shape == x.shape
    finally:
        torch.use_deterministic_algorithms(before)


def test_worth_is_what_dreamerv3_xp_weighs_B2() -> None:
    recon = torch.tensor([[2.0, 4.0, 6.0], [1.0, 1.0, 1.0]])
    returns, value_loss = torch.tensor([[10.0, -3.0], [0.0, 5.0]]), torch.tensor([[0.5, 9.0], [2.0, 1.0]])
    expected = torch.tensor([[1.0, 2.0 + 0.3 * 10.0, 3.0], [0.5, 0.5, 0.5 + 0.5 * 5.0]])
    torch.testing.assert_close(worth(recon, returns, value_loss), expected)
    torch.testing.assert_close(worth(recon), 0.5 * recon)
    assert torch.equal(recon[0], torch.tensor([2.0, 4.0, 6.0])), "what is given stays"
