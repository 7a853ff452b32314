"""Prometheus metrics under TensorFlow Serving's own names and labels.

Source: tensorflow_serving/util/prometheus_exporter.cc: ``/`` becomes ``:`` in names, there are no HELP lines, and a
metric without values has its TYPE line only. The text is written here because prometheus_client rejects names with a
leading colon. Latencies are in microseconds. Model names of requests are label values, so the number of series is
limited, unlike in TensorFlow Serving.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from serving.counters import Counter, Histogram
from serving.model_server.errors import ServingError

#: Path of the metrics, unless the file of ``--monitoring_config_file`` sets another.
DEFAULT_PATH = "/monitoring/prometheus/metrics"
_MAX_SERIES = 1000


def path(config: Any) -> str | None:
    """Return the path of the metrics by a MonitoringConfig; None if they are off."""
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None


def exponential(scale: float, growth: float, count: int) -> list[float]:
    """Return the upper bounds of buckets."""
    return [scale * growth**power for power in range(count)]


class ServerMetrics:
    """All metrics of the server. Without a lock, threads may rarely lose an addition."""

    def __init__(self) -> None:
        serving, batching = ":tensorflow:serving:", ":tensorflow:serving:batching_session:"
        latency, sizes = exponential(10, 1.8, 33), exponential(1, 2, 14)
        self.request_count = _counter(f"{serving}request_count", "model_name", "status")
        self.request_latency = _histogram(f"{serving}request_latency", latency, "model_name", "API", "entrypoint")
        self.runtime_latency = _histogram(f"{serving}runtime_latency", latency, "model_name", "API", "runtime")
        self.example_counts = _histogram(f"{serving}request_example_counts", exponential(1, 2, 15), "model")
        self.example_count_total = _counter(f"{serving}request_example_count_total", "model")
        self.request_log_count = _counter(f"{serving}request_log_count")
        self.warmup_latency = _histogram(f"{serving}model_warmup_latency", latency, "model_path", "status")
        self.warmup_records = _counter(f"{serving}model_warmup_records_read", "model_path")
        self.queuing_latency = _histogram(f"{batching}queuing_latency", exponential(100, 1.2, 52), "thread_pool_name")
        self.wrapped_run_count = _counter(f"{batching}wrapped_run_count")
        self.padding_size = _histogram(f"{batching}padding_size", sizes, "execution_batch_size")
        self.input_batch_size = _histogram(f"{batching}input_batch_size", sizes)
        self.processed_batch_size = _histogram(f"{batching}processed_batch_size", sizes)
        self.load_attempt_count = _counter(":tensorflow:cc:saved_model:load_attempt_count", "model_path", "status")
        self.hanging_load_count = _counter(":vitrine:serving:hanging_load_count", "model_path")  # not TensorFlow's
        self.load_latency = _counter(":tensorflow:cc:saved_model:load_latency", "model_path")

    @contextlib.contextmanager
    def request(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Count the block as one request, and its latency if it succeeds.

        Args:
            model: Name of the model.
            api: ``Predict`` etc. over gRPC, lower case over REST, and empty for requests other than inference.
            entrypoint: ``GRPC`` or ``REST``.
        """
        started = time.perf_counter()
        status = "INTERNAL"
        try:
            yield
            status = "OK"
            self.request_latency.of((model, api, entrypoint)).observe((time.perf_counter() - started) * 1e6)
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        except ServingError as error:
            status = error.code.name
            raise
        finally:
            self.request_count.add((model, status))

    def count_examples(self, model: str, examples: int) -> None:
        """Count the tf.Examples of one request."""
        self.example_counts.of((model,)).observe(examples)
        self.example_count_total.add((model,), by=examples)

    def values(self, names: Iterable[str]) -> dict[str, int]:
        """Return the first sum of each counter in ``ReloadConfigRequest.metric_names``, and 0 for any other metric.

        Names are TensorFlow's: ``/tensorflow/serving/…`` (model_service_impl.cc, GetMetrics).
        """
        counters = {metric.name: metric for metric in vars(self).values() if isinstance(metric, Counter)}
        return {name: _first_sum(counters.get(name.replace("/", ":"))) for name in names}

    def text(self) -> str:
        """Return the page that Prometheus reads."""
        metrics = sorted(vars(self).values(), key=lambda metric: str(metric.name))
        return "\n".join(line for metric in metrics for line in lines(metric)) + "\n"


def lines(metric: Counter | Histogram) -> list[str]:
    """Return the lines of one metric."""
    return _counter_lines(metric) if isinstance(metric, Counter) else _histogram_lines(metric)


def _counter(name: str, *labels: str) -> Counter:
    return Counter(name, "", labels, max_series=_MAX_SERIES)


def _histogram(name: str, bounds: Sequence[float], *labels: str) -> Histogram:
    return Histogram(name, "", labels, bounds, includes_bound=False, max_series=_MAX_SERIES)


def _first_sum(counter: Counter | None) -> int:
    return round(counter.sums[min(counter.sums)]) if counter and counter.sums else 0


def _counter_lines(counter: Counter) -> list[str]:
    return [f"# TYPE {counter.name} counter"] + [
        f"{counter.name}{{{_pairs(counter.labels, values)}}} {round(total)}"
        for values, total in sorted(counter.sums.items())
    ]


def _histogram_lines(histogram: Histogram) -> list[str]:
    name = histogram.name
    rendered = [f"# TYPE {name} histogram"]
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    for values, series in sorted(histogram.series.items(), key=lambda item: item[0]):
        pairs = _pairs(histogram.labels, values)
        before = f"{pairs}," if pairs else ""
        totals = list(itertools.accumulate(series.counts))
        rendered += [
            f'{name}_bucket{{{before}le="{bound}"}} {total}' for bound, total in zip(bounds, totals, strict=True)
        ]
        rendered += [f"{name}_sum{{{pairs}}} {series.total:g}", f"{name}_count{{{pairs}}} {totals[-1]}"]
    return rendered


def _pairs(labels: Sequence[str], values: Sequence[str | int]) -> str:
    return ",".join(f'{label}="{_escaped(str(value))}"' for label, value in zip(labels, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
