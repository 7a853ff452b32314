"""Paired tests of a candidate against a published version, on the same rows.

The candidate is refused if it loses more than the margin and the loss is significant. Scores of 0 and 1 are compared by
McNemar's test in its exact form: the binomial distribution of the rows on which the two differ. Others are compared by
the error of a paired bootstrap and Student's t; forecasts, whose neighbours share values, are drawn as blocks (Künsch
1989). With several published versions the significance level is divided by their number (Bonferroni), because the best
of many equal ones looks better than it is.

The margin is the job's, or larger where the rows are too few: the smallest margin for which a candidate that is worse
by twice the margin passes in at most 2 % of cases by the estimated deviation. That keeps the share below 5 %, as
:mod:`training.comparison.simulation` shows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from training.core.array import Array

LEVEL = 0.05
_MISSED = 0.02
_RESAMPLES = 4_000
_AT_ONCE = 2_000_000  # values of the bootstrap in memory


@dataclass(frozen=True)
class Paired:
    """Result of a test.

    Attributes:
        test: "McNemar" or "bootstrap".
        gain: mean gain of the candidate; negative: a loss.
        margin: accepted loss.
        p_value: probability of such a loss between equal versions.
        level: significance level.
        missed: probability that a candidate passes that is worse by twice the margin.
    """

    test: str
    gain: float
    margin: float
    p_value: float
    level: float
    missed: float

    @property
    def accepted(self) -> bool:
        """Whether the candidate may replace the published version."""
        return -self.gain <= self.margin or self.p_value > self.level


def compare(gains: Array, margin: float, *, published: int = 1, horizon: int = 0) -> Paired:
    """Test whether a candidate is worse.

    Args:
        gains: score of the candidate minus score of the published version, by row, float64 [n].
        margin: the job's accepted mean loss.
        published: number of versions among which the published one is the best.
        horizon: steps of the forecasts from origins in order of time; 0 for rows that do not depend on each other.
    """
    level = LEVEL / published
    if np.isin(gains, (-1, 0, 1)).all() and not horizon:
        return _mcnemar(gains, margin, level)
    block = min(round(2 * len(gains) ** (1 / 3)) + horizon - 1, len(gains) // 2) if horizon else 1
    return _bootstrap(gains, margin, level, max(block, 1))


def _mcnemar(gains: Array, margin: float, level: float) -> Paired:
    rows, losses, differing = len(gains), np.count_nonzero(gains < 0), np.count_nonzero(gains)
    p_value = float(stats.binom.sf(losses - 1, differing, 0.5))
    share = differing / rows

    def missed(margin: float) -> float:
        """Sum over the numbers of differing rows: the candidate passes with fewer losses than the test demands."""
        differs = min(1.0, max(share, 2 * margin))
        numbers = np.arange(*stats.binom.interval(1 - 1e-6, rows, differs) + np.array([0, 2])).astype(int)
        significant = stats.binom.isf(level, numbers, 0.5) + 1
        beyond_margin = np.floor((numbers + margin * rows) / 2) + 1
        passes = stats.binom.cdf(np.maximum(significant, beyond_margin) - 1, numbers, (1 + 2 * margin / differs) / 2)
        return float((stats.binom.pmf(numbers, rows, differs) * passes).sum())

    margin = _sufficient(margin, missed, largest=0.5)
    return Paired("McNemar", float(gains.mean()), margin, p_value, level, missed(margin))


def _bootstrap(gains: Array, margin: float, level: float, block: int) -> Paired:
    gain = float(gains.mean())
    means = _resampled(gains - gain, block)
    deviation = float(means.std())
    if deviation == 0:  # every row has the same gain
        return Paired("bootstrap", gain, margin, float(gain >= 0), level, 0.0)
    t = stats.t(len(gains) / block - 1)
    demanded = float(t.isf(level)) * deviation

    def missed(margin: float) -> float:
        return float(t.sf((2 * margin - max(margin, demanded)) / deviation))

    margin = _sufficient(margin, missed, largest=max(margin, 10 * deviation))
    return Paired("bootstrap", gain, margin, float(t.cdf(gain / deviation)), level, missed(margin))


def _resampled(values: Array, block: int) -> Array:
    """Return the means of samples with replacement, drawn as circular blocks of rows."""
    rng = np.random.default_rng(0)
    rows, blocks = len(values), -(-len(values) // block)
    sums = np.convolve(np.concatenate([values, values[: block - 1]]), np.ones(block), "valid")
    at_once = max(1, _AT_ONCE // blocks)
    counts = [min(at_once, _RESAMPLES - done) for done in range(0, _RESAMPLES, at_once)]
    drawn = [sums[rng.integers(rows, size=(count, blocks))].sum(axis=1) for count in counts]
    return np.concatenate(drawn) / (blocks * block)


def _sufficient(margin: float, missed: Callable[[float], float], largest: float) -> float:
    """Return the smallest sufficient margin: few candidates pass that are worse by twice as much."""
    if missed(margin) <= _MISSED:
        return margin
    low, high = margin, largest
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if missed(middle) <= _MISSED else (middle, high)
    return high
