"""The other APIs' inference paths in the OpenAPI document.

TensorFlow Serving's examples, the Open Inference Protocol, OpenAI's embeddings and KServe's time series.
"""

from typing import Any

from serving.gateway.kinds.schemas import TEXT, object_of, ref
from serving.gateway.protocols.kserve_timeseries import ForecastRequest


def _json(schema: str, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema), "example": example}}


def _operation(
    name: str, tag: str, summary: str, request: tuple[str, Any], answer: tuple[str, Any], error: str, **more: Any
) -> dict[str, Any]:
    example = {
        "PlainError": {"error": "one sentence that says what is wrong and what is expected"},
        "OpenAIError": {
            "error": {
                "message": "one sentence that says what is wrong and what is expected",
                "type": "invalid_request_error",
                "param": None,
                "code": "bad_document",
            }
        },
    }[error]
    refused = {"description": "Refused or failed", "content": _json(error, example)}
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "requestBody": {"required": True, "content": _json(*request)},
        "responses": {"200": {"description": "The answer", "content": _json(*answer)}, "4XX": refused, "5XX": refused},
        **more,
    }


def _examples(verb: str, results: Any) -> dict[str, dict[str, Any]]:
    summary = f"{'Classes' if verb == 'classify' else 'Values'} of tf.Example messages, by a signature for examples"
    request = {"examples": [{"x": 1.5, "word": "shoe"}], "signature_name": "serving_default"}
    return {
        f"/v1/models/{{model}}{path}:{verb}": _operation(
            f"{verb}{suffix}",
            "TensorFlow Serving",
            summary,
            ("Examples", request),
            ("Results", {"results": results}),
            "PlainError",
        )
        for path, suffix in (("", ""), ("/versions/{version}", "_version"), ("/labels/{label}", "_label"))
    }


_INPUT = {"name": "image", "shape": [1, 2, 2, 1], "datatype": "UINT8", "data": [0, 255, 255, 0]}
_OUTPUT = {"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.02, 0.98]}
_INFER = (
    ("InferenceRequest", {"inputs": [_INPUT]}),
    ("InferenceResponse", {"model_name": "fashion_cnn", "model_version": "1", "outputs": [_OUTPUT]}),
    "PlainError",
)
_BINARY = (
    "With the header `Inference-Header-Content-Length` binary tensors may follow the JSON, as in Triton's binary "
    "tensor data extension; `binary_data_output` and `binary_data` request binary outputs. The parameter "
    "`signature_name` selects another signature than `serving_default`. Parameters that do not change the answer "
    "(`content_type`, `timeout`, `priority`, your own) are ignored; `classification`, shared memory and sequences are "
    "refused."
)
_INVOCATIONS = (
    "For SageMaker, Vertex AI and MLflow. The default model answers (`--default-model`). The content type decides what "
    "the body is: JSON, JSON Lines, CSV, npy, a picture or multipart. JSON has `instances` or `inputs` as with "
    "TensorFlow Serving, MLflow's `dataframe_split` or `dataframe_records`, or the keys of the native API. `params` "
    "and `parameters` may set `signature_name`."
)
_SERIES = {"type": "univariate_time_series", "name": "GOOG", "series": [1.0, 0.95, 0.81], "frequency": "day"}
_FORECAST = {"model": "stock_rnn", "inputs": [_SERIES], "options": {"horizon": 2}}

OPERATIONS: dict[str, dict[str, Any]] = {
    **_examples("classify", [[["shoe", 0.98], ["bag", 0.02]]]),
    **_examples("regress", [4.25]),
    "/v2/models/{model}/infer": _operation(
        "infer", "Open Inference Protocol", "Tensors by signature", *_INFER, description=_BINARY
    ),
    "/v2/models/{model}/versions/{version}/infer": _operation(
        "infer_version", "Open Inference Protocol", "Tensors by signature, of a version", *_INFER, description=_BINARY
    ),
    "/invocations": _operation(
        "invocations",
        "hosting platforms",
        "Predictions of the default model",
        ("Invocation", {"instances": [[6.5, 40.0]]}),
        ("Predictions", {"predictions": [24.1]}),
        "PlainError",
        description=_INVOCATIONS,
    ),
    "/v1/embeddings": _operation(
        "openai_embeddings",
        "OpenAI",
        "Embeddings of pictures as data URLs",
        ("EmbeddingsRequest", {"model": "fashion_embedding", "input": "data:image/png;base64,iVBORw0KGgo="}),
        (
            "EmbeddingsResponse",
            {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.12, -0.57]}],
                "model": "fashion_embedding",
                "usage": {"prompt_tokens": 0, "total_tokens": 0},
            },
        ),
        "OpenAIError",
    ),
    "/v1/timeseries/forecast": _operation(
        "kserve_forecast",
        "KServe time series",
        "Forecasts of series",
        ("ForecastRequest", _FORECAST),
        ("ForecastResponse", {"id": "1", "status": "completed", "model": "stock_rnn", "outputs": []}),
        "OpenAIError",
    ),
}


