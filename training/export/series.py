"""Signatures of forecasters."""

import keras
import numpy as np
import tensorflow as tf

from training.core.array import Array
from training.export.exported_model import Endpoint, ExportedModel
from training.forecasting.conformal import Spread
from training.forecasting.forecaster import LARGEST_INPUT, Forecaster

LARGEST_OUTPUT = 3e38  #: A forecast further from 0 becomes this instead of infinity.


def series_model(network: keras.Model, forecaster: Forecaster, spread: Spread, samples: Array) -> ExportedModel:
    """Export a forecaster: ``serving_default`` and ``forecast``.

    ``serving_default`` predicts the next value, ``forecast`` as many as the batch's largest horizon. All outputs are
    finite for a finite history, and lower ≤ mean ≤ upper.

    Args:
        network: the Keras model that the forecaster's functions call.
        forecaster: the functions to export.
        spread: from the forecaster's ``calibrate``.
        samples: raw histories, [n, window].
    """
    recipe = forecaster.recipe
    samples = samples.astype(np.float32)
    history_spec = tf.TensorSpec((None, recipe.window), tf.float32, "history")

    def predict(history: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "prediction": _within(forecaster.bounded(forecaster.step(_within(history, LARGEST_INPUT))), LARGEST_OUTPUT)
        }

    def forecast(history: tf.Tensor, horizon: tf.Tensor) -> dict[str, tf.Tensor]:
        history = _within(history, LARGEST_INPUT)
        mean = forecaster.ahead(history, tf.clip_by_value(tf.reduce_max(horizon), 0, recipe.max_horizon))
        mean = _within(forecaster.bounded(mean), LARGEST_OUTPUT)
        lower, upper = (_within(bound, LARGEST_OUTPUT) for bound in forecaster.interval(history, mean, spread))
        return {"mean": mean, "lower": lower, "upper": upper}

    ahead = ("float32", (None, None))
    return ExportedModel(
        kind="series",
        series=recipe.model_copy(update={"quantiles": spread.quantiles}),
        models=(network,),
        endpoints={
            "serving_default": Endpoint(
                predict, {"history": history_spec}, {"prediction": ("float32", (None,))}, {"history": samples}
            ),
            "forecast": Endpoint(
                forecast,
                {"history": history_spec, "horizon": tf.TensorSpec((None,), tf.int32, "horizon")},
                {"mean": ahead, "lower": ahead, "upper": ahead},
                {
                    "history": samples,
                    "horizon": np.resize(np.array([recipe.max_horizon, 1, 5], np.int32), len(samples)),
                },
            ),
        },
    )


def _within(values: tf.Tensor, largest: float) -> tf.Tensor:
    return tf.clip_by_value(values, -largest, largest)
