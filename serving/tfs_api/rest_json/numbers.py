"""Nested JSON lists of numbers to an array of one type.

``np.asarray`` alone would read the string "1.5" as a number, true as 1, and 300 as the uint8 44.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.tfs_api.rest_json.errors import NotExact, NumberTooLarge, Ragged, RestJsonError, WrongKind, json_type
from serving.tfs_api.tensors import BFLOAT16, is_float

#: The most axes of a tensor in JSON.
MAX_RANK = 8


def array(value: Any, dtype: np.dtype[Any], name: str, *, exact: bool = False) -> NDArray[Any]:
    """Return the array of nested lists of numbers (of true and false for bool). NaN and infinity are accepted.

    Args:
        value: nested lists, a single number, or arrays in place of some lists.
        dtype: the array's type.
        name: the input's name, for messages.
        exact: refuse whole numbers that a float type cannot hold exactly.

    Raises:
        Ragged: lists of one depth have different sizes.
        WrongKind: a value is of another kind.
        NumberTooLarge: the type cannot hold a number.
        NotExact: see ``exact``.
        RestJsonError: lists are nested deeper than ``MAX_RANK``.
    """
    if isinstance(value, list) and np.ndarray in set(map(type, value)):
        value = _stack([array(row, dtype, name) for row in value], name)
    if isinstance(value, np.ndarray):
        return _convert(value, dtype, name)
    shape = shape_of(value, name)
    flat = flatten(value, shape, name)
    allowed: set[type] = {bool} if dtype.kind == "b" else {int} if dtype.kind in "iu" else {int, float}
    kinds = set(map(type, flat))
    if not kinds <= allowed:
        index = next(index for index, item in enumerate(flat) if type(item) not in allowed)
        raise _wrong_kind(flat[index], index, dtype, name)
    if dtype.kind in "iu" and flat:
        _check_range(flat, dtype, name)
    if exact and int in kinds and is_float(dtype):
        _check_exact(flat, dtype, name)
    with np.errstate(over="ignore"):
        result = np.array(flat, np.float64 if dtype == BFLOAT16 else dtype).astype(dtype, copy=False).reshape(shape)
    if is_float(dtype) and not np.isfinite(result).all():
        _check_overflow(flat, result, name)
    return result


def shape_of(value: Any, name: str) -> tuple[int, ...]:
    """Return the shape that the first element of each list shows.

    Raises:
        RestJsonError: lists are nested deeper than ``MAX_RANK``.
    """
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise RestJsonError(f"input {name} is nested deeper than {MAX_RANK} lists")
        if not value:
            break
        value = value[0]
    return tuple(shape)


def flatten(value: Any, shape: tuple[int, ...], name: str) -> list[Any]:
    """Return all values in order.

    Raises:
        Ragged: the lists have another shape.
    """
    level = [value]
    for depth, size in enumerate(shape):
        for item in level:
            if not isinstance(item, list) or len(item) != size:
                length = len(item) if isinstance(item, list) else None
                found = json_type(item) if length is None else f"a list of {length}"
                message = f"input {name} is ragged: at depth {depth} a list of {size} is expected, not {found}"
                raise Ragged(message, depth, size, length)
        level = [inner for item in level for inner in item]
    for item in level:
        if isinstance(item, list):
            message = f"input {name} is ragged: a list is where the first element has a single value"
            raise Ragged(message, len(shape), 0, len(item))
    return level


def _stack(rows: list[NDArray[Any]], name: str) -> NDArray[Any]:
    for row in rows:
        if row.shape != rows[0].shape:
            expected, found = list(rows[0].shape), list(row.shape)
            message = f"input {name} is ragged: a row has shape {found}, but the first one has {expected}"
            raise Ragged(message, 1, rows[0].size, row.size)
    return np.stack(rows)


def _convert(value: NDArray[Any], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Return an array of whole numbers or of float64 as one of this type."""
    if dtype.kind == "b" or (dtype.kind in "iu" and value.dtype.kind == "f"):
        raise _wrong_kind(value.flat[0].item(), 0, dtype, name)
    if dtype.kind in "iu":
        _check_range([int(value.min()), int(value.max())], dtype, name)
    with np.errstate(over="ignore"):
        result = value.astype(dtype)
    if is_float(dtype):
        finite = np.isfinite(result)
        if not finite.all() and np.isfinite(value[~finite]).any():
            raise _too_large(None, 0, dtype, name)
    return result


def _wrong_kind(value: Any, index: int, dtype: np.dtype[Any], name: str) -> WrongKind:
    what = {"b": "true or false", "i": "whole numbers", "u": "whole numbers"}.get(dtype.kind, "numbers")
    return WrongKind(name, f"{what} ({dtype})", value, index)


def _check_range(values: list[int], dtype: np.dtype[Any], name: str) -> None:
    limits = np.iinfo(dtype)
    if limits.min <= min(values) and max(values) <= limits.max:
        return
    index = next(index for index, value in enumerate(values) if not limits.min <= value <= limits.max)
    message = f"input {name} must hold {dtype}, {limits.min} to {limits.max}; a number is outside of it"
    raise NumberTooLarge(message, values[index], index)


def _check_exact(flat: list[Any], dtype: np.dtype[Any], name: str) -> None:
    most = 2 ** (np.finfo(dtype).nmant + 1)
    for index, item in enumerate(flat):
        if type(item) is int and abs(item) >= most:
            raise NotExact(name, item, index)


def _check_overflow(flat: list[Any], result: NDArray[Any], name: str) -> None:
    for index, (item, converted) in enumerate(zip(flat, result.flat, strict=True)):
        if math.isfinite(item) and not np.isfinite(converted):
            raise _too_large(item, index, result.dtype, name)


def _too_large(value: Any, index: int, dtype: np.dtype[Any], name: str) -> NumberTooLarge:
    return NumberTooLarge(f"input {name} holds a number that is too large for {dtype}", value, index)
