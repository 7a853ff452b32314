"""Windows, splits, backtests and intervals over plain arrays."""

import numpy as np
import pytest

from serving.card import SeriesRecipe
from training import forecasting

RECIPE = SeriesRecipe(window=3, max_horizon=4, step="day", unit="USD", level=0.9)


def test_windows_end_right_before_their_target() -> None:
    x, y = forecasting.windows(np.arange(6.0), 3)
    assert x.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert y.tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="hold no window of 3"):
        forecasting.windows(np.arange(3.0), 3)


def test_the_split_is_by_time_and_fits_on_the_past_alone() -> None:
    parts = forecasting.chronological(np.arange(100.0), window=3, validation=0.2, test=0.1)
    assert parts.train.tolist() == list(range(70))
    assert parts.validation.tolist() == list(range(67, 90))
    assert parts.test.tolist() == list(range(87, 100))


def test_a_backtest_feeds_the_forecast_back() -> None:
    """A forecaster that adds 2 to the last value, on a series that rises by 1, is off by 1, 2, 3, 4."""
    errors = forecasting.backtest(lambda window: window[:, -1] + 2, np.arange(20.0), RECIPE)
    assert errors.shape == (14, 4)
    assert (errors == [-1, -2, -3, -4]).all()


def test_the_interval_covers_what_it_says_on_exchangeable_errors() -> None:
    rng = np.random.default_rng(0)
    spread = forecasting.conformal_spread(rng.normal(0, 1, (2000, 4)) * [1, 2, 3, 4], 0.9)
    fresh = rng.normal(0, 1, (20_000, 4)) * [1, 2, 3, 4]
    assert 0.88 < forecasting.coverage(fresh, spread) < 0.93
    assert (np.diff(spread[1]) >= 0).all() and (np.diff(spread[0]) <= 0).all()


def test_few_errors_give_their_whole_range() -> None:
    spread = forecasting.conformal_spread(np.array([[-1.0], [2.0], [0.5]]), 0.9)
    assert spread.tolist() == [[-1.0], [2.0]]


def test_a_forecast_that_loses_to_the_last_value_says_so() -> None:
    truth, last = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])
    good = forecasting.against_naive(truth, truth + 0.5, last) | {"coverage": 0.9}
    bad = forecasting.against_naive(truth, truth + 2, last) | {"coverage": 0.5}
    assert good["skill"] == pytest.approx(0.5) and not forecasting.notes(good, RECIPE)
    covered, lost = forecasting.notes(bad, RECIPE)
    assert "covers 50% of the test part" in covered
    assert 'No better than "the next value equals the last one"' in lost and "2 USD" in lost
