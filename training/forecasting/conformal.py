"""Split-conformal intervals."""

import numpy as np

from training.core.array import Array


def conformal_spread(errors: Array, level: float) -> Array:
    """Return the bounds of a conformal interval by step, float32 [2, horizon].

    The bounds are relative to the mean. Split-conformal prediction with signed residuals (Romano et al. 2019): the
    bounds of a step are two quantiles of truth - forecast, at ranks widened by (n + 1) / n for finite samples. Bounds
    never narrow with the horizon.

    Args:
        errors: truth - forecast on held-out data, [n, horizon].
        level: share of the values that should lie inside.
    """
    rank = min(1.0, (1 + level) / 2 * (1 + 1 / len(errors)))
    bounds = np.quantile(errors, [1 - rank, rank], axis=0)
    bounds[0] = np.minimum.accumulate(np.minimum(bounds[0], 0))
    bounds[1] = np.maximum.accumulate(np.maximum(bounds[1], 0))
    return bounds.astype(np.float32)
