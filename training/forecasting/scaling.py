"""Scale a window by its own last value and its own changes, so that a model works at any level and unit."""

import tensorflow as tf

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
