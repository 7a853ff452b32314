"""Validation of tensors against a signature, on every API before anything reaches the model server.

This is a safety measure: one picture of the wrong rank ends a TensorFlow Serving 2.20 process.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.backends.base import Arrays
from serving.gateway.errors import BadTensor, difference, listed
from serving.gateway.models.signature import Signature, TensorSpec, show
from serving.tfs_api.tensors import is_float


def check(signature: Signature, arrays: Arrays, max_rows: int, *, strict: bool = True, splits: bool = False) -> int:
    """Check tensors against a signature and return their number of rows; 1 if the signature has no rows.

    Args:
        signature: the expected names, types and shapes.
        arrays: the tensors.
        max_rows: the most rows.
        strict: reject NaN, infinity, empty tensors, and inputs with different numbers of rows. Otherwise the largest
            number of rows is returned.
        splits: accept more than ``max_rows`` if the signature allows splitting.

    Raises:
        BadTensor: names, type, rank, a size, the number of rows or a value is wrong.
    """
    if arrays.keys() != signature.inputs.keys():
        raise BadTensor(_names(signature, arrays))
    rows: dict[str, int] = {}
    for name, spec in signature.inputs.items():
        array = arrays[name]
        _check_tensor(spec, array, strict)
        if spec.batched:
            rows[name] = array.shape[0]
    if not rows:
        return 1
    equal = len(set(rows.values())) == 1
    if strict and not equal:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise BadTensor(f"every input must have the same number of rows, but they have: {counts}")
    count = max(rows.values())
    if count > max_rows and not (splits and equal and signature.batched):
        raise BadTensor(f"a request has 1 to {max_rows} rows, not {count}")
    return count


def _names(signature: Signature, arrays: Arrays) -> str:
    wrong = difference(signature.inputs, arrays)
    expected = listed([f"{name} ({spec})" for name, spec in signature.inputs.items()])
    return f"the inputs do not fit signature {signature.name} ({wrong}); it takes {expected}"


def _check_tensor(spec: TensorSpec, array: NDArray[Any], strict: bool) -> None:
    if spec.dtype is None:
        raise BadTensor(f"input {spec.name} has type {spec}, which is not served over HTTP")
    if array.dtype != spec.dtype:
        given = "string" if array.dtype == object else str(array.dtype)
        raise BadTensor(f"input {spec.name} must be {spec}, but its type is {given}")
    if spec.shape is not None:
        if array.ndim != len(spec.shape):
            raise BadTensor(
                f"input {spec.name} must be {spec}, but it has shape {list(array.shape)}: "
                f"{array.ndim} axes, not {len(spec.shape)}"
            )
        if any(want is not None and want != size for want, size in zip(spec.shape, array.shape, strict=True)):
            raise BadTensor(f"input {spec.name} must be {spec}, but it has shape {show(array.shape)}")
    if strict and array.size == 0:
        raise BadTensor(f"input {spec.name} must be {spec}, but it is empty: its shape is {show(array.shape)}")
    if strict and is_float(array.dtype) and not np.isfinite(array).all():
        raise BadTensor(f"input {spec.name} holds NaN or infinity; every value must be a finite number")
    if array.dtype == object and not all(type(value) is bytes for value in array.flat):
        raise BadTensor(f"input {spec.name} must be {spec}; every value must be a string of bytes")
