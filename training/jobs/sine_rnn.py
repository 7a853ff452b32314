"""The next value of a sine by one recurrent cell.

Course document 004_1e87cdad635ebe4c, "senoid_rnn".

    vitrine train sine_rnn          30 seconds on two CPU cores
    vitrine train sine_rnn --quick  10 seconds

Data: sin(x) in steps of π/10. Model: a SimpleRNN of one cell with identity activation, s_t = x_t·W_i + s_{t−1}·W_s + b.
Over a window of two values it can represent the recurrence of the sine, sin(x+h) = 2·cos(h)·sin(x) − sin(x−h), with
W_i = 2·cos(h) = 1.9021 and W_s = −1 / W_i = −0.5257.

After the test the cell is fitted again on all values, and that one is served; the figures are those of the tested one.
The recurrence holds for a sine of that step and mean 0, of any size.

Expect those weights, and predictions for [sin .31] and [sin .31, sin .62] that equal the ones computed by hand.
"""

from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from serving.artifacts.model_card import Data, SeriesRecipe
from training.core.array import Array
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import sources
from training.export.exported_model import ExportedModel
from training.export.series import series_model
from training.forecasting.forecaster import Forecaster, recursive
from training.forecasting.refit import refit
from training.forecasting.typical_windows import values, with_assessed
from training.forecasting.windows import chronological, windows

SERIES = SeriesRecipe(window=2, max_horizon=100, step="π/10", unit="1", season=20, level=0.9)
SEASON = 20


def load(options: JobOptions, recipe: Recipe) -> Examples:
    series = np.sin(np.arange(2000) * np.pi / 10)
    parts = chronological(series, SERIES.window)
    x, y = windows(parts.train, SERIES.window)
    x_validation, y_validation = windows(parts.validation, SERIES.window)
    x_test, y_test = windows(parts.test, SERIES.window)
    return Examples(
        train=(x[..., None], y),
        validation=(x_validation[..., None], y_validation),
        test=(x_test[..., None], y_test),
        extra={"parts": parts, "options": options, "recipe": recipe},
        inputs={"level": sources.distribution(x.mean(axis=1)), "volatility": sources.distribution(x.std(axis=1))},
        data=Data(
            name="sin(x), x in steps of π/10",
            source="generated",
            licence="none needed",
            rows={"train": len(x), "validation": len(x_validation), "test": len(x_test)},
            sha256=sources.digest(x, y),
        ),
    )


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential([keras.Input((None, 1)), layers.SimpleRNN(1, activation=None)])
    require_parameters(model, 3)
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(recipe.learning_rate))
    return model


def by_hand(weights: list[Array], inputs: Array) -> float:
    """Compute s_t = g(x_t·W_i + s_{t−1}·W_s + b), g the identity, for a sequence [n]."""
    w_input, w_state, bias = (weight.astype(np.float64) for weight in weights)
    state = np.zeros(1)
    for value in inputs:
        state = value * w_input[0] + state @ w_state + bias
    return float(state[0])


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    ours, parts = forecaster(model), examples.extra["parts"]
    near, far = parts.test_origins(SERIES.max_horizon, SEASON)
    spread = ours.calibrate(parts.validation_origins(SERIES.max_horizon, SEASON))
    evaluation = ours.measure(near, far, spread, SEASON)
    weights = model.get_weights()
    sequences = (np.sin([0.31]), np.sin([0.31, 0.62]))
    apart = [abs(float(model(s[None, :, None])[0, 0]) - by_hand(weights, s)) for s in sequences]
    exact = {"by_hand_difference": max(apart), "w_input": weights[0].item(), "w_state": weights[1].item()}
    return replace(evaluation, metrics={**evaluation.metrics, **exact})


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    parts, options, recipe = (examples.extra[name] for name in ("parts", "options", "recipe"))
    spread = forecaster(model).calibrate(parts.held_out_origins(SERIES.max_horizon, SEASON))
    x, y = windows(parts.series, SERIES.window)
    final = build(examples, options, recipe)
    refit(final, x[..., None], y, options, recipe)
    exported = series_model(final, forecaster(final), spread, examples.test[0][:32, :, 0])
    # Windows of all phases: the series has the 20 of its period alone. Steps of one radian never repeat a phase.
    known, held_out = (
        np.sin(np.stack([phase, phase + np.pi / 10], axis=1))
        for phase in (np.arange(80) * np.pi / 40, np.arange(600.0))
    )
    return replace(with_assessed(exported, known, held_out, values), refitted=True)


def forecaster(model: keras.Model) -> Forecaster:
    """Return a forecaster whose error is proportional to the window's largest value."""

    def width(window: tf.Tensor) -> tf.Tensor:
        return tf.maximum(tf.reduce_max(tf.abs(window), axis=1, keepdims=True), 1e-30)

    return replace(recursive(SERIES, lambda window: model(window[..., tf.newaxis], training=False)[:, 0]), width=width)


JOB = Job(
    name="sine_rnn",
    title="Next value of a sine by one recurrent cell",
    course="004_1e87cdad635ebe4c, senoid_rnn",
    recipe=Recipe(epochs=60, batch_size=16, learning_rate=0.02, save_every=30),
    quick=Recipe(epochs=15, batch_size=16, learning_rate=0.05, save_every=15),
    policy=GatePolicy("horizon_mae", higher_is_better=False, bound=0.01, largest_loss=0.001),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
)
