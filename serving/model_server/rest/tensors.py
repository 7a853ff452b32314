"""Tensors in and out of JSON, with TensorFlow Serving's checks and messages.

Source: tensorflow_serving/util/json_tensor.cc. The JSON itself is read and written by
:mod:`serving.tfs_api.rest_json`.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.model_server.core.signature import ServableSignature
from serving.model_server.errors import ServingError, invalid_argument, unimplemented
from serving.tfs_api import messages, tensors
from serving.tfs_api.rest_json import numbers, requests, responses
from serving.tfs_api.rest_json.errors import (
    BadBase64,
    NotExact,
    NumberTooLarge,
    Ragged,
    RestJsonError,
    RowNames,
    UnknownInput,
    Unnamed,
    WrongKind,
)
from serving.tfs_api.tensors import Array, is_float

_SHOWN = 1024  # characters of a value in an error
#: Types that TensorFlow Serving reads from JSON and writes to it.
_JSON_DATA_TYPES = frozenset(
    {
        messages.DT_FLOAT,
        messages.DT_DOUBLE,
        messages.DT_INT8,
        messages.DT_INT16,
        messages.DT_INT32,
        messages.DT_INT64,
        messages.DT_UINT8,
        messages.DT_UINT32,
        messages.DT_UINT64,
        messages.DT_STRING,
        messages.DT_BOOL,
    }
)
_FLOATS = frozenset({messages.DT_FLOAT, messages.DT_DOUBLE})
_JSON_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def is_by_row(document: Mapping[str, Any]) -> bool:
    """Return whether a request has its tensors by row, not by column.

    Raises:
        ServingError: INVALID_ARGUMENT for neither or both of the keys, or no rows.
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
    """Return the inputs of at least one row.

    Raises:
        ServingError: the rows do not fit the signature.
    """
    try:
        values = requests.values_by_row(instances, signature.inputs)
    except Unnamed:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        ) from None
    except UnknownInput as error:
        reason = invalid_argument(f"JSON object: does not have named input: {error.name}")
        raise _element_error(0, f" key: {error.name}", reason) from None
    except RowNames as error:
        if not isinstance(instances[error.row], dict):
            raise invalid_argument(f"Expecting object but got list at item {error.row} of input list") from None
        raise _row_names_error(instances, error.row, signature) from None
    if values.keys() != signature.inputs.keys():
        raise _row_names_error(instances, 0, signature)
    arrays: dict[str, Array] = {}
    for name, rows in values.items():
        try:
            arrays[name] = _tensor(rows, signature.inputs[name].data_type, name)
        except _ValueError as error:
            row = error.index // math.prod(numbers.shape_of(rows, name)[1:]) if error.index else 0
            key = f" key: {name}" if requests.has_names(instances[0]) else ""
            raise _element_error(row, key, error.reason) from None
    return arrays


def from_columns(inputs: Any, signature: ServableSignature) -> dict[str, Array]:
    """Return the inputs of a request by column.

    Raises:
        ServingError: a value does not fit the signature.
    """
    try:
        values = requests.values_by_column(inputs, signature.inputs)
    except Unnamed:
        raise invalid_argument(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        ) from None
    for name in sorted(signature.inputs):
        if name not in values and name not in signature.defaults:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    try:
        return {name: _tensor(value, signature.inputs[name].data_type, name) for name, value in values.items()}
    except _ValueError as error:
        raise error.reason from None


def to_rows(outputs: Mapping[str, Array]) -> bytes:
    """Return the answer to ``instances``.

    Raises:
        ServingError: INVALID_ARGUMENT for outputs without rows, with different numbers of rows, or of other types.
    """
    rows = -1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if not len(array):
            raise invalid_argument(f"Tensor name: {name} has invalid batch size: 0")
        if rows not in (-1, len(array)):
            raise invalid_argument(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {rows}")
        rows = len(array)
    return responses.predictions(outputs, finite=_check_writable(outputs))


def to_columns(outputs: Mapping[str, Array]) -> bytes:
    """Return the answer to ``inputs``.

    Raises:
        ServingError: INVALID_ARGUMENT if JSON has no form for an output's type.
    """
    return responses.columns(outputs, finite=_check_writable(outputs))


def format_error(value: Any, problem: str) -> ServingError:
    """Return the error about a JSON value that has the wrong form."""
    return invalid_argument(f"JSON Value: {_show(value)} {problem}")


class _ValueError(Exception):
    """A value does not fit its tensor. ``index`` is its position in the flattened tensor."""

    def __init__(self, reason: ServingError, index: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.index = index


def _tensor(value: Any, data_type: int, name: str) -> Array:
    kind = tensors.type_name(data_type)
    if data_type not in _JSON_DATA_TYPES:
        while isinstance(value, list) and value:
            value = value[0]
        raise _ValueError(unimplemented(f"Conversion of JSON Value: {_show(value)} to type: {kind}"))
    try:
        return requests.tensor(value, data_type, name, exact=True)
    except NumberTooLarge as error:
        if data_type in _FLOATS:
            raise _ValueError(_not_exact(error.value, kind), error.index) from None
        raise _ValueError(_wrong_kind(error.value, kind), error.index) from None
    except NotExact as error:
        raise _ValueError(_not_exact(error.value, kind), error.index) from None
    except WrongKind as error:
        if isinstance(error.value, dict) and data_type == messages.DT_STRING:
            problem = format_error(error.value, "not formatted correctly for base64 data")
            raise _ValueError(problem, error.index) from None
        raise _ValueError(_wrong_kind(error.value, kind), error.index) from None
    except Ragged as error:
        found = "a value" if error.found is None else error.found
        raise _ValueError(
            invalid_argument(
                f"Encountered list at unexpected size: {found} at level: {error.depth} expected size: {error.size}"
            )
        ) from None
    except BadBase64:
        raise _ValueError(invalid_argument("Unable to base64 decode")) from None
    except RestJsonError as error:
        raise _ValueError(invalid_argument(str(error))) from None


def _wrong_kind(value: Any, kind: str) -> ServingError:
    json_type = str(value) if isinstance(value, bool) else _JSON_TYPES[type(value)]
    return invalid_argument(f"JSON Value: {_show(value)} Type: {json_type} is not of expected type: {kind}")


def _not_exact(value: Any, kind: str) -> ServingError:
    return invalid_argument(f"Cannot convert JSON value: {_show(value)} to {kind} without loss of precision.")


def _row_names_error(instances: list[Any], row: int, signature: ServableSignature) -> ServingError:
    return invalid_argument(
        f"Failed to process element: {row} of 'instances' list. JSON object: {_show(instances[row])} "
        f"keys must be equal to: {','.join(sorted(signature.inputs))}"
    )


def _element_error(row: int, key: str, error: ServingError) -> ServingError:
    return invalid_argument(f"Failed to process element: {row}{key} of 'instances' list. Error: {error.describe()}")


def _check_writable(outputs: Mapping[str, Array]) -> bool:
    """Return whether all numbers are finite.

    Raises:
        ServingError: INVALID_ARGUMENT if JSON has no form for an output's type.
    """
    finite = True
    for array in outputs.values():
        data_type = tensors.data_type(array)
        if data_type not in _JSON_DATA_TYPES:
            kind = tensors.type_name(data_type)
            raise invalid_argument(f"Failed to write JSON value for tensor type: {kind}")
        finite = finite and (not is_float(array.dtype) or bool(np.isfinite(array).all()))
    return finite


def _show(value: Any) -> str:
    """Return the start of a value's JSON."""
    shown = ""
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        shown += part
        if len(shown) > _SHOWN:
            break
    return shown
