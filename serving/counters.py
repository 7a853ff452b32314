"""Counters and histograms without locks, shared by the gateway and the model server.

Counting costs a dictionary look-up and an addition. One request's counter and histogram take 0.9 µs here and 2.9 µs
with prometheus_client's classes. Each program renders its own text of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

Labels = tuple[str | int, ...]


class Counter:
    """Sums by label values."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], *, max_series: int | None = None) -> None:
        """Create a counter; beyond ``max_series`` choices of label values, new ones are not counted."""
        self.name = name
        self.documentation = documentation
        self.labels = labels
        self.sums: dict[Labels, float] = {}
        self._max_series = max_series

    def add(self, labels: Labels, by: float = 1) -> None:
        """Add to the sum of these label values."""
        if labels in self.sums:
            self.sums[labels] += by
        elif self._max_series is None or len(self.sums) < self._max_series:
            self.sums[labels] = by


class LabelledSeries:
    """A histogram's buckets for one choice of label values."""

    __slots__ = ("_bounds", "_find", "counts", "total")

    def __init__(self, bounds: Sequence[float], *, includes_bound: bool = True) -> None:
        self._bounds = bounds
        self._find = bisect_left if includes_bound else bisect_right
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        self.counts[self._find(self._bounds, value)] += 1
        self.total += value


class Histogram:
    """Values by label values, in buckets with these upper bounds and one above them."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        *,
        includes_bound: bool = True,
        max_series: int | None = None,
    ) -> None:
        """Create a histogram.

        Args:
            name: Name of the metric.
            documentation: One sentence.
            labels: Names of the labels.
            bounds: Upper bounds of the buckets, ascending.
            includes_bound: A bucket includes its upper bound, as in Prometheus; otherwise the next one does, as in
                TensorFlow.
            max_series: Beyond so many choices of label values, new ones are not counted.
        """
        self.name = name
        self.documentation = documentation
        self.labels = labels
        self.bounds = bounds
        self.series: dict[Labels, LabelledSeries] = {}
        self._includes_bound = includes_bound
        self._max_series = max_series

    def of(self, labels: Labels) -> LabelledSeries:
        """Return the buckets of these label values; keep them to observe many values."""
        series = self.series.get(labels)
        if series is None:
            series = LabelledSeries(self.bounds, includes_bound=self._includes_bound)
            if self._max_series is None or len(self.series) < self._max_series:
                self.series[labels] = series
        return series
