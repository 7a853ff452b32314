"""Request messages of TensorFlow Serving's API as arrays and serialized tf.Examples."""

from collections.abc import Mapping
from typing import Any

from serving.model_server.errors import invalid_argument
from serving.tfs_api import tensors
from serving.tfs_api.tensors import Array


def input_arrays(protos: Mapping[str, Any]) -> dict[str, Array]:
    """Return the arrays of TensorProtos by alias.

    Raises:
        ServingError: INVALID_ARGUMENT for a tensor that is damaged or has a type that is not served.
    """
    arrays: dict[str, Array] = {}
    for alias in sorted(protos):
        try:
            arrays[alias] = tensors.to_array(protos[alias])
        except ValueError:
            raise invalid_argument(f"tensor parsing error: {alias}") from None
    return arrays


def serialized_examples(message: Any) -> list[bytes]:
    """Return the serialized tf.Examples of an Input. A context goes before each example, which merges the two."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return []
    context = b"" if kind == "example_list" else message.example_list_with_context.context.SerializeToString()
    return [context + example.SerializeToString() for example in getattr(message, kind).examples]
