"""The metrics page."""

from prometheus_client.parser import text_string_to_metric_families

from serving.counters import Counter, Histogram
from serving.model_server import metrics
from serving.model_server.metrics import ServerMetrics, lines
from serving.tfs_api.messages import MonitoringConfig


def test_a_counter() -> None:
    counter = Counter(":a:count", "", ["model_name", "status"])
    assert lines(counter) == ["# TYPE :a:count counter"]
    counter.add(("m", "OK"))
    counter.add(("m", "OK"), by=2)
    counter.add(('a"b\\c\nd', "NOT_FOUND"))
    assert lines(counter) == [
        "# TYPE :a:count counter",
        ':a:count{model_name="a\\"b\\\\c\\nd",status="NOT_FOUND"} 1',
        ':a:count{model_name="m",status="OK"} 3',
    ]


def test_a_histogram_adds_up_and_the_next_bucket_includes_a_bound() -> None:
    histogram = Histogram(":a:size", "", ["model"], metrics.exponential(10, 1.8, 3), includes_bound=False)
    for value in (1, 10, 18.5, 1000):
        histogram.of(("m",)).observe(value)
    assert lines(histogram) == [
        "# TYPE :a:size histogram",
        ':a:size_bucket{model="m",le="10"} 1',
        ':a:size_bucket{model="m",le="18"} 2',
        ':a:size_bucket{model="m",le="32.4"} 3',
        ':a:size_bucket{model="m",le="+Inf"} 4',
        ':a:size_sum{model="m"} 1029.5',
        ':a:size_count{model="m"} 4',
    ]


def test_number_of_series_is_limited() -> None:
    server_metrics = ServerMetrics()
    for number in range(5000):
        server_metrics.request_count.add((str(number), "OK"))
        server_metrics.request_latency.of((str(number), "Predict", "GRPC")).observe(1)
    assert len(lines(server_metrics.request_count)) < 1100
    assert len(lines(server_metrics.request_latency)) < 37_000
    server_metrics.request_count.add(("0", "OK"))
    assert ':tensorflow:serving:request_count{model_name="0",status="OK"} 2' in lines(server_metrics.request_count)


def test_page_has_every_metric_and_parses() -> None:
    server_metrics = ServerMetrics()
    server_metrics.request_count.add(("m", "OK"))
    server_metrics.request_latency.of(("m", "Predict", "GRPC")).observe(123)
    server_metrics.padding_size.of(("8",)).observe(3)
    families = {family.name: family for family in text_string_to_metric_families(server_metrics.text())}
    serving = ":tensorflow:serving:"
    names = ["request_latency", "runtime_latency", "request_example_counts", "model_warmup_latency"]
    names += [f"batching_session:{name}" for name in ("queuing_latency", "padding_size", "input_batch_size")]
    names += ["batching_session:processed_batch_size", "batching_session:wrapped_run_count", "request_log_count"]
    names += ["request_count", "request_example_count_total", "model_warmup_records_read"]
    expected = {serving + name for name in names}
    expected |= {":tensorflow:cc:saved_model:load_attempt_count", ":tensorflow:cc:saved_model:load_latency"}
    expected |= {":vitrine:serving:hanging_load_count"}  # ours
    assert {line.split()[2] for line in server_metrics.text().splitlines() if line.startswith("# TYPE")} == expected
    latency = families[f"{serving}request_latency"].samples
    assert len([sample for sample in latency if sample.name.endswith("_bucket")]) == 34
    assert latency[0].labels == {"model_name": "m", "API": "Predict", "entrypoint": "GRPC", "le": "10"}


def test_the_path_of_a_monitoring_config() -> None:
    assert metrics.path(MonitoringConfig()) is None
    assert metrics.path(MonitoringConfig(prometheus_config={"path": "/m"})) is None
    assert metrics.path(MonitoringConfig(prometheus_config={"enable": True})) == "/monitoring/prometheus/metrics"
    assert metrics.path(MonitoringConfig(prometheus_config={"enable": True, "path": "/m"})) == "/m"


def test_values_by_tensorflows_own_names() -> None:
    """The first sum of a counter, as in ReloadConfigRequest.metric_names, and 0 for other metrics."""
    server_metrics = ServerMetrics()
    server_metrics.request_count.add(("m", "OK"), by=2)
    server_metrics.request_count.add(("m", "NOT_FOUND"), by=5)
    names = ["/tensorflow/serving/request_count", "/tensorflow/serving/request_latency", "/no/such"]
    assert server_metrics.values(names) == dict(zip(names, (5, 0, 0), strict=True))
