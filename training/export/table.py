"""Signatures of models of table rows."""

import keras
import tensorflow as tf

from serving.artifacts.model_card import TableRecipe
from training.core.array import Array
from training.export.exported_model import Endpoint, ExportedModel


def table_model(
    network: keras.Model, recipe: TableRecipe, samples: Array, center: Array | float = 0.0, scale: Array | float = 1.0
) -> ExportedModel:
    """Export a model that predicts one number per row: ``serving_default``.

    Args:
        network: scaled rows, float32 [n, columns] → [n, 1] in raw units.
        recipe: columns and target.
        samples: raw rows, float32 [n, columns], for the check and the warm-up.
        center: subtracted from the raw rows, by column.
        scale: divides the centred rows, by column.
    """
    features_spec = tf.TensorSpec((None, len(recipe.columns)), tf.float32, "features")

    def predict(features: tf.Tensor) -> dict[str, tf.Tensor]:
        scaled = (features - tf.constant(center, tf.float32)) / tf.constant(scale, tf.float32)
        return {"prediction": network(scaled, training=False)[:, 0]}

    return ExportedModel(
        kind="table",
        table=recipe,
        models=(network,),
        endpoints={
            "serving_default": Endpoint(
                predict, {"features": features_spec}, {"prediction": ("float32", (None,))}, {"features": samples}
            )
        },
    )
