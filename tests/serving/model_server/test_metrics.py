"""The text that Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from serving.model_server import metrics
from serving.model_server.metrics import Counter, Histogram, MonitoringConfig, ServerMetrics


def test_a_counter() -> None:
    counter = Counter(":a:count", "model_name", "status")
    assert counter.lines() == ["# TYPE :a:count counter"]
    counter.add("m", "OK")
    counter.add("m", "OK", by=2)
    counter.add('a"b\\c\nd', "NOT_FOUND")
    assert counter.lines() == [
        "# TYPE :a:count counter",
        ':a:count{model_name="a\\"b\\\\c\\nd",status="NOT_FOUND"} 1',
        ':a:count{model_name="m",status="OK"} 3',
    ]


def test_a_histogram_adds_up_and_a_bound_lies_above_itself() -> None:
    histogram = Histogram(":a:size", metrics.exponential(10, 1.8, 3), "model")
    for value in (1, 10, 18.5, 1000):
        histogram.observe(value, "m")
    assert histogram.lines() == [
        "# TYPE :a:size histogram",
        ':a:size_bucket{model="m",le="10"} 1',
        ':a:size_bucket{model="m",le="18"} 2',
        ':a:size_bucket{model="m",le="32.4"} 3',
        ':a:size_bucket{model="m",le="+Inf"} 4',
        ':a:size_sum{model="m"} 1029.5',
        ':a:size_count{model="m"} 4',
    ]


def test_made_up_names_do_not_fill_the_memory() -> None:
    counter = Counter(":a:count", "model_name")
    histogram = Histogram(":a:size", [1.0], "model_name")
    for number in range(5000):
        counter.add(str(number))
        histogram.observe(1, str(number))
    assert len(counter.lines()) < 1100
    assert len(histogram.lines()) < 4100
    counter.add("0")
    assert ':a:count{model_name="0"} 2' in counter.lines()


def test_the_page_has_every_metric_of_the_contract_and_prometheus_reads_it() -> None:
    counted = ServerMetrics()
    counted.request_count.add("m", "OK")
    counted.request_latency.observe(123, "m", "Predict", "GRPC")
    counted.padding_size.observe(3, "8")
    families = {family.name: family for family in text_string_to_metric_families(counted.text())}
    serving = ":tensorflow:serving:"
    names = ["request_latency", "runtime_latency", "request_example_counts", "model_warmup_latency"]
    names += [f"batching_session:{name}" for name in ("queuing_latency", "padding_size", "input_batch_size")]
    names += ["batching_session:processed_batch_size", "batching_session:wrapped_run_count", "request_log_count"]
    names += ["request_count", "request_example_count_total", "model_warmup_records_read"]
    expected = {serving + name for name in names}
    expected |= {":tensorflow:cc:saved_model:load_attempt_count", ":tensorflow:cc:saved_model:load_latency"}
    expected |= {":vitrine:serving:hanging_load_count"}  # ours
    assert {line.split()[2] for line in counted.text().splitlines() if line.startswith("# TYPE")} == expected
    latency = families[f"{serving}request_latency"].samples
    assert len([sample for sample in latency if sample.name.endswith("_bucket")]) == 34
    assert latency[0].labels == {"model_name": "m", "API": "Predict", "entrypoint": "GRPC", "le": "10"}


def test_the_path_of_a_monitoring_config() -> None:
    assert metrics.path(MonitoringConfig()) is None
    assert metrics.path(MonitoringConfig(prometheus_config={"path": "/m"})) is None
    assert metrics.path(MonitoringConfig(prometheus_config={"enable": True})) == "/monitoring/prometheus/metrics"
    assert metrics.path(MonitoringConfig(prometheus_config={"enable": True, "path": "/m"})) == "/m"


def test_values_by_tensorflows_own_names() -> None:
    """The first sum of a counter, as ReloadConfigRequest.metric_names has it; nothing is known of others."""
    told = ServerMetrics()
    told.request_count.add("m", "OK", by=2)
    told.request_count.add("m", "NOT_FOUND", by=5)
    names = ["/tensorflow/serving/request_count", "/tensorflow/serving/request_latency", "/no/such"]
    assert told.values(names) == dict(zip(names, (5, 0, 0), strict=True))
