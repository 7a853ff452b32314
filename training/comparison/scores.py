"""Scores by row, whose mean is the metric of a job's gate."""

from collections.abc import Callable, Mapping

import numpy as np

from training.core.array import Array

#: (truth [n], answer [n], raw inputs) → scores float64 [n].
RowScores = Callable[[Array, Array, Mapping[str, Array]], Array]


def _right(truth: Array, answer: Array, inputs: Mapping[str, Array]) -> Array:
    scores: Array = (truth == answer).astype(np.float64)
    return scores


def _balanced_gain(truth: Array, answer: Array, inputs: Mapping[str, Array]) -> Array:
    """Weight each class alike; 0 is the mean recall of a constant answer, 1 a perfect one."""
    counts = np.bincount(truth)
    chance = 1 / np.count_nonzero(counts)
    weights = len(truth) * chance / counts[truth]
    scores: Array = ((truth == answer) * weights - chance) / (1 - chance)
    return scores


def _squared_error(truth: Array, answer: Array, inputs: Mapping[str, Array]) -> Array:
    scores: Array = np.square(answer - truth, dtype=np.float64)
    return scores


def _absolute_error(truth: Array, answer: Array, inputs: Mapping[str, Array]) -> Array:
    scores: Array = np.abs(answer - truth, dtype=np.float64)
    return scores


def horizon_errors(truth: Array, answer: Array) -> Array:
    """Return the mean absolute error over all steps of each forecast, [n]; both are [n, horizon]."""
    errors: Array = np.abs(answer - truth, dtype=np.float64).mean(axis=1)
    return errors


def horizon_skill(errors: Array, truth: Array, inputs: Mapping[str, Array]) -> Array:
    """Relate errors [n] to the mean error of "all next values equal the last one"."""
    naive = horizon_errors(truth, inputs["history"][:, -1:])
    scores: Array = 1 - errors / (naive.mean() or 1.0)  # 0 for a constant series
    return scores


def _horizon_error(truth: Array, answer: Array, inputs: Mapping[str, Array]) -> Array:
    return horizon_errors(truth, answer)


def _horizon_skill(truth: Array, answer: Array, inputs: Mapping[str, Array]) -> Array:
    return horizon_skill(horizon_errors(truth, answer), truth, inputs)


#: By name of the metric. Other metrics have no score by row.
SCORES: dict[str, RowScores] = {
    "test_accuracy": _right,
    "balanced_accuracy_gain": _balanced_gain,
    "recall_at_1": _right,
    "nearest_of_same_kind": _right,
    "test_mse": _squared_error,
    "test_mae": _absolute_error,
    "horizon_mae": _horizon_error,
    "horizon_skill": _horizon_skill,
}
#: Metrics of a forecaster. Their answer is ``mean`` of the signature ``forecast``, [n, horizon].
OF_FORECAST = frozenset({"horizon_mae", "horizon_skill"})
#: Metrics of an encoder. Their answer is the class of the nearest other row, by the signature ``embed``.
OF_EMBEDDING = frozenset({"recall_at_1", "nearest_of_same_kind"})
_ROWS = 500  # of the distance matrix that are computed at once


def nearest_class(embeddings: Array, classes: Array) -> Array:
    """Return the class of the nearest other row of each row, by Euclidean distance, [n]."""
    x = (embeddings - embeddings.mean(axis=0)).astype(np.float32)
    halves = np.square(x).sum(axis=1) / 2
    nearest = []
    for start in range(0, len(x), _ROWS):
        distance = halves - x[start : start + _ROWS] @ x.T
        own = np.arange(len(distance))
        distance[own, start + own] = np.inf
        nearest.append(distance.argmin(axis=1))
    found: Array = classes[np.concatenate(nearest)]
    return found
