"""Typicality: how like its training data an embedding is, as a conformal p-value.

The score of an embedding is its squared distance to the nearest reference. References are the centres of clusters
within each class, and the distance is a Mahalanobis distance by the covariance within the classes (Lee et al. 2018). Of
the covariance only the largest directions are kept; all others have their mean variance. A share of the distance to
the mean of all classes may be subtracted (Ren et al. 2021, "relative Mahalanobis distance"): what lies between two
classes then counts as less typical than what lies beyond one. The logit of a detector may be added, a net that has
seen other pictures. The p-value of a score is the share of held-out rows with at least this score (Vovk et al. 2005),
interpolated between quantiles.
"""

from dataclasses import dataclass, replace

import numpy as np

from training.core.array import Array
from training.evaluation.detector import Detector

#: Fewer held-out rows give no useful p-value.
FEWEST_ROWS = 20
#: Added to the squared length that divides an embedding.
EPSILON = 1e-12
_REFERENCES = 80  # of all classes together, but at least one for each
_DIRECTIONS = 32
_SHRINKAGE = 0.3  # of the variances to their mean
_LEAST = 1e-3  # variance, of an embedding's mean square: rounding errors are far below
_CLUSTER_STEPS = 8
_DETECTOR_WEIGHT = 2.0  # spread of the logits, of that of the distances
_TAIL, _BODY = 24, 40  # quantiles below and above a p-value of .1


@dataclass(frozen=True)
class Conformity:
    """Constants of the p-value's computation, float32.

    With x an embedding, divided by its length if ``unit``, minus ``centre``: score = |x|² · ``scale`` -
    |x · ``directions``|² + the smallest of x · ``references`` + ``offsets``, plus the logit of ``detector`` if there is
    one. ``levels`` are the p-values of ``quantiles``, linear in between.

    Attributes:
        unit: whether the length of an embedding does not count.
        centre: mean of the training part, [d].
        scale: inverse of the smallest variance.
        directions: the largest directions by their excess of variance, [d, r].
        references: [d, c].
        offsets: [c].
        quantiles: scores of held-out rows, ascending, [q].
        levels: the p-value at each quantile, descending, [q].
        rows: number of held-out rows.
        detector: reads the embedding, divided by its length if ``unit``, and the details after it; its logits are
            scaled to the distances.
    """

    unit: bool
    centre: Array
    scale: float
    directions: Array
    references: Array
    offsets: Array
    quantiles: Array
    levels: Array
    rows: int
    detector: Detector | None = None

    def scores(self, rows: Array) -> Array:
        """Return the scores [n] of embeddings with their details, [n, d + e]."""
        features = self.features(rows)
        x = features[:, : len(self.centre)] - self.centre
        along = x @ self.directions
        near = (x @ self.references + self.offsets).min(axis=1)
        scores: Array = np.square(x).sum(axis=1) * self.scale - np.square(along).sum(axis=1) + near
        return scores + self.detector.logits(features) if self.detector else scores

    def features(self, rows: Array) -> Array:
        """Return what a detector reads of embeddings with their details, [n, d + e]."""
        return features(rows, len(self.centre), unit=self.unit)

    def p_values(self, rows: Array) -> Array:
        """Return the typicality [n] of embeddings with their details, [n, d + e], in (0, 1]."""
        values: Array = np.interp(self.scores(rows), self.quantiles, self.levels)
        return values


def features(rows: Array, width: int, *, unit: bool) -> Array:
    """Return rows float32 [n, d + e] whose first ``width`` values are divided by their length, if ``unit``."""
    embedding = rows[:, :width]
    return np.concatenate([_unit(embedding) if unit else embedding, rows[:, width:]], axis=1).astype(np.float32)


