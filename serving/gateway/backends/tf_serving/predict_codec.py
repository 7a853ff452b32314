"""Codec of Predict calls: arrays to PredictRequest bytes, PredictResponse messages to arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.errors import BadUpstream
from serving.gateway.models.signature import Signature
from serving.tfs_api import messages
from serving.tfs_api.string_content import varint
from serving.tfs_api.tensors import to_array


class RequestEncoder:
    """Encodes calls of one signature of one version.

    The encoder writes the few fields around the rows by hand and joins the rows once, so that no row is copied into a
    message first. A reused message would grow with each call: protobuf frees a field's memory only with the message.
    """

    def __init__(self, model: str, version: int, signature: Signature) -> None:
        message = messages.PredictRequest()
        message.model_spec.name = model
        message.model_spec.version.value = version
        message.model_spec.signature_name = signature.name
        self._head: bytes = message.SerializeToString()
        self._inputs = [
            (name, spec.is_string, _field(_KEY, len(name.encode())) + name.encode(), spec.data_type)
            for name, spec in signature.inputs.items()
        ]

    def encode(self, parts: Sequence[Arrays]) -> bytes:
        """Encode a PredictRequest with the rows of all parts, in their order.

        The arrays are valid and differ in their first dimension only. A single part may have any shape.
        """
        pieces = [self._head]
        for name, is_string, key, data_type in self._inputs:
            arrays = [part[name] for part in parts]
            shape = arrays[0].shape
            if len(arrays) > 1:
                shape = (sum(map(len, arrays)), *shape[1:])
            tensor = messages.TensorProto(dtype=data_type)
            for size in shape:
                tensor.tensor_shape.dim.add().size = size
            contents: list[Any] = []
            if is_string:
                for array in arrays:
                    tensor.string_val.extend(array.ravel().tolist())
            else:
                contents = [_bytes_of(array) for array in arrays]
            head = tensor.SerializeToString()
            if contents:
                head += _field(_CONTENT, sum(array.nbytes for array in arrays))
            size = len(head) + sum(content.nbytes for content in contents)
            value = _field(_VALUE, size)
            pieces += [_field(_INPUTS, len(key) + len(value) + size), key, value, head, *contents]
        return b"".join(pieces)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    array = np.ascontiguousarray(array)
    return array.data if array.dtype.kind != "V" else array.view(np.uint16).data  # bfloat16 is unknown to memoryview


# Length-delimited fields: the map of inputs in predict.proto and its entries, tensor_content in tensor.proto.
_INPUTS = 2
_KEY = 1
_VALUE = 2
_CONTENT = 4


def _field(number: int, size: int) -> bytes:
    """Return the tag and size of a length-delimited field."""
    return bytes([number << 3 | 2]) + varint(size)


def decode_response(response: Any, signature: Signature) -> Outputs:
    """Return the outputs of a PredictResponse by name.

    Raises:
        BadUpstream: an output is missing or cannot be read.
    """
    return Outputs.checked((name, _output(response.outputs, name, signature.name)) for name in signature.outputs)


def _output(outputs: Any, name: str, signature: str) -> NDArray[Any]:
    if name not in outputs:
        raise BadUpstream(f"the model server's response lacks output {name} of signature {signature}")
    try:
        return to_array(outputs[name])
    except ValueError as error:
        raise BadUpstream(f"output {name} of the model server's response cannot be read: {error}") from None
