"""OpenTelemetry traces, if ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is set.

    POST fashion_cnn:predict        the request; continues the caller's trace (W3C ``traceparent``)
    ├── decode                      from the body to tensors that fit the signature
    ├── queue                       waiting for a call to the model server
    └── predict                     that call; ``vitrine.batch.requests`` is the number of requests that share it

A call that several requests share is a span in the trace of each; its gRPC metadata has the first request's context.
The SDK reads its other settings from its own variables, such as ``OTEL_SERVICE_NAME`` and ``OTEL_TRACES_SAMPLER``.
Without an endpoint, OpenTelemetry is not imported.
"""

import importlib.util
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from serving import extras

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SERVICE = "vitrine-gateway"
_MAX_TRACESTATE_BYTES = 512  # W3C requires that many; gRPC servers reject much larger metadata

log = logging.getLogger("vitrine.traces")


def configured() -> "Traces | None":
    """Return traces if the environment configures them and the library is installed."""
    if not any(map(os.environ.get, _ENDPOINTS)) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if importlib.util.find_spec("opentelemetry") is None:
        log.warning("no traces: %s", extras.needs("OTEL_EXPORTER_OTLP_ENDPOINT", "opentelemetry"))
        return None
    return Traces()


class Traces:
    """Creates the spans of requests and exports them in the background."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": _SERVICE}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self._provider.get_tracer("serving.gateway")
        self.kinds = SpanKind
        self.within = set_span_in_context
        self.propagator = TraceContextTextMapPropagator()
        self._offset = time.time_ns() - time.perf_counter_ns()

    def begin(self, headers: Mapping[bytes, bytes], request_id: str, started: float) -> "Trace | None":
        """Begin the trace of a request; None if the sampler drops it. ``started`` is from ``perf_counter``."""
        carrier = {
            name.decode("ascii"): headers[name].decode("latin-1")
            for name in (b"traceparent", b"tracestate")
            if 0 < len(headers.get(name, b"")) <= _MAX_TRACESTATE_BYTES
        }
        span = self.tracer.start_span(
            "POST",
            self.propagator.extract(carrier),
            self.kinds.SERVER,
            {"http.request.method": "POST", "vitrine.request_id": request_id},
            start_time=self.nanoseconds(started),
        )
        return Trace(self, span) if span.is_recording() else None

    def nanoseconds(self, counter: float) -> int:
        """Convert a time from ``perf_counter`` to Unix nanoseconds."""
        return int(counter * 1e9) + self._offset

    def close(self) -> None:
        """Export the remaining spans; takes up to ``OTEL_EXPORTER_OTLP_TIMEOUT`` if the collector does not answer."""
        self._provider.shutdown()


class Trace:
    """The spans of one request."""

    __slots__ = ("_context", "_span", "_traces")

    def __init__(self, traces: Traces, span: Any) -> None:
        self._traces = traces
        self._span = span
        self._context = traces.within(span)

    @property
    def id(self) -> str:
        """The trace id in hexadecimal digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def stage(self, name: str, started: float, ended: float) -> None:
        """Add a span for a finished part of the request. Times are from ``perf_counter``."""
        nanoseconds = self._traces.nanoseconds
        span = self._traces.tracer.start_span(name, self._context, start_time=nanoseconds(started))
        span.end(nanoseconds(ended))

    def call(self, since: float, started: float, rows: int, requests: int) -> "CallSpan":
        """Begin the span of a call to the model server; the request waited for it from ``since`` on."""
        self.stage("queue", since, started)
        span = self._traces.tracer.start_span(
            "predict",
            self._context,
            self._traces.kinds.CLIENT,
            {"rpc.system": "grpc", "vitrine.batch.rows": rows, "vitrine.batch.requests": requests},
            start_time=self._traces.nanoseconds(started),
        )
        return CallSpan(self._traces, span)

    def end(self, model: str, version: str, verb: str, status: int) -> None:
        """End the request's span."""
        self._span.update_name(f"POST {model}:{verb}" if model else "POST")
        self._span.set_attribute("http.response.status_code", status)
        self._span.set_attribute("vitrine.model", model)
        if version:
            self._span.set_attribute("vitrine.version", version)
        if status >= 500:
            from opentelemetry.trace import StatusCode

            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class CallSpan:
    """The span of a call to the model server, and the metadata that carries its context."""

    __slots__ = ("_span", "metadata")

    def __init__(self, traces: Traces, span: Any) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        traces.propagator.inject(carrier, traces.within(span))
        self.metadata = list(carrier.items())

    def end(self) -> None:
        """End the span."""
        self._span.end()
