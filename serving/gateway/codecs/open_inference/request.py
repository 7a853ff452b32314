"""Requests of the Open Inference Protocol v2: a JSON object, followed by binary tensors.

``grpc_messages.py`` converts requests over gRPC to the same object, whose ``data`` then are arrays or bytes.

Source: kserve/open-inference-protocol (required_api.md, Inference) and Triton's extension_binary_data.md. KServe's
client names the model in the body too. Parameters of Triton's and MLServer's clients that do not change the answer are
ignored.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs import base64, tf_serving_json
from serving.gateway.codecs import body as body_codec
from serving.gateway.codecs.open_inference import tensor_types
from serving.gateway.codecs.open_inference.tensor_types import DATATYPES
from serving.gateway.errors import BadDocument, BadOption, BadTensor, listed
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api.rest_json.errors import json_type

_MAX_RANK = 16
_NO_BYTES = memoryview(b"")
_BASE64 = "base64"  # MLServer's content type for bytes; its other content types do not change the data
_OF_REQUEST = ("signature_name", "binary_data_output")
_OF_INPUT = ("binary_data_size",)
_OF_OUTPUT = ("binary_data",)
#: Parameters that change the answer and so must not be ignored: Triton's classification, shared memory and sequences,
#: and the supported ones in a wrong object.
_CHANGING = frozenset(
    {
        "classification",
        "shared_memory_region",
        "shared_memory_byte_size",
        "shared_memory_offset",
        "sequence_id",
        "sequence_start",
        "sequence_end",
        *_OF_REQUEST,
        *_OF_INPUT,
        *_OF_OUTPUT,
    }
)


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A request with a valid structure.

    Attributes:
        id: the request's own id.
        version: the version that the path or the body names.
        signature_name: the parameter of that name.
        inputs: the JSON objects of the inputs.
        outputs: the requested outputs, each with whether it is binary if the request says so; all if empty.
        binary: whether outputs are binary by default.
        raw: the bytes after the JSON object.
        uncopied_bytes: the bytes of ``raw`` that become tensors without a copy; 0 if it holds strings.
    """

    id: str | None
    version: int | None
    signature_name: str | None
    inputs: Sequence[Mapping[str, Any]]
    outputs: Mapping[str, bool | None]
    binary: bool
    raw: memoryview
    uncopied_bytes: int


def read(body: bytes, header_length: str, model: str, version: int | None, memory: Reservation) -> InferenceRequest:
    """Read a request from its body.

    Args:
        body: the request's body.
        header_length: the header Inference-Header-Content-Length; empty if the body is JSON only.
        model: the model that the path names.
        version: the version that the path names, if any.
        memory: the request's part of the memory budget.

    Raises:
        BadDocument: the JSON is malformed, a key is missing, unknown or of a wrong type, or the body names another
            model or version than the path. BadOption: a parameter or header is wrong.
        TooLarge, Overloaded: see :func:`serving.gateway.codecs.body.document`.
    """
    end = _json_size(header_length, len(body)) if header_length else len(body)
    if end < len(body):
        memory.hold(end + tensor_types.cost(len(body) - end))  # the JSON part is copied
    keys = body_codec.document(body[:end], memory)
    return request_of(keys, model, version, memoryview(body)[end:])


def request_of(
    keys: Mapping[str, Any], model: str, version: int | None, raw: memoryview = _NO_BYTES
) -> InferenceRequest:
    """Return the request of a JSON object and the bytes after it. Raises as :func:`read`."""
    _only(keys, ("id", "model_name", "model_version", "parameters", "inputs", "outputs"), "a request")
    _check_model(keys.get("model_name"), model)
    version = _version(keys.get("model_version"), version)
    inputs = keys.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(one, dict) for one in inputs):
        raise BadDocument("a request has a list of inputs, each an object with name, shape, datatype and data")
    identity = keys.get("id")
    if identity is not None and not isinstance(identity, str):
        raise BadDocument(f"the id of a request is a string, not {json_type(identity)}")
    parameters = _parameters(keys, _OF_REQUEST, "a request")
    name = parameters.get("signature_name")
    if name is not None and not isinstance(name, str):
        raise BadOption(f"parameter signature_name is a string, not {json_type(name)}")
    outputs = _outputs(keys)
    binary = _truth(parameters, "binary_data_output") or False
    has_strings = any(isinstance(one.get("datatype"), str) and one["datatype"] == "BYTES" for one in inputs)
    uncopied = 0 if has_strings else len(raw)
    return InferenceRequest(identity, version, name, inputs, outputs, binary, raw, uncopied)


