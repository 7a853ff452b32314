"""The OpenAPI document: FastAPI's own routes, and the inference paths, described by hand."""

import functools
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute

from serving.gateway.api import openapi_native, openapi_protocols
from serving.gateway.kinds.base import Kind
from serving.gateway.kinds.schemas import TEXT, object_of, ref

DESCRIPTION = """
Send pictures for classes or embeddings, series for forecasts, or tensors as with TensorFlow Serving's REST API. Every
answer names the version that made it, in its body and in `X-Model-Version`, and the request, in `X-Request-Id` (yours
is kept if you send one). An error is one sentence that says what is wrong and what is expected.

    curl --data-binary @shoe.jpg -H 'content-type: image/jpeg' localhost:8000/v1/models/clothing_photos:predict
    curl -F picture=@shoe.jpg -F picture=@dress.jpg localhost:8000/v1/models/clothing_photos:predict
    curl -d '{"history": [1.0, 0.95, …], "horizon": 12}' localhost:8000/v1/models/sine_rnn:forecast

`clothing_photos` is for photographs; the Fashion-MNIST models (`fashion_…`) are for catalogue pictures of 28×28 pixels.
"""

_VERSION_CHOICES = {
    "": ("", "the version that answers by default: the label `stable`, or the newest available one", []),
    "/versions/{version}": (
        "_version",
        "one version",
        [
            {
                "name": "version",
                "in": "path",
                "required": True,
                "schema": {"type": "integer", "minimum": 0},
                "example": 1,
            }
        ],
    ),
    "/labels/{label}": (
        "_label",
        "the version of a label",
        [{"name": "label", "in": "path", "required": True, "schema": {"type": "string"}, "example": "stable"}],
    ),
}
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}


def operation_id(route: APIRoute) -> str:
    """Return the function's name, a clean operation id for generated clients."""
    return route.name


def mount(app: FastAPI) -> None:
    """Add ``/openapi.json``, which is rendered once."""

    @functools.cache
    def rendered() -> bytes:
        return orjson.dumps(app.openapi())

    async def send() -> Response:
        return Response(rendered(), media_type="application/json")

    app.add_api_route("/openapi.json", send, include_in_schema=False, response_class=Response)


def with_inference(schema: dict[str, Any], kinds: Sequence[Kind]) -> dict[str, Any]:
    """Add the inference paths to FastAPI's document, and replace FastAPI's errors by the gateway's."""
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    for item in schema["paths"].values():
        for operation in item.values():
            operation["responses"].pop("422", None)
            operation["responses"] |= _REFUSALS
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    components |= openapi_native.schemas(kinds)
    components["Error"] = object_of({"error": TEXT}, {"code": TEXT, "request_id": TEXT})
    schema["components"]["securitySchemes"] = _SECURITY
    schema["security"] = [{}, *({name: []} for name in _SECURITY)]
    examples = {"neighbours": "fashion_metric", "forecast": "sine_rnn"}
    for path, (suffix, which, parameters) in _VERSION_CHOICES.items():
        for verb, operation in openapi_native.operations(kinds).items():
            example = examples.get(verb, "fashion_cnn")
            schema["paths"][f"/v1/models/{{model}}{path}:{verb}"] = {
                "post": operation
                | {
                    "tags": ["inference"],
                    "operationId": f"{verb}{suffix}",
                    "description": f"{operation['description']}\n\nAnswered by {which}.",
                    "parameters": [_MODEL | {"example": example}, *parameters, *_HEADERS, *operation["parameters"]],
                    "responses": operation["responses"] | _ERRORS,
                }
            }
    components |= openapi_protocols.SCHEMAS
    for path, operation in openapi_protocols.OPERATIONS.items():
        parameters = [_MODEL | {"example": "fashion_cnn"}] if "{model}" in path else []
        for part, (_, _, more) in _VERSION_CHOICES.items():
            parameters += more if part and part in path else []
        schema["paths"][path] = {"post": operation | {"parameters": [*parameters, *_HEADERS]}}
    return schema


def _error(description: str, code: str, sentence: str) -> dict[str, Any]:
    example = {"error": sentence, "code": code, "request_id": "4f1c2a9be07d-1"}
    return {
        "description": description,
        "content": {"application/json": {"schema": ref("Error"), "example": example}},
    }


_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "kept if it is 1 to 128 letters, digits or ._:/+=@-",
    "schema": {"type": "string"},
}
_TIMEOUT = {
    "name": "X-Request-Timeout",
    "in": "header",
    "description": "how long you wait, such as `1.5`, `1.5s` or `250ms`; it only shortens the deadline",
    "schema": {"type": "string", "pattern": "^[0-9]{1,9}([.][0-9]{1,9})?(ms|s)?$"},
}
_HEADERS = (_REQUEST_ID, _TIMEOUT)
#: For gateways with keys.
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_ERRORS = {
    "400": _error(
        "The input is wrong, or there is no such label", "bad_picture", "the picture is truncated or corrupt: …"
    ),
    "401": _error("A key is needed", "unauthorized", "a key is needed: send Authorization: Bearer KEY, or …"),
    "403": _error("The key is for something else", "forbidden", "key 3f9a1c20 is for shade and predict, not for …"),
    "404": _error("No such model, version or verb", "unknown_model", "there is no model 'x'; there is …"),
    "408": _error(
        "The body arrived too slowly", "too_late", "the request body was not received within the deadline of 10 s; …"
    ),
    "413": _error(
        "The body or the memory it needs is over the limit",
        "too_large",
        "the body has 40000000 bytes; at most 32000000 are accepted",
    ),
    "415": _error(
        "Unsupported content type", "unsupported_media_type", "content type 'application/pdf' is not supported; send …"
    ),
    "429": _error(
        "Rate limit reached; `Retry-After` says when to try again",
        "too_many_requests",
        "key 3f9a1c20 may make 10/second requests; wait 1 s",
    ),
    "502": _error(
        "The model's answer is invalid or too large", "bad_output", "output prediction of the model holds NaN …"
    ),
    "503": _error(
        "Down, loading or overloaded; `Retry-After` says when to try again",
        "overloaded",
        "model fashion_cnn has 1024 requests in flight, its limit; try again",
    ),
    "504": _error("No answer in time", "deadline_exceeded", "no answer within the deadline of 10 s"),
}
#: Errors of the routes that are not inference.
_REFUSALS = {
    "4XX": _error("Unknown, or not for this key", "unknown_model", "there is no model 'x'; there is …"),
    "5XX": _error("The model server does not answer", "unavailable", "the state of model fashion_cnn is not known: …"),
}
