"""The exported forecasters over histories of every kind."""

from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.export.series import LARGEST_OUTPUT, series_model
from training.forecasting.forecaster import LARGEST_INPUT, Forecaster
from training.forecasting.typical_windows import shape, values, with_assessed
from training.jobs import sine_forecaster, sine_rnn, stock_forecaster, stock_rnn

ROWS = 8
RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=0.01, examples=500)


class Served:
    """The signature ``forecast`` of an unfitted net with intervals from its job's data."""

    def __init__(self, job: ModuleType) -> None:
        keras.utils.set_random_seed(0)
        examples = job.load(JobOptions(quick=True), RECIPE)
        model = job.build(examples, JobOptions(), RECIPE)
        by_data = job in (stock_rnn, stock_forecaster)
        ours: Forecaster = job.forecaster(model, examples) if by_data else job.forecaster(model)
        self.window = ours.recipe.window
        origins = (
            job._origins(examples.extra["validation"], statistical=False)[1]
            if job is sine_forecaster
            else examples.extra["parts"].validation_origins(ours.recipe.max_horizon, ours.season)
        )
        exported = series_model(model, ours, ours.calibrate(origins), np.zeros((4, self.window)))
        self.forecast = tf.function(
            exported.endpoints["forecast"].function,
            input_signature=list(exported.endpoints["forecast"].inputs.values()),
        )
        noise = np.random.default_rng(0).normal(size=(300, self.window))
        self.assess = tf.function(
            with_assessed(exported, noise, noise[:30], values if job is sine_rnn else shape)
            .endpoints["assessed"]
            .function
        )
        self.horizon = ours.recipe.max_horizon

    def check(self, history: np.ndarray) -> None:
        rows = tf.constant(history, tf.float32)
        found = self.forecast(rows, tf.constant([self.horizon] * len(history)))
        mean, lower, upper = (found[name].numpy() for name in ("mean", "lower", "upper"))
        assert np.isfinite([mean, lower, upper]).all()
        assert (lower <= mean).all() and (mean <= upper).all()
        assessed = self.assess(rows)
        assert np.isfinite(assessed["prediction"].numpy()).all()
        assert ((assessed["typicality"] > 0) & (assessed["typicality"] <= 1)).numpy().all()


@pytest.fixture(scope="module", params=[sine_rnn, sine_forecaster, stock_rnn, stock_forecaster])
def served(request: pytest.FixtureRequest) -> Served:
    return Served(request.param)


def test_intervals_are_ordered_for_histories_of_every_kind(served: Served) -> None:
    steps = np.arange(served.window)
    kinds = [
        np.zeros(served.window),
        steps % 2,
        steps >= served.window // 2,
        -1 - steps / len(steps),
        np.linspace(-1, 1, len(steps)),
    ]
    kinds += [np.ones(served.window), np.eye(served.window)[-1], np.eye(served.window)[0]]
    for size in (1e-44, 1e-38, 1e-30, 1e-6, 1.0, 1e6, 1e30, 1e36, 1.5e38):
        served.check(np.stack(kinds) * size)
        served.check(np.stack(kinds) * -size)
    assert LARGEST_INPUT < LARGEST_OUTPUT


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_intervals_are_ordered_for_any_finite_history(served: Served, data: st.DataObject) -> None:
    history = data.draw(
        arrays.arrays(
            np.float32, (ROWS, served.window), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
        )
    )
    served.check(history)
