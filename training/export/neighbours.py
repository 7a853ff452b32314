"""The signature that shows similar items: exact nearest neighbours among reference embeddings in the version itself."""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import NeighboursRecipe
from training.core.array import Array
from training.export.exported_model import Endpoint, ExportedModel

MOST_REFERENCES = 10_000
MOST_NEIGHBOURS = 100


def with_neighbours(servable: ExportedModel, references: Array, labels: Array, source: str) -> ExportedModel:
    """An image servable that also answers ``neighbours``: ``image`` and ``k`` int32 [n] → ``indices`` int32,
    ``distance`` float32 and ``labels`` int32, [n, largest k of the call], the nearest first.

    Distances are Euclidean, between what ``embed`` answers. As with ``forecast``, every row gets as many columns as the
    row that asks for most.

    Args:
        references: embeddings of the reference items, float32 [r, d], at most 10,000.
        labels: their class numbers, [r].
        source: what the items are and what their index counts, for the card.

    Raises:
        ValueError: more references than that, or fewer than can be asked for.
    """
    if not MOST_NEIGHBOURS <= len(references) <= MOST_REFERENCES:
        raise ValueError(
            f"{len(references)} references are given; {MOST_NEIGHBOURS} to {MOST_REFERENCES} are kept in a version"
        )
    embed = servable.endpoints["embed"]
    center = references.mean(axis=0)  # away with what all have alike: it would cost the products below their digits
    known, classes = (references - center).astype(np.float32), labels.astype(np.int32)

    def neighbours(image: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        embedding = embed.function(image)["embedding"] - center
        items = tf.constant(known)  # here, or it is captured as an input of the ONNX graph
        count = tf.clip_by_value(tf.reduce_max(k), 1, MOST_NEIGHBOURS)
        halves = tf.matmul(embedding, items, transpose_b=True) - tf.reduce_sum(items * items, axis=1) / 2
        found = tf.math.top_k(halves, count).indices
        # Products are less exact than differences where items lie close together: these put the found ones in order.
        distance = tf.sqrt(tf.reduce_sum(tf.square(embedding[:, tf.newaxis] - tf.gather(items, found)), axis=2))
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
        servable,
        endpoints={**servable.endpoints, "neighbours": endpoint},
        neighbours=NeighboursRecipe(references=len(known), max_k=MOST_NEIGHBOURS, source=source),
    )
