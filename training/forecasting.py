"""Windows, naive forecasts and intervals: what every series job needs, over plain arrays.

A series job scales by its training part only, splits by time, and is reported beside the naive forecasts: where it does
not beat "the next value equals the last one", its card says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serving.card import SeriesRecipe
from training.job import Array


def windows(series: Array, length: int) -> tuple[Array, Array]:
    """All windows of a series and the value behind each: [n] → [n - length, length] and [n - length]."""
    if len(series) <= length:
        raise ValueError(f"{len(series)} values hold no window of {length} and a value behind it")
    view = np.lib.stride_tricks.sliding_window_view(series, length)
    return view[:-1].copy(), series[length:].copy()


@dataclass(frozen=True)
class Split:
    """A series in three parts by time; later parts begin with the ``window`` values before them."""

    train: Array
    validation: Array
    test: Array


def chronological(series: Array, window: int, validation: float = 0.15, test: float = 0.15) -> Split:
    """Split by time: the test part is the end, the validation part lies before it."""
    first_test = round(len(series) * (1 - test))
    first_validation = round(len(series) * (1 - test - validation))
    return Split(
        train=series[:first_validation],
        validation=series[first_validation - window : first_test],
        test=series[first_test - window :],
    )


def backtest(step: Callable[[Array], Array], series: Array, recipe: SeriesRecipe) -> Array:
    """Errors (truth - forecast) of forecasts that feed their own values back, from every origin: [n, max_horizon].

    Args:
        step: windows [n, window] → next values [n].
        series: what was not fitted on, at least window + max_horizon values.
    """
    view = np.lib.stride_tricks.sliding_window_view(series, recipe.window + recipe.max_horizon)
    window, truth = view[:, : recipe.window], view[:, recipe.window :]
    errors = np.empty(truth.shape)
    for ahead in range(recipe.max_horizon):
        value = step(window)
        errors[:, ahead] = truth[:, ahead] - value
        window = np.concatenate([window[:, 1:], value[:, None]], axis=1)
    return errors


def conformal_spread(errors: Array, level: float) -> Array:
    """What to add to the mean, by step, for an interval that covers ``level``: float32 [2, horizon].

    Split-conformal with signed residuals (Romano et al. 2019's finite-sample rank): at each step the interval between
    the two quantiles of truth - forecast, taken at ranks widened by (n + 1) / n.

    Args:
        errors: truth - forecast on data that was not fitted on, [n, horizon].
        level: the share that should lie inside.
    """
    rank = min(1.0, (1 + level) / 2 * (1 + 1 / len(errors)))
    bounds = np.quantile(errors, [1 - rank, rank], axis=0)
    bounds[0] = np.minimum.accumulate(np.minimum(bounds[0], 0))  # never narrower further ahead
    bounds[1] = np.maximum.accumulate(np.maximum(bounds[1], 0))
    return bounds.astype(np.float32)


def against_naive(truth: Array, forecast: Array, last: Array) -> dict[str, float]:
    """Mean absolute errors one step ahead beside "the next value equals the last one"; skill = 1 - ours / its.

    Args:
        truth, forecast: [n].
        last: the last value that each forecast saw, [n].
    """
    ours, naive = float(np.abs(truth - forecast).mean()), float(np.abs(truth - last).mean())
    return {"test_mae": ours, "naive_mae": naive, "skill": 1 - ours / naive if naive else 0.0}


def coverage(errors: Array, spread: Array) -> float:
    """The share of values inside the interval; errors (truth - forecast) [n, horizon], spread [2, horizon]."""
    return float(((errors >= spread[0]) & (errors <= spread[1])).mean())


def notes(figures: dict[str, float], recipe: SeriesRecipe) -> tuple[str, ...]:
    """What the card must say of a forecaster that does not beat the naive forecast, or is surer than it may be."""
    said = []
    if recipe.level and figures["coverage"] < recipe.level - 0.1:
        said.append(
            f"The interval is meant to cover {recipe.level:.0%} and covers {figures['coverage']:.0%} of the test part: "
            "the series has changed its ways since the validation part."
        )
    if figures["skill"] <= 0:
        said.append(
            f'No better than "the next value equals the last one": one {recipe.step} ahead its mean absolute error is '
            f"{figures['test_mae']:.4g} {recipe.unit}, that forecast's {figures['naive_mae']:.4g} {recipe.unit}."
        )
    return tuple(said)
