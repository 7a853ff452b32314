"""PredictRequest messages, made once for each signature and only filled for each call; PredictResponse to arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.errors import BadUpstream
from serving.gateway.signature import Signature
from serving.protos import predict_pb2
from serving.tensors import to_array

Arrays = Mapping[str, NDArray[Any]]


class RequestEncoder:
    """Encodes calls of one signature of one version. Not to be shared by threads."""

    def __init__(self, model: str, version: int, signature: Signature) -> None:
        self._message = predict_pb2.PredictRequest()
        self._message.model_spec.name = model
        self._message.model_spec.version.value = version
        self._message.model_spec.signature_name = signature.name
        self._tensors = []
        for name, spec in signature.inputs.items():
            tensor = self._message.inputs[name]
            tensor.dtype = spec.data_type
            self._tensors.append((name, spec.is_string, tensor))

    def encode(self, parts: Sequence[Arrays]) -> bytes:
        """A request whose inputs are those of the parts, one below the other. The arrays have been validated and
        differ in their first size only; a single part may have any shape."""
        for name, is_string, tensor in self._tensors:
            arrays = [part[name] for part in parts]
            shape = arrays[0].shape
            if len(arrays) > 1:
                shape = (sum(map(len, arrays)), *shape[1:])
            dims = tensor.tensor_shape.dim
            if len(dims) != len(shape):
                del dims[:]
                for _ in shape:
                    dims.add()
            for dim, size in zip(dims, shape, strict=True):
                dim.size = size
            if is_string:
                del tensor.string_val[:]
                for array in arrays:
                    tensor.string_val.extend(array.ravel().tolist())
            else:
                tensor.tensor_content = b"".join([np.ascontiguousarray(array).data for array in arrays])
        encoded: bytes = self._message.SerializeToString()
        return encoded


def decode_response(response: Any, signature: Signature, rows: int) -> dict[str, NDArray[Any]]:
    """The outputs by name; where the signature has rows, each has been seen to have as many as were sent.

    Raises:
        BadUpstream: an output is missing, cannot be read, or has another number of rows.
    """
    outputs: dict[str, NDArray[Any]] = {}
    for name in signature.outputs:
        if name not in response.outputs:
            raise BadUpstream(f"the model server's answer lacks output {name} of signature {signature.name}")
        try:
            array = to_array(response.outputs[name])
        except ValueError as error:
            raise BadUpstream(f"output {name} of the model server's answer cannot be read: {error}") from None
        if signature.batched and (not array.ndim or len(array) != rows):
            raise BadUpstream(
                f"output {name} of the model server's answer has shape {list(array.shape)}; {rows} rows were sent"
            )
        outputs[name] = array
    return outputs
