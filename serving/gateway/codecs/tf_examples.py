"""``tf.Example`` messages from TensorFlow Serving's REST form of ``:classify`` and ``:regress``.

Source: tensorflow_serving/util/json_tensor.cc (MakeExampleFromJsonObject). A feature is one value or a list of values
of one kind: whole numbers (true and false count as such), numbers with a fraction, or text and ``{"b64": "…"}``.
"""

from typing import Any

import numpy as np

from serving.gateway.backends.base import Examples
from serving.gateway.codecs import base64
from serving.gateway.errors import BadDocument, BadTensor, listed
from serving.gateway.http.memory_budget import Reservation
from serving.tfs_api import messages

_KEYS = frozenset({"signature_name", "context", "examples"})
_FEATURE_BYTES = 256  # of a feature in protobuf's memory, without its values
_TIMES = 8  # as much memory as in the encoded form: the values, and the message when it is sent
_LARGEST = float(np.finfo(np.float32).max)


def signature_name(keys: dict[str, Any]) -> str:
    """The signature that a request names, or the default one.

    Raises:
        BadDocument: it is no string, there are no examples, or a key is unknown.
    """
    unknown = keys.keys() - _KEYS
    if unknown or "examples" not in keys:
        raise BadDocument(
            'a request has "examples", and optionally "context" and "signature_name"; '
            f"the keys sent are: {listed(keys)}"
        )
    name = keys.get("signature_name", "serving_default")
    if not isinstance(name, str):
        raise BadDocument("'signature_name' key must be a string value.")
    return name or "serving_default"


def read(keys: dict[str, Any], max_rows: int, memory: Reservation) -> list[Examples]:
    """The examples of a request, in parts of at most ``max_rows``.

    They stay reserved in ``memory``.

    Raises:
        Overloaded, TooLarge: the memory budget does not allow it.
        BadDocument: the structure is wrong. BadTensor: a feature's values are, or there are no examples.
    """
    examples = keys["examples"]
    if not isinstance(examples, list):
        raise BadDocument(f"'examples' must be a list, not {base64.kind(examples)}")
    if not examples:
        raise BadTensor("'examples' is empty; at least one example is expected")
    context = b""
    if "context" in keys:
        _hold_features(memory, [keys["context"]])
        context = _encoded(keys["context"], "the context")
        memory.hold(_TIMES * len(context) * -(-len(examples) // max_rows))  # each part sends a copy
    parts = []
    for first in range(0, len(examples), max_rows):
        part = examples[first : first + max_rows]
        _hold_features(memory, part)
        encoded = [_encoded(example, f"example {number}") for number, example in enumerate(part, first)]
        memory.hold(_TIMES * sum(map(len, encoded)))
        parts.append(Examples(encoded, context))
    return parts


def _hold_features(memory: Reservation, examples: list[Any]) -> None:
    memory.hold(_FEATURE_BYTES * sum(1 + len(one) for one in examples if isinstance(one, dict)))


def _encoded(example: Any, which: str) -> bytes:
    if not isinstance(example, dict):
        raise BadDocument(f"{which} must be an object of features by name, not {base64.kind(example)}")
    message = messages.ExampleListWithContext().context
    message.features.SetInParent()
    for name, value in example.items():
        _feature(message.features.feature[name], value if isinstance(value, list) else [value], f"{which}: {name}")
    encoded: bytes = message.SerializeToString()
    return encoded


def _feature(message: Any, values: list[Any], which: str) -> None:
    kinds = {_kind(value, which) for value in values}
    if len(kinds) > 1:
        raise BadTensor(f"{which} mixes {listed(sorted(kinds))}; all values of a feature must be of one kind")
    match next(iter(kinds), None):
        case "whole numbers":
            if not all(-(2**63) <= value < 2**63 for value in values):
                raise BadTensor(f"{which} holds a whole number that does not fit 64 bits")
            message.int64_list.value.extend(map(int, values))
        case "numbers with a fraction":
            if not all(abs(value) <= _LARGEST for value in values):
                raise BadTensor(f"{which} holds a number that is not finite, or too large for float32")
            message.float_list.value.extend(values)
        case "text":
            message.bytes_list.value.extend(
                base64.decode(value["b64"]) if isinstance(value, dict) else value.encode("utf-8") for value in values
            )


def _kind(value: Any, which: str) -> str:
    if isinstance(value, int):
        return "whole numbers"
    if isinstance(value, float):
        return "numbers with a fraction"
    if isinstance(value, str) or base64.is_bytes(value):
        return "text"
    raise BadTensor(f'{which} must hold numbers, text or {{"b64": "…"}}, but {base64.kind(value)} is in it')
