"""OpenTelemetry against a real OTLP receiver, and a model server that records the metadata of its calls."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from serving.gateway.models.signature import TensorSpec
from serving.tfs_api import messages
from tests.serving.gateway import programs, stub
from tests.serving.gateway.programs import Gateway

SIGNATURE = stub.echo("serving_default", TensorSpec("x", messages.DT_FLOAT, (None, 2)))
TRACE = "0af7651916cd43dd8448eb211c80319c"  # pragma: allowlist secret
PARENT = "b7ad6b7169203331"  # pragma: allowlist secret
ROW = {"instances": [[1, 2]]}


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it receives."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        for resource in request.resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(named["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


class RecordingServer(stub.Stub):
    """Echoes, and keeps the metadata of each Predict."""

    def __init__(self) -> None:
        super().__init__({"echo": {"serving_default": SIGNATURE}})
        self.received_metadata: list[dict[str, str]] = []

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.received_metadata.append(dict(context.invocation_metadata()))
        return super().predict(request, context)


@contextlib.contextmanager
def receiving(collector: Collector) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextlib.contextmanager
def traced(model_server: stub.Stub, folder: Path, **env: str) -> Iterator[Gateway]:
    with (
        stub.serving(model_server) as address,
        programs.gateway(address, folder / "none", "--models=echo", "--access-log=1", env=env) as one,
    ):
        programs.wait_until_ready(one, "echo")
        yield one


def test_a_request_is_a_trace_from_the_caller_to_the_model_server(tmp_path: Path) -> None:
    collector, model_server = Collector(), RecordingServer()
    with (
        receiving(collector) as endpoint,
        traced(model_server, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as one,
    ):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "r-1"}
        assert one.http.post("/v1/models/echo:predict", json=ROW, headers=headers).status_code == 200
        assert one.http.post("/v1/models/echo:predict", json={"instances": [[1]]}).status_code == 400
        unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
        assert one.http.post("/v1/models/echo:predict", json=ROW, headers=unsampled).status_code == 200
        assert one.http.get("/livez").status_code == 200
        one.program.wait_for(f'"trace_id":"{TRACE}"')
    # The gateway exports its last spans before it ends.
    assert collector.services == {"vitrine-gateway"}
    spans = {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}
    assert set(spans) == {"POST echo:predict", "decode", "queue", "predict"}
    request = spans["POST echo:predict"]
    assert request.parent_span_id.hex() == PARENT
    attributes = {one.key: one.value for one in request.attributes}
    assert attributes["vitrine.request_id"].string_value == "r-1"
    assert attributes["http.response.status_code"].int_value == 200
    for name in ("decode", "queue", "predict"):
        part = spans[name]
        assert part.parent_span_id == request.span_id
        assert request.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= request.end_time_unix_nano
    assert spans["decode"].end_time_unix_nano <= spans["predict"].start_time_unix_nano
    propagated = [metadata["traceparent"] for metadata in model_server.received_metadata if "traceparent" in metadata]
    assert propagated == [f"00-{TRACE}-{spans['predict'].span_id.hex()}-01"]
    (rejected,) = [span for span in collector.spans if span.trace_id.hex() != TRACE]
    assert {one.key: one.value.int_value for one in rejected.attributes}["http.response.status_code"] == 400


def test_a_long_tracestate_is_not_propagated(tmp_path: Path) -> None:
    """gRPC servers reject a call with large metadata, and so all requests that share the call."""
    model_server = RecordingServer()
    unreachable = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with traced(model_server, tmp_path, **unreachable) as one:
        for members, kept in ((2, True), (32, False)):
            state = ",".join(f"k{number}={'v' * 250}" for number in range(members))
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": state}
            assert one.http.post("/v1/models/echo:predict", json=ROW, headers=headers).status_code == 200
            assert TRACE in model_server.received_metadata[-1]["traceparent"]
            assert model_server.received_metadata[-1].get("tracestate") == (state if kept else None)


def test_without_an_endpoint_nothing_is_sent_and_a_missing_receiver_does_no_harm(tmp_path: Path) -> None:
    model_server = RecordingServer()
    with traced(model_server, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="") as one:
        assert one.http.post("/v1/models/echo:predict", json=ROW).status_code == 200
    assert "traceparent" not in model_server.received_metadata[-1]
    unreachable = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with traced(model_server, tmp_path, **unreachable) as one:
        assert one.http.post("/v1/models/echo:predict", json=ROW).status_code == 200
        with pytest.raises(httpx.HTTPStatusError):
            one.http.post("/v1/models/echo:predict", json={}).raise_for_status()
