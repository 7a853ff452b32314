"""The OpenAPI document: FastAPI writes its own routes' part, the hot paths' part is written here by hand."""

from typing import Any

from fastapi.routing import APIRoute

from serving.gateway import openapi_protocols

DESCRIPTION = """
Pictures in, classes or embeddings out; series in, forecasts out; tensors in and out as TensorFlow Serving's REST
interface has them. Every answer names the version that made it, in its body and in `X-Model-Version`, and the request,
in `X-Request-Id` (yours is kept if you send one). Errors are one sentence: what was wrong and what is expected.

    curl --data-binary @shoe.jpg -H 'content-type: image/jpeg' localhost:8000/v1/models/fashion_cnn:predict
    curl -F picture=@shoe.jpg -F picture=@bag.jpg localhost:8000/v1/models/fashion_cnn:predict
    curl -d '{"history": [1.0, 0.95, …], "horizon": 12}' localhost:8000/v1/models/sine_rnn:forecast
"""

_PLACES = {
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
        "the version that a label leads to",
        [{"name": "label", "in": "path", "required": True, "schema": {"type": "string"}, "example": "stable"}],
    ),
}
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}


def operation_id(route: APIRoute) -> str:
    """Clean ids for generated clients: the function's name."""
    return route.name


def with_hot_paths(schema: dict[str, Any]) -> dict[str, Any]:
    """The document with the verbs in it, by model, version and label."""
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    components |= _SCHEMAS
    schema["components"]["securitySchemes"] = _SECURITY
    schema["security"] = [{}, *({name: []} for name in _SECURITY)]
    operations = {"predict": _predict(), "embed": _embed(), "neighbours": _neighbours(), "forecast": _forecast()}
    examples = {"neighbours": "fashion_metric", "forecast": "sine_rnn"}
    for place, (suffix, which, parameters) in _PLACES.items():
        for verb, operation in operations.items():
            example = examples.get(verb, "fashion_cnn")
            schema["paths"][f"/v1/models/{{model}}{place}:{verb}"] = {
                "post": operation
                | {
                    "tags": ["inference"],
                    "operationId": f"{verb}{suffix}",
                    "description": f"{operation['description']}\n\nAsks {which}.",
                    "parameters": [_MODEL | {"example": example}, *parameters, *_HEADERS, *operation["parameters"]],
                    "responses": operation["responses"] | _ERRORS,
                }
            }
    components |= openapi_protocols.SCHEMAS
    for path, operation in openapi_protocols.OPERATIONS.items():
        parameters = [_MODEL | {"example": "fashion_cnn"}] if "{model}" in path else []
        for place, (_, _, more) in _PLACES.items():
            parameters += more if place and place in path else []
        schema["paths"][path] = {"post": operation | {"parameters": [*parameters, *_HEADERS]}}
    return schema


def _predict() -> dict[str, Any]:
    return {
        "summary": "Classes of pictures and signals, values of series and table rows, or tensors by signature",
        "description": (
            "A picture may be a photo of any size: it is brought to the model's input as the model card says. "
            "Animated pictures are refused, transparency is laid onto white, 16-bit, CMYK and palette pictures are "
            "converted, the camera's orientation is applied. An `application/x-npy` array is taken as it is. "
            "A series model gives the next value, a table model its target, a model of signals classes. "
            "A body with `instances` or `inputs` is answered as TensorFlow Serving does."
        ),
        "parameters": [_POLARITY, _TOP],
        "requestBody": _body(
            _picture_bodies(),
            {
                "picture": {"value": {"b64": "iVBORw0KGgo…"}},
                "series": {"value": {"history": [1.0, 0.95, 0.81]}},
                "table row": {"value": {"features": {"rooms": 6.5, "age": 40}}},
                "signal": {"value": {"signal": [0.0, 0.1, 0.4]}},
                "TensorFlow Serving, by row": {"value": {"instances": [[[0.0]]], "signature_name": "serving_default"}},
                "TensorFlow Serving, by column": {"value": {"inputs": {"image": [[[[0]]]]}}},
            },
            ["PictureDocument", "SeriesDocument", "TableDocument", "SignalDocument", "Instances", "Inputs"],
        ),
        "responses": _ok(
            {
                "classes": ("Classes", _CLASSES),
                "next value": ("Values", _VALUES),
                "TensorFlow Serving, by row": ("Predictions", {"predictions": [[0.01, 0.99]]}),
                "TensorFlow Serving, by column": ("Outputs", {"outputs": [[0.01, 0.99]]}),
            }
        ),
    }


def _embed() -> dict[str, Any]:
    answer = _ok({"embeddings": ("Embeddings", _EMBEDDINGS)})
    answer["200"]["content"]["application/x-npy"] = {"schema": {"type": "string", "format": "binary"}}
    return {
        "summary": "Embeddings of pictures",
        "description": "Pictures as for `:predict`. With `Accept: application/x-npy` the answer is a float32 array.",
        "parameters": [_POLARITY],
        "requestBody": _body(_picture_bodies(), {"picture": {"value": {"b64": ["iVBORw0KGgo…"]}}}, ["PictureDocument"]),
        "responses": answer,
    }


