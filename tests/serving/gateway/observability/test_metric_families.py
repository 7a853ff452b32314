"""The project's counters render the same page as prometheus_client's."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from serving import counters
from serving.gateway.observability.metric_families import family

BOUNDS = (0.001, 0.25, 1, 10)
VALUES = (0.0001, 0.001, 0.0011, 0.25, 0.9, 1, 10, 10.5)


def test_the_page_is_the_same_as_with_the_library() -> None:
    disable_created_metrics()
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    counter = Counter("requests", "How often.", ["model", "code"], registry=theirs)
    histogram = Histogram("took_seconds", "How long.", ["model"], buckets=BOUNDS, registry=theirs)
    own_counter = counters.Counter("requests", "How often.", ["model", "code"])
    own_histogram = counters.Histogram("took_seconds", "How long.", ["model"], BOUNDS)

    class Families(Collector):
        def collect(self) -> Iterable[Metric]:
            return [family(own_counter), family(own_histogram)]

    ours.register(Families())
    assert generate_latest(ours) == generate_latest(theirs)
    for model, values in (("a", VALUES), ("b\n\"'", VALUES[:3])):
        for value in values:
            counter.labels(model, 200).inc()
            own_counter.add((model, 200))
            histogram.labels(model).observe(value)
            own_histogram.of((model,)).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)
