"""Population stability index (PSI): how far counts have moved from a reference distribution.

    PSI = Σ (observed − expected) · ln(observed / expected)

over the shares of the bins. By convention, a value below 0.1 means no change and a value above 0.25 a large one. Of
n rows, chance alone gives about 10 / n for ten bins.

A table column or a model's classes may repeat a value, so that many rows lie exactly on a decile. Such rows count half
in each of the two adjacent bins (the mid-distribution), in the reference and in the counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import Distribution

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Bins, and their shares in training.

    ``edges`` are the boundaries between the bins. If None, each value is the number of its bin.
    """

    shares: tuple[float, ...]
    edges: Values | None = None
    tolerance: float = 0.0

    def count(self, values: Values) -> NDArray[np.int64]:
        """Return twice the number of values in each bin; a value on an edge counts once in each of its two bins."""
        bins = len(self.shares)
        if self.edges is None:
            return 2 * np.bincount(values.astype(np.int64), minlength=bins)[:bins]
        below = np.searchsorted(self.edges, values - self.tolerance)
        above = np.searchsorted(self.edges, values + self.tolerance)
        return np.bincount(below, minlength=bins) + np.bincount(above, minlength=bins)


def from_quantiles(distribution: Distribution) -> Reference | None:
    """Make bins between the quantiles; None if the distribution has only one value."""
    quantiles = np.asarray(distribution.quantiles, np.float64)
    if len(quantiles) < 3:
        return None
    levels = np.linspace(0, 1, len(quantiles))
    tolerance = 1e-5 * float(quantiles[-1] - quantiles[0])
    edges: list[float] = []
    below: list[float] = []
    for edge in quantiles[1:-1]:
        if edges and edge - edges[-1] <= tolerance:
            continue
        edges.append(float(edge))
        below.append(float(levels[np.abs(quantiles - edge) <= tolerance].mean()))
    shares = np.diff([0, *below, 1])
    return Reference(tuple(shares.tolist()), np.asarray(edges), tolerance) if tolerance else None


def psi(expected: Sequence[float], counts: Sequence[int]) -> float:
    """Compute the index of counts against expected shares.

    Both are smoothed, so that an empty bin gives a finite value.
    """
    total = sum(counts) + len(counts) * 0.5
    floor = 0.5 / total
    index = 0.0
    for share, count in zip(expected, counts, strict=True):
        reference, observed = max(share, floor), (count + 0.5) / total
        index += (observed - reference) * math.log(observed / reference)
    return index
