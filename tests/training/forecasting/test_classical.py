"""The parameters of classical forecasts, fitted on windows of series that one of them generates."""

from functools import partial

import numpy as np
import pytest

from training.core.array import Array
from training.forecasting import classical, linear

WINDOW, HORIZON = 30, 5


def rows(series: Array) -> tuple[Array, Array]:
    """Return all windows and the values after them, less the window's last value."""
    found = np.lib.stride_tricks.sliding_window_view(series, WINDOW + HORIZON)
    return found[:, :WINDOW] - found[:, WINDOW - 1 : WINDOW], found[:, WINDOW:] - found[:, WINDOW - 1 : WINDOW]


def error(weights: Array, series: Array) -> float:
    history, truth = rows(series)
    return float(np.abs(truth - history @ weights).mean())


def test_the_level_s_weight_is_found() -> None:
    """A local level with a known weight of .3: ETS(A,N,N)."""
    rng = np.random.default_rng(0)
    noise, level, values = rng.normal(size=3000), 0.0, []
    for shock in noise:
        values.append(level + shock)
        level += 0.3 * shock
    found = classical.fitted(*rows(np.array(values)), 1)
    at = {a: error(linear.matrix(partial(linear.theta, season=1, alpha=a), WINDOW, HORIZON), np.array(values))
          for a in (0.05, 0.3, 0.9)}  # fmt: skip
    assert error(found["theta"], np.array(values)) == pytest.approx(at[0.3], rel=0.01)
    assert at[0.3] < at[0.05] and at[0.3] < at[0.9] and at[0.3] < error(found["naive"], np.array(values))


def test_seasonal_forecasts_need_a_season_and_two_of_them_in_the_window() -> None:
    history, truth = rows(np.random.default_rng(1).normal(size=200))
    plain = {"naive", "drift", "theta", "damped", "autoregression"}
    assert set(classical.fitted(history, truth, 1)) == plain
    assert set(classical.fitted(history, truth, 16)) == plain | {"seasonal_naive"}
    assert set(classical.fitted(history, truth, 31)) == plain
    every = classical.fitted(history, truth, 15)
    assert set(every) == plain | {"seasonal_naive", "seasonal_theta", "seasonal_damped"}
    assert all(weights.shape == (WINDOW, HORIZON) and np.isfinite(weights).all() for weights in every.values())


def test_a_season_is_used() -> None:
    rng = np.random.default_rng(2)
    series = 10 * np.tile([0.0, 4, 2, -3, 5], 100) + np.cumsum(rng.normal(size=500))
    found = classical.fitted(*rows(series), 5)
    assert error(found["seasonal_theta"], series) < 0.2 * error(found["theta"], series)
    assert error(found["seasonal_damped"], series) < 0.2 * error(found["damped"], series)
