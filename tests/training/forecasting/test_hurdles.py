"""AutoETS and AutoTheta as hurdles, on series whose best forecast is known."""

import logging

import numpy as np
import pytest

from training.core.array import Array
from training.forecasting import backtest, hurdles
from training.forecasting.backtest import Origins

NOISE = np.random.default_rng(0).normal(size=400)


def pair(series: Array, first: int, horizon: int, season: int) -> tuple[Origins, Origins]:
    near, far = (backtest.roll(series, first, window=2, horizon=steps, season=season) for steps in (1, horizon))
    return hurdles.with_hurdles(near, far, series, first, season)


def test_the_models_see_the_season_and_only_the_past() -> None:
    """Noise of deviation 1 around a season: the best error is .8, and the naive one much larger."""
    series = 10 * np.sin(np.arange(400) * 2 * np.pi / 7) + NOISE
    near, far = pair(series, 340, 14, season=7)
    for origins in (near, far):
        figures = hurdles.errors(origins)
        assert 0.6 < figures["auto_ets"] < 1 and 0.6 < figures["auto_theta"] < 1 < figures["naive"]
        assert set(figures) == set(hurdles.HURDLES)
    assert len(near.truth) == 60 and len(far.truth) == 47
    changed = series.copy()
    changed[370:] = 1e6
    _, later = pair(changed, 340, 14, season=7)
    assert (later.naive["auto_ets"][:31] == far.naive["auto_ets"][:31]).all()
    assert (later.naive["auto_theta"][:31] == far.naive["auto_theta"][:31]).all()


def test_only_the_newest_values_are_fitted_with_the_season_in_phase() -> None:
    series = np.tile([0.0, 5, 1, 7, 3, 9, 2], 300)
    _, far = pair(series, 2000, 14, season=7)
    assert hurdles.errors(far)["auto_ets"] < 0.01


def test_a_long_test_part_has_evenly_spaced_origins() -> None:
    series = np.tile([0.0, 5, 1, 7, 3, 9, 2], 300)
    near, far = pair(series, 400, 14, season=7)
    assert (len(near.truth), len(far.truth)) == (850, 844)
    assert max(hurdles.errors(near)["auto_ets"], hurdles.errors(far)["auto_ets"]) < 0.01


@pytest.mark.parametrize("series", [np.zeros(100), np.full(100, 3e30), -np.abs(NOISE[:100]), NOISE[:100] * 1e-30])
def test_every_series_has_finite_hurdles(series: Array) -> None:
    _, far = pair(series, 80, 5, season=7)
    assert all(np.isfinite(list(hurdles.errors(far).values())))


def test_a_model_that_cannot_be_fitted_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _, far = pair(np.array([1.0, 2.0, 4.0, 3.0]), 2, 1, season=1)
    assert set(hurdles.errors(far)) == {"naive", "seasonal", "drift"}
    assert "AutoETS cannot be fitted" in caplog.text


def test_the_best_hurdle_has_the_smallest_error() -> None:
    assert hurdles.best({"naive": 2.0, "auto_ets": 1.0, "drift": 3.0}) == "auto_ets"
