"""Scale a window by its own last value and its own changes, so that a model works at any level and unit."""

import numpy as np
import tensorflow as tf

from training.core.array import Array
from training.forecasting.windows import windows

_SMALLEST = 1e-6  # least scale, as a share of the window's largest value
_TINY = 1e-30  # least scale of a window of zeros


def centre_and_scale(history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the last value and the mean absolute change of windows [n, window], [n, 1] each.

    The scale is above 0 for every window: of constants, zeros, negative, tiny and huge values (up to 1e38).
    """
    level = tf.reduce_max(tf.abs(history), axis=1, keepdims=True)
    unit = tf.maximum(level, _TINY)
    shares = history / unit  # the sum of huge values would overflow
    change = tf.reduce_mean(tf.abs(shares[:, 1:] - shares[:, :-1]), axis=1, keepdims=True)
    return history[:, -1:], tf.maximum(change, _SMALLEST) * unit


_FARTHEST = 20.0  # largest scaled target, so that a jump after a constant stretch does not dominate the fit
_LEAST_WIDTH = 0.1  # least width of an interval, as a share of the training part's mean change


def scaled_windows(series: Array, length: int) -> tuple[Array, Array]:
    """Return all windows of a series [n] and the value after each, both less the last value and scaled.

    Shapes are float32 [n - length, length, 1] and [n - length].
    """
    x, y = (part.astype(np.float32) for part in windows(series, length))
    centre, scale = (part.numpy() for part in centre_and_scale(tf.constant(x)))
    return ((x - centre) / scale)[..., None], ((y[:, None] - centre) / scale)[:, 0].clip(-_FARTHEST, _FARTHEST)


def least_width(train: Array) -> float:
    """Return the least width of an interval: windows without changes have a scale of almost 0."""
    return _LEAST_WIDTH * float(np.abs(np.diff(train)).mean())