def _neighbours() -> dict[str, Any]:
    return {
        "summary": "Items similar to pictures",
        "description": (
            "Pictures as for `:predict`. For each the items whose embeddings are nearest, the nearest first; the model "
            "card's `neighbours` says what the items are and what `index` counts. `distance` is Euclidean."
        ),
        "parameters": [
            _POLARITY,
            {
                "name": "k",
                "in": "query",
                "description": "how many items for each picture",
                "schema": {"type": "integer", "minimum": 1, "default": 10},
            },
        ],
        "requestBody": _body(_picture_bodies(), {"picture": {"value": {"b64": "iVBORw0KGgo…"}}}, ["PictureDocument"]),
        "responses": _ok({"neighbours": ("Neighbours", _NEIGHBOURS)}),
    }


def _forecast() -> dict[str, Any]:
    return {
        "summary": "Forecasts of series",
        "description": (
            "A history is cropped to the newest values that the model reads (its window); a shorter one is refused. "
            "`notes` are the model card's: read them before you trust a forecast."
        ),
        "parameters": [
            {
                "name": "horizon",
                "in": "query",
                "description": "steps ahead, for bodies that do not say it themselves",
                "schema": {"type": "integer", "minimum": 1},
            }
        ],
        "requestBody": _body(
            {"application/x-npy": {"schema": {"type": "string", "format": "binary"}}},
            {"one series": {"value": {"history": [1.0, 0.95, 0.81], "horizon": 12}}},
            ["SeriesDocument"],
        ),
        "responses": _ok({"forecasts": ("Forecasts", _FORECASTS)}),
    }


def _picture_bodies() -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    files = {"type": "object", "properties": {"picture": {"type": "array", "items": binary["schema"]}}}
    types = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif", "application/x-npy")
    return {**dict.fromkeys(types, binary), "multipart/form-data": {"schema": files}}


def _body(content: dict[str, Any], examples: dict[str, Any], schemas: list[str]) -> dict[str, Any]:
    json = {"schema": {"oneOf": [_ref(name) for name in schemas]}, "examples": examples}
    return {"required": True, "content": {**content, "application/json": json}}


def _ok(answers: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    schemas = [_ref(name) for name, _ in answers.values()]
    return {
        "200": {
            "description": "The answer",
            "headers": {
                "X-Model-Version": {"schema": {"type": "integer"}, "description": "the version that answered"},
                "X-Request-Id": {"schema": {"type": "string"}},
            },
            "content": {
                "application/json": {
                    "schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas},
                    "examples": {name: {"value": example} for name, (_, example) in answers.items()},
                }
            },
        }
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _error(description: str, code: str, sentence: str) -> dict[str, Any]:
    example = {"error": sentence, "code": code, "request_id": "4f1c2a9be07d-1"}
    return {
        "description": description,
        "content": {"application/json": {"schema": _ref("Error"), "example": example}},
    }


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | (optional or {})}


_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "kept if it is 1 to 128 letters, digits or ._:/+=@-",
    "schema": {"type": "string"},
}
_TIMEOUT = {
    "name": "X-Request-Timeout",
    "in": "header",
    "description": "how long you wait: seconds above 0, or with a unit, `1.5s`, `250ms`; it only shortens the deadline",
    "schema": {"type": "string", "pattern": "^[0-9]{1,9}([.][0-9]{1,9})?(ms|s)?$"},
}
_HEADERS = (_REQUEST_ID, _TIMEOUT)
_POLARITY = {
    "name": "polarity",
    "in": "query",
    "description": "whether what is meant is light on dark or dark on light; `auto` looks at the border",
    "schema": {"type": "string", "enum": ["auto", "light_on_dark", "dark_on_light"], "default": "auto"},
}
_TOP = {
    "name": "top",
    "in": "query",
    "description": "name only so many classes, the most probable first",
    "schema": {"type": "integer", "minimum": 1},
}
_NUMBER = {"type": "number"}
_NUMBERS = {"type": "array", "items": _NUMBER}
_TEXT = {"type": "string"}
_INTEGER = {"type": "integer"}
_HEAD = {"model": _TEXT, "version": _INTEGER, "request_id": _TEXT}
_B64 = {"type": "string", "contentEncoding": "base64"}