def arrays(request: InferenceRequest, signature: Signature) -> dict[str, NDArray[Any]]:
    """Return the inputs by name.

    Raises:
        BadDocument: a key is missing, unknown or of a wrong type, or bytes are left over. BadTensor: a tensor does not
            fit the signature, or its data does not fit its shape.
    """
    found: dict[str, NDArray[Any]] = {}
    left = request.raw
    for tensor in request.inputs:
        spec = _spec(tensor, signature)
        if spec.name in found:
            raise BadDocument(f"input {spec.name} is in the request twice")
        shape = _shape(tensor, spec)
        parameters = _parameters(tensor, _OF_INPUT, f"input {spec.name}")
        raw = tensor.get("data")
        if not isinstance(raw, memoryview):
            size = _binary_size(tensor, parameters, spec, len(left))
            if size is None:
                found[spec.name] = _from_json(tensor, spec, shape)
                continue
            raw, left = left[:size], left[size:]
        assert spec.dtype is not None
        values = tensor_types.from_bytes(raw, spec.dtype, math.prod(shape), spec.name)
        found[spec.name] = values.reshape(shape)
    if left:
        raise BadDocument(f"{len(left)} bytes belong to no input; check the binary_data_size of each input")
    return found


def _json_size(header_length: str, body_size: int) -> int:
    is_number = header_length.isascii() and header_length.isdigit() and len(header_length) < 20
    size = int(header_length) if is_number else 0
    if not 0 < size <= body_size:
        raise BadOption(
            f"Inference-Header-Content-Length must be the size of the JSON part, 1 to {body_size} bytes, "
            f"not {header_length[:40]!r}"
        )
    return size


def _outputs(keys: Mapping[str, Any]) -> dict[str, bool | None]:
    outputs = {}
    for output in _list(keys, "outputs"):
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise BadDocument("each of the outputs is an object with a name")
        _only(output, ("name", "parameters"), "an output")
        parameters = _parameters(output, _OF_OUTPUT, f"output {output['name']}")
        outputs[output["name"]] = _truth(parameters, "binary_data")
    return outputs


def _check_model(given: Any, model: str) -> None:
    if not (given is None or (isinstance(given, str) and given in ("", model))):
        shown = repr(given[:80]) if isinstance(given, str) else json_type(given)
        raise BadDocument(
            f"the path names model {model!r}, but model_name in the body is {shown}; leave it out of the body"
        )


def _version(given: Any, version: int | None) -> int | None:
    """Return the version that the path or the body names; in the body it is a number or its text."""
    if given is None or (isinstance(given, str) and not given):
        return version
    number = given if type(given) is int else None
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 20:
        number = int(given)
    if number is None or not 0 <= number < 2**63:
        shown = repr(given)[:80] if isinstance(given, (str, int, float)) else json_type(given)
        shown += f", and the path names version {version}" if version is not None else ""
        raise BadDocument(f"model_version in the body is {shown}; a version is a whole number below 2**63")
    if version not in (None, number):
        raise BadDocument(
            f"the path names version {version}, but model_version in the body is {number}; leave it out of the body"
        )
    return number


