"""What Prometheus is told, under TensorFlow Serving's own names and labels.

Source: tensorflow_serving/util/prometheus_exporter.cc: ``/`` becomes ``:`` in names, there are no HELP lines, a metric
that nobody has moved has its TYPE line alone. Written by hand, since Prometheus' Python client takes no name with a
colon at its start. Latencies are microseconds. A name is there once for good: clients that make up names of models
make up labels (the real server has no bound; here there is one).
"""

import asyncio
import bisect
import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence

from serving.model_server.errors import ServingError
from serving.tfs_api import messages

#: Where the metrics are, unless the file of ``--monitoring_config_file`` says otherwise.
DEFAULT_PATH = "/monitoring/prometheus/metrics"
_MOST_LABELS = 1000  # values of one metric's labels; more are not counted


def path(config: messages.MonitoringConfig) -> str | None:
    """Where a MonitoringConfig wants the metrics; None: nowhere."""
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None


def exponential(scale: float, growth: float, count: int) -> list[float]:
    """Upper bounds of buckets; a last one without bound follows them."""
    return [scale * growth**power for power in range(count)]


class Counter:
    """A sum for each choice of label values."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self._labels = labels
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, *values: str, by: float = 1) -> None:
        if values in self._sums or len(self._sums) < _MOST_LABELS:
            self._sums[values] = self._sums.get(values, 0) + by

    @property
    def first(self) -> int:
        """The sum of the first choice of label values."""
        return round(self._sums[min(self._sums)]) if self._sums else 0

    def lines(self) -> list[str]:
        shown = sorted(self._sums.items())
        return [f"# TYPE {self.name} counter"] + [
            f"{self.name}{{{_pairs(self._labels, values)}}} {round(value)}" for values, value in shown
        ]


class Histogram:
    """Counts by size for each choice of label values; a value that equals a bound lies above it, as in TensorFlow."""

    def __init__(self, name: str, bounds: Sequence[float], *labels: str) -> None:
        self.name = name
        self._labels = labels
        self._bounds = bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        counts = self._counts.get(values)
        if counts is None:
            if len(self._counts) >= _MOST_LABELS:
                return
            counts = self._counts[values] = [0] * (len(self._bounds) + 1)
            self._sums[values] = 0.0
        counts[bisect.bisect_right(self._bounds, value)] += 1
        self._sums[values] += value

    def lines(self) -> list[str]:
        lines = [f"# TYPE {self.name} histogram"]
        limits = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for values, counts in sorted(self._counts.items()):
            pairs = _pairs(self._labels, values)
            before = f"{pairs}," if pairs else ""
            totals = list(itertools.accumulate(counts))
            lines += [
                f'{self.name}_bucket{{{before}le="{limit}"}} {total}'
                for limit, total in zip(limits, totals, strict=True)
            ]
            lines += [
                f"{self.name}_sum{{{pairs}}} {self._sums[values]:g}",
                f"{self.name}_count{{{pairs}}} {totals[-1]}",
            ]
        return lines


class ServerMetrics:
    """All that this server counts. Filled from the event loop and from threads: one addition that is lost now and then
    is the price of having no lock."""

    def __init__(self) -> None:
        serving, batching = ":tensorflow:serving:", ":tensorflow:serving:batching_session:"
        latency, sizes = exponential(10, 1.8, 33), exponential(1, 2, 14)
        self.request_count = Counter(f"{serving}request_count", "model_name", "status")
        self.request_latency = Histogram(f"{serving}request_latency", latency, "model_name", "API", "entrypoint")
        self.runtime_latency = Histogram(f"{serving}runtime_latency", latency, "model_name", "API", "runtime")
        self.example_counts = Histogram(f"{serving}request_example_counts", exponential(1, 2, 15), "model")
        self.example_count_total = Counter(f"{serving}request_example_count_total", "model")
        self.request_log_count = Counter(f"{serving}request_log_count")
        self.warmup_latency = Histogram(f"{serving}model_warmup_latency", latency, "model_path", "status")
        self.warmup_records = Counter(f"{serving}model_warmup_records_read", "model_path")
        self.queuing_latency = Histogram(f"{batching}queuing_latency", exponential(100, 1.2, 52), "thread_pool_name")
        self.wrapped_run_count = Counter(f"{batching}wrapped_run_count")
        self.padding_size = Histogram(f"{batching}padding_size", sizes, "execution_batch_size")
        self.input_batch_size = Histogram(f"{batching}input_batch_size", sizes)
        self.processed_batch_size = Histogram(f"{batching}processed_batch_size", sizes)
        self.load_attempt_count = Counter(":tensorflow:cc:saved_model:load_attempt_count", "model_path", "status")
        self.hanging_load_count = Counter(":vitrine:serving:hanging_load_count", "model_path")  # ours: over 60 s
        self.load_latency = Counter(":tensorflow:cc:saved_model:load_latency", "model_path")

    @contextlib.contextmanager
    def request(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Counts what happens within as one request, and how long it took if nothing was raised.

        Args:
            api: ``Predict`` etc. over gRPC, in small letters over REST, and empty for what is no inference.
            entrypoint: ``GRPC`` or ``REST``.
        """
        started = time.perf_counter()
        status = "INTERNAL"
        try:
            yield
            status = "OK"
            self.request_latency.observe((time.perf_counter() - started) * 1e6, model, api, entrypoint)
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        except ServingError as error:
            status = error.code.name
            raise
        finally:
            self.request_count.add(model, status)

    def count_examples(self, model: str, examples: int) -> None:
        """tf.Examples of one request."""
        self.example_counts.observe(examples, model)
        self.example_count_total.add(model, by=examples)

    def values(self, names: Iterable[str]) -> dict[str, int]:
        """What ``ReloadConfigRequest.metric_names`` asks for: by TensorFlow's own name (``/tensorflow/serving/…``) a
        counter's first sum, and 0 for any other metric (model_service_impl.cc, GetMetrics)."""
        counters = {metric.name: metric for metric in vars(self).values() if isinstance(metric, Counter)}
        asked = {name: counters.get(name.replace("/", ":")) for name in names}
        return {name: counter.first if counter else 0 for name, counter in asked.items()}

    def text(self) -> str:
        """The page that Prometheus reads."""
        metrics = sorted(vars(self).values(), key=lambda metric: str(metric.name))
        return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"


def _pairs(labels: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
