"""Liveness, readiness, metrics and the log."""

import json
import re

import httpx
import pytest

from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway


def test_alive_and_ready(http: httpx.Client) -> None:
    assert http.get("/livez").json() == {"alive": True}
    answer = http.get("/readyz")
    assert answer.status_code == 200
    assert (answer.json()["ready"], answer.json()["reasons"]) == (True, [])
    assert [note.split(" answers")[0] for note in answer.json()["notes"]] == [
        "model broken version 1",
        "model line version 1",
    ]
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/", "/docs", "/page/swagger-ui.css", "/livez", "/readyz", "/v1/models", "/metrics"])
def test_head_is_get_without_a_body(http: httpx.Client, path: str) -> None:
    """Some probes send HEAD."""
    head, get = http.head(path), http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert http.get("/livez").json() == {"alive": True}  # on the same connection


def test_metrics(http: httpx.Client) -> None:
    def value(line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", http.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    good = 'vitrine_requests_total{code="200",model="shade",verb="predict",version="1"}'
    unknown = 'vitrine_requests_total{code="404",model="",verb="predict",version=""}'
    rows = 'vitrine_batch_rows_sum{model="shade"}'
    decoded = 'vitrine_decode_seconds_count{model="shade"}'
    queued = 'vitrine_queue_seconds_bucket{le="+Inf",model="shade"}'
    refused = 'vitrine_refused_total{model="",reason="unknown_model"}'
    before = value(good), value(unknown), value(rows), value(decoded), value(queued), value(refused)
    http.post("/v1/models/shade:predict", files=[("a", ("a", picture())), ("b", ("b", picture()))])
    http.post("/v1/models/whatever-a-client-makes-up:predict", content=picture())
    after = value(good), value(unknown), value(rows), value(decoded), value(queued), value(refused)
    assert tuple(now - then for now, then in zip(after, before, strict=True)) == (1, 1, 2, 1, 1, 1)
    assert value('vitrine_model_ready{model="shade"}') == 1
    assert value('vitrine_model_version{model="shade",version="1"}') == 1
    assert value("vitrine_in_flight") == 0
    assert "whatever" not in http.get("/metrics").text


def test_the_log_is_json_and_quiet(served: Gateway) -> None:
    lines = [json.loads(line) for line in served.program.output.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert not [line for line in lines if "trace" in line]
