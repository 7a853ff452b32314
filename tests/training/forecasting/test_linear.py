"""Classical forecasts as matrices: known answers, movement with the level, and statsmodels' exponential smoothing."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from training.core.array import Array
from training.forecasting import linear

WINDOW, HORIZON, SEASON = 36, 8, 6
SMOOTHING = {"alpha": 0.3, "beta": 0.05, "gamma": 0.2, "phi": 0.9}
METHODS: dict[str, linear.Method] = {
    "naive": linear.naive,
    "drift": linear.drift,
    "seasonal_naive": partial(linear.seasonal_naive, season=SEASON),
    "theta": partial(linear.theta, season=1, alpha=0.4),
    "seasonal_theta": partial(linear.theta, season=SEASON, alpha=0.4),
    "odd_season": partial(linear.theta, season=7, alpha=0.4),
    "damped": partial(linear.damped_smoothing, season=1, **{**SMOOTHING, "gamma": 0}),
    "seasonal_damped": partial(linear.damped_smoothing, season=SEASON, **SMOOTHING),
}


def series(seed: int = 0, n: int = WINDOW) -> Array:
    rng = np.random.default_rng(seed)
    values: Array = 50 + np.cumsum(rng.normal(size=n)) + 5 * np.sin(np.arange(n) * 2 * np.pi / SEASON)
    return values


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_its_matrix(name: str) -> None:
    values = series()
    found = values @ linear.matrix(METHODS[name], WINDOW, HORIZON)
    assert found == pytest.approx(METHODS[name](values[:, None], HORIZON)[:, 0], rel=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_a_forecast_moves_with_the_level(name: str) -> None:
    """The weights of each step sum to 1."""
    assert linear.matrix(METHODS[name], WINDOW, HORIZON).sum(axis=0) == pytest.approx(np.ones(HORIZON), abs=1e-9)


def test_naive_forecasts() -> None:
    values = np.arange(WINDOW, dtype=float)[:, None]
    assert (linear.naive(values, 3) == 35).all()
    assert linear.drift(values, 3)[:, 0].tolist() == [36, 37, 38]
    assert linear.seasonal_naive(values, 8, season=6)[:, 0].tolist() == [30, 31, 32, 33, 34, 35, 30, 31]


@pytest.mark.parametrize("method", ["seasonal_theta", "seasonal_damped"])
def test_an_exact_season_is_continued(method: str) -> None:
    values = 10 + np.tile([0.0, 3, 1, -2, 5, -7], 7)
    found = METHODS[method](values[:WINDOW, None], 6)[:, 0]
    assert found == pytest.approx(values[WINDOW : WINDOW + 6], abs=1e-9)


def test_damped_smoothing_without_a_season_is_that_of_statsmodels() -> None:
    """With the same first level and trend; the window's start gives them."""
    values = series()
    time = np.arange(10) - 4.5
    slope = time @ values[:10] / (time @ time)
    fitted = ExponentialSmoothing(
        values,
        trend="add",
        damped_trend=True,
        initialization_method="known",
        initial_level=values[:10].mean() - slope * 5.5,
        initial_trend=slope,
    ).fit(smoothing_level=0.3, smoothing_trend=0.05 / 0.3, damping_trend=0.9, optimized=False)
    assert METHODS["damped"](values[:, None], HORIZON)[:, 0] == pytest.approx(fitted.forecast(HORIZON), rel=1e-6)


def test_an_autoregression_finds_a_recurrence() -> None:
    """x(t + 1) = 2·cos(h)·x(t) - x(t - 1), the sine's, for a series around any level."""
    values = np.sin(np.arange(400) * np.pi / 10)
    rows = np.lib.stride_tricks.sliding_window_view(values, 12)
    last = rows[:, 9:10]
    found = linear.autoregression(rows[:, :10] - last, rows[:, 10:] - last, ridge=1e-6)
    new = 5 + 3 * np.sin(0.123 + np.arange(12) * np.pi / 10)
    assert new[:10] @ found == pytest.approx(new[10:], abs=1e-3)
    assert found.sum(axis=0) == pytest.approx([1, 1], abs=1e-12)


@pytest.mark.parametrize(
    "method", [partial(linear.theta, season=5, alpha=0.5), partial(linear.damped_smoothing, season=5, **SMOOTHING)]
)
def test_a_window_of_two_seasons_is_enough(method: Callable[[Array, int], Array]) -> None:
    assert np.isfinite(linear.matrix(method, 10, 7)).all()
