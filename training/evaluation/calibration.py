"""Temperature scaling and the expected calibration error of a classifier (Guo et al. 2017)."""

import numpy as np

from training.core.array import Array

BINS = 15
#: Smallest probability whose logarithm the graph takes, a normal float32.
SMALLEST = 1e-30
_SAMPLES = 1000  # of the bootstrap
_STEPS = 60  # of the search for a minimum
_RANGE = (0.2, 10.0)  # of the temperature
_PRIOR = 0.25  # standard deviation of its logarithm


def soften(probabilities: Array, temperature: float) -> Array:
    """Return the probabilities [n, k] after the logits are divided by the temperature. The order is the same."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    softened: Array = powers / powers.sum(axis=1, keepdims=True)
    return softened


def fit_temperature(probabilities: Array, truth: Array) -> float:
    """Return the temperature with the smallest cross-entropy on held-out rows.

    A normal prior on its logarithm keeps it near 1 where few rows say little: without an error, the cross-entropy alone
    would give certainty.

    Args:
        probabilities: [n, k].
        truth: class numbers, [n].
    """

    def loss(logarithm: float) -> float:
        likelihood = soften(probabilities, float(np.exp(logarithm)))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(likelihood, SMALLEST)).sum() + (logarithm / _PRIOR) ** 2 / 2)

    low, high = np.log(_RANGE)
    for _ in range(_STEPS):  # the loss has one minimum
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def calibration_error(confidence: Array, right: Array) -> float:
    """Return the expected calibration error in 15 bins of equal width.

    Args:
        confidence: probability of each predicted class, [n].
        right: whether the prediction is right, [n].
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, confidence - right, BINS)).sum() / len(confidence))


def calibrated_band(confidence: Array, seed: int = 0) -> tuple[float, float]:
    """Return the 2.5 and 97.5 % quantiles of the error of a calibrated model with these confidences, by bootstrap."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(confidence), size=(_SAMPLES, len(confidence)), dtype=np.int32)
    errors = [calibration_error(one, rng.random(len(one)) < one) for one in (confidence[rows] for rows in drawn)]
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(low), float(high)
