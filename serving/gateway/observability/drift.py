"""Drift: how far what is asked of a model, and what it answers, has gone from what its card says of its training.

Of each version some requests are looked at, at most so many a second, and of a request at most eight rows. What is
measured is counted in bins between the deciles on the card, and compared by the population stability index,

    PSI = Σ (observed − expected) · ln(observed / expected)

over the bins' shares; by custom below .1 nothing has changed, above .25 much has. Nothing is said of fewer than 200
rows: by chance alone they give about 10 / rows. Counts are kept by the hour, and those of this hour and the last count.

Columns of a table, or a model's classes, may hold the same value again and again, so that a decile is a value which
many rows have exactly. Such rows count half on each side of it (the mid-distribution), on the card as here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import GaugeMetricFamily

from serving.artifacts.model_card import Distribution, ModelCard
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.kinds.base import Kind
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.signature import Signature

MIN_ROWS = 200
WINDOW = 3600.0  # seconds; this one and the one before count

#: Names of the metrics: the index, and the rows that it is of.
DRIFT_METRICS = ("vitrine_drift_psi", "vitrine_drift_rows")

Values = NDArray[np.float64]
#: Model, version, quantity, and twice the number of rows in each bin.
DriftCounts = tuple[str, int, str, list[int]]


@dataclass(frozen=True)
class Reference:
    """Bins and the shares that training had in them. ``edges`` lie between the bins; None where each value is the
    number of its bin."""

    shares: tuple[float, ...]
    edges: Values | None = None
    tolerance: float = 0.0

    def count(self, values: Values) -> NDArray[np.int64]:
        """Twice the number of values in each bin; a value on an edge counts once in each of its two."""
        bins = len(self.shares)
        if self.edges is None:
            return 2 * np.bincount(values.astype(np.int64), minlength=bins)[:bins]
        below = np.searchsorted(self.edges, values - self.tolerance)
        above = np.searchsorted(self.edges, values + self.tolerance)
        return np.bincount(below, minlength=bins) + np.bincount(above, minlength=bins)


def from_quantiles(distribution: Distribution) -> Reference | None:
    """Bins between the deciles; None where there is but one value, so that there are none."""
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
    """The population stability index of counts against expected shares; both are smoothed, so that an empty bin gives
    a number."""
    total = sum(counts) + len(counts) * 0.5
    floor = 0.5 / total
    index = 0.0
    for share, count in zip(expected, counts, strict=True):
        then, now = max(share, floor), (count + 0.5) / total
        index += (now - then) * math.log(now / then)
    return index


@dataclass
class Quantity:
    """One measured quantity of a version."""

    reference: Reference
    now: NDArray[np.int64] = field(init=False)
    before: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.rotate()
        self.rotate()

    def rotate(self) -> None:
        """A new window begins."""
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
        return int((self.now + self.before).sum()) // 2

    @property
    def psi(self) -> float | None:
        """None of too few rows."""
        return psi(self.reference.shares, self.counts) if self.rows >= MIN_ROWS else None


class Watch:
    """What is seen of one version."""

    def __init__(self, card: ModelCard, kind: Kind) -> None:
        self._card, self._kind = card, kind
        references = {name: from_quantiles(one) for name, one in card.inputs.items()}
        if card.predicted is not None:
            references["confidence"] = from_quantiles(card.predicted.confidence)
            references["class"] = Reference(card.predicted.classes)
        self.quantities = {name: Quantity(one) for name, one in references.items() if one is not None}
        self.next = 0.0
        self._rotate_at = 0.0

    def see(self, arrays: Arrays, outputs: Outputs, now: float) -> None:
        """One request's inputs and outputs."""
        self.turn(now)
        for name, values in self._kind.measure(arrays, outputs, self._card).items():
            quantity = self.quantities.get(name)
            if quantity is not None:
                quantity.now += quantity.reference.count(values[np.isfinite(values)])

    def turn(self, now: float) -> None:
        """Begins a new window where the last one is over; both where nothing came for long."""
        if now < self._rotate_at:
            return
        if self._rotate_at:
            for quantity in self.quantities.values():
                quantity.rotate()
                if now >= self._rotate_at + WINDOW:
                    quantity.rotate()
        self._rotate_at = now + WINDOW


class Drift:
    """All versions with a card. Times are of the performance counter."""

    def __init__(self, per_second: float) -> None:
        """``per_second`` is how many requests of a version are looked at, at most."""
        self._pause = 1 / per_second
        self._watches: dict[tuple[str, int], tuple[ModelCard, Watch]] = {}

    def offer(self, servable: ModelVersion, signature: Signature, arrays: Arrays, outputs: Outputs, now: float) -> None:
        """An answered request, which is looked at if the last one was long enough ago."""
        watch = self.watch(servable)
        if watch is None or now < watch.next:
            return
        watch.next = now + self._pause
        if servable.offers_signature(signature):
            watch.see(arrays, outputs, now)

    def watch(self, servable: ModelVersion) -> Watch | None:
        """What has been seen of a version; None where it has no card."""
        card, kind = servable.card, servable.kind
        if card is None or kind is None:
            return None
        known = self._watches.get((servable.model, servable.version))
        if known is None or known[0] is not card:  # other files under the same number
            known = self._watches[servable.model, servable.version] = card, Watch(card, kind)
        return known[1]

    def forget_all_but(self, there: Mapping[str, Mapping[int, object]]) -> None:
        """Drops the versions that are no longer there."""
        gone = [(model, version) for model, version in self._watches if version not in there.get(model, {})]
        for key in gone:
            del self._watches[key]

    def report(self) -> list[DriftCounts]:
        """Return the counts of this process as JSON values, for the statistics of all workers."""
        return [
            (model, version, name, (quantity.now + quantity.before).tolist())
            for (model, version), (_, watch) in self._current()
            for name, quantity in watch.quantities.items()
        ]

    def quantities(self, servable: ModelVersion, others: Sequence[Sequence[DriftCounts]] = ()) -> dict[str, Quantity]:
        """Return the quantities of a version by name, with the counts of other workers added."""
        watch = self.watch(servable)
        if watch is None:
            return {}
        watch.turn(perf_counter())
        return _with_others(servable.model, servable.version, watch, others)

    def families(self, others: Sequence[Sequence[DriftCounts]] = ()) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics, with the counts of other workers added."""
        labels = ["model", "version", "quantity"]
        index_name, rows_name = DRIFT_METRICS
        index = GaugeMetricFamily(
            index_name, f"Population stability index against the model card, of {MIN_ROWS} rows or more.", labels=labels
        )
        rows = GaugeMetricFamily(rows_name, "Rows that the index is of.", labels=labels)
        for (model, version), (_, watch) in self._current():
            for name, quantity in _with_others(model, version, watch, others).items():
                rows.add_metric([model, str(version), name], quantity.rows)
                if quantity.psi is not None:
                    index.add_metric([model, str(version), name], quantity.psi)
        yield index
        yield rows

    def _current(self) -> list[tuple[tuple[str, int], tuple[ModelCard, Watch]]]:
        now = perf_counter()
        for _, watch in self._watches.values():
            watch.turn(now)
        return list(self._watches.items())


def _with_others(
    model: str, version: int, watch: Watch, others: Sequence[Sequence[DriftCounts]]
) -> dict[str, Quantity]:
    quantities = dict(watch.quantities)
    for of_model, of_version, name, counts in (one for report in others for one in report):
        known = quantities.get(name)
        if (of_model, of_version) == (model, version) and known is not None and len(counts) == len(known.now):
            quantities[name] = known.plus(counts)
    return quantities
