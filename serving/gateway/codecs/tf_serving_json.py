"""Requests in TensorFlow Serving's REST form: ``instances`` by row, ``inputs`` by column.

Source: tensorflow_serving/util/json_tensor.cc and its api_rest.md. The only input needs no name. Bytes are
``{"b64": "…"}``; text means its UTF-8 bytes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs import numbers
from serving.gateway.errors import BadDocument, BadTensor, listed
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api.rest_json import requests
from serving.tfs_api.rest_json.errors import BadBase64, RestJsonError, RowNames, UnknownInput, Unnamed

Arrays = dict[str, NDArray[Any]]


def is_request(keys: dict[str, Any]) -> bool:
    """Return whether a JSON object is a request in TensorFlow Serving's form."""
    return "instances" in keys or "inputs" in keys


def signature_name(keys: dict[str, Any]) -> str:
    """Return the signature that a request names, or the default one.

    Raises:
        BadDocument: the name is not a string, both ``instances`` and ``inputs`` are there, or a key is unknown.
    """
    if not is_request(keys):
        raise BadDocument(f"Missing 'inputs' or 'instances' key; the keys sent are: {listed(keys)}")
    unknown = keys.keys() - {"instances", "inputs", "signature_name"}
    if unknown or ("instances" in keys) == ("inputs" in keys):
        raise BadDocument(
            'a request has exactly one of "instances" and "inputs", and optionally "signature_name"; '
            f"the keys sent are: {listed(keys)}"
        )
    return named_signature(keys)


def named_signature(keys: dict[str, Any]) -> str:
    """Return the value of ``signature_name``, or the default one.

    Raises:
        BadDocument: it is not a string.
    """
    name = keys.get("signature_name", "serving_default")
    if not isinstance(name, str):
        raise BadDocument("'signature_name' key must be a string value.")
    return name or "serving_default"


def read(keys: dict[str, Any], signature: Signature) -> Arrays:
    """Return the inputs of a request by name.

    Single values by row become [N, 1] if the input is declared so. By column, inputs that the signature lacks are
    ignored.

    Raises:
        BadDocument: the structure is wrong.
        BadTensor: a tensor's values are wrong.
    """
    if "inputs" in keys:
        return _columns(keys["inputs"], signature)
    arrays = _rows(keys["instances"], signature)
    if has_bare_scalars(keys, signature):
        return {name: _with_axis(signature.inputs[name], array) for name, array in arrays.items()}
    return arrays


def has_bare_scalars(keys: dict[str, Any], signature: Signature) -> bool:
    """Return whether rows give a single value for each input that is declared [N, 1].

    As in ``{"instances": [1.0, 2.0]}``.
    """
    instances = keys.get("instances")
    columns = [name for name, spec in signature.inputs.items() if spec.shape == (None, 1)]
    if not columns or not isinstance(instances, (list, np.ndarray)) or not len(instances):
        return False
    first = instances[0]
    named = requests.has_names(first)
    return not any(isinstance(first.get(name, []) if named else first, (list, np.ndarray)) for name in columns)


def spec_of(signature: Signature, name: str) -> TensorSpec:
    """Return the input of that name.

    Raises:
        BadTensor: the signature has none; the message lists those that it has.
    """
    spec = signature.inputs.get(name)
    if spec is None:
        expected = listed([f"{one.name} ({one})" for one in signature.inputs.values()])
        raise BadTensor(f"signature {signature.name} has no input {name!r}; it takes {expected}")
    return spec


def tensor(spec: TensorSpec, value: Any) -> NDArray[Any]:
    """Return the tensor of nested lists; a value alone has no axes.

    Raises:
        BadTensor: its values are not of the input's type, or ragged.
        BadDocument: bytes are not base64.
    """
    if spec.dtype is not None and not spec.is_string:
        return numbers.array(value, spec.dtype, spec.name)
    if not spec.is_string:
        raise BadTensor(f"input {spec.name} has type {spec}, which is not supported over HTTP")
    try:
        return requests.strings(value, spec.name)
    except BadBase64 as error:
        raise BadDocument(str(error)) from None
    except RestJsonError as error:
        raise BadTensor(str(error)) from None


def _rows(instances: Any, signature: Signature) -> Arrays:
    if not isinstance(instances, (list, np.ndarray)) or not len(instances):
        raise BadDocument("'instances' must be a list that is not empty")
    try:
        values = requests.values_by_row(instances, signature.inputs)
    except UnknownInput as error:
        spec_of(signature, error.name)
        raise
    except RowNames as error:
        raise BadDocument(f"{error}: {listed(instances[0])}") from None
    except Unnamed:
        raise _unnamed(signature, "instances") from None
    return {name: tensor(signature.inputs[name], value) for name, value in values.items()}


def _columns(inputs: Any, signature: Signature) -> Arrays:
    try:
        values = requests.values_by_column(inputs, signature.inputs)
    except Unnamed:
        raise _unnamed(signature, "inputs") from None
    if values.keys() != signature.inputs.keys():
        for name in inputs:
            spec_of(signature, name)  # report a misspelt name rather than a missing one
    columns = {name: tensor(signature.inputs[name], value) for name, value in values.items()}
    return {name: _no_rows(signature.inputs[name], array) for name, array in columns.items()}


def _no_rows(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    """Return an empty list as zero rows of the declared rank; JSON cannot express the other sizes."""
    if array.shape != (0,) or spec.shape is None or not spec.batched:
        return array
    return array.reshape(0, *(size or 0 for size in spec.shape[1:]))


def _with_axis(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    return array[:, None] if spec.shape == (None, 1) else array


def _unnamed(signature: Signature, where: str) -> BadDocument:
    return BadDocument(
        f"signature {signature.name} takes several inputs, so '{where}' must name each of them: "
        f"{listed(signature.inputs)}"
    )
