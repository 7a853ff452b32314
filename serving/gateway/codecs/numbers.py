"""Nested JSON lists of numbers to an array of one type, without any of NumPy's generosity.

``np.asarray`` alone would read the string "1.5" as a number, true as 1, and 300 as the uint8 44.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs.base64 import kind
from serving.gateway.errors import BadTensor
from serving.tfs_api.tensors import BFLOAT16, is_float

#: The most axes of a tensor in JSON.
MAX_RANK = 8


def array(value: Any, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """The array of nested lists of numbers (or of true and false, for bool), or of what :mod:`large` made of them. NaN
    and infinity are passed on.

    Raises:
        BadTensor: ragged, another kind of value in it, or a number that the type cannot hold; ``name`` is said.
    """
    if isinstance(value, list) and np.ndarray in set(map(type, value)):
        value = _stacked([array(row, dtype, name) for row in value], name)
    if isinstance(value, np.ndarray):
        return _of_type(value, dtype, name)
    shape = _shape(value, name)
    flat = _flatten(value, shape, name)
    allowed: set[type] = {bool} if dtype.kind == "b" else {int} if dtype.kind in "iu" else {int, float}
    other = set(map(type, flat)) - allowed
    if other:
        raise _another_kind(next(item for item in flat if type(item) in other), dtype, name)
    if dtype.kind in "iu" and flat:
        _check_range(min(flat), max(flat), dtype, name)
    with np.errstate(over="ignore"):
        result = np.array(flat, np.float64 if dtype == BFLOAT16 else dtype).astype(dtype, copy=False).reshape(shape)
    if is_float(dtype) and not np.isfinite(result).all() and _overflowed(flat, result):
        raise _too_large(dtype, name)
    return result


def _stacked(rows: list[NDArray[Any]], name: str) -> NDArray[Any]:
    """Rows of which :mod:`large` has made arrays, in part or all of them."""
    other = next((row for row in rows if row.shape != rows[0].shape), None)
    if other is not None:
        expected, found = list(rows[0].shape), list(other.shape)
        raise BadTensor(f"input {name} is ragged: a row has shape {found}, but the first one has {expected}")
    return np.stack(rows)


def _of_type(value: NDArray[Any], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """An array of whole numbers or of float64 as one of this type."""
    if dtype.kind == "b" or (dtype.kind in "iu" and value.dtype.kind == "f"):
        raise _another_kind(value.flat[0].item(), dtype, name)
    if dtype.kind in "iu":
        _check_range(int(value.min()), int(value.max()), dtype, name)
    with np.errstate(over="ignore"):
        result = value.astype(dtype)
    if is_float(dtype):
        finite = np.isfinite(result)
        if not finite.all() and np.isfinite(value[~finite]).any():
            raise _too_large(dtype, name)
    return result


def _another_kind(wrong: Any, dtype: np.dtype[Any], name: str) -> BadTensor:
    what = {"b": "true or false", "i": "whole numbers", "u": "whole numbers"}.get(dtype.kind, "numbers")
    if isinstance(wrong, dict) and "b64" in wrong:
        return BadTensor(
            f'input {name} must hold {what} ({dtype}), not {{"b64": "…"}}; a picture for a model with a model card is '
            'sent as {"b64": "…"}, without "instances" or "inputs"'
        )
    given = f"the number {wrong}" if type(wrong) in (int, float) else kind(wrong)
    return BadTensor(f"input {name} must hold {what} ({dtype}), but {given} is in it")


def _check_range(low: int, high: int, dtype: np.dtype[Any], name: str) -> None:
    limits = np.iinfo(dtype)
    if low < limits.min or high > limits.max:
        raise BadTensor(f"input {name} must hold {dtype}, {limits.min} to {limits.max}; a number is outside of it")


def _too_large(dtype: np.dtype[Any], name: str) -> BadTensor:
    return BadTensor(f"input {name} holds a number that is too large for {dtype}")


def as_float32(array: NDArray[Any], name: str) -> NDArray[np.float32]:
    """An array of numbers as float32; what is too large becomes infinity.

    Raises:
        BadTensor: it does not hold numbers; ``name`` is said.
    """
    if array.dtype.kind not in "iuf":
        raise BadTensor(f"input {name} must hold numbers, but its type is {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _overflowed(flat: list[Any], result: NDArray[Any]) -> bool:
    return any(math.isfinite(value) and not np.isfinite(made) for value, made in zip(flat, result.flat, strict=True))


def _shape(value: Any, name: str) -> tuple[int, ...]:
    """The shape as the first element of each list tells it."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise BadTensor(f"input {name} is nested deeper than {MAX_RANK} lists")
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _flatten(value: Any, shape: tuple[int, ...], name: str) -> list[Any]:
    """All values in order, having seen that every list is as long as the first one of its depth."""
    level = [value]
    for depth, size in enumerate(shape):
        for item in level:
            if not isinstance(item, list) or len(item) != size:
                found = f"a list of {len(item)}" if isinstance(item, list) else kind(item)
                raise BadTensor(f"input {name} is ragged: at depth {depth} a list of {size} is expected, not {found}")
        level = [inner for item in level for inner in item]
    if any(isinstance(item, list) for item in level):
        raise BadTensor(f"input {name} is ragged: a list stands where its first element has a single value")
    return level
