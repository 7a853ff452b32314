"""Typicality of histories: foreign shapes and levels, and the conformal share of the training data's own."""

import numpy as np
import pytest
import tensorflow as tf

from serving.artifacts.model_card import SeriesRecipe
from training.core.array import Array
from training.export.exported_model import ExportedModel
from training.export.series import series_model
from training.forecasting import backtest
from training.forecasting.forecaster import Forecaster
from training.forecasting.typical_windows import of_split, shape, values
from training.forecasting.windows import Split, chronological

WALK = 100 + np.random.default_rng(0).normal(size=2000).cumsum()
SINE = np.sin(np.arange(2000) * np.pi / 10)


def served(parts: Split) -> ExportedModel:
    recipe = SeriesRecipe(window=parts.window, max_horizon=3, step="day", unit="1", level=0.9)
    naive = Forecaster(recipe, lambda x: x[:, -1], lambda x, steps: tf.repeat(x[:, -1:], steps, axis=1))
    spread = naive.calibrate(backtest.roll(parts.series, 1000, window=parts.window, horizon=3, season=1))
    net = tf.keras.Sequential([tf.keras.layers.Input((parts.window,)), tf.keras.layers.Dense(1)])
    return series_model(net, naive, spread, np.zeros((2, parts.window)))


def typicality(exported: ExportedModel, history: Array) -> Array:
    found = exported.endpoints["assessed"].function(history=tf.constant(history, tf.float32))
    assert set(found) == {"prediction", "typicality"}
    rows: Array = found["typicality"].numpy()
    return rows


def test_a_history_s_shape_counts_and_not_its_level_or_unit() -> None:
    window = 30
    exported = of_split(served(chronological(WALK, window)), chronological(WALK, window), shape)
    assert exported.typicality and exported.typicality.threshold == 0.05
    own = np.stack([WALK[start : start + window] for start in range(1400, 1970, 10)])
    typical = typicality(exported, own)
    assert (typical < 0.05).mean() < 0.15 and typical.mean() > 0.35
    np.testing.assert_allclose(typicality(exported, own * 1000 + 5e4), typical, atol=0.05)
    foreign = np.stack([np.full(window, 7.0), np.arange(window), np.arange(window) % 2, np.arange(window) == 15])
    assert (typicality(exported, foreign) < 0.05).all()
    assert exported.typicality.auroc["constant"] > 0.99


def test_a_net_for_one_level_is_warned_of_another() -> None:
    exported = of_split(served(chronological(SINE, 2)), chronological(SINE, 2), values)
    rows = np.lib.stride_tricks.sliding_window_view(SINE[:60], 2)
    assert (typicality(exported, rows) > 0.05).mean() > 0.9
    assert (typicality(exported, rows + 5) < 0.05).all() and (typicality(exported, rows * 1e30) < 0.05).all()


def test_few_held_out_windows_give_no_typicality() -> None:
    for rows in (1110, 950):  # 11 held-out windows, and none
        parts = chronological(WALK[-rows:], 100, validation=0.05, test=0.05)
        exported = served(chronological(WALK, 100))
        assert of_split(exported, parts) is exported


@pytest.mark.parametrize("window", [2, 3])
def test_the_shortest_windows_have_a_shape(window: int) -> None:
    parts = chronological(WALK, window)
    assert (typicality(of_split(served(parts), parts), np.ones((1, window))) < 0.05).all()
