"""The signature ``neighbours``: exact search among embeddings in the version."""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import NeighboursRecipe, Sprite
from training.core.array import Array
from training.export.exported_model import Endpoint, ExportedModel

MOST_REFERENCES = 10_000
MOST_NEIGHBOURS = 100
_COLUMNS = 40  # of the sprite


def with_neighbours(
    exported: ExportedModel, references: Array, labels: Array, source: str, pictures: Array | None = None
) -> ExportedModel:
    """Add ``neighbours`` to an exported image model.

    ``image`` and ``k`` int32 [n] → ``indices`` int32, ``distance`` float32 and ``labels`` int32, [n, largest k of the
    call], nearest first. Distances are Euclidean, between embeddings. As with ``forecast``, every row gets the columns
    of the largest request.

    Args:
        exported: an image model with the signature ``embed``.
        references: embeddings of the reference items, float32 [r, d].
        labels: class numbers of the references, [r].
        source: what the items are and what their index counts, for the card.
        pictures: the reference items, uint8 [r, height, width, c]; published as a sprite beside the model.

    Raises:
        ValueError: fewer than 100 or more than 10,000 references.
    """
    if not MOST_NEIGHBOURS <= len(references) <= MOST_REFERENCES:
        raise ValueError(f"{len(references)} references are given; {MOST_NEIGHBOURS} to {MOST_REFERENCES} are expected")
    embed = exported.endpoints["embed"]
    center = references.mean(axis=0)  # a common offset would cost the products below their precision
    # One column for each item: the ONNX export would store rows twice, as they are and transposed for the product.
    known, classes = np.ascontiguousarray((references - center).T, np.float32), labels.astype(np.int32)

    def neighbours(image: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        embedding = embed.function(image)["embedding"] - center
        items = tf.constant(known)  # a constant outside would become an input of the ONNX graph
        count = tf.clip_by_value(tf.reduce_max(k), 1, MOST_NEIGHBOURS)
        halves = tf.matmul(embedding, items) - tf.reduce_sum(items * items, axis=0) / 2
        found = tf.math.top_k(halves, count).indices
        # For close items, differences are more precise than products: they determine the order.
        apart = tf.transpose(embedding)[:, :, tf.newaxis] - tf.gather(items, found, axis=1)  # [d, n, k]
        distance = tf.sqrt(tf.reduce_sum(tf.square(apart), axis=0))
        nearest = tf.math.top_k(-distance, count)
        indices = tf.gather(found, nearest.indices, batch_dims=1)
        return {
            "indices": indices,
            "distance": -nearest.values,
            "labels": tf.gather(tf.constant(classes), indices),
        }

    wide = (None, None)
    samples = embed.samples["image"]
    endpoint = Endpoint(
        neighbours,
        {**embed.inputs, "k": tf.TensorSpec((None,), tf.int32, "k")},
        {"indices": ("int32", wide), "distance": ("float32", wide), "labels": ("int32", wide)},
        {"image": samples, "k": np.resize(np.array([10, 1, 5], np.int32), len(samples))},
    )
    return replace(
        exported,
        endpoints={**exported.endpoints, "neighbours": endpoint},
        neighbours=NeighboursRecipe(
            references=len(references),
            max_k=MOST_NEIGHBOURS,
            source=source,
            sprite=None
            if pictures is None
            else Sprite(columns=_COLUMNS, height=pictures.shape[1], width=pictures.shape[2]),
        ),
        reference_pictures=pictures,
    )
