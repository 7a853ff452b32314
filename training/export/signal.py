"""Signatures of classifiers of 1-D signals."""

import keras
import tensorflow as tf

from serving.artifacts.model_card import SignalRecipe
from training.core.array import Array
from training.export.exported_model import Endpoint, ExportedModel


def signal_model(network: keras.Model, recipe: SignalRecipe, samples: Array) -> ExportedModel:
    """Export a classifier of signals: ``serving_default``.

    Args:
        network: raw signals, float32 [n, length, channels] → probabilities [n, k].
        recipe: length, channels and units.
        samples: such signals, for the check and the warm-up.
    """
    signal_spec = tf.TensorSpec((None, recipe.length, recipe.channels), tf.float32, "signal")

    with_embedding = keras.Model(
        network.inputs, {"probabilities": network.outputs[0], "embedding": network.layers[-1].input}
    )

    def infer(signal: tf.Tensor) -> dict[str, tf.Tensor]:
        found: dict[str, tf.Tensor] = with_embedding(signal, training=False)
        return {**found, "embedding": tf.reshape(found["embedding"], (tf.shape(signal)[0], -1))}

    def classify(signal: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": network(signal, training=False)}

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
