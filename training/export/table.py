"""The signature of a model of table rows."""

import keras
import tensorflow as tf

from serving.card import TableRecipe
from training.export.servable import Endpoint, Servable
from training.job import Array


def table_servable(
    network: keras.Model, recipe: TableRecipe, samples: Array, center: Array | float = 0.0, scale: Array | float = 1.0
) -> Servable:
    """A model that gives one number for a row.

    Args:
        network: scaled rows, float32 [n, columns] → [n, 1] in raw units.
        recipe: columns and target.
        samples: raw rows, float32 [n, columns], for the checks and the warm-up.
        center, scale: scaled = (raw - center) / scale, by column, from the training part.
    """
    features_spec = tf.TensorSpec((None, len(recipe.columns)), tf.float32, "features")

    def predict(features: tf.Tensor) -> dict[str, tf.Tensor]:
        scaled = (features - tf.constant(center, tf.float32)) / tf.constant(scale, tf.float32)
        return {"prediction": network(scaled, training=False)[:, 0]}

    return Servable(
        kind="table",
        table=recipe,
        models=(network,),
        endpoints={
            "serving_default": Endpoint(
                predict, {"features": features_spec}, {"prediction": ("float32", (None,))}, {"features": samples}
            )
        },
    )
