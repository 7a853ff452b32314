"""A forecaster over raw values: how it goes on from a window, how wide its interval is, and what it is measured by.

The same TensorFlow functions are measured here and exported by :func:`training.export.exported_model.series_model`: the
figures on the card are those of the graph that is served.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import SeriesRecipe
from training.core.array import Array
from training.core.examples import Evaluation
from training.forecasting import backtest
from training.forecasting import windows as forecasting
from training.forecasting.backtest import Origins

_ROWS = 512  # windows forecast at once


def _alike(history: tf.Tensor) -> tf.Tensor:
    return tf.ones_like(history[:, :1])


@dataclass(frozen=True)
class Forecaster:
    """Functions of raw windows, float32 [n, window].

    ``step`` → the next value [n]; ``ahead`` (with a count of steps) → the mean of each step [n, steps]; ``width`` →
    how far off a forecast is to be expected from this window, [n, 1], in any unit: the interval is so many times as
    wide.
    """

    recipe: SeriesRecipe
    step: Callable[[tf.Tensor], tf.Tensor]
    ahead: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    width: Callable[[tf.Tensor], tf.Tensor] = _alike

    def interval(self, history: tf.Tensor, mean: tf.Tensor, spread: Array) -> tuple[tf.Tensor, tf.Tensor]:
        """Lower and upper bound [n, steps] around a mean of as many steps; ``spread`` is :meth:`calibrate`'s."""
        factors = tf.constant(spread, tf.float32)  # here, or a large one is captured as an input of the ONNX graph
        steps, width = tf.shape(mean)[1], self.width(history)
        return mean + width * factors[0, :steps], mean + width * factors[1, :steps]

    def calibrate(self, origins: Origins) -> Array:
        """Split-conformal bounds by step, float32 [2, max_horizon], from origins that were not fitted on.

        Errors are counted in ``width``s (locally weighted conformal, Lei et al. 2018, 5.2).
        """
        mean = self._run(lambda history: self.ahead(history, tf.constant(self.recipe.max_horizon)), origins.history)
        width = self._run(self.width, origins.history)
        return forecasting.conformal_spread((origins.truth - mean) / width, self.recipe.level or 0.9)

    def measure(self, near: Origins, far: Origins, spread: Array, season: int) -> Evaluation:
        """What the card says of it.

        Args:
            near: origins of the test part with a horizon of one step.
            far: origins of the test part with the longest horizon.
            spread: :meth:`calibrate`'s.
            season: steps of the seasonal naive forecast.
        """
        next_values = self._run(self.step, near.history)[:, None]
        mean = self._run(lambda history: self.ahead(history, tf.constant(self.recipe.max_horizon)), far.history)
        width = self._run(self.width, far.history)
        lower, upper = mean + width * spread[0], mean + width * spread[1]
        level = self.recipe.level or 0.9
        figures = backtest.against_naive(near, next_values)
        figures = {"test_mae": figures.pop("mae"), **figures}
        figures |= {f"horizon_{name}": value for name, value in backtest.against_naive(far, mean).items()}
        figures["coverage"] = float(((far.truth >= lower) & (far.truth <= upper)).mean())
        figures["interval_score"] = backtest.interval_score(far.truth, lower, upper, level)
        said = forecasting.notes(figures, self.recipe, season)
        return Evaluation(figures, truth=near.truth[:, 0], answer=next_values[:, 0], notes=said)

    def _run(self, function: Callable[[tf.Tensor], tf.Tensor], history: Array) -> Array:
        rows = history.astype(np.float32)
        parts = [function(tf.constant(rows[start : start + _ROWS])).numpy() for start in range(0, len(rows), _ROWS)]
        return np.concatenate(parts).astype(np.float64)


def recursive(recipe: SeriesRecipe, step: Callable[[tf.Tensor], tf.Tensor]) -> Forecaster:
    """A forecaster of the next value that feeds its own values back."""

    def ahead(history: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        def advance(i: tf.Tensor, window: tf.Tensor, made: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            value = step(window)[:, tf.newaxis]
            return i + 1, tf.concat([window[:, 1:], value], 1), tf.concat([made, value], 1)

        _, _, made = tf.while_loop(
            lambda i, *_: i < steps,
            advance,
            (tf.constant(0), history, history[:, :0]),
            shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, recipe.window)), tf.TensorShape((None, None))),
        )
        return made

    return Forecaster(recipe, step, ahead)
