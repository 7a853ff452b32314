"""Tensors out of a request's JSON: ``instances`` by row, ``inputs`` by column. Answers are :mod:`.answers`.

Source: tensorflow_serving/util/json_tensor.cc, for the checks, their order and their messages.
"""

import binascii
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.model_server.core.signature import ServableSignature
from serving.model_server.errors import ServingError, invalid_argument, unimplemented
from serving.model_server.rest import rapidjson
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array

_FLOATS = (messages.DT_FLOAT, messages.DT_DOUBLE)
_WHOLE = (
    messages.DT_INT8,
    messages.DT_INT16,
    messages.DT_INT32,
    messages.DT_INT64,
    messages.DT_UINT8,
    messages.DT_UINT32,
    messages.DT_UINT64,
)
_EXACT = 2**24  # whole numbers below it are exact as float32
_LARGEST = 3.4e38  # about float32's largest
_DEEPEST = 254  # TensorFlow's largest rank
_BLANKS = re.compile(r"\s")
_JSON_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def is_by_row(document: Mapping[str, Any]) -> bool:
    """Whether a request's tensors stand by row; by column they do otherwise.

    Raises:
        INVALID_ARGUMENT: neither or both of the keys are there, or no rows.
    """
    if "instances" in document and "inputs" in document:
        raise format_error(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if "instances" not in document and "inputs" not in document:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    if "instances" not in document:
        return False
    if not isinstance(document["instances"], list):
        raise format_error(document, "Excepting 'instances' to be an list/array")
    if not document["instances"]:
        raise format_error(document, "No values in 'instances' array")
    return True


def from_rows(instances: list[Any], signature: ServableSignature) -> dict[str, Array]:
    """The inputs of ``instances``.

    Raises:
        ServingError: they do not fit the signature.
    """
    names = sorted(signature.inputs)
    if len(names) > 1 and not isinstance(instances[0], dict):
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if not _is_object(instances[0]):
        if any(map(_is_object, instances)):
            place = next(place for place, item in enumerate(instances) if _is_object(item))
            raise invalid_argument(f"Expecting value/list but got object at item {place} of input list")
        return {names[0]: _stacked(instances, signature.inputs[names[0]].data_type, "")}
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for place, item in enumerate(instances):
        if not _is_object(item):
            raise invalid_argument(f"Expecting object but got list at item {place} of input list")
        for name, value in item.items():
            if name not in columns:
                error = invalid_argument(f"JSON object: does not have named input: {name}")
                raise _element_error(place, f" key: {name}", error)
            columns[name].append(value)
        if item.keys() != columns.keys():
            raise invalid_argument(
                f"Failed to process element: {place} of 'instances' list. JSON object: {rapidjson.show(item)} "
                f"keys must be equal to: {','.join(names)}"
            )
    return {
        name: _stacked(values, signature.inputs[name].data_type, f" key: {name}") for name, values in columns.items()
    }


def from_columns(inputs: Any, signature: ServableSignature) -> dict[str, Array]:
    """The inputs of ``inputs``.

    Raises:
        ServingError: they do not fit the signature.
    """
    names = sorted(signature.inputs)
    if not _is_object(inputs):
        if len(names) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        inputs = {names[0]: inputs}
    arrays: dict[str, Array] = {}
    for name in names:
        if name not in inputs and name in signature.defaults:
            continue
        if name not in inputs:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        data_type = signature.inputs[name].data_type
        array = _regular(inputs[name], data_type)
        arrays[name] = _checked(inputs[name], data_type) if array is None else array
    return arrays


def to_bytes(value: str) -> bytes:
    """A JSON string as bytes: UTF-8, or what was sent in place of it."""
    return value.encode("utf-8", "surrogateescape")


def is_text(value: str) -> bool:
    """Whether a JSON string was sent as UTF-8, as protobuf needs it."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_bytes(value: Any) -> bool:
    """Whether a JSON value is ``{"b64": "…"}``."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def from_base64(value: Any) -> bytes:
    """The bytes of ``{"b64": "…"}``; padding may be missing and blanks may be anywhere.

    Raises:
        INVALID_ARGUMENT: it is no such object, or no base64.
    """
    if not is_bytes(value):
        raise invalid_argument(f"JSON Value: {rapidjson.show(value)} not formatted correctly for base64 data")
    text = _BLANKS.sub("", value["b64"]).rstrip("=")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        raise invalid_argument("Unable to base64 decode") from None


def json_type(value: Any) -> str:
    """What RapidJSON calls the type of a value."""
    return str(value) if isinstance(value, bool) else _JSON_TYPES[type(value)]


def format_error(value: Any, problem: str) -> ServingError:
    return invalid_argument(f"JSON Value: {rapidjson.show(value)} {problem}")


def lossy_error(value: Any, target: str) -> ServingError:
    return invalid_argument(
        f"Cannot convert JSON value: {rapidjson.show(value)} to {target} without loss of precision."
    )


def loses_precision(value: int | float, data_type: int) -> bool:
    """Whether a number is too large for the float, or a whole one has more digits than it holds."""
    limits = np.finfo(np.float32 if data_type == messages.DT_FLOAT else np.float64)
    if isinstance(value, int):
        return bool(abs(value) > 2 ** (limits.nmant + 1) - 1)
    return bool(np.isfinite(value) and abs(value) > float(limits.max))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_bytes(value)


def _stacked(values: list[Any], data_type: int, key: str) -> Array:
    """One tensor of a value for each row."""
    array = _regular(values, data_type)
    if array is not None:
        return array
    rows: list[Array] = []
    for place, value in enumerate(values):
        try:
            row = _checked(value, data_type)
            if rows and row.size != rows[0].size:
                raise invalid_argument(f"Expecting tensor size: {rows[0].size} but got: {row.size}")
            if rows and row.shape != rows[0].shape:
                raise invalid_argument(f"Expecting shape {_shape(rows[0])} but got: {_shape(row)}")
        except ServingError as error:
            raise _element_error(place, key, error) from None
        rows.append(row)
    return np.stack(rows)


def _regular(value: Any, data_type: int) -> Array | None:
    """The tensor of a value that is as it should be, quickly; None for any other."""
    shape: list[int] = []
    level = [value]
    while isinstance(level[0], list):
        size = len(level[0])
        if size == 0 or len(shape) == _DEEPEST or any(type(item) is not list or len(item) != size for item in level):
            return None
        shape.append(size)
        level = [inner for item in level for inner in item]
    kinds = set(map(type, level))
    if data_type == messages.DT_STRING and kinds == {str}:
        array: Array = np.empty(len(level), np.object_)
        array[:] = [to_bytes(item) for item in level]
    elif (
        (data_type in _FLOATS and kinds <= {int, float})
        or (data_type in _WHOLE and kinds == {int})
        or (data_type == messages.DT_BOOL and kinds == {bool})
    ):
        numpy_type = tensors.numpy_type(data_type)
        assert numpy_type is not None
        if data_type in _WHOLE and not np.iinfo(numpy_type).min <= min(level) <= max(level) <= np.iinfo(numpy_type).max:
            return None
        most = _EXACT if int in kinds else _LARGEST
        if data_type in _FLOATS and not -most < min(level) <= max(level) < most:
            return None  # also where NaN is the first; elsewhere it does no harm
        array = np.array(level, numpy_type)
    else:
        return None
    return array.reshape(shape)


def _checked(value: Any, data_type: int) -> Array:
    """The tensor of a value, or the error that TensorFlow Serving has for it."""
    shape: list[int] = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > _DEEPEST:
            raise invalid_argument(f"lists are nested deeper than {_DEEPEST} levels")
        if not first:
            break
        first = first[0]
    leaves: list[Any] = []
    _fill(value, 0, shape, data_type, leaves)
    numpy_type = tensors.numpy_type(data_type)
    if numpy_type is None:
        raise unimplemented(f"tensors of type {tensors.type_name(data_type)} are not served")
    array: Array = np.empty(len(leaves), numpy_type)
    array[:] = leaves
    return array.reshape(shape)


def _fill(value: Any, level: int, shape: list[int], data_type: int, leaves: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {rapidjson.show(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        leaves.append(_leaf(value, data_type))
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _fill(item, level + 1, shape, data_type, leaves)


def _leaf(value: Any, data_type: int) -> Any:
    name = tensors.type_name(data_type)
    if isinstance(value, dict):
        if data_type == messages.DT_STRING:
            return from_base64(value)
    elif data_type in _FLOATS:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if loses_precision(value, data_type):
                raise lossy_error(value, name)
            return value
    elif data_type in _WHOLE:
        numpy_type = tensors.numpy_type(data_type)
        assert numpy_type is not None
        if type(value) is int and np.iinfo(numpy_type).min <= value <= np.iinfo(numpy_type).max:
            return value
    elif data_type == messages.DT_STRING:
        if isinstance(value, str):
            return to_bytes(value)
    elif data_type == messages.DT_BOOL:
        if isinstance(value, bool):
            return value
    else:
        raise unimplemented(f"Conversion of JSON Value: {rapidjson.show(value)} to type: {name}")
    raise invalid_argument(
        f"JSON Value: {rapidjson.show(value)} Type: {json_type(value)} is not of expected type: {name}"
    )


def _element_error(place: int, key: str, error: ServingError) -> ServingError:
    return invalid_argument(f"Failed to process element: {place}{key} of 'instances' list. Error: {error.describe()}")


def _shape(array: Array) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"
