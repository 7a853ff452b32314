"""Typicality of a history: how like the windows of the training part its newest values are."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import Typicality
from training.core.array import Array
from training.evaluation import foreign_inputs, typicality
from training.evaluation.assessment import THRESHOLD
from training.export.assessed import with_typicality
from training.export.exported_model import ExportedModel
from training.forecasting.scaling import centre_and_scale
from training.forecasting.windows import Split

_LAGS = 4
_SMALLEST = 1e-3
_LARGEST = 1e6  # of raw values, so that their squares stay finite


def shape(history: tf.Tensor) -> tf.Tensor:
    """Return features of windows [n, window] that depend on neither level nor unit, [n, features].

    They are of the changes in units of their mean size: mean, logarithms of mean square and of largest size, and
    autocorrelations. The changes themselves would not do: those of a constant or a ramp lie amid all others.
    """
    centre, scale = centre_and_scale(history)
    quarter = 0.25  # the difference of two huge values would overflow
    shares = (history * quarter - centre * quarter) / (scale * quarter)
    steps = shares[:, 1:] - shares[:, :-1]
    power = tf.reduce_mean(tf.square(steps), axis=1, keepdims=True) + _SMALLEST
    lags = [
        tf.reduce_mean(steps[:, lag:] * steps[:, :-lag], axis=1, keepdims=True) / power
        for lag in range(1, min(_LAGS, steps.shape[1] - 1) + 1)
    ]
    largest = tf.reduce_max(tf.abs(steps), axis=1, keepdims=True) + _SMALLEST
    mean = tf.reduce_mean(steps, axis=1, keepdims=True)
    return tf.concat([mean, tf.math.log(power), tf.math.log(largest), *lags], axis=1)


def values(history: tf.Tensor) -> tf.Tensor:
    """Return the raw values, for a net that knows only the level and the size of its training part."""
    return tf.clip_by_value(history, -_LARGEST, _LARGEST)


def with_assessed(
    exported: ExportedModel, train: Array, held_out: Array, embed: Callable[[tf.Tensor], tf.Tensor] = shape
) -> ExportedModel:
    """Add the signature ``assessed`` to a forecaster, with the typicality of the embedded window.

    A forecaster with too few held-out windows is returned as it is.

    Args:
        exported: of :func:`training.export.series.series_model`.
        train: windows of the training part, [n, window].
        held_out: other windows, [m, window].
        embed: windows → features, [n, d].
    """
    if len(held_out) < typicality.FEWEST_ROWS:
        return exported
    predict = exported.endpoints["serving_default"].function

    def embedded(rows: Array) -> Array:
        found: Array = embed(tf.constant(rows, tf.float32)).numpy()
        return found

    conformity = typicality.fit(embedded(train), None, embedded(held_out), unit=False)
    own = conformity.p_values(embedded(held_out))
    areas = {
        name: round(foreign_inputs.auroc(own, conformity.p_values(embedded(rows[..., 0]))), 4)
        for name, rows in foreign_inputs.signals(train[..., None]).items()
    }
    assessable = replace(
        exported,
        infer=lambda history: {**predict(history), "embedding": embed(history)},
        typicality=Typicality(threshold=THRESHOLD, rows=conformity.rows, auroc=areas),
    )
    return with_typicality(assessable, conformity)


def of_split(exported: ExportedModel, parts: Split, embed: Callable[[tf.Tensor], tf.Tensor] = shape) -> ExportedModel:
    """Add the signature ``assessed``, calibrated on the windows of validation and test part.

    A forecaster is returned as it is if these parts together are shorter than a window.
    """
    held_out = parts.series[parts.first_validation :]
    if len(held_out) < parts.window:
        return exported
    rows = np.lib.stride_tricks.sliding_window_view
    return with_assessed(exported, rows(parts.train, parts.window), rows(held_out, parts.window), embed)
