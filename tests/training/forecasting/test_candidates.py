"""The candidates as forecasters of raw values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from serving.artifacts.model_card import SeriesRecipe
from training.core.array import Array
from training.forecasting import candidates, classical

WINDOW, HORIZON, SEASON = 48, 6, 7
RECIPE = SeriesRecipe(window=WINDOW, max_horizon=HORIZON, step="day", unit="1", season=SEASON, level=0.9)


def series(n: int) -> Array:
    rng = np.random.default_rng(0)
    values: Array = 30 + np.cumsum(rng.normal(size=n)) + 4 * np.sin(np.arange(n) * 2 * np.pi / SEASON)
    return values


def nets() -> dict[str, keras.Model]:
    rows = np.lib.stride_tricks.sliding_window_view(series(200), WINDOW + HORIZON)
    fitted = classical.fitted(*candidates.scaled(rows[:, :WINDOW], rows[:, WINDOW:]), SEASON)
    return {name: candidates.fixed(weights) for name, weights in fitted.items()} | candidates.nets(WINDOW, HORIZON)


NETS = nets()


def test_every_candidate_has_words() -> None:
    assert set(NETS) == set(candidates.WORDS) and set(candidates.NAIVE) < set(NETS)


@pytest.mark.parametrize("name", NETS)
def test_a_forecast_moves_with_level_and_unit(name: str) -> None:
    ours = candidates.forecaster(NETS[name], RECIPE, 0.0)
    history = series(WINDOW)[None].astype(np.float32)
    plain, moved = (
        ours.ahead(tf.constant(rows), tf.constant(HORIZON)).numpy() for rows in (history, history * 8 - 500)
    )
    assert plain.shape == (1, HORIZON)
    assert moved == pytest.approx(plain * 8 - 500, rel=1e-3, abs=1e-2)
    assert ours.step(tf.constant(history)).numpy() == pytest.approx(plain[:, 0], rel=1e-6)
    short = ours.ahead(tf.constant(history), tf.constant(2)).numpy()
    assert short == pytest.approx(plain[:, :2], rel=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_a_constant_history_has_a_finite_forecast(name: str) -> None:
    """The classical ones repeat it exactly."""
    ours = candidates.forecaster(NETS[name], RECIPE, 0.0)
    values = np.array([[0.0], [5.0], [-1e30], [1e-30]], np.float32)
    mean = ours.ahead(tf.constant(values.repeat(WINDOW, axis=1)), tf.constant(HORIZON)).numpy()
    assert np.isfinite(mean).all()
    if name not in candidates.nets(WINDOW, HORIZON):
        assert (mean == values).all()


def test_nets_side_by_side_have_the_loss_of_each() -> None:
    members = list(candidates.nets(WINDOW, HORIZON).values())
    rows = np.lib.stride_tricks.sliding_window_view(series(100), WINDOW + HORIZON)
    x, y = candidates.scaled(rows[:, :WINDOW], rows[:, WINDOW:])
    answer = candidates.side_by_side(members)(x)
    errors = [np.abs(y[:, : net.output_shape[1]] - net(x).numpy()) for net in members]
    found = candidates.absolute_error(members)(tf.constant(y), answer).numpy()
    assert found == pytest.approx(np.concatenate(errors, axis=1).mean(axis=1), rel=1e-5)


def test_the_simplest_candidate_within_one_standard_error_is_chosen() -> None:
    """A gap of .1 ± .5 over 100 origins: its standard error is .05 if they are independent, .25 if only four are."""
    gap = 0.1 + 0.5 * np.resize([1.0, -1.0], 100)
    errors = {"gru": np.full(100, 2.0), "theta": 2.0 + gap, "naive": np.full(100, 2.5)}
    assert candidates.simplest(errors, 100) == "gru"
    assert candidates.simplest(errors, 4) == "theta"
    assert candidates.simplest({"gru": np.zeros(5), "naive": np.zeros(5)}, 0.5) == "naive"


def test_windows_without_changes_are_left_out_of_a_fit() -> None:
    """A jump after zeros would be a million times their scale."""
    rows = np.zeros((3, 10))
    rows[0, 8:], rows[1] = 7.0, np.arange(10)
    x, y = candidates.scaled(rows[:, :8], rows[:, 8:], least=0.1)
    assert x.shape == (1, 8) and y.tolist() == [[1, 2]]
    assert len(candidates.scaled(np.zeros((3, 8)), np.zeros((3, 2)), least=0.1)[0]) == 3


def test_an_interval_has_a_least_width() -> None:
    ours = candidates.forecaster(NETS["naive"], RECIPE, 0.25)
    assert ours.width(tf.fill((1, WINDOW), 5.0)).numpy().tolist() == [[0.25]]
    assert ours.width(tf.constant(series(WINDOW)[None], tf.float32)).numpy()[0, 0] > 0.5
