"""Forecasters with known answers, measured as in the jobs."""

import numpy as np
import pytest
import tensorflow as tf

from serving.artifacts.model_card import SeriesRecipe
from training.forecasting import backtest
from training.forecasting.forecaster import Forecaster, recursive

RECIPE = SeriesRecipe(window=3, max_horizon=4, step="day", unit="USD", level=0.9)


def test_a_recursive_forecast_feeds_its_own_values_back() -> None:
    """A step of +2 on a series that rises by 1 is off by 1, 2, 3, 4; the interval covers it."""
    forecaster = recursive(RECIPE, lambda window: window[:, -1] + 2)
    near, far = (backtest.roll(np.arange(40.0), 10, window=3, horizon=horizon, season=5) for horizon in (1, 4))
    mean = forecaster.ahead(tf.constant(far.history.astype(np.float32)), tf.constant(4)).numpy()
    assert (far.truth - mean == [-1, -2, -3, -4]).all()
    spread = forecaster.calibrate(far)
    assert spread.bounds.tolist() == [[-1, -2, -3, -4], [0, 0, 0, 0]]
    evaluation = forecaster.measure(near, far, spread, season=5)
    assert evaluation.metrics["test_mae"] == 1 and evaluation.metrics["horizon_mae"] == 2.5
    assert evaluation.metrics["skill"] == 0 and evaluation.metrics["coverage"] == 1
    assert evaluation.metrics["interval_score"] == pytest.approx(2.5)
    assert evaluation.answer.tolist() == (far.truth + np.arange(1, 5)).tolist()


def test_a_recurrence_that_grows_without_bound_stays_finite() -> None:
    """Two terms of opposite sign would become infinity less infinity, so NaN, after 80 doublings."""
    forecaster = recursive(RECIPE, lambda window: 3 * window[:, -1] - 2 * window[:, -2])
    mean = forecaster.ahead(tf.constant([[1.0, 1, 2], [0, 0, -1e30], [0, 1e-30, 3e-30]]), tf.constant(200)).numpy()
    assert np.isfinite(mean).all()
    assert mean[0, :4].tolist() == [4, 8, 16, 32]


def test_an_interval_is_proportional_to_the_window_s_width() -> None:
    """With noise proportional to the level, a constant width covers one half too often, the other too rarely."""
    rng = np.random.default_rng(0)
    level = np.repeat([1.0, 10.0], 2000)
    history = np.repeat(level[:, None], 3, axis=1)

    def origins() -> backtest.Origins:
        truth = level[:, None] * (1 + 0.1 * rng.normal(size=(4000, 4)))
        return backtest.Origins(history, truth, {"naive": history[:, -1:] + np.zeros(4)})

    forecaster = Forecaster(
        RECIPE,
        step=lambda window: window[:, -1],
        ahead=lambda window, steps: tf.repeat(window[:, -1:], steps, axis=1),
        width=lambda window: window[:, -1:],
    )
    spread = forecaster.calibrate(origins())
    fresh, rows = origins(), tf.constant(history.astype(np.float32))
    lower, upper = forecaster.interval(rows, forecaster.ahead(rows, tf.constant(4)), spread)
    inside = (fresh.truth >= lower.numpy()) & (fresh.truth <= upper.numpy())
    assert 0.88 < inside[:2000].mean() < 0.93 and 0.88 < inside[2000:].mean() < 0.93


def test_neither_mean_nor_interval_is_below_the_minimum() -> None:
    forecaster = recursive(RECIPE.model_copy(update={"minimum": 0.0}), lambda window: window[:, -1] - 2)
    falling = np.concatenate([np.arange(40.0, 0, -1), np.zeros(10)])
    far = backtest.roll(falling, 10, window=3, horizon=4, season=5)
    spread = forecaster.calibrate(far)
    history = tf.constant([[3.0, 2.0, 1.0]])
    mean = forecaster.bounded(forecaster.ahead(history, tf.constant(4)))
    lower, upper = forecaster.interval(history, mean, spread)
    assert mean.numpy().tolist() == lower.numpy().tolist() == [[0, 0, 0, 0]]
    assert (upper.numpy() >= mean.numpy()).all()
    near = backtest.roll(falling, 10, window=3, horizon=1, season=5)
    assert forecaster.measure(near, far, spread, season=5).answer.min() == 0
