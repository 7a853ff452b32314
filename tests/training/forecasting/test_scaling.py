"""The scale of a window, for histories of every kind."""

import numpy as np
import pytest
import tensorflow as tf

from training.forecasting.scaling import centre_and_scale


def test_the_scale_is_the_mean_absolute_change() -> None:
    centre, scale = centre_and_scale(tf.constant([[1.0, 3, 2, 6]]))
    assert centre.numpy().tolist() == [[6]] and scale.numpy() == pytest.approx(np.array([[7 / 3]]))


@pytest.mark.parametrize(
    "history",
    [[0.0] * 5, [7.0] * 5, [-3.0] * 5, [1e-38, 2e-38, 0, 0, 0], [1e38, -1e38, 1e38, -1e38, 1], [0, 0, 0, 0, 1]],
)
def test_the_scale_is_finite_and_above_zero(history: list[float]) -> None:
    _, scale = centre_and_scale(tf.constant([history], tf.float32))
    assert 0 < scale.numpy()[0, 0] < np.inf


def test_the_scale_follows_the_unit() -> None:
    rows = np.random.default_rng(0).normal(100, 5, (20, 30)).astype(np.float32)
    _, one = centre_and_scale(tf.constant(rows))
    _, thousand = centre_and_scale(tf.constant(1000 * rows))
    assert thousand.numpy() == pytest.approx(1000 * one.numpy(), rel=1e-4)
