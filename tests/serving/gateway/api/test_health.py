"""Health, lists of models, model cards, metrics, the OpenAPI document and the page."""

import json
import re

import httpx
import pytest

from serving.artifacts.model_card import ModelCard
from serving.gateway.kinds import KINDS
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.readiness import reasons_against
from serving.gateway.models.routing import ModelState, VersionStatus
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway


@pytest.mark.parametrize(
    ("models", "names_problem", "draining", "words"),
    [
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})})}, None, False, []),
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})})}, "the edit is refused", False, []),
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})})}, None, True, ["shutting down"]),
        ({"m": ModelState("m", {1: ModelVersion("m", 1, {})}, problem="it is down")}, None, False, ["m: it is down"]),
        ({"m": ModelState("m")}, None, False, ["no AVAILABLE version"]),
        ({"m": ModelState("m", {}, {3: VersionStatus("LOADING")})}, None, False, ["version 3 is LOADING"]),
        ({"a": ModelState("a"), "b": ModelState("b")}, None, False, ["a has no", "b has no"]),
        ({}, None, False, ["no models"]),
        ({}, "there is no file", False, ["there is no file"]),
    ],
)
def test_readiness(models: dict[str, ModelState], names_problem: str | None, draining: bool, words: list[str]) -> None:
    reasons = reasons_against(models, names_problem, draining)
    assert len(reasons) == len(words)
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))


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


def test_the_list(http: httpx.Client) -> None:
    models = {model["name"]: model for model in http.get("/v1/models").json()["models"]}
    assert models["shade"] == {
        "name": "shade",
        "kind": "image",
        "title": "The shade of tests",
        "default_version": 1,
        "verbs": ["predict", "embed", "neighbours"],
        "versions": [{"version": 1, "state": "AVAILABLE", "labels": ["stable"]}],
        "problem": None,
    }
    assert models["trend"]["verbs"] == ["predict", "forecast"]
    assert models["line"]["kind"] is None
    assert models["line"]["verbs"] == []


def test_cards(http: httpx.Client) -> None:
    for suffix in ("", "/versions/1", "/labels/stable"):
        card = ModelCard.model_validate(http.get(f"/v1/models/shade{suffix}/card").json())
        assert card.labels == ("dark", "middle", "light")
    for path, word in (("nobody", "nobody"), ("shade/versions/2", "version 2"), ("line", "no model card")):
        answer = http.get(f"/v1/models/{path}/card")
        assert answer.status_code == 404
        assert word in answer.json()["error"]
    assert http.get("/v1/models/shade/versions/x/card").status_code == 400


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


def test_the_openapi_document(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    operations = {
        operation["operationId"]: path for path, item in document["paths"].items() for operation in item.values()
    }
    assert operations["predict"] == "/v1/models/{model}:predict"
    assert operations["forecast_label"] == "/v1/models/{model}/labels/{label}:forecast"
    assert operations["list_models"] == "/v1/models"
    assert all(re.fullmatch("[a-z_]+", name) for name in operations)
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"]
    text = http.get("/openapi.json").text
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]
    assert http.get("/docs").status_code == 200


def test_the_page_loads_nothing_from_other_hosts(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "<title>Vitrine" in page.text
    queue, fetched = re.findall(r'(?:src|href)="(/page/[^"]+)"', page.text), {"/": page.text}
    queue += [f"/page/{kind.name}.js" for kind in KINDS]
    while queue:
        path = queue.pop()
        answer = http.get(path)
        assert answer.status_code == 200
        fetched[path] = answer.text
        imported = {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)}
        queue += imported - fetched.keys() - set(queue)
    assert {"/page/page.css", "/page/page.js", "/page/elements.js", "/page/chart.js"} <= fetched.keys()
    assert not any(re.search(r"https?://(?!www\.w3\.org)", text) for text in fetched.values())


def test_the_log_is_json_and_quiet(served: Gateway) -> None:
    lines = [json.loads(line) for line in served.program.output.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert not [line for line in lines if "trace" in line]
