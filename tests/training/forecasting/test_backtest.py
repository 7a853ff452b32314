"""Backtests: origins and naive forecasts with simple numbers."""

import numpy as np
import pytest

from training.forecasting import backtest
from training.forecasting.backtest import Origins


def test_every_origin_sees_only_the_past() -> None:
    origins = backtest.roll(np.arange(10.0) ** 2, 5, window=3, horizon=2, season=4)
    assert origins.history.tolist() == [[4, 9, 16], [9, 16, 25], [16, 25, 36], [25, 36, 49]]
    assert origins.truth.tolist() == [[25, 36], [36, 49], [49, 64], [64, 81]]


def test_naive_forecasts_by_hand() -> None:
    series = np.array([0.0, 5.0, 1.0, 6.0, 2.0, 7.0, 3.0, 8.0, 4.0])
    origins = backtest.roll(series, 5, window=2, horizon=3, season=2)
    first = {name: forecast[0].tolist() for name, forecast in origins.naive.items()}
    assert first == {"naive": [2, 2, 2], "seasonal": [6, 2, 6], "drift": [2.5, 3, 3.5]}


@pytest.mark.parametrize(("first", "horizon"), [(2, 3), (8, 3)])
def test_too_few_values_are_refused(first: int, horizon: int) -> None:
    with pytest.raises(ValueError, match="a backtest needs 4 values before its first origin and 3"):
        backtest.roll(np.arange(10.0), first, window=2, horizon=horizon, season=4)


def test_series_are_concatenated() -> None:
    one = backtest.roll(np.arange(10.0), 5, window=3, horizon=2, season=4)
    both = backtest.joined([one, one])
    assert len(both.history) == len(both.truth) == len(both.naive["drift"]) == 2 * len(one.truth)


def test_skill_compares_with_the_naive_error() -> None:
    truth = np.array([[1.0], [2.0], [3.0]])
    origins = Origins(truth - 1, truth, {"naive": truth - 1, "seasonal": truth + 4, "drift": truth})
    figures = backtest.against_naive(origins, truth + 0.5)
    assert figures["mae"] == 0.5 and figures["naive_mae"] == 1 and figures["seasonal_mae"] == 4
    assert figures["skill"] == pytest.approx(0.5) and figures["seasonal_skill"] == pytest.approx(0.875)
    assert figures["drift_skill"] < -1000  # an exact forecast has the best skill
    exact = backtest.against_naive(origins, truth + 1e-12)
    assert exact["drift_skill"] == 0  # rounding of float32 is not an error


def test_the_interval_score_penalises_width_and_misses() -> None:
    truth = np.array([[0.0, 5.0]])
    lower, upper = np.array([[-1.0, 1.0]]), np.array([[1.0, 3.0]])
    assert backtest.interval_score(truth, lower, upper, 0.9) == pytest.approx((2 + 2 + 20 * 2) / 2)