def fit(
    train: Array,
    classes: Array | None,
    held_out: Array,
    *,
    unit: bool = True,
    relative: float = 0.0,
    seed: int = 0,
    detector: Detector | None = None,
    details: int = 0,
) -> Conformity:
    """Fit references to training embeddings, and the p-value to held-out ones.

    Args:
        train: [n, d + e].
        classes: class numbers of ``train``, [n]; None: one class.
        held_out: embeddings that no fit has seen, [m, d + e], at least 20.
        unit: divide each embedding by its length.
        relative: share of the distance to the mean of ``train`` that is subtracted, 0 to below 1.
        seed: of the clusters.
        detector: adds its logit to the distances.
        details: number of values after an embedding that only the detector reads, e.

    Raises:
        ValueError: fewer than 20 held-out rows.
    """
    if len(held_out) < FEWEST_ROWS:
        raise ValueError(f"{len(held_out)} held-out rows are given; at least {FEWEST_ROWS} are expected")
    width = train.shape[1] - details
    x = features(train, width, unit=unit)[:, :width]
    centre = x.mean(axis=0)
    least = _LEAST * float(np.square(x).mean())
    x = x - centre
    classes = np.zeros(len(x), np.int64) if classes is None else classes
    parts = [x[classes == number].astype(np.float64) for number in np.unique(classes)]
    variances, vectors = _within(parts, least)
    kept = np.argsort(variances)[::-1][:_DIRECTIONS]
    others = np.delete(variances, kept)
    smallest = float(others.mean() if len(others) else variances.min())
    excess = np.maximum(1 / smallest - 1 / variances[kept], 0)
    directions = vectors[:, kept] * np.sqrt(excess)
    rng = np.random.default_rng(seed)
    each = max(1, _REFERENCES // len(parts))
    centres = np.concatenate([_centres(part, min(each, len(part)), rng) for part in parts])
    along = centres @ directions
    unscored = Conformity(
        unit=unit,
        centre=centre,
        scale=(1 - relative) / smallest,
        directions=(np.sqrt(1 - relative) * directions).astype(np.float32),
        references=(2 * (directions @ along.T - centres.T / smallest)).astype(np.float32),
        offsets=(np.square(centres).sum(axis=1) / smallest - np.square(along).sum(axis=1)).astype(np.float32),
        quantiles=np.zeros(1, np.float32),
        levels=np.ones(1, np.float32),
        rows=len(held_out),
    )
    if detector:
        unscored = replace(unscored, detector=_scaled(detector, unscored, held_out))
    return _with_quantiles(unscored, unscored.scores(held_out))


def _scaled(detector: Detector, distances: Conformity, held_out: Array) -> Detector:
    """Return the detector with logits whose spread is a multiple of the distances'."""
    spread = detector.logits(distances.features(held_out)).std()
    factor = _DETECTOR_WEIGHT * distances.scores(held_out).std() / max(float(spread), 1e-6)
    return replace(detector, output=(factor * detector.output).astype(np.float32))


def _unit(x: Array) -> Array:
    unit: Array = x / np.sqrt(np.square(x).sum(axis=1, keepdims=True) + EPSILON)
    return unit.astype(np.float32)


def _within(parts: list[Array], least: float) -> tuple[Array, Array]:
    """Return the shrunk variances [d] within classes and their directions [d, d]."""
    rests = np.concatenate([part - part.mean(axis=0) for part in parts])
    variances, vectors = np.linalg.eigh(rests.T @ rests / len(rests))
    shrunk = (1 - _SHRINKAGE) * variances + _SHRINKAGE * variances.mean()
    return np.maximum(shrunk, max(least, 1e-12)), vectors


def _centres(rows: Array, count: int, rng: np.random.Generator) -> Array:
    """Return the centres [count, d] of clusters, by Lloyd's algorithm."""
    centres = rows[rng.choice(len(rows), count, replace=False)]
    for _ in range(_CLUSTER_STEPS):
        nearest = (np.square(centres).sum(axis=1) - 2 * rows @ centres.T).argmin(axis=1)
        centres = np.stack(
            [rows[nearest == i].mean(axis=0) if (nearest == i).any() else centres[i] for i in range(count)]
        )
    return centres


def _with_quantiles(unscored: Conformity, scores: Array) -> Conformity:
    """Return the conformity with the p-value of these held-out scores."""
    ordered, rows = np.sort(scores.astype(np.float64)), len(scores)
    wanted = np.concatenate([np.geomspace(1 / (rows + 1), 0.1, _TAIL, endpoint=False), np.linspace(0.1, 1, _BODY)])
    counts = np.unique(np.clip(np.round(wanted * (rows + 1)), 1, rows + 1)).astype(int)[::-1]
    # The score that `count - 1` held-out rows reach or exceed; a little above the largest for none.
    gap = 1e-3 * max(float(ordered[-1] - ordered[0]), 1.0)
    reached = np.append(ordered, ordered[-1] + gap)[rows + 1 - counts]
    quantiles = reached + np.linspace(0, gap, len(reached))  # equal scores need a slope, too
    levels = counts / (rows + 1)
    return replace(unscored, quantiles=quantiles.astype(np.float32), levels=levels.astype(np.float32))
