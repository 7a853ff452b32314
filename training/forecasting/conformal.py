"""Split-conformal intervals and quantiles."""

from dataclasses import dataclass

import numpy as np

from serving.artifacts.model_card import Quantiles
from training.core.array import Array

_LEVELS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)  # and 1 - level
_MOST_STEPS = 12  # steps ahead with offsets on the card


@dataclass(frozen=True)
class Spread:
    """Conformal bounds relative to the mean.

    Attributes:
        bounds: lower and upper bound by step, float32 [2, horizon].
        quantiles: the same errors at other levels, for the card.
    """

    bounds: Array
    quantiles: Quantiles


def conformal_spread(errors: Array, level: float) -> Spread:
    """Return conformal bounds and quantiles by step.

    Split-conformal prediction with signed residuals (Romano et al. 2019): a bound is a quantile of truth - forecast, at
    a rank widened by (n + 1) / n for finite samples. Bounds never narrow with the horizon.

    Args:
        errors: truth - forecast on held-out data, [n, horizon].
        level: share of the values that should lie inside.
    """
    tail = (1 - level) / 2
    lower, upper = (_quantile(errors, one) for one in (tail, 1 - tail))
    return Spread(np.stack([lower, upper]).astype(np.float32), _quantiles(errors, tail, upper - lower))


def _quantiles(errors: Array, tail: float, width: Array) -> Quantiles:
    """Return the card's quantiles; ``width`` is the interval's, [horizon]."""
    rows, horizon = errors.shape
    lower = sorted({level for level in (*_LEVELS, round(tail, 6)) if level >= 1 / (rows + 1)})
    levels = [*lower, 0.5, *(round(1 - level, 6) for level in reversed(lower))]
    steps = np.unique(np.geomspace(1, horizon, _MOST_STEPS).round().astype(int))
    share = np.where(width > 0, width, 1)
    offsets = [(_quantile(errors, level) / share)[steps - 1] for level in levels]
    return Quantiles(
        rows=rows,
        levels=tuple(levels),
        steps=tuple(steps.tolist()),
        offsets=tuple(tuple(float(f"{offset:.4g}") for offset in row) for row in offsets),
    )


def _quantile(errors: Array, level: float) -> Array:
    """Return a quantile by step, relative to the mean: at most 0 for a level below .5, at least 0 above."""
    if level == 0.5:
        return np.zeros(errors.shape[1])
    rank = min(1.0, max(level, 1 - level) * (1 + 1 / len(errors)))
    if level < 0.5:
        return np.minimum.accumulate(np.minimum(np.quantile(errors, 1 - rank, axis=0), 0))
    return np.maximum.accumulate(np.maximum(np.quantile(errors, rank, axis=0), 0))
