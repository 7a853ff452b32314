"""The native hot paths in the OpenAPI document: ``:predict``, ``:embed``, ``:neighbours`` and ``:forecast``, and
TensorFlow Serving's form of ``:predict``, which shares its path."""

from typing import Any

from serving.gateway.api.openapi_schemas import TEXT, object_of, ref


def operations() -> dict[str, dict[str, Any]]:
    """By verb: what each says, takes and answers where all is well."""
    return {"predict": _predict(), "embed": _embed(), "neighbours": _neighbours(), "forecast": _forecast()}


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
    json = {"schema": {"oneOf": [ref(name) for name in schemas]}, "examples": examples}
    return {"required": True, "content": {**content, "application/json": json}}


def _ok(answers: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    schemas = [ref(name) for name, _ in answers.values()]
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
_INTEGER = {"type": "integer"}
_HEAD = {"model": TEXT, "version": _INTEGER, "request_id": TEXT}
_B64 = {"type": "string", "contentEncoding": "base64"}
_PICTURE_NOTES = {
    "notes": {"type": "array", "items": TEXT, "description": "about pictures, such as a file that lacks its last bytes"}
}

SCHEMAS: dict[str, Any] = {
    "PictureDocument": object_of({"b64": {"oneOf": [_B64, {"type": "array", "items": _B64}]}}),
    "SeriesDocument": object_of(
        {"history": {"oneOf": [_NUMBERS, {"type": "array", "items": _NUMBERS}]}},
        {"horizon": {"type": "integer", "minimum": 1, "description": "for :forecast only"}},
    ),
    "TableDocument": object_of({"features": {"type": ["array", "object"], "description": "one row or several"}}),
    "SignalDocument": object_of({"signal": {"type": "array", "items": {}, "description": "one signal or several"}}),
    "Instances": object_of({"instances": {"type": "array", "items": {}}}, {"signature_name": TEXT}),
    "Inputs": object_of({"inputs": {}}, {"signature_name": TEXT}),
    "Predictions": object_of({"predictions": {"type": "array", "items": {}}}),
    "Outputs": object_of({"outputs": {}}),
    "Classes": object_of(
        _HEAD
        | {
            "predictions": {
                "type": "array",
                "items": object_of(
                    {
                        "label": TEXT,
                        "index": _INTEGER,
                        "probability": _NUMBER,
                        "probabilities": {"type": "object", "additionalProperties": _NUMBER},
                    }
                ),
            }
        },
        _PICTURE_NOTES,
    ),
    "Values": object_of(
        _HEAD | {"predictions": {"type": "array", "items": object_of({"value": _NUMBER})}, "unit": TEXT, "step": TEXT}
    ),
    "Embeddings": object_of(
        _HEAD | {"embeddings": {"type": "array", "items": _NUMBERS}, "dimensions": _INTEGER}, _PICTURE_NOTES
    ),
    "Neighbours": object_of(
        _HEAD
        | {
            "neighbours": {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": object_of({"index": _INTEGER, "label": TEXT, "distance": _NUMBER}),
                },
            }
        },
        _PICTURE_NOTES,
    ),
    "Forecasts": object_of(
        _HEAD
        | {
            "forecasts": {
                "type": "array",
                "items": object_of({"mean": _NUMBERS}, {"lower": _NUMBERS, "upper": _NUMBERS}),
            },
            "horizon": _INTEGER,
            "unit": TEXT,
            "step": TEXT,
            "level": {"type": ["number", "null"], "description": "nominal coverage of lower…upper"},
            "notes": {"type": "array", "items": TEXT},
        }
    ),
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
