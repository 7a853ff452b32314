"""Page of the gateway's metrics."""

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from serving.counters import Counter, Histogram
from serving.gateway.observability.drift import Drift
from serving.gateway.observability.feedback import ratios
from serving.gateway.observability.metrics import GatewayMetrics
from tests.docs.reference.markdown import code, page, table

_INTRODUCTION = """
`GET /metrics` has these in Prometheus' text format. Counters end in `_total`. A histogram has `_bucket`, `_sum` and
`_count`. Only configured models, and versions that have answered, appear as labels.

The [operations handbook](../operations/index.md) says what to watch; `k8s/components/monitoring` has alerts and a
Grafana dashboard. Several workers add up their counters and histograms: [several
processes](../operations/workers.md).
"""

_WORKERS = [
    (code("vitrine_workers"), "gauge", code("state"), "Worker processes by state; only with several workers."),
    (code("vitrine_worker_restarts_total"), "counter", "–", "Restarts of workers; only with several workers."),
]

_PROCESS = """
`process_*` and `python_info` are those of prometheus_client: memory, processor time, open files and start time of the
process. In a container with a memory limit, `vitrine_memory_bytes` is its working set, which counts against the limit,
and `vitrine_memory_limit_bytes` the limit.

The sidecar that copies from an object store has, with `--metrics-port`, `vitrine_sync_complete`, 1 if every version is
there, and `vitrine_sync_last_success_timestamp_seconds`, the time of the last round that read the store.

The embedded model server writes TensorFlow Serving's metrics, with its names and labels, on its REST port
(`--monitoring_config_file`): [embedded model server](model-server.md).
"""


def render() -> str:
    """Return the page."""
    metrics = GatewayMetrics()
    parts = [part for part in vars(metrics).values() if isinstance(part, Counter | Histogram | MetricWrapperBase)]
    parts += vars(metrics.feedback).values()
    rows = [*map(_row, parts), *map(_family_row, [*ratios({}), *Drift(1).collect()]), *_WORKERS]
    return page(
        "Metrics",
        "serving/gateway/observability/metrics.py",
        _INTRODUCTION,
        table(("metric", "type", "labels", "description"), rows),
        _PROCESS,
    )


def _row(metric: Counter | Histogram | MetricWrapperBase) -> tuple[str, str, str, str]:
    if isinstance(metric, MetricWrapperBase):
        return code(metric._name), metric._type, _labels(metric._labelnames), metric._documentation
    if isinstance(metric, Counter):
        return code(f"{metric.name}_total"), "counter", _labels(metric.labels), metric.documentation
    return code(metric.name), "histogram", _labels(metric.labels), metric.documentation


def _family_row(metric: Metric) -> tuple[str, str, str, str]:
    labels = getattr(metric, "_labelnames", ())
    return code(metric.name), metric.type, _labels(labels), metric.documentation


def _labels(names: Iterable[str]) -> str:
    return ", ".join(map(code, names)) or "–"
