"""A forecaster over raw values: mean, interval and metrics.

The backtest measures the same TensorFlow functions that :func:`training.export.series.series_model` exports, so the
card's figures are those of the served graph.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import SeriesRecipe
from training.core.array import Array
from training.core.examples import Evaluation
from training.forecasting import backtest, hurdles
from training.forecasting.backtest import Origins
from training.forecasting.conformal import Spread, conformal_spread
from training.forecasting.notes import notes

LARGEST_INPUT = 1e30  #: A value further from 0 counts as this: float32 ends at 3.4e38, and sums must not reach it.
_ROWS = 512  # windows forecast at once


def _constant_width(history: tf.Tensor) -> tf.Tensor:
    return tf.ones_like(history[:, :1])


@dataclass(frozen=True)
class Forecaster:
    """Functions of raw windows, float32 [n, window].

    Attributes:
        recipe: window, longest horizon and level of the interval.
        step: (windows) → the next value, [n].
        ahead: (windows, number of steps) → the mean of each step, [n, steps].
        width: (windows) → expected size of the error, [n, 1], in any unit; the interval's width is proportional to it.
    """

    recipe: SeriesRecipe
    step: Callable[[tf.Tensor], tf.Tensor]
    ahead: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    width: Callable[[tf.Tensor], tf.Tensor] = _constant_width

    @property
    def season(self) -> int:
        """Steps of the seasonal naive forecast."""
        return self.recipe.season or 1

    def interval(self, history: tf.Tensor, mean: tf.Tensor, spread: Spread) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the lower and upper bound [n, steps] around a mean [n, steps].

        ``spread`` comes from :meth:`calibrate`.
        """
        factors = tf.constant(spread.bounds, tf.float32)  # a constant outside would become an input of the ONNX graph
        steps, width = tf.shape(mean)[1], self.width(history)
        lower = self.bounded(mean + width * factors[0, :steps])  # factors are ≤ 0 and ≥ 0
        return lower, mean + width * factors[1, :steps]

    def bounded(self, values: tf.Tensor) -> tf.Tensor:
        """Raise values below the recipe's minimum to it."""
        return values if self.recipe.minimum is None else tf.maximum(values, self.recipe.minimum)

    def _longest(self, history: tf.Tensor) -> tf.Tensor:
        return self.bounded(self.ahead(history, tf.constant(self.recipe.max_horizon)))

    def errors(self, origins: Origins) -> Array:
        """Return the mean absolute error at each origin over the longest horizon, [n]."""
        mean = self._run(self._longest, origins.history)
        found: Array = np.abs(origins.truth - mean).mean(axis=1)
        return found

    def calibrate(self, origins: Origins) -> Spread:
        """Return split-conformal bounds by step.

        The origins must be held out from the fit. Errors are divided by ``width`` (locally weighted conformal
        prediction, Lei et al. 2018, 5.2).
        """
        mean = self._run(self._longest, origins.history)
        width = self._run(self.width, origins.history)
        return conformal_spread((origins.truth - mean) / width, self.recipe.level or 0.9)

    def measure(self, near: Origins, far: Origins, spread: Spread, season: int) -> Evaluation:
        """Measure the forecaster on the test part.

        Args:
            near: origins of the test part with a horizon of one step.
            far: origins of the test part with the longest horizon.
            spread: the bounds of :meth:`calibrate`.
            season: steps of the seasonal naive forecast.
        """
        next_values = self._run(lambda history: self.bounded(self.step(history)), near.history)[:, None]
        mean = self._run(self._longest, far.history)
        width = self._run(self.width, far.history)
        lower, upper = (mean + width * bound for bound in spread.bounds)
        lower = lower if self.recipe.minimum is None else np.maximum(lower, self.recipe.minimum)
        level = self.recipe.level or 0.9
        metrics = backtest.against_naive(near, next_values)
        metrics = {"test_mae": metrics.pop("mae"), **metrics}
        metrics |= {f"horizon_{name}": value for name, value in backtest.against_naive(far, mean).items()}
        metrics["coverage"] = float(((far.truth >= lower) & (far.truth <= upper)).mean())
        metrics["interval_score"] = backtest.interval_score(far.truth, lower, upper, level)
        warnings = notes(metrics, self.recipe, season, float(far.truth.std()))
        return Evaluation(
            metrics,
            truth=far.truth,
            answer=mean,
            notes=warnings,
            inputs={"history": far.history.astype(np.float32)},
            hurdles=hurdles.errors(far),
        )

    def _run(self, function: Callable[[tf.Tensor], tf.Tensor], history: Array) -> Array:
        rows = history.astype(np.float32)
        parts = [function(tf.constant(rows[start : start + _ROWS])).numpy() for start in range(0, len(rows), _ROWS)]
        return np.concatenate(parts).astype(np.float64)


def recursive(recipe: SeriesRecipe, step: Callable[[tf.Tensor], tf.Tensor]) -> Forecaster:
    """Return a forecaster that feeds its own forecasts back into the window.

    A forecast further from 0 than :data:`LARGEST_INPUT` is fed back as that, so that a recurrence that grows without
    bound stays finite.
    """

    def ahead(history: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        def advance(i: tf.Tensor, window: tf.Tensor, made: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            value = step(window)[:, tf.newaxis]
            following = tf.clip_by_value(value, -LARGEST_INPUT, LARGEST_INPUT)
            return i + 1, tf.concat([window[:, 1:], following], 1), tf.concat([made, value], 1)

        _, _, made = tf.while_loop(
            lambda i, *_: i < steps,
            advance,
            (tf.constant(0), history, history[:, :0]),
            shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, recipe.window)), tf.TensorShape((None, None))),
        )
        return made

    return Forecaster(recipe, step, ahead)
