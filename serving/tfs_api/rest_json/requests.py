"""Tensors of a request: ``instances`` by row, ``inputs`` by column.

A signature with one input takes its values without a name. Text means its UTF-8 bytes, ``{"b64": "…"}`` any bytes.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.tfs_api import messages
from serving.tfs_api.rest_json import base64, numbers
from serving.tfs_api.rest_json.errors import RestJsonError, RowNames, UnknownInput, Unnamed, WrongKind
from serving.tfs_api.tensors import numpy_type, type_name


def has_names(value: Any) -> bool:
    """Return whether a JSON value is an object of values by name, not ``{"b64": …}``."""
    return isinstance(value, dict) and not base64.is_bytes(value)


def values_by_row(instances: Sequence[Any] | NDArray[Any], names: Collection[str]) -> dict[str, Any]:
    """Return the values of ``instances`` by input name, each a list with a value for every row.

    Args:
        instances: at least one row.
        names: of the signature's inputs.

    Raises:
        Unnamed: several inputs, but rows without names.
        RowNames: the rows have different names.
        UnknownInput: the signature has no input of that name.
    """
    if not has_names(instances[0]):
        return {_only(names, "instances"): instances}
    found = instances[0].keys()
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != found:
            raise RowNames(number)
    for name in found:
        if name not in names:
            raise UnknownInput(name)
    return {name: [instance[name] for instance in instances] for name in found}


def values_by_column(inputs: Any, names: Collection[str]) -> dict[str, Any]:
    """Return the values of ``inputs`` by input name; names that the signature lacks are ignored.

    Raises:
        Unnamed: several inputs, but a value without names.
    """
    if not has_names(inputs):
        return {_only(names, "inputs"): inputs}
    return {name: inputs[name] for name in names if name in inputs}


def tensor(value: Any, data_type: int, name: str, *, exact: bool = False) -> NDArray[Any]:
    """Return the tensor of nested lists; a value alone has no axes.

    Raises:
        RestJsonError: the type is not served, or see :func:`numbers.array`.
    """
    if data_type == messages.DT_STRING:
        return strings(value, name)
    dtype = numpy_type(data_type)
    if dtype is None or dtype.kind == "c":
        raise RestJsonError(f"input {name} has type {type_name(data_type)}, which JSON cannot carry")
    return numbers.array(value, dtype, name, exact=exact)


def strings(value: Any, name: str) -> NDArray[Any]:
    """Return the tensor (object, bytes) of nested lists of text and ``{"b64": "…"}``.

    Raises:
        Ragged: lists of one depth have different sizes. WrongKind: a value is not text.
        BadBase64: see :func:`base64.decode`.
    """
    shape = numbers.shape_of(value, name)
    array = np.empty(int(np.prod(shape, dtype=np.int64)), object)
    for index, item in enumerate(numbers.flatten(value, shape, name)):
        if isinstance(item, str):
            array[index] = item.encode("utf-8")
        elif base64.is_bytes(item):
            array[index] = base64.decode(item["b64"])
        else:
            raise WrongKind(name, 'strings or {"b64": "…"}', item, index)
    return array.reshape(shape)


def _only(names: Collection[str], where: str) -> str:
    if len(names) != 1:
        raise Unnamed(f"the signature takes several inputs, so '{where}' must name each of them")
    return next(iter(names))
