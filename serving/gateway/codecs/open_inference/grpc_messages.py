"""Requests and responses of the Open Inference Protocol over gRPC: ModelInferRequest and ModelInferResponse.

A request becomes the object that its JSON form has (``request.py``), with arrays or bytes as data, so that both
are checked by the same code. Raw tensors are not copied.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from serving.gateway.backends.base import Outputs
from serving.gateway.codecs.open_inference.tensor_types import DATATYPES, MAX_STRINGS, is_half, to_bytes
from serving.gateway.errors import BadDocument, BadUpstream, TooLarge
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.inference.predictor import PredictResult
from serving.gateway.oip_grpc import messages
from serving.tfs_api import wire_format

#: Field of InferTensorContents and type of its values, by datatype. The others have raw contents only.
_CONTENTS: dict[str, tuple[str, Any]] = {
    "BOOL": ("bool_contents", np.bool_),
    "INT8": ("int_contents", np.int32),
    "INT16": ("int_contents", np.int32),
    "INT32": ("int_contents", np.int32),
    "INT64": ("int64_contents", np.int64),
    "UINT8": ("uint_contents", np.uint32),
    "UINT16": ("uint_contents", np.uint32),
    "UINT32": ("uint_contents", np.uint32),
    "UINT64": ("uint64_contents", np.uint64),
    "FP32": ("fp32_contents", np.float32),
    "FP64": ("fp64_contents", np.float64),
    "BYTES": ("bytes_contents", np.object_),
}
_RAW_CONTENTS = 7  # number of ModelInferRequest.raw_input_contents
_MAX_FIELDS = 4096  # inputs, outputs, parameters and raw tensors of a request
_DECODED_FACTOR = 32  # memory of the decoded fields: an empty string takes 2 bytes in a message
_ENCODED_BYTES = 48  # memory of a value in a response: Python's object, the message's field, and its encoded form
_PIECE = 100_000  # values that are converted while other threads wait


def decode(body: bytes, memory: Reservation) -> dict[str, Any]:
    """Return the object of a serialized ModelInferRequest.

    Raises:
        BadDocument: it is no such message, or an input has contents of another type or twice. TooLarge: too many
            fields, strings, or bytes when it is decoded. Overloaded: the memory budget is used up.
    """
    try:
        rest, raw = _split(body)
        memory.hold(len(rest) * _DECODED_FACTOR)
        message = messages.ModelInferRequest.FromString(rest)
    except (wire_format.Malformed, DecodeError):
        raise BadDocument("the request is not a message of type inference.ModelInferRequest") from None
    if raw and len(raw) != len(message.inputs):
        raise BadDocument(
            f"the request has {len(raw)} raw_input_contents for {len(message.inputs)} inputs; send one for each"
        )
    parameters = _parameters(message.parameters)
    if raw:
        parameters.setdefault("binary_data_output", True)
    return {
        "id": message.id,
        "model_name": message.model_name,
        "model_version": message.model_version,
        "parameters": parameters,
        "inputs": [
            {
                "name": one.name,
                "datatype": one.datatype,
                "shape": list(one.shape),
                "parameters": _parameters(one.parameters),
                "data": _data(one, raw[index] if raw else None, memory),
            }
            for index, one in enumerate(message.inputs)
        ],
        "outputs": [{"name": one.name, "parameters": _parameters(one.parameters)} for one in message.outputs],
    }


def cost(outputs: Outputs, selected: Mapping[str, bool]) -> int:
    """Estimate the memory, in bytes, that writing the outputs takes besides their values."""
    return 0 if _is_raw(outputs, selected) else _ENCODED_BYTES * sum(outputs[name].size for name in selected)


def answer(result: PredictResult, identity: str | None, outputs: Mapping[str, bool]) -> bytes:
    """Return a serialized ModelInferResponse.

    It has raw contents if one output is to be binary or has no other form, because they are for all outputs or none.
    """
    response = messages.ModelInferResponse(
        model_name=result.version.model, model_version=str(result.version.version), id=identity or ""
    )
    raw = _is_raw(result.outputs, outputs)
    for name in outputs:
        array = result.outputs[name]
        datatype = DATATYPES.get(result.call.signature.outputs[name].data_type)
        if datatype is None:
            raise BadUpstream(f"output {name} has a type that this protocol lacks")
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            response.raw_output_contents.append(to_bytes(array))
            continue
        values, flat = getattr(tensor.contents, _CONTENTS[datatype][0]), array.ravel()
        for first in range(0, flat.size, _PIECE):
            values.extend(flat[first : first + _PIECE].tolist())
    return bytes(response.SerializeToString())


def _split(body: bytes) -> tuple[bytes, list[memoryview]]:
    """Return the message without its raw tensors, and these."""
    view = memoryview(body)
    rest: list[memoryview] = []
    raw: list[memoryview] = []
    for count, (number, start, value, end) in enumerate(wire_format.fields(body)):
        if count == _MAX_FIELDS:
            raise TooLarge(f"the request has more than {_MAX_FIELDS} inputs, outputs and parameters; send fewer")
        if number == _RAW_CONTENTS:
            raw.append(view[value:end])
        else:
            rest.append(view[start:end])
    return b"".join(rest), raw


def _data(tensor: Any, raw: memoryview | None, memory: Reservation) -> memoryview | NDArray[Any]:
    """Return the values of an input, flat; none if it has none."""
    sent = [field.name for field, _ in tensor.contents.ListFields()]
    if raw is not None:
        if sent:
            raise BadDocument(f"input {tensor.name} has {sent[0]} and raw_input_contents; send one of them")
        return raw
    name, dtype = _CONTENTS.get(tensor.datatype, ("raw_input_contents", np.float32))
    if sent not in ([], [name]):
        raise BadDocument(f"input {tensor.name} of datatype {tensor.datatype!r} takes {name}, not {', '.join(sent)}")
    values = getattr(tensor.contents, name) if sent else ()
    if dtype is np.object_ and len(values) > MAX_STRINGS:
        raise TooLarge(f"input {tensor.name} has {len(values)} strings; at most {MAX_STRINGS} are accepted")
    array = np.empty(len(values), dtype)
    for first in range(0, len(values), _PIECE):
        memory.check()
        array[first : first + _PIECE] = values[first : first + _PIECE]
    return array


def _is_raw(outputs: Outputs, selected: Mapping[str, bool]) -> bool:
    return any(selected.values()) or any(is_half(outputs[name].dtype) for name in selected)


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of parameters; None for one without a value."""
    kinds = {name: one.WhichOneof("parameter_choice") for name, one in parameters.items()}
    return {name: getattr(parameters[name], kind) if kind else None for name, kind in kinds.items()}
