"""The OpenAPI document, and requests generated from it."""

import contextlib
import re
from typing import Any

import httpx
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.gateway.api import openapi
from tests.serving.gateway.programs import Gateway

AS_DESCRIBED = [status_code_conformance, content_type_conformance, response_schema_conformance]
#: Names for path parameters, so that most requests reach a model.
NAMES = {"model": ("shade", "trend", "price", "pulse", "line", "nobody"), "label": ("stable", "x"), "version": (1, 7)}


def statuses(served: Gateway, operation: Any, mode: GenerationMode, first: int) -> set[int]:
    """The statuses of a few valid or invalid requests to an operation."""
    found: list[int] = []

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=3,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Case) -> None:
        for name, choices in NAMES.items():
            if name in case.path_parameters:
                case.path_parameters[name] = choices[(first + len(found)) % len(choices)]
        answer = case.call(base_url=served.url)
        found.append(answer.status_code)
        assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.text}"
        case.validate_response(answer, checks=AS_DESCRIBED)

    with contextlib.suppress(Unsatisfiable):  # an operation without parameters has no invalid request
        check()
    return set(found)


def test_no_request_gives_a_server_error(served: Gateway) -> None:
    """Every response has a status below 500 that the document describes."""
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 40
    good = [statuses(served, one, GenerationMode.POSITIVE, number) for number, one in enumerate(operations)]
    bad = [statuses(served, one, GenerationMode.NEGATIVE, number) for number, one in enumerate(operations)]
    assert all(good)
    assert sum(200 in found for found in good) > len(operations) / 3
    assert sum(400 in found or 404 in found for found in bad) > len(operations) / 3


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


def test_docs_load_nothing_from_other_hosts(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert page.status_code == 200
    assert "//cdn" not in page.text
    assert "https://" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/page/{name}" in page.text
        assert http.get(f"/page/{name}").status_code == 200


def test_every_body_has_an_example(http: httpx.Client) -> None:
    for path, item in http.get("/openapi.json").json()["paths"].items():
        for operation in item.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            assert not body or body.get("example") or body.get("examples"), path


async def test_the_document_is_rendered_once() -> None:
    class Counting(FastAPI):
        rendered = 0

        def openapi(self) -> dict[str, Any]:
            self.rendered += 1
            return super().openapi()

    app = Counting(openapi_url=None)
    openapi.mount(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        assert (await client.get("/openapi.json")).json() == (await client.get("/openapi.json")).json()
    assert app.rendered == 1
