"""Faithfulness of heat maps: deleting what a map marks must cost the class more than deleting anything else.

The marked fifth of a held-out picture is blurred, and so is a random fifth, which consists of cells as large as the
map's. Blurring is neither of the two ways in which ``explain`` covers cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import Check
from training.core.array import Array
from training.export.explanation import GRID
from training.export.exported_model import Endpoint

MOST_BYTES = 2_000_000  # of pictures: each costs as much as 112 predictions
MOST_PICTURES, FEWEST_PICTURES = 200, 32
_SHARE = 0.2
_ONE_SIDED_95 = 1.645


@dataclass(frozen=True)
class Faithfulness:
    """Mean loss of the class's probability, and the difference between both of each picture."""

    marked: float
    random: float
    differences: Array

    def metrics(self) -> dict[str, float]:
        """Return the mean losses, for the card."""
        return {"loss_by_marked_fifth": self.marked, "loss_by_random_fifth": self.random}

    def check(self) -> Check:
        """Return the lower end of the mean difference's one-sided 95 % interval, for the gate."""
        rows = len(self.differences)
        margin = _ONE_SIDED_95 * self.differences.std(ddof=1) / np.sqrt(rows) if rows > 1 else np.inf
        return Check(
            name="explanation_faithfulness", value=float(self.differences.mean() - margin), bound=0.0, rows=rows
        )


def measure(endpoints: Mapping[str, Endpoint], pictures: Array) -> Faithfulness:
    """Measure the signature ``explain`` on held-out pictures, or on the first of many.

    Args:
        endpoints: the signatures ``serving_default`` and ``explain``.
        pictures: uint8 [n, height, width, c].
    """
    row = int(np.prod(pictures.shape[1:]))
    pictures = pictures[: min(MOST_PICTURES, max(FEWEST_PICTURES, MOST_BYTES // row))]
    classify, explain = (tf.function(endpoints[name].function) for name in ("serving_default", "explain"))
    before = classify(image=tf.constant(pictures))["probabilities"].numpy()
    heat = explain(image=tf.constant(pictures))["heatmap"].numpy()
    chosen = before.argmax(axis=1)[:, np.newaxis]
    blurred = _blurred(pictures)

    def loss(importance: Array) -> Array:
        deleted = np.where(_top_fifth(importance)[..., np.newaxis], blurred, pictures)
        after = classify(image=tf.constant(deleted))["probabilities"].numpy()
        return np.take_along_axis(before - after, chosen, axis=1)[:, 0]

    marked, other = loss(heat), loss(_random_cells(heat.shape))
    return Faithfulness(float(marked.mean()), float(other.mean()), marked - other)


def _top_fifth(importance: Array) -> Array:
    """Return a mask of the fifth of all pixels with the largest values, [n, height, width]."""
    flat = importance.reshape(len(importance), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, order[:, : round(_SHARE * flat.shape[1])], True, axis=1)
    return mask.reshape(importance.shape)


def _random_cells(shape: tuple[int, ...]) -> Array:
    """Return values [n, height, width] that put the cells of the grid into a random order."""
    rows, columns = (np.arange(size) * GRID // size for size in shape[1:])
    cells = np.random.default_rng(0).permuted(np.tile(np.arange(GRID**2), (shape[0], 1)), axis=1)
    return cells.reshape(-1, GRID, GRID)[:, rows[:, np.newaxis], columns]


def _blurred(pictures: Array) -> Array:
    """Return the mean of a window of a third of the picture around each pixel."""
    window = [max(1, size // 3) for size in pictures.shape[1:3]]
    blurred: Array = np.round(tf.nn.avg_pool2d(pictures.astype(np.float32), window, 1, "SAME").numpy())
    return blurred.astype(np.uint8)
