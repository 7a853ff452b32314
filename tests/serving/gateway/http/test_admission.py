"""What is refused in an overload, and how."""

import http.client
import io
import json
from pathlib import Path
from typing import Any

import pytest

from serving.gateway.errors import Overloaded
from serving.gateway.http.admission import Admission, create_shedder
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.settings import Settings
from serving.http_server.load_shedding import LoadShedder


@pytest.fixture
def shedder(tmp_path: Path) -> LoadShedder:
    created = create_shedder(Settings(exports=tmp_path, retry_after_seconds=3), GatewayMetrics(None))
    created.is_overloaded, created.running = True, 1000
    return created


def request(line: str) -> bytes:
    return f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()


@pytest.mark.parametrize(
    "line",
    [
        "POST /v1/models/fashion_cnn:predict",
        "POST /v1/models/fashion_cnn/versions/2:classify?top=3",
        "POST /v1/models/stock_rnn/labels/stable:forecast",
        "POST /v1/models/xo_cnn:explain",
        "POST /v2/models/xo_cnn/infer",
        "POST /v2/models/xo_cnn/versions/1/infer",
        "POST /v1/embeddings",
        "POST /invocations",
        "POST /v1/timeseries/forecast",
    ],
)
def test_requests_for_models_are_refused(shedder: LoadShedder, line: str) -> None:
    assert shedder.accepts(request(line), b"") is False


@pytest.mark.parametrize(
    "line",
    [
        "GET /readyz",
        "GET /metrics",
        "POST /v1/models/xo_cnn:promote",
        "POST /v1/models/xo_cnn:canary",
        "POST /v1/models/xo_cnn:rollback",
        "POST /v2/repository/index",
        "GET /v1/models/xo_cnn",
    ],
)
def test_operators_and_probes_are_not_refused(shedder: LoadShedder, line: str) -> None:
    assert shedder.accepts(request(line), b"") is None


def test_the_refusal_is_a_response_with_retry_after(shedder: LoadShedder) -> None:
    class Received:
        def makefile(self, *_: Any) -> io.BytesIO:
            return io.BytesIO(shedder.refusal)

    response = http.client.HTTPResponse(Received())  # type: ignore[arg-type]
    response.begin()
    assert (response.status, response.getheader("Retry-After")) == (503, "3")
    assert json.loads(response.read()) == {
        "error": "the gateway is overloaded; try again later",
        "code": "overloaded",
    }


def test_a_request_that_came_in_parts_is_refused_before_its_body(shedder: LoadShedder) -> None:
    admission = Admission(1024, 1, shedder)
    with pytest.raises(Overloaded) as error:
        admission.check("fashion_cnn", "10.0.0.1")
    assert error.value.reason == "overloaded_processor"
    shedder.running = 1
    admission.check("fashion_cnn", "10.0.0.1")
