"""``tf.Example`` messages of ``:classify`` and ``:regress`` requests.

An example is an object of features. A feature is one value or a list of values of one kind: whole numbers (true and
false are 1 and 0), numbers with a fraction, or text and ``{"b64": "…"}``.
"""

import math
from typing import Any

import numpy as np

from serving.tfs_api import messages
from serving.tfs_api.rest_json import base64
from serving.tfs_api.rest_json.errors import BadExample, json_type

_LARGEST = float(np.finfo(np.float32).max)
_KINDS = {"int64_list": "whole numbers", "float_list": "numbers with a fraction", "bytes_list": "text"}


def example(value: Any, *, finite: bool = False) -> bytes:
    """Return the serialized ``tf.Example`` of a JSON object; ``finite`` refuses NaN and infinity.

    Raises:
        BadExample: the value is not an object, or a feature's values are not of one kind or too large.
        BadBase64: see :func:`base64.decode`.
    """
    if not isinstance(value, dict):
        raise BadExample(f"an example must be an object of features by name, not {json_type(value)}")
    message = messages.Example()
    message.features.SetInParent()
    for name, content in value.items():
        _fill(message.features.feature[name], name, content if isinstance(content, list) else [content], finite)
    return message.SerializeToString()


def _fill(feature: messages.Feature, name: str, values: list[Any], finite: bool) -> None:
    fields = {_field(value, name) for value in values}
    if len(fields) > 1:
        mixed = " and ".join(sorted(_KINDS[field] for field in fields))
        raise BadExample(f"{name} mixes {mixed}; all values of a feature must be of one kind")
    match next(iter(fields), None):
        case "int64_list":
            if not all(-(2**63) <= value < 2**63 for value in values):
                raise BadExample(f"{name} holds a whole number that does not fit 64 bits")
            feature.int64_list.value.extend(map(int, values))
        case "float_list":
            if not all(abs(value) <= _LARGEST or not (finite or math.isfinite(value)) for value in values):
                raise BadExample(f"{name} holds a number that is not finite, or too large for float32")
            feature.float_list.value.extend(values)
        case "bytes_list":
            feature.bytes_list.value.extend(
                base64.decode(value["b64"]) if isinstance(value, dict) else value.encode("utf-8") for value in values
            )


def _field(value: Any, name: str) -> str:
    if isinstance(value, int):
        return "int64_list"
    if isinstance(value, float):
        return "float_list"
    if isinstance(value, str) or base64.is_bytes(value):
        return "bytes_list"
    raise BadExample(f'{name} must hold numbers, text or {{"b64": "…"}}, but {json_type(value)} is in it')
