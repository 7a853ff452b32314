"""Keras nets that forecast a scaled window, [n, window] → [n, 1 or horizon]: the candidates of the job `forecaster`.

All read windows less their last value, divided by their mean absolute change. A net of one value is applied again to
its own forecasts.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from serving.artifacts.model_card import SeriesRecipe
from training.core.array import Array
from training.forecasting.forecaster import Forecaster, recursive
from training.forecasting.scaling import centre_and_scale

#: The candidates in words, for card and log; simple ones come first.
WORDS = {
    "naive": "the naive forecast (the last value repeats)",
    "seasonal_naive": "the seasonal naive forecast (the last season repeats)",
    "drift": "drift (the window's mean change continues)",
    "theta": "Theta",
    "seasonal_theta": "Theta with a season",
    "damped": "exponential smoothing with a damped trend",
    "seasonal_damped": "exponential smoothing with a damped trend and a season",
    "autoregression": "a linear autoregression",
    "sine_rnn": "sine_rnn's recurrent cell",
    "stock_rnn": "stock_rnn's four recurrent cells",
    "gru": "a GRU over the changes",
    "convolution": "a temporal convolution",
}
NAIVE = ("naive", "seasonal_naive", "drift")
#: Candidates whose errors on the rows of their fit are those on other rows.
FEW_PARAMETERS = (*NAIVE, "theta", "seasonal_theta", "damped", "seasonal_damped")
_CHANGES = 40  # newest changes that the GRU reads


def scaled(history: Array, truth: Array, least: float = 0.0) -> tuple[Array, Array]:
    """Return windows [n, window] and the values after them [n, horizon] as the nets take them, float32.

    Windows whose mean change is below ``least`` are left out, unless all are: in their units any change is huge.
    """
    centre, scale = (values.numpy() for values in centre_and_scale(tf.constant(history, tf.float32)))
    kept = (scale[:, 0] >= least) | (scale.max() < least)
    return tuple(((rows - centre) / scale)[kept].astype(np.float32) for rows in (history, truth))


def fixed(weights: Array) -> keras.Model:
    """Return a linear forecast as a net of one layer without training, from its matrix [window, horizon]."""
    layer = layers.Dense(weights.shape[1], use_bias=False, trainable=False)
    model = keras.Sequential([keras.Input((weights.shape[0],)), layer])
    layer.set_weights([weights])
    return model


def nets(window: int, horizon: int) -> dict[str, keras.Model]:
    """Return the untrained nets: the course's two recurrent ones, a GRU and a convolution."""
    return {
        "sine_rnn": _net("sine_rnn", window, lambda x: layers.SimpleRNN(1, activation=None)(x[:, -2:])),
        "stock_rnn": _net("stock_rnn", window, lambda x: layers.Dense(1)(layers.SimpleRNN(4)(x[:, -10:]))),
        "gru": _net("gru", window, lambda x: layers.Dense(horizon)(_gru(x[:, -_CHANGES - 1 :]))),
        "convolution": _net("convolution", window, lambda x: layers.Dense(horizon)(_convolutions(x))),
    }


def _net(name: str, window: int, body: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    inputs = keras.Input((window,))
    return keras.Model(inputs, body(inputs[..., None]), name=name)


def _gru(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.GRU(8, use_cudnn=False)(x[:, 1:] - x[:, :-1])


def _convolutions(x: keras.KerasTensor) -> keras.KerasTensor:
    """Two strided convolutions, as in `sine_forecaster`."""
    for filters in (16, 32):
        x = layers.Conv1D(filters, 5, strides=2, padding="same", activation="relu")(x)
    return layers.Flatten()(x)


def side_by_side(members: Sequence[keras.Model]) -> keras.Model:
    """Return one model with the outputs of all nets, so that one fit trains each by its own errors."""
    inputs = keras.Input(members[0].input_shape[1:])
    return keras.Model(inputs, ops.concatenate([net(inputs) for net in members], axis=1))


def absolute_error(members: Sequence[keras.Model]) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the loss of :func:`side_by_side`: each net answers for as many of the true values as it forecasts."""
    steps = [net.output_shape[1] for net in members]

    def loss(truth: tf.Tensor, answer: tf.Tensor) -> tf.Tensor:
        return ops.mean(ops.abs(ops.concatenate([truth[:, :n] for n in steps], axis=1) - answer), axis=1)

    return loss


def simplest(errors: Mapping[str, Array], independent: float) -> str:
    """Return the simplest candidate whose error is at most one standard error above the smallest.

    Breiman et al. 1984, 3.4.3: on few data a complex candidate is often the best by chance.

    Args:
        errors: mean absolute error at each origin, [n], by name.
        independent: origins whose forecasts do not overlap.
    """
    best = min(errors.values(), key=np.mean)
    for name in WORDS:
        if name in errors:
            gap = errors[name] - best
            if gap.mean() <= gap.std() / np.sqrt(max(independent, 1)):
                return name
    raise AssertionError


def forecaster(net: keras.Model, recipe: SeriesRecipe, least: float) -> Forecaster:
    """Return the forecaster of raw values that a net makes, with intervals proportional to the window's changes.

    Args:
        net: a candidate.
        recipe: window and longest horizon.
        least: least width of an interval, for windows without changes.
    """

    def direct(history: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        centre, scale = centre_and_scale(history)
        return net((history - centre) / scale, training=False)[:, :steps] * scale + centre

    def step(history: tf.Tensor) -> tf.Tensor:
        return direct(history, tf.constant(1))[:, 0]

    def width(history: tf.Tensor) -> tf.Tensor:
        return tf.maximum(centre_and_scale(history)[1], least)

    ahead = recursive(recipe, step).ahead if net.output_shape[1] < recipe.max_horizon else direct
    return Forecaster(recipe, step, ahead, width)
