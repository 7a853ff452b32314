"""Contrastive and triplet loss.

The course (002_6c90a8e4e790d781, exercise 4) computes both in loops and draws a partner, or a positive and a negative,
for each example with Python's ``random``. Here separate functions make the draws, so the losses are deterministic.
Embeddings are scaled to 0…1 by their minimum and maximum over all examples.

:func:`batch_all_triplet` is the triplet loss for training.
"""

import random
from typing import Any

import numpy as np
from keras import ops

from training.core.array import Array

MARGIN = 1.0
TRAINING_MARGIN = 0.2


def draw_pairs(count: int, rng: random.Random) -> Array:
    """Draw the index of another example for each example, int64 [count].

    The order of the draws is the course's.
    """
    partners = np.empty(count, np.int64)
    for i in range(count):
        partners[i] = i
        while partners[i] == i:
            partners[i] = rng.randint(0, count - 1)
    return partners


def draw_triplets(labels: Array, rng: random.Random) -> tuple[Array, Array]:
    """Draw a positive and a negative for each example, int64 [n] each.

    A positive has the same class (it may be the example itself), a negative another.
    """
    positives, negatives = np.empty(len(labels), np.int64), np.empty(len(labels), np.int64)
    for i, label in enumerate(labels):
        same, other = np.flatnonzero(labels == label), np.flatnonzero(labels != label)
        positives[i] = same[rng.randint(0, len(same) - 1)]
        negatives[i] = other[rng.randint(0, len(other) - 1)]
    return positives, negatives


def contrastive(labels: Array, embeddings: Array, partners: Array) -> float:
    """Return the contrastive loss: the mean over pairs of each example and its partner.

    A pair of one class costs d²/2, another pair max(0, margin - d²)/2.

    Args:
        labels: class numbers, [n].
        embeddings: [n, d].
        partners: index of each example's partner, [n].
    """
    x = _normalised(embeddings)
    squared = np.square(x - x[partners]).sum(axis=1)
    alike = labels == labels[partners]
    return float(np.where(alike, squared, np.maximum(0, MARGIN - squared)).mean() / 2)


def triplet(embeddings: Array, positives: Array, negatives: Array) -> float:
    """Return the triplet loss: the mean over triplets of anchor, positive and negative.

    A triplet costs max(0, margin + d²(anchor, positive) - d²(anchor, negative)).

    Args:
        embeddings: anchors, [n, d].
        positives: index of each anchor's positive, [n].
        negatives: index of each anchor's negative, [n].
    """
    x = _normalised(embeddings)
    near = np.square(x - x[positives]).sum(axis=1)
    far = np.square(x - x[negatives]).sum(axis=1)
    return float(np.maximum(0, MARGIN + near - far).mean())


def batch_all_triplet(labels: Any, embeddings: Any) -> Any:
    """Return the mean triplet loss of each anchor in a batch, [n].

    The mean is over all triplets that violate the margin ("batch all", Hermans, Beyer and Leibe 2017; "batch hard"
    collapses to one point on this data). Distances are squared, as in the course.

    Args:
        labels: class numbers, [n] or [n, 1].
        embeddings: vectors of length 1, [n, d].
    """
    labels = ops.reshape(labels, (-1,))
    squared = 2 - 2 * ops.matmul(embeddings, ops.transpose(embeddings))
    alike = ops.equal(labels[:, None], labels[None, :])
    positive = ops.logical_and(alike, ops.logical_not(ops.eye(ops.shape(squared)[0], dtype="bool")))
    triplets = ops.logical_and(positive[:, :, None], ops.logical_not(alike)[:, None, :])
    loss = ops.where(triplets, ops.maximum(TRAINING_MARGIN + squared[:, :, None] - squared[:, None, :], 0), 0.0)
    active = ops.sum(ops.cast(loss > 0, "float32"), axis=(1, 2))
    return ops.sum(loss, axis=(1, 2)) / ops.maximum(active, 1)


def _normalised(embeddings: Array) -> Array:
    low, high = embeddings.min(), embeddings.max()
    scaled: Array = (embeddings - low) / (high - low)
    return scaled
