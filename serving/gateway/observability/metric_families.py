"""Own counters and histograms in prometheus_client's form, for the metrics page."""

from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from serving.counters import Counter, Histogram


def family(metric: Counter | Histogram) -> CounterMetricFamily | HistogramMetricFamily:
    """Return the metric with the values that it has now."""
    if isinstance(metric, Counter):
        counter = CounterMetricFamily(metric.name, metric.documentation, labels=metric.labels)
        for labels, total in metric.sums.items():
            counter.add_metric([str(label) for label in labels], total)
        return counter
    histogram = HistogramMetricFamily(metric.name, metric.documentation, labels=metric.labels)
    bounds = [*map(str, map(float, metric.bounds)), "+Inf"]
    for labels, series in metric.series.items():
        buckets = list(zip(bounds, accumulate(series.counts), strict=True))
        histogram.add_metric([str(label) for label in labels], buckets, series.total)
    return histogram
