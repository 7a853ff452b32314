"""Prometheus metrics of one gateway process, in a registry of its own.

The number of label values is limited: only configured models and versions that have answered appear.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from serving.counters import Counter, Histogram
from serving.gateway.inference.comparison import Comparison
from serving.gateway.models.routing import ModelState
from serving.gateway.observability.container_memory import ContainerMemory
from serving.gateway.observability.drift import DRIFT_METRICS, Drift
from serving.gateway.observability.feedback import LIVE_METRICS, FeedbackMetrics, live_counts, ratios
from serving.gateway.observability.metric_families import family
from serving.gateway.observability.statistics import VersionStatistics
from serving.gateway.workers import limits
from serving.gateway.workers.metric_snapshot import Family, merge
from serving.gateway.workers.supervisor_link import Reports

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SHORT = (0.0001, 0.00025, 0.0005, *_SECONDS)
_DIFFERENCES = (1e-6, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class _Counted(Collector):
    """A counter or histogram of ``serving/counters.py`` in prometheus_client's registry."""

    def __init__(self, metric: Counter | Histogram) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        yield family(self._metric)


class GatewayMetrics:
    """All metrics; ``page`` renders them in the order of their creation."""

    def __init__(self, drift: Drift | None = None) -> None:
        self._drift = drift
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "vitrine_requests",
            "Responses by model, version (empty if none answered), verb and HTTP status.",
            ["model", "version", "verb", "code"],
        )
        self._refused = self._counter(
            "vitrine_refused",
            "Requests that failed or lost their connection, by error code; overloaded_… names the limit.",
            ["model", "reason"],
        )
        self._seconds = self._histogram(
            "vitrine_request_seconds", "Time from the request's head to its response.", ["model", "verb"], _SECONDS
        )
        self._decode = self._histogram(
            "vitrine_decode_seconds", "Time from the body to tensors that fit the signature.", ["model"], _SHORT
        )
        self._queue = self._histogram(
            "vitrine_queue_seconds",
            "Time that tensors wait for a call to the model server.",
            ["model"],
            _SHORT,
        )
        self._upstream = self._histogram(
            "vitrine_upstream_seconds", "Time of each call to the model server.", ["model"], _SECONDS
        )
        self._rows = self._histogram("vitrine_batch_rows", "Rows in each call to the model server.", ["model"], _ROWS)
        if drift is not None:
            self._registry.register(drift)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(ContainerMemory(limits.own_groups()))
        self._in_flight = self._gauge("vitrine_in_flight", "Requests in flight.")
        self._ready = self._gauge("vitrine_model_ready", "1 if the model has an AVAILABLE version.", ["model"])
        self._info = self._gauge("vitrine_model_version", "1 for each AVAILABLE version.", ["model", "version"])
        self._failed = self._gauge(
            "vitrine_model_version_failed",
            "1 for each version that the model server could not load.",
            ["model", "version"],
        )
        self._card_unreadable = self._gauge(
            "vitrine_model_card_unreadable",
            "1 for each AVAILABLE version whose model card cannot be read.",
            ["model", "version"],
        )
        self._canary = self._gauge(
            "vitrine_canary_share",
            "Percentage of the requests without a version that go to the canary.",
            ["model", "version"],
        )
        self._warned = self._counter(
            "vitrine_warned_rows",
            "Rows whose typicality is below the model card's threshold: unlike the training data.",
            ["model", "version"],
        )
        self._shadow = self._counter(
            "vitrine_shadow_requests",
            "Requests copied to a shadow version, by outcome: compared, failed, dropped.",
            ["model", "version", "outcome"],
        )
        self._shadow_rows = self._counter(
            "vitrine_shadow_rows",
            "Rows for which the shadow version predicted the same class as the live version, or another.",
            ["model", "version", "agreement"],
        )
        self._shadow_difference = self._histogram(
            "vitrine_shadow_difference",
            "Mean absolute difference between shadow and live outputs, relative to the live mean absolute value.",
            ["model", "version"],
            _DIFFERENCES,
        )
        self.feedback = FeedbackMetrics()
        self._registry.register(self.feedback)
        self.log_written = self._counter(
            "vitrine_request_log_written", "Entries of the request log that were written.", []
        )
        self.log_dropped = self._counter(
            "vitrine_request_log_dropped",
            "Entries of the request log that were dropped, by reason: queue_full, rejected, failed, shutdown.",
            ["reason"],
        )
        self._rejected_file = self._gauge(
            "vitrine_file_refused",
            "1 if the file is invalid and its last valid content stays in use.",
            ["file"],
        )

        self._uncounted = self._counter(
            "vitrine_uncounted_requests",
            "Requests that no rate limit counted, because VITRINE_RATE_STORAGE did not answer.",
            [],
        )
        self._uncounted.add((), by=0)

    def _counter(self, name: str, documentation: str, labels: Sequence[str]) -> Counter:
        counter = Counter(name, documentation, labels)
        self._registry.register(_Counted(counter))
        return counter

    def _histogram(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]) -> Histogram:
        histogram = Histogram(name, documentation, labels, bounds)
        self._registry.register(_Counted(histogram))
        return histogram

    def _gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, documentation, labels, registry=self._registry)

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Set the function that returns the number of requests in flight."""
        self._in_flight.set_function(count)

    def observe(self, model: str, version: str, verb: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.add((model, version, verb, status))
        self._seconds.of((model, verb)).observe(seconds)

    def refused(self, model: str, reason: str, by: int = 1) -> None:
        """Count requests that ended with an error or whose connection was lost."""
        self._refused.add((model, reason), by=by)

    def warned(self, model: str, version: int, rows: int) -> None:
        """Count the rows of a call that are unlike the training data."""
        self._warned.add((model, str(version)), by=rows)

    def decoded(self, model: str, seconds: float) -> None:
        """Record the time that decoding one request took."""
        self._decode.of((model,)).observe(seconds)

    def wait_observer(self, statistics: VersionStatistics) -> Callable[[float], None]:
        """Return a function that records how long a request waited for its call, in seconds."""
        waits, queue = self._queue.of((statistics.model,)), statistics.queue

        def observe(seconds: float) -> None:
            waits.observe(seconds)
            queue.add(seconds)

        return observe

    def batch_observer(self, statistics: VersionStatistics) -> Callable[[int, float], None]:
        """Return a function that records the rows and the seconds of each call to the model server."""
        labels = (statistics.model,)
        batch_rows, batch_seconds = self._rows.of(labels), self._upstream.of(labels)

        def observe(rows: int, seconds: float) -> None:
            batch_rows.observe(rows)
            batch_seconds.observe(seconds)
            statistics.called(rows, seconds)

        return observe

    def set_models(self, models: Mapping[str, ModelState]) -> None:
        """Replace the metrics of models and versions."""
        self._ready.clear()
        self._info.clear()
        self._failed.clear()
        self._card_unreadable.clear()
        self._canary.clear()
        for name, state in models.items():
            self._ready.labels(name).set(state.problem is None and bool(state.versions))
            for number, version in state.versions.items():
                self._info.labels(name, number).set(1)
                if version.card_problem is not None:
                    self._card_unreadable.labels(name, number).set(1)
            for number, status in state.states.items():
                if status.failed:
                    self._failed.labels(name, number).set(1)
            if state.canary is not None:
                self._canary.labels(name, state.canary.version).set(state.canary.percent)

    def shadow_compared(self, model: str, version: int, comparison: Comparison) -> None:
        """Count a copied request that the shadow version answered, and the agreement of both outputs."""
        self._shadow.add((model, version, "compared"))
        if comparison.agree is not None and comparison.differ is not None:
            self._shadow_rows.add((model, version, "same"), comparison.agree)
            self._shadow_rows.add((model, version, "other"), comparison.differ)
        if comparison.difference is not None:
            self._shadow_difference.of((model, version)).observe(comparison.difference)

    def shadow_failed(self, model: str, version: int) -> None:
        """Count a copied request that the shadow version did not answer."""
        self._shadow.add((model, version, "failed"))

    def shadow_dropped(self, model: str, version: int) -> None:
        """Count a copied request that did not fit into the queue."""
        self._shadow.add((model, version, "dropped"))

    def uncounted(self) -> None:
        """Count a request that no rate limit counted, because the storage did not answer."""
        self._uncounted.add(())

    def watch_file(self, name: str, is_rejected: Callable[[], bool]) -> None:
        """Set the function that returns whether a file is invalid."""
        self._rejected_file.labels(name).set_function(is_rejected)

    def page(self) -> bytes:
        """Render the metrics of this process in Prometheus' text format."""
        return generate_latest(self._registry)

    def report(self) -> dict[str, Any]:
        """Return this process' metrics as JSON values, for the page of all workers."""
        families = [
            Family(
                name=metric.name,
                type=metric.type,
                help=metric.documentation,
                samples=[(sample.name, sample.labels, sample.value) for sample in metric.samples],
            )
            for metric in self._registry.collect()
            if metric.name not in (*DRIFT_METRICS, *LIVE_METRICS)  # no sums of the workers' values
        ]
        return {"families": families, "drift": self._drift.report() if self._drift is not None else []}

    def merged_page(self, reports: Reports, worker: int) -> bytes:
        """Render the metrics of all workers; ``worker`` is this one's number."""
        known = {one["worker"]: one["report"] for one in reports["workers"] if one["report"] is not None}
        families = merged(reports)
        metrics = [_metric(one) for one in families]
        metrics += ratios(live_counts(sample for one in families for sample in one["samples"]))
        if self._drift is not None:
            others = [report["drift"] for number, report in known.items() if number != worker]
            metrics += self._drift.families(others)
        return generate_latest(_Metrics(metrics))


def merged(reports: Reports) -> list[Family]:
    """Return the metrics of all workers and the supervisor."""
    families = [one["report"]["families"] for one in reports["workers"] if one["report"] is not None]
    return merge([*families, reports["supervisor"]])


class _Metrics(CollectorRegistry):
    """Metrics that were collected elsewhere."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        super().__init__()
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _metric(merged: Family) -> Metric:
    metric = Metric(merged["name"], merged["help"], merged["type"])
    for name, labels, value in merged["samples"]:
        metric.add_sample(name, labels, value)
    return metric
