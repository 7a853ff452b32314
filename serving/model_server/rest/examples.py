"""tf.Examples in JSON and the results of Classify and Regress.

Source: tensorflow_serving/util/json_tensor.cc, for the checks and their messages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.model_server.errors import invalid_argument
from serving.model_server.rest import rapidjson
from serving.model_server.rest.tensors import (
    format_error,
    from_base64,
    is_bytes,
    is_text,
    json_type,
    loses_precision,
    lossy_error,
    to_bytes,
)
from serving.tfs_api import messages


def fill(document: Mapping[str, Any], message: Any) -> None:
    """Put the examples, and the context if there is one, of a request's body into an Input.

    Raises:
        INVALID_ARGUMENT: there are none, or a value cannot be a feature's.
    """
    listed = message.example_list
    if "context" in document:
        listed = message.example_list_with_context
        listed.context.SetInParent()
        _example(document["context"], listed.context)
    if "examples" not in document:
        raise format_error(document, "When method is classify, key 'examples' is expected and was not found")
    if not isinstance(document["examples"], list):
        raise format_error(document, "Expecting 'examples' value to be an list/array")
    if not document["examples"]:
        raise format_error(document, "'examples' value is an empty array")
    for example in document["examples"]:
        _example(example, listed.examples.add())


def classifications(results: Sequence[Sequence[tuple[str, float]]]) -> bytes:
    """The answer of ``:classify``: label and score of each class, for each example."""
    if not results:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for classes in results:
        scores = rapidjson.decimals(np.array([score for _, score in classes], np.float32))
        pairs = zip((rapidjson.string(label) for label, _ in classes), scores, strict=True)
        rows.append(f"[{', '.join(f'[{label}, {score}]' for label, score in pairs)}]")
    return _document(f"[{', '.join(rows)}\n    ]")


def regressions(results: Sequence[float]) -> bytes:
    """The answer of ``:regress``: a number for each example."""
    if not results:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    values = rapidjson.decimals(np.array(results, np.float32))
    return _document(f"[{', '.join(values)}]")


def _example(value: Any, example: Any) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {json_type(value)}")
    example.features.SetInParent()
    for name, content in value.items():
        if not is_text(name):
            raise invalid_argument(f"Feature: {name} is not UTF-8")
        feature = example.features.feature[name]
        for item in content if isinstance(content, list) else [content]:
            _add(item, name, feature)


def _add(value: Any, name: str, feature: Any) -> None:
    if isinstance(value, bool):
        _values(feature, name, "int64_list").append(int(value))
    elif isinstance(value, str):
        _values(feature, name, "bytes_list").append(to_bytes(value))
    elif is_bytes(value):
        _values(feature, name, "bytes_list").append(from_base64(value))
    elif isinstance(value, float):
        values = _values(feature, name, "float_list")
        if loses_precision(value, messages.DT_FLOAT):
            raise lossy_error(value, "float")
        values.append(value)
    elif isinstance(value, int):
        values = _values(feature, name, "int64_list")
        if value >= 2**63:
            raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
        values.append(value)
    else:
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")


def _values(feature: Any, name: str, kind: str) -> Any:
    """The list that values of this kind go to, if the values before were of it too."""
    before = feature.WhichOneof("kind")
    if before not in (None, kind):
        raise invalid_argument(
            f"Unexpected element type in feature: {name} expecting type: {before.removesuffix('_list')}"
        )
    return getattr(feature, kind).value


def _document(text: str) -> bytes:
    return rapidjson.lines("{}", [f'"results": {text}'], 0).encode()
