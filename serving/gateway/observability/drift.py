"""Drift: how far requests and responses have moved from those in training, as the model card describes them.

The gateway samples a limited number of requests per second and version, and the first rows of each request. It counts
the quantities that the model's kind measures in the bins of :mod:`population_stability`. The counts cover the current
hour and the previous one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.artifacts.model_card import ModelCard
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.kinds.assessment import TYPICALITY
from serving.gateway.kinds.base import Kind
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.signature import Signature
from serving.gateway.observability.population_stability import Reference, from_quantiles, psi

MIN_ROWS = 200  # below, chance alone moves the index too much
WINDOW = 3600.0  # seconds; the counts cover the current window and the previous one

#: Of p-values in training.
_UNIFORM = Reference((0.1,) * 10, np.linspace(0.1, 0.9, 9), 1e-5)

#: Names of the metrics: the index, and the number of rows behind it.
DRIFT_METRICS = ("vitrine_drift_psi", "vitrine_drift_rows")

#: Model, version, quantity, and twice the number of rows in each bin.
DriftCounts = tuple[str, int, str, list[int]]


@dataclass
class Quantity:
    """Counts of one quantity of a version, in the bins of its reference."""

    reference: Reference
    now: NDArray[np.int64] = field(init=False)
    before: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.rotate()
        self.rotate()

    def rotate(self) -> None:
        """Begin a new window."""
        self.before = getattr(self, "now", np.zeros(len(self.reference.shares), np.int64))
        self.now = np.zeros(len(self.reference.shares), np.int64)

    def plus(self, counts: Sequence[int]) -> "Quantity":
        """Return a copy with these doubled counts added."""
        copy = Quantity(self.reference)
        copy.now, copy.before = self.now + np.asarray(counts, np.int64), self.before
        return copy

    @property
    def counts(self) -> list[int]:
        """Rows in each bin, in both windows."""
        return [int(count) // 2 for count in self.now + self.before]

    @property
    def rows(self) -> int:
        """Rows in all bins, in both windows."""
        return int((self.now + self.before).sum()) // 2

    @property
    def psi(self) -> float | None:
        """Population stability index; None for fewer than ``MIN_ROWS`` rows."""
        return psi(self.reference.shares, self.counts) if self.rows >= MIN_ROWS else None


class VersionDrift:
    """The quantities of one version."""

    def __init__(self, card: ModelCard, kind: Kind) -> None:
        self._card, self._kind = card, kind
        references = {name: from_quantiles(one) for name, one in card.inputs.items()}
        if card.predicted is not None:
            references["confidence"] = from_quantiles(card.predicted.confidence)
            references["class"] = Reference(card.predicted.classes)
        if card.typicality is not None:
            references[TYPICALITY] = _UNIFORM
        self.quantities = {name: Quantity(one) for name, one in references.items() if one is not None}
        self.next_sample = 0.0
        self._rotate_at = 0.0

    def add(self, arrays: Arrays, outputs: Outputs, now: float) -> None:
        """Count one request's inputs and outputs."""
        self.advance(now)
        for name, values in self._kind.measure(arrays, outputs, self._card).items():
            quantity = self.quantities.get(name)
            if quantity is not None:
                quantity.now += quantity.reference.count(values[np.isfinite(values)])

    def advance(self, now: float) -> None:
        """Begin a new window if the current one is over, or two after a long pause."""
        if now < self._rotate_at:
            return
        if self._rotate_at:
            for quantity in self.quantities.values():
                quantity.rotate()
                if now >= self._rotate_at + WINDOW:
                    quantity.rotate()
        self._rotate_at = now + WINDOW


class Drift(Collector):
    """The drift of all versions that have a model card. Times are from ``perf_counter``, in seconds."""

    def __init__(self, per_second: float) -> None:
        """``per_second`` is the maximum number of requests that are sampled per version."""
        self._pause = 1 / per_second
        self._versions: dict[tuple[str, int], tuple[ModelCard, VersionDrift]] = {}

    def sample(self, version: ModelVersion, signature: Signature, arrays: Arrays, outputs: Outputs, now: float) -> None:
        """Count an answered request unless the last sample of its version is too recent."""
        drift = self.of(version)
        if drift is None or now < drift.next_sample:
            return
        drift.next_sample = now + self._pause
        if version.offers_signature(signature):
            drift.add(arrays, outputs, now)

    def of(self, version: ModelVersion) -> VersionDrift | None:
        """Return the drift of a version; None if it has no model card."""
        card, kind = version.card, version.kind
        if card is None or kind is None:
            return None
        known = self._versions.get((version.model, version.version))
        if known is None or known[0] is not card:  # the version was replaced under the same number
            known = self._versions[version.model, version.version] = card, VersionDrift(card, kind)
        return known[1]

    def keep_only(self, models: Mapping[str, Mapping[int, object]]) -> None:
        """Drop all versions but these, by model and number."""
        dropped = [(model, version) for model, version in self._versions if version not in models.get(model, {})]
        for key in dropped:
            del self._versions[key]

    def report(self) -> list[DriftCounts]:
        """Return the counts of this process as JSON values, for the statistics of all workers."""
        return [
            (model, version, name, (quantity.now + quantity.before).tolist())
            for (model, version), drift in self._current()
            for name, quantity in drift.quantities.items()
        ]

    def quantities(self, version: ModelVersion, others: Sequence[Sequence[DriftCounts]] = ()) -> dict[str, Quantity]:
        """Return the quantities of a version by name, with the counts of other workers added."""
        drift = self.of(version)
        if drift is None:
            return {}
        drift.advance(perf_counter())
        return _with_others(version.model, version.version, drift, others)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics of this process; called by prometheus_client."""
        return self.families()

    def families(self, others: Sequence[Sequence[DriftCounts]] = ()) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics, with the counts of other workers added."""
        labels = ["model", "version", "quantity"]
        index_name, rows_name = DRIFT_METRICS
        index = GaugeMetricFamily(
            index_name, f"Population stability index against the model card, from {MIN_ROWS} rows on.", labels=labels
        )
        rows = GaugeMetricFamily(rows_name, "Rows behind the index.", labels=labels)
        for (model, version), drift in self._current():
            for name, quantity in _with_others(model, version, drift, others).items():
                rows.add_metric([model, str(version), name], quantity.rows)
                if quantity.psi is not None:
                    index.add_metric([model, str(version), name], quantity.psi)
        yield index
        yield rows

    def _current(self) -> Iterator[tuple[tuple[str, int], VersionDrift]]:
        now = perf_counter()
        for key, (_, drift) in self._versions.items():
            drift.advance(now)
            yield key, drift


def _with_others(
    model: str, version: int, drift: VersionDrift, others: Sequence[Sequence[DriftCounts]]
) -> dict[str, Quantity]:
    quantities = dict(drift.quantities)
    for of_model, of_version, name, counts in (one for report in others for one in report):
        known = quantities.get(name)
        if (of_model, of_version) == (model, version) and known is not None and len(counts) == len(known.now):
            quantities[name] = known.plus(counts)
    return quantities
