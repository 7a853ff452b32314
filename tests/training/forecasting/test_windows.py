"""Windows, splits, intervals and notes over plain arrays."""

import numpy as np
import pytest

from serving.artifacts.model_card import SeriesRecipe
from training.forecasting.conformal import conformal_spread
from training.forecasting.notes import notes
from training.forecasting.windows import chronological, windows

RECIPE = SeriesRecipe(window=3, max_horizon=4, step="day", unit="USD", level=0.9)


def test_windows_end_before_their_target() -> None:
    x, y = windows(np.arange(6.0), 3)
    assert x.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert y.tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="too few for a window of 3"):
        windows(np.arange(3.0), 3)


def test_the_split_is_chronological() -> None:
    parts = chronological(np.arange(100.0), window=3, validation=0.2, test=0.1)
    assert parts.validation_origins(2, season=5).truth[[0, -1]].tolist() == [[70, 71], [88, 89]]
    assert parts.test_origins(2, season=5)[1].truth[[0, -1]].tolist() == [[90, 91], [98, 99]]
    assert parts.train.tolist() == list(range(70))
    assert parts.validation.tolist() == list(range(67, 90))
    assert parts.test.tolist() == list(range(87, 100))


def test_the_interval_covers_its_level_on_exchangeable_errors() -> None:
    rng = np.random.default_rng(0)
    spread = conformal_spread(rng.normal(0, 1, (2000, 4)) * [1, 2, 3, 4], 0.9)
    lower, upper = spread.bounds
    fresh = rng.normal(0, 1, (20_000, 4)) * [1, 2, 3, 4]
    assert 0.88 < ((fresh >= lower) & (fresh <= upper)).mean() < 0.93
    assert (np.diff(upper) >= 0).all() and (np.diff(lower) <= 0).all()
    for level, offsets in zip(spread.quantiles.levels, spread.quantiles.offsets, strict=True):
        below = (fresh <= np.array(offsets) * (upper - lower)).mean()
        assert below == pytest.approx(level, abs=0.02), level
    tails = [spread.quantiles.offsets[spread.quantiles.levels.index(level)] for level in (0.05, 0.95)]
    assert np.array(tails) * (upper - lower) == pytest.approx(spread.bounds, rel=1e-3)


def test_few_errors_give_their_full_range_and_few_quantiles() -> None:
    spread = conformal_spread(np.array([[-1.0], [2.0], [0.5]]), 0.9)
    assert spread.bounds.tolist() == [[-1.0], [2.0]]
    assert spread.quantiles.rows == 3
    assert spread.quantiles.levels == (0.3, 0.4, 0.5, 0.6, 0.7)  # the lowest of three errors supports 1/4
    assert conformal_spread(np.ones((40, 100)), 0.9).quantiles.steps[-1] == 100


def figures(ours: float, naive: float, seasonal: float, drift: float, coverage: float) -> dict[str, float]:
    near = {"naive_mae": naive, "seasonal_mae": seasonal, "drift_mae": drift}
    near |= {"skill": 1 - ours / naive, "seasonal_skill": 1 - ours / seasonal, "drift_skill": 1 - ours / drift}
    far = {f"horizon_{name}": value for name, value in near.items()}
    return {"test_mae": ours, "horizon_mae": ours, "coverage": coverage} | near | far


def test_a_forecast_no_better_than_the_best_hurdle_gets_a_warning() -> None:
    assert not notes(figures(1, naive=2, seasonal=3, drift=4, coverage=0.9), RECIPE, 5, deviation=10)
    covered, near, far = notes(figures(2, naive=4, seasonal=1.5, drift=1.8, coverage=0.5), RECIPE, 5, deviation=10)
    assert "covers 50% of the test part" in covered
    assert near == (
        'No better than "the value of 5 steps before repeats" (1.5 USD): one day ahead its mean absolute error is '
        "2 USD."
    )
    assert "over 4 steps ahead" in far
    pure = RECIPE.model_copy(update={"unit": "1"})
    assert (
        'repeats" (1.5): one day'
        in notes(figures(2, naive=4, seasonal=1.5, drift=4, coverage=0.9), pure, 5, deviation=10)[0]
    )


def test_an_exact_forecast_gets_no_warning() -> None:
    assert not notes(figures(2e-4, naive=1e-14, seasonal=1, drift=1, coverage=0.9), RECIPE, 5, deviation=10)


def test_a_better_statistical_model_gets_the_warning() -> None:
    metrics = figures(1.5, naive=2, seasonal=3, drift=4, coverage=0.9) | {"auto_ets_mae": 1.2, "auto_ets_skill": -0.25}
    assert notes(metrics, RECIPE, 5, deviation=10) == (
        "No better than AutoETS (1.2 USD): one day ahead its mean absolute error is 1.5 USD.",
    )
