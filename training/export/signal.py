"""Signatures of classifiers of 1-D signals."""

import keras
import tensorflow as tf

from serving.artifacts.model_card import SignalRecipe
from training.core.array import Array
from training.export.exported_model import Endpoint, ExportedModel

_LAGS = (1, 2, 4, 8, 16, 32, 64)
_SMALLEST = 1e-6  # power of a constant


def signal_model(network: keras.Model, recipe: SignalRecipe, samples: Array) -> ExportedModel:
    """Export a classifier of signals: ``serving_default``.

    Args:
        network: raw signals, float32 [n, length, channels] → probabilities [n, k].
        recipe: length, channels and units.
        samples: such signals, for the check and the warm-up.
    """
    signal_spec = tf.TensorSpec((None, recipe.length, recipe.channels), tf.float32, "signal")

    def classify(signal: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": network(signal, training=False)}

    def infer(signal: tf.Tensor) -> dict[str, tf.Tensor]:
        return {**classify(signal), "embedding": statistics(signal)}

    return ExportedModel(
        kind="signal",
        signal=recipe,
        models=(network,),
        infer=infer,
        endpoints={
            "serving_default": Endpoint(
                classify,
                {"signal": signal_spec},
                {"probabilities": ("float32", (None, network.outputs[0].shape[-1]))},
                {"signal": samples},
            )
        },
    )


def statistics(signal: tf.Tensor) -> tf.Tensor:
    """Return mean, logarithm of the power, and autocorrelations of each channel, [n, features].

    The typicality of a signal is that of these: a net that tells its classes apart by their shape maps noise and
    constants amid its training data.

    Args:
        signal: [n, length, channels].
    """
    mean = tf.reduce_mean(signal, axis=1, keepdims=True)
    centred = signal - mean
    power = tf.reduce_mean(tf.square(centred), axis=1) + _SMALLEST
    correlations = [
        tf.reduce_mean(centred[:, lag:] * centred[:, :-lag], axis=1) / power
        for lag in _LAGS
        if lag < signal.shape[1] // 2
    ]
    return tf.concat([mean[:, 0], tf.math.log(power), *correlations], axis=1)
