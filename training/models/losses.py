"""Contrastive and triplet loss as the course defines them (002_6c90a8e4e790d781, exercise 4), without its loops; and
the triplet loss as one to train by.

The course draws one partner for each example, or a positive and a negative, by Python's ``random``; here the drawing
is a function of its own, so that the losses themselves are plain arithmetic and the same pairs give the same value.
Embeddings are first brought to 0…1 by their smallest and largest value over all examples.
"""

import random
from typing import Any

import numpy as np
from keras import ops

from training.core.array import Array

MARGIN = 1.0
TRAINING_MARGIN = 0.2


def draw_pairs(count: int, rng: random.Random) -> Array:
    """For each example the index of another one, int64 [count]; drawn in the course's order."""
    partners = np.empty(count, np.int64)
    for i in range(count):
        partners[i] = i
        while partners[i] == i:
            partners[i] = rng.randint(0, count - 1)
    return partners


def draw_triplets(labels: Array, rng: random.Random) -> tuple[Array, Array]:
    """For each example an index of its class (maybe its own) and one of another class, int64 [n] each."""
    positives, negatives = np.empty(len(labels), np.int64), np.empty(len(labels), np.int64)
    for i, label in enumerate(labels):
        same, other = np.flatnonzero(labels == label), np.flatnonzero(labels != label)
        positives[i] = same[rng.randint(0, len(same) - 1)]
        negatives[i] = other[rng.randint(0, len(other) - 1)]
    return positives, negatives


def contrastive(labels: Array, embeddings: Array, partners: Array) -> float:
    """Mean of d²/2 over pairs of one class and max(0, margin - d²)/2 over the others.

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
    """Mean of max(0, margin + d²(anchor, positive) - d²(anchor, negative)); embeddings [n, d], indices [n]."""
    x = _normalised(embeddings)
    near = np.square(x - x[positives]).sum(axis=1)
    far = np.square(x - x[negatives]).sum(axis=1)
    return float(np.maximum(0, MARGIN + near - far).mean())


def batch_all_triplet(labels: Any, embeddings: Any) -> Any:
    """The triplet loss of a batch over every triplet in it that is not yet apart by the margin; by anchor, [n].

    Nothing is drawn: the batch is the sample (Hermans, Beyer and Leibe 2017, "batch all"; taking the hardest triplets
    alone collapsed to one point here). Distances are squared, as the course's.

    Args:
        labels: class numbers, [n] or [n, 1].
        embeddings: [n, d] of length 1.
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