def _forecast_request() -> dict[str, Any]:
    schema = ForecastRequest.model_json_schema(ref_template="#/components/schemas/Forecast{model}")
    parts = {f"Forecast{name}": part for name, part in schema.pop("$defs").items()}
    return {"ForecastRequest": schema, **parts}


_TENSOR = {
    "name": TEXT,
    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    "datatype": {"type": "string", "examples": ["FP32", "UINT8", "BYTES"]},
}
_DATA = {"data": {"type": "array", "items": {}}, "parameters": {"type": "object"}}
_ERROR = object_of({"message": TEXT, "type": TEXT}, {"param": {}, "code": TEXT})

SCHEMAS: dict[str, Any] = {
    "PlainError": object_of({"error": TEXT}),
    "OpenAIError": object_of({"error": _ERROR}),
    "Examples": object_of(
        {"examples": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
        {"context": {"type": "object"}, "signature_name": TEXT},
    ),
    "Results": object_of({"results": {"type": "array", "items": {}}}),
    "InferenceRequest": object_of(
        {"inputs": {"type": "array", "minItems": 1, "items": object_of(_TENSOR, _DATA)}},
        {
            "id": TEXT,
            "model_name": {"type": ["string", "null"], "description": "the model that the path names"},
            "model_version": {
                "type": ["string", "integer", "null"],
                "description": "the version that the path names, or any if it names none",
            },
            "parameters": {"type": "object"},
            "outputs": {"type": "array", "items": object_of({"name": TEXT}, {"parameters": {"type": "object"}})},
        },
        additionalProperties=False,
    ),
    "InferenceResponse": object_of(
        {
            "model_name": TEXT,
            "model_version": TEXT,
            "outputs": {"type": "array", "items": object_of(_TENSOR, _DATA)},
        },
        {"id": TEXT},
    ),
    "Invocation": object_of(
        {},
        {
            "instances": {"type": "array", "items": {}},
            "inputs": {},
            "dataframe_split": object_of(
                {"data": {"type": "array", "items": {"type": "array", "items": {}}}},
                {"columns": {"type": "array", "items": TEXT}, "index": {"type": "array", "items": {}}},
            ),
            "dataframe_records": {"type": "array", "minItems": 1, "items": {"type": "object"}},
            "params": {"type": ["object", "null"]},
            "parameters": {"type": ["object", "null"]},
        },
    ),
    "Predictions": object_of({}, {"predictions": {}, "outputs": {}}),
    "EmbeddingsRequest": object_of(
        {"model": TEXT, "input": {"oneOf": [TEXT, {"type": "array", "items": TEXT}]}},
        {
            "encoding_format": {"type": ["string", "null"], "enum": ["float", "base64", None]},
            "user": {"type": ["string", "null"]},
        },
        additionalProperties=False,
    ),
    "EmbeddingsResponse": object_of(
        {
            "object": TEXT,
            "data": {"type": "array", "items": object_of({"index": {"type": "integer"}, "embedding": {}})},
            "model": TEXT,
            "usage": {"type": "object"},
        }
    ),
    **_forecast_request(),
    "ForecastResponse": object_of(
        {"id": TEXT, "status": TEXT, "model": TEXT, "outputs": {"type": "array", "items": {"type": "object"}}}
    ),
}
