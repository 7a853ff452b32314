"""The signature ``explain``: a heat map of what a picture's class depends on, by occlusion.

A grid of 7×7 cells divides the picture (Zeiler and Fergus 2014). Each cell is covered once in the picture's mean colour
and once in the median colour of its border. A cell's heat is the mean loss of the class's log odds. One colour alone
explains only what that colour deletes: of 200 pictures for fashion_cnn, blurring the fifth that the border's colour
marks lowers the class by .127, blurring a random fifth by .145; with both, .299 and .127. Gradients would need
fewer runs, but tf2onnx converts few of their operations.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from training.core.array import Array
from training.export.exported_model import Convert, Endpoint
from training.export.onnx_graph.loop import looped

EXPLAIN = "explain"
GRID = 7
_COLOURS = 2
_STEPS = GRID * _COLOURS  # for each picture
_SAMPLES = 2  # each costs as much as 112 predictions
_SMALLEST = 1e-3  # of a probability: 1 - p of a sigmoid is off by 6e-8


@dataclass(frozen=True)
class _Occlusion:
    """Covers the cells of one row of the grid at a time, so that a call needs the memory of eight pictures."""

    classify: Endpoint
    rows: Array
    columns: Array

    def losses(self, image: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Return the loss of log odds for each cell of the step's picture, grid row and colour, float32 [7]."""
        picture, row, colour = image[step // _STEPS], step // _COLOURS % GRID, step % _COLOURS
        across = tf.constant(self.columns) == tf.range(GRID)[:, tf.newaxis]  # [cells, width]
        covered = (tf.constant(self.rows) == row)[:, tf.newaxis] & across[:, tf.newaxis]
        fill = tf.where(colour == 0, _mean(picture), _border(picture))
        pictures = tf.where(covered[..., tf.newaxis], fill, picture)
        whole_first = tf.concat([picture[tf.newaxis], pictures], axis=0)
        probabilities = self.classify.function(whole_first)["probabilities"]
        chosen = tf.one_hot(tf.argmax(probabilities[0]), probabilities.shape[1])
        # The sum of the other classes is precise where the probability is close to 1.
        one, others = (tf.reduce_sum(probabilities * part, axis=1) for part in (chosen, 1 - chosen))
        odds = tf.math.log(one + _SMALLEST) - tf.math.log(others + _SMALLEST)
        return odds[0] - odds[1:]

    def heatmap(self, losses: tf.Tensor) -> tf.Tensor:
        """Return the heat of each pixel, [n, height, width], from the losses of all steps."""
        heat = tf.reduce_mean(tf.reshape(losses, (-1, GRID, _COLOURS, GRID)), axis=2)
        return tf.gather(tf.gather(heat, tf.constant(self.rows), axis=1), tf.constant(self.columns), axis=2)

    def explain(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        losses = tf.map_fn(
            lambda step: self.losses(image, step),
            tf.range(tf.shape(image)[0] * _STEPS),
            parallel_iterations=1,
            fn_output_signature=tf.TensorSpec((GRID,), tf.float32),
        )
        return {"heatmap": self.heatmap(losses)}

    def export(self, convert: Convert) -> Any:
        results = tf.TensorSpec((None, GRID), tf.float32, "results")
        return looped(
            convert(
                lambda image, step: {"result": self.losses(image, step)},
                [self.classify.inputs["image"], tf.TensorSpec((), tf.int32, "step")],
            ),
            convert(lambda losses: {"heatmap": self.heatmap(losses)}, [results]),
            _STEPS,
        )


def explanation(classify: Endpoint) -> Endpoint:
    """Return the endpoint ``explain``: ``image`` → ``heatmap`` float32 [n, height, width].

    Args:
        classify: ``image`` uint8 [n, height, width, c] → ``probabilities`` [n, k].
    """
    height, width = classify.inputs["image"].shape[1:3]
    occlusion = _Occlusion(classify, _cells(height), _cells(width))
    return Endpoint(
        occlusion.explain,
        classify.inputs,
        {"heatmap": ("float32", (None, height, width))},
        {"image": classify.samples["image"][:_SAMPLES]},
        own_export=occlusion.export,
    )


def _cells(size: int) -> Array:
    """Return the grid's row or column of each pixel."""
    return (np.arange(size) * GRID // size).astype(np.int32)


def _mean(picture: tf.Tensor) -> tf.Tensor:
    """Return the mean colour of a picture, [c]. Whole numbers give the same colour in every engine."""
    total = tf.reduce_sum(tf.cast(picture, tf.int32), axis=(0, 1))
    return tf.cast(total // (picture.shape[0] * picture.shape[1]), tf.uint8)


def _border(picture: tf.Tensor) -> tf.Tensor:
    """Return the median colour of the border, [c]."""
    border = tf.concat([picture[0], picture[-1], picture[:, 0], picture[:, -1]], axis=0)
    values = tf.transpose(tf.cast(border, tf.float32))
    return tf.cast(tf.math.top_k(values, border.shape[0] // 2 + 1).values[:, -1], tf.uint8)
