"""Requests with ``tf.Example`` messages: TensorFlow Serving's ``:classify`` and ``:regress``.

Source: tensorflow_serving/util/json_tensor.cc (MakeExampleFromJsonObject). A feature is one value or a list of values
of one type: whole numbers (also true and false), fractions, or text and ``{"b64": "…"}``.
"""

from typing import Any

from serving.gateway.backends.base import ExampleBatch
from serving.gateway.codecs.tf_serving_json import named_signature
from serving.gateway.errors import BadDocument, BadTensor, listed
from serving.gateway.http.memory_budget import Reservation
from serving.tfs_api.rest_json.errors import BadBase64, RestJsonError, json_type
from serving.tfs_api.rest_json.examples import example

_KEYS = frozenset({"signature_name", "context", "examples"})
_FEATURE_BYTES = 256  # a feature in protobuf's memory, without its values
_MEMORY_PER_BYTE = 8  # of an encoded example: the values, and the message when it is sent


def signature_name(keys: dict[str, Any]) -> str:
    """Return the signature that a request names, or the default one.

    Raises:
        BadDocument: the name is not a string, the examples are missing, or a key is unknown.
    """
    unknown = keys.keys() - _KEYS
    if unknown or "examples" not in keys:
        raise BadDocument(
            'a request has "examples", and optionally "context" and "signature_name"; '
            f"the keys sent are: {listed(keys)}"
        )
    return named_signature(keys)


def read(keys: dict[str, Any], max_rows: int, memory: Reservation) -> list[ExampleBatch]:
    """Return the examples of a request in parts of at most ``max_rows``; memory for them stays reserved.

    Raises:
        Overloaded, TooLarge: the memory budget does not allow it.
        BadDocument: the structure is wrong. BadTensor: a feature's values are wrong, or the list is empty.
    """
    examples = keys["examples"]
    if not isinstance(examples, list):
        raise BadDocument(f"'examples' must be a list, not {json_type(examples)}")
    if not examples:
        raise BadTensor("'examples' is empty; send at least one example")
    context = b""
    if "context" in keys:
        _hold_features(memory, [keys["context"]])
        context = _encoded(keys["context"], "the context")
        memory.hold(_MEMORY_PER_BYTE * len(context) * -(-len(examples) // max_rows))  # each part sends a copy
    parts = []
    for first in range(0, len(examples), max_rows):
        part = examples[first : first + max_rows]
        _hold_features(memory, part)
        encoded = [_encoded(example, f"example {number}") for number, example in enumerate(part, first)]
        memory.hold(_MEMORY_PER_BYTE * sum(map(len, encoded)))
        parts.append(ExampleBatch(encoded, context))
    return parts


def _hold_features(memory: Reservation, examples: list[Any]) -> None:
    memory.hold(_FEATURE_BYTES * sum(1 + len(one) for one in examples if isinstance(one, dict)))


def _encoded(value: Any, which: str) -> bytes:
    if not isinstance(value, dict):
        raise BadDocument(f"{which} must be an object of features by name, not {json_type(value)}")
    try:
        return example(value, finite=True)
    except BadBase64 as error:
        raise BadDocument(f"{which}: {error}") from None
    except RestJsonError as error:
        raise BadTensor(f"{which}: {error}") from None
