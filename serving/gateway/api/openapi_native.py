"""The native verbs in the OpenAPI document, and TensorFlow Serving's ``:predict``, which shares its path.

Each kind of model contributes its bodies, options and examples (:class:`OperationDocs`).
"""

from collections.abc import Sequence
from typing import Any

from serving.gateway.kinds.base import Kind, Operation
from serving.gateway.kinds.schemas import INTEGER, TEXT, array_of, object_of, ref

_SUMMARIES = {
    "predict": "Classes of pictures and signals, values of series and table rows, or tensors by signature",
    "embed": "Embeddings of pictures",
    "neighbours": "Items similar to pictures",
    "explain": "What the class of a picture depends on",
    "forecast": "Forecasts of series",
}
_HEAD = {"model": TEXT, "version": INTEGER, "request_id": TEXT}
_EXAMPLE_HEAD = {"model": "MODEL", "version": 1, "request_id": "4f1c2a9be07d-1"}
_TENSOR_REQUESTS: dict[str, tuple[dict[str, Any], Any]] = {
    "Instances": (
        object_of({"instances": array_of({})}, {"signature_name": TEXT}),
        {"instances": [[[0.0]]], "signature_name": "serving_default"},
    ),
    "Inputs": (object_of({"inputs": {}}, {"signature_name": TEXT}), {"inputs": {"image": [[[[0]]]]}}),
}
_TENSOR_RESPONSES: dict[str, tuple[dict[str, Any], Any]] = {
    "Predictions": (object_of({"predictions": array_of({})}), {"predictions": [[0.01, 0.99]]}),
    "Outputs": (object_of({"outputs": {}}), {"outputs": [[0.01, 0.99]]}),
}


def schemas(kinds: Sequence[Kind]) -> dict[str, Any]:
    """Return the schemas of requests and responses by name."""
    found = {name: schema for name, (schema, _) in (_TENSOR_REQUESTS | _TENSOR_RESPONSES).items()}
    for kind in kinds:
        for operation in kind.operations.values():
            request, response = operation.docs.request, operation.docs.response
            found[request[0]] = request[1]
            found[response[0]] = response[1] | {
                "required": [*_HEAD, *response[1]["required"]],
                "properties": _HEAD | response[1]["properties"],
            }
    return found


def operations(kinds: Sequence[Kind]) -> dict[str, dict[str, Any]]:
    """Return the OpenAPI operation of each native verb."""
    by_verb: dict[str, dict[str, Operation]] = {}
    for kind in kinds:
        for verb, operation in kind.operations.items():
            by_verb.setdefault(verb, {})[kind.name] = operation
    return {verb: _operation(verb, by_kind) for verb, by_kind in by_verb.items()}


def _operation(verb: str, by_kind: dict[str, Operation]) -> dict[str, Any]:
    docs = {kind: operation.docs for kind, operation in by_kind.items()}
    requests = {one.request[0]: None for one in docs.values()}
    responses = {one.response[0]: None for one in docs.values()}
    request_examples = {kind: {"value": one.request[2]} for kind, one in docs.items()}
    response_examples = {kind: {"value": _EXAMPLE_HEAD | one.response[2]} for kind, one in docs.items()}
    description = " ".join(dict.fromkeys(one.description for one in docs.values()))
    if verb == "predict":
        description += " TensorFlow Serving's `instances` and `inputs` are answered as TensorFlow Serving does."
        requests |= dict.fromkeys(_TENSOR_REQUESTS)
        responses |= dict.fromkeys(_TENSOR_RESPONSES)
        request_examples |= {name: {"value": example} for name, (_, example) in _TENSOR_REQUESTS.items()}
        response_examples |= {name: {"value": example} for name, (_, example) in _TENSOR_RESPONSES.items()}
    media_types: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for one in docs.values():
        media_types |= one.media_types
        parameters |= {parameter["name"]: parameter for parameter in one.parameters}
    content = {
        "application/json": {"schema": _one_of(list(responses)), "examples": response_examples},
    }
    if any(operation.npy_output for operation in by_kind.values()):
        content["application/x-npy"] = {"schema": {"type": "string", "format": "binary"}}
    return {
        "summary": _SUMMARIES.get(verb, f":{verb}"),
        "description": description,
        "parameters": list(parameters.values()),
        "requestBody": {
            "required": True,
            "content": {
                **media_types,
                "application/json": {"schema": _one_of(list(requests)), "examples": request_examples},
            },
        },
        "responses": {
            "200": {
                "description": "The answer",
                "headers": {
                    "X-Model-Version": {"schema": INTEGER, "description": "the version that answered"},
                    "X-Request-Id": {"schema": TEXT},
                },
                "content": content,
            }
        },
    }


def _one_of(names: list[str]) -> dict[str, Any]:
    return ref(names[0]) if len(names) == 1 else {"oneOf": [ref(name) for name in names]}