def _spec(tensor: Mapping[str, Any], signature: Signature) -> TensorSpec:
    _only(tensor, ("name", "shape", "datatype", "parameters", "data"), "an input")
    name = tensor.get("name")
    if not isinstance(name, str):
        raise BadDocument("each input has a name, a string")
    spec = tf_serving_json.spec_of(signature, name)
    expected = DATATYPES.get(spec.data_type)
    if expected is None:
        raise BadTensor(f"input {name} has type {spec}, which is not served over HTTP")
    given = tensor.get("datatype")
    if not isinstance(given, str) or given != expected:
        shown = repr(given) if isinstance(given, str) else json_type(given)
        raise BadTensor(f"input {name} must be {spec}, so its datatype is {expected}, not {shown}")
    return spec


def _shape(tensor: Mapping[str, Any], spec: TensorSpec) -> tuple[int, ...]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise BadDocument(f"the shape of input {spec.name} is a list of whole numbers, for {spec}")
    if len(shape) > _MAX_RANK:
        raise BadTensor(f"input {spec.name} must be {spec}, but it has {len(shape)} axes")
    if 0 in shape:  # NumPy refuses large sizes next to a 0
        raise BadTensor(f"input {spec.name} must be {spec}, but it is empty: its shape is {shape}")
    return tuple(shape)


def _binary_size(tensor: Mapping[str, Any], parameters: Mapping[str, Any], spec: TensorSpec, left: int) -> int | None:
    size = parameters.get("binary_data_size")
    if (size is None) == (tensor.get("data") is None):  # KServe's client sends null for binary data
        raise BadDocument(f"input {spec.name} has either data or the parameter binary_data_size")
    if size is not None and not (type(size) is int and 0 <= size <= left):
        raise BadDocument(f"the binary_data_size of input {spec.name} is {size!r}, but {left} bytes are left for it")
    return size


def _from_json(tensor: Mapping[str, Any], spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the data, which is nested like the shape or a flat list in row-major order."""
    data = tensor["data"]
    if not isinstance(data, (list, np.ndarray)):
        raise BadTensor(f"the data of input {spec.name} must be a list, not {json_type(data)}")
    if isinstance(data, np.ndarray) and (data.dtype == spec.dtype or not data.size):
        array = data
    else:
        array = tf_serving_json.tensor(spec, data)
    if spec.is_string and _parameters(tensor, _OF_INPUT, "").get("content_type") == _BASE64:
        array = _from_base64(array, f"input {spec.name}, whose content_type is base64,")
    if array.shape != shape and (array.ndim != 1 or array.size != math.prod(shape)):
        raise BadTensor(f"input {spec.name} has shape {list(shape)}, but its data has {list(array.shape)}")
    return array.reshape(shape)


def _from_base64(texts: NDArray[Any], what: str) -> NDArray[Any]:
    decoded = np.empty(texts.size, object)
    for index, text in enumerate(texts.flat):
        decoded[index] = base64.decode(text.decode("latin-1"), what)
    return decoded.reshape(texts.shape)


def _list(keys: Mapping[str, Any], name: str) -> list[Any]:
    value = keys.get(name)
    if value is not None and not isinstance(value, list):
        raise BadDocument(f"{name} is a list, not {json_type(value)}")
    return value or []


def _parameters(keys: Mapping[str, Any], known: tuple[str, ...], where: str) -> Mapping[str, Any]:
    parameters = keys.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise BadDocument(f"the parameters of {where} are an object, not {json_type(parameters)}")
    for name in _CHANGING.intersection(parameters).difference(known):
        value = parameters[name]
        if value is not None and (not isinstance(value, (bool, int, str)) or value):  # a false value switches it off
            raise BadOption(
                f"parameter {name} of {where} is not supported and would change the answer. Leave it out; supported "
                f"parameters: {listed(known)}"
            )
    return parameters


def _truth(parameters: Mapping[str, Any], name: str) -> bool | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadOption(f"parameter {name} is true or false, not {json_type(value)}")
    return value


def _only(keys: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    if any(key not in known for key in keys):
        raise BadDocument(f"{what} has the keys {listed(known)}; the keys sent are: {listed(list(keys))}")
