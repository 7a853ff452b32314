"""Arrays to PredictRequest bytes, PredictResponse messages to arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.errors import BadUpstream
from serving.gateway.models.signature import Signature
from serving.tfs_api.messages import predict_pb2, tensor_pb2
from serving.tfs_api.tensors import is_float, to_array, varint

Arrays = Mapping[str, NDArray[Any]]


class Outputs(dict[str, NDArray[Any]]):
    """Outputs by name. ``clean`` is whether every number in them was seen to be finite; where it is not, look again."""

    __slots__ = ("clean",)

    def __init__(self, arrays: Arrays, clean: bool) -> None:
        super().__init__(arrays)
        self.clean = clean

    def rows(self, first: int, last: int) -> "Outputs":
        """These rows of each."""
        return Outputs({name: array[first:last] for name, array in self.items()}, self.clean)

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return size_of(self)

    def without_column(self) -> "Outputs":
        """Outputs of shape [N, 1] as [N]."""
        return Outputs(
            {name: array[:, 0] if array.shape[1:] == (1,) else array for name, array in self.items()}, self.clean
        )


def size_of(arrays: Arrays) -> int:
    """Bytes of all values."""
    size = 0
    for array in arrays.values():
        size += sum(map(len, array.flat)) if array.dtype.hasobject else array.nbytes
    return size


class RequestEncoder:
    """Encodes calls of one signature of one version.

    Rows are joined once and never copied into a message: the few fields around them are written by hand. A message
    kept and filled anew would grow with each call, since protobuf frees what a field held only with the whole message.
    """

    def __init__(self, model: str, version: int, signature: Signature) -> None:
        message = predict_pb2.PredictRequest()
        message.model_spec.name = model
        message.model_spec.version.value = version
        message.model_spec.signature_name = signature.name
        self._head: bytes = message.SerializeToString()
        self._inputs = [
            (name, spec.is_string, _field(_KEY, len(name.encode())) + name.encode(), spec.data_type)
            for name, spec in signature.inputs.items()
        ]

    def encode(self, parts: Sequence[Arrays]) -> bytes:
        """A PredictRequest whose inputs are those of the parts, one below the other. The arrays have been validated and
        differ in their first size only; a single part may have any shape."""
        pieces = [self._head]
        for name, is_string, key, data_type in self._inputs:
            arrays = [part[name] for part in parts]
            shape = arrays[0].shape
            if len(arrays) > 1:
                shape = (sum(map(len, arrays)), *shape[1:])
            tensor = tensor_pb2.TensorProto(dtype=data_type)
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


# Numbers of length-delimited fields: predict.proto's map of inputs and its entries, tensor.proto's tensor_content.
_INPUTS = 2
_KEY = 1
_VALUE = 2
_CONTENT = 4


def _field(number: int, size: int) -> bytes:
    """The tag and size that precede a length-delimited field."""
    return bytes([number << 3 | 2]) + varint(size)


class RowsDiffer(BadUpstream):
    """An output has another number of rows than were sent."""


def decode_response(response: Any, signature: Signature, rows: int | None) -> Outputs:
    """The outputs by name; where ``rows`` says how many were sent, each has been seen to have as many.

    Raises:
        BadUpstream: an output is missing, cannot be read, or (:class:`RowsDiffer`) has another number of rows.
    """
    outputs = Outputs({}, clean=True)
    for name in signature.outputs:
        if name not in response.outputs:
            raise BadUpstream(f"the model server's answer lacks output {name} of signature {signature.name}")
        try:
            array = to_array(response.outputs[name])
        except ValueError as error:
            raise BadUpstream(f"output {name} of the model server's answer cannot be read: {error}") from None
        if rows is not None and (not array.ndim or len(array) != rows):
            raise RowsDiffer(
                f"output {name} of the model server's answer has shape {list(array.shape)}; {rows} rows were sent"
            )
        outputs[name] = array
        outputs.clean = outputs.clean and (not is_float(array.dtype) or bool(np.isfinite(array).all()))
    return outputs
