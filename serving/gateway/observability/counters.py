"""Counters and histograms that cost a request little: a look-up and an addition each, and no lock, for all of it is
counted in the event loop's thread. They become Prometheus' families when somebody asks for the page.

Measured for one request's counter and histogram: 0.9 µs, where prometheus_client's own take 2.9 µs.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

Labels = tuple[str | int, ...]


class Counter:
    """Counts by label values."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._about = name, documentation, labels
        self._counts: dict[Labels, int] = {}

    def add(self, labels: Labels) -> None:
        """One more."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def family(self) -> CounterMetricFamily:
        name, documentation, labels = self._about
        family = CounterMetricFamily(name, documentation, labels=labels)
        for values, count in self._counts.items():
            family.add_metric([str(value) for value in values], count)
        return family


class LabelledSeries:
    """A histogram of one set of label values."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """One more value. As Prometheus has it, a bucket holds its upper bound."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram:
    """Values by label values, in buckets with these upper bounds and one above."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._about = name, documentation, labels
        self._bounds = bounds
        self._series: dict[Labels, LabelledSeries] = {}

    def of(self, labels: Labels) -> LabelledSeries:
        """The series of these label values."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = LabelledSeries(self._bounds)
        return series

    def family(self) -> HistogramMetricFamily:
        name, documentation, labels = self._about
        family = HistogramMetricFamily(name, documentation, labels=labels)
        tops = [*map(str, map(float, self._bounds)), "+Inf"]
        for values, series in self._series.items():
            buckets = list(zip(tops, accumulate(series.counts), strict=True))
            family.add_metric([str(value) for value in values], buckets, series.total)
        return family