_SCHEMAS: dict[str, Any] = {
    "PictureDocument": _object({"b64": {"oneOf": [_B64, {"type": "array", "items": _B64}]}}),
    "SeriesDocument": _object(
        {"history": {"oneOf": [_NUMBERS, {"type": "array", "items": _NUMBERS}]}},
        {"horizon": {"type": "integer", "minimum": 1, "description": "for :forecast only"}},
    ),
    "TableDocument": _object({"features": {"type": ["array", "object"], "description": "one row or several"}}),
    "SignalDocument": _object({"signal": {"type": "array", "items": {}, "description": "one signal or several"}}),
    "Instances": _object({"instances": {"type": "array", "items": {}}}, {"signature_name": _TEXT}),
    "Inputs": _object({"inputs": {}}, {"signature_name": _TEXT}),
    "Predictions": _object({"predictions": {"type": "array", "items": {}}}),
    "Outputs": _object({"outputs": {}}),
    "Classes": _object(
        _HEAD
        | {
            "predictions": {
                "type": "array",
                "items": _object(
                    {
                        "label": _TEXT,
                        "index": _INTEGER,
                        "probability": _NUMBER,
                        "probabilities": {"type": "object", "additionalProperties": _NUMBER},
                    }
                ),
            }
        }
    ),
    "Values": _object(
        _HEAD | {"predictions": {"type": "array", "items": _object({"value": _NUMBER})}, "unit": _TEXT, "step": _TEXT}
    ),
    "Embeddings": _object(_HEAD | {"embeddings": {"type": "array", "items": _NUMBERS}, "dimensions": _INTEGER}),
    "Neighbours": _object(
        _HEAD
        | {
            "neighbours": {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": _object({"index": _INTEGER, "label": _TEXT, "distance": _NUMBER}),
                },
            }
        }
    ),
    "Forecasts": _object(
        _HEAD
        | {
            "forecasts": {
                "type": "array",
                "items": _object({"mean": _NUMBERS}, {"lower": _NUMBERS, "upper": _NUMBERS}),
            },
            "horizon": _INTEGER,
            "unit": _TEXT,
            "step": _TEXT,
            "level": {"type": ["number", "null"], "description": "nominal coverage of lower…upper"},
            "notes": {"type": "array", "items": _TEXT},
        }
    ),
    "Error": _object({"error": _TEXT}, {"code": _TEXT, "request_id": _TEXT}),
}

_EXAMPLE_HEAD = {"model": "fashion_cnn", "version": 1, "request_id": "4f1c2a9be07d-1"}
_CLASSES = _EXAMPLE_HEAD | {
    "predictions": [
        {
            "label": "Sneaker",
            "index": 7,
            "probability": 0.98,
            "probabilities": {"Sneaker": 0.98, "Ankle boot": 0.02},
        }
    ]
}
_VALUES = {
    "model": "sine_rnn",
    "version": 1,
    "request_id": "4f1c2a9be07d-2",
    "predictions": [{"value": 0.588}],
    "unit": "1",
    "step": "π/10",
}
_EMBEDDINGS = _EXAMPLE_HEAD | {"embeddings": [[0.12, -0.57]], "dimensions": 2}
_NEIGHBOURS = {
    "model": "fashion_metric",
    "version": 1,
    "request_id": "4f1c2a9be07d-4",
    "neighbours": [[{"index": 7, "label": "Sneaker", "distance": 0.041}]],
}
_FORECASTS = {
    "model": "sine_rnn",
    "version": 1,
    "request_id": "4f1c2a9be07d-3",
    "forecasts": [{"mean": [0.588, 0.31], "lower": [0.55, 0.27], "upper": [0.63, 0.35]}],
    "horizon": 2,
    "unit": "1",
    "step": "π/10",
    "level": 0.9,
    "notes": [],
}
#: Where the gateway was started with keys.
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_ERRORS = {
    "400": _error("The input cannot be used", "bad_picture", "the picture is truncated or corrupt: …"),
    "401": _error("A key is needed", "unauthorized", "a key is needed: send Authorization: Bearer KEY, or …"),
    "403": _error("The key is for something else", "forbidden", "key 3f9a1c20 is for shade and predict, not for …"),
    "404": _error("No such model, version, label or verb", "unknown_model", "there is no model 'x'; there is …"),
    "408": _error("The body came too slowly", "too_late", "the body did not come whole within the deadline of 10 s; …"),
    "413": _error(
        "The body is over the limit", "too_large", "the body has 40000000 bytes; at most 32000000 are accepted"
    ),
    "415": _error(
        "Another content type", "unsupported_media_type", "content type 'application/pdf' is not read here; send …"
    ),
    "429": _error(
        "More requests than the rate; `Retry-After` says when to try again",
        "too_many_requests",
        "key 3f9a1c20 may make 10/second requests; wait 1 s",
    ),
    "502": _error("The model answered nothing valid", "bad_output", "output prediction of the model holds NaN …"),
    "503": _error(
        "Down, loading or full; `Retry-After` says when to try again",
        "overloaded",
        "model fashion_cnn has 1024 requests under way, as many as it may; try again",
    ),
    "504": _error("No answer in time", "deadline_exceeded", "no answer within the deadline of 10 s"),
}
