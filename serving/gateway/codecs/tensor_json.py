"""Tensors from TensorFlow Serving's REST form: ``instances`` by row, ``inputs`` by column.

Source: tensorflow_serving/util/json_tensor.cc and its api_rest.md. One unnamed tensor may stand without its name; bytes
are ``{"b64": "…"}``, and text stands for its UTF-8 bytes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs import base64, numbers
from serving.gateway.errors import BadDocument, BadTensor, listed
from serving.gateway.models.signature import Signature, TensorSpec

Arrays = dict[str, NDArray[Any]]


def is_request(keys: dict[str, Any]) -> bool:
    """Whether a JSON object is a request in TensorFlow Serving's form."""
    return "instances" in keys or "inputs" in keys


def signature_name(keys: dict[str, Any]) -> str:
    """The signature that a request names, or the default one.

    Raises:
        BadDocument: it is no string, both ``instances`` and ``inputs`` are there, or a key is unknown.
    """
    if not is_request(keys):
        raise BadDocument(f"Missing 'inputs' or 'instances' key; the keys sent are: {listed(keys)}")
    unknown = keys.keys() - {"instances", "inputs", "signature_name"}
    if unknown or ("instances" in keys) == ("inputs" in keys):
        raise BadDocument(
            'a request has exactly one of "instances" and "inputs", and optionally "signature_name"; '
            f"the keys sent are: {listed(keys)}"
        )
    name = keys.get("signature_name", "serving_default")
    if not isinstance(name, str):
        raise BadDocument("'signature_name' key must be a string value.")
    return name or "serving_default"


def read(keys: dict[str, Any], signature: Signature) -> Arrays:
    """The inputs of a request by name.

    A single value by row becomes [N, 1] where that is declared; other inputs of a request by column than the
    signature's are ignored.

    Raises:
        BadDocument: the structure is wrong. BadTensor: a tensor's values are.
    """
    if "inputs" in keys:
        return _columns(keys["inputs"], signature)
    arrays = _rows(keys["instances"], signature)
    if has_bare_scalars(keys, signature):
        return {name: _with_axis(signature.inputs[name], array) for name, array in arrays.items()}
    return arrays


def has_bare_scalars(keys: dict[str, Any], signature: Signature) -> bool:
    """Whether rows give a single value for each input that is declared [N, 1].

    As in ``{"instances": [1.0, 2.0]}``.
    """
    instances = keys.get("instances")
    columns = [name for name, spec in signature.inputs.items() if spec.shape == (None, 1)]
    if not columns or not isinstance(instances, (list, np.ndarray)) or not len(instances):
        return False
    first = instances[0]
    named = isinstance(first, dict) and not base64.is_bytes(first)
    return not any(isinstance(first.get(name, []) if named else first, (list, np.ndarray)) for name in columns)


def _columns(inputs: Any, signature: Signature) -> Arrays:
    if not isinstance(inputs, dict) or base64.is_bytes(inputs):
        inputs = {_only(signature, "inputs").name: inputs}
    if not signature.inputs.keys() <= inputs.keys():
        for name in inputs:
            spec_of(signature, name)  # a name that is misspelt rather than missing is the better message
    columns = {name: tensor(spec, inputs[name]) for name, spec in signature.inputs.items() if name in inputs}
    return {name: _no_rows(signature.inputs[name], array) for name, array in columns.items()}


def _no_rows(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    """An empty list as no rows of the declared rank.

    JSON cannot write the other sizes.
    """
    if array.shape != (0,) or spec.shape is None or not spec.batched:
        return array
    return array.reshape(0, *(size or 0 for size in spec.shape[1:]))


def _rows(instances: Any, signature: Signature) -> Arrays:
    if not isinstance(instances, (list, np.ndarray)) or not len(instances):
        raise BadDocument("'instances' must be a list that is not empty")
    if not isinstance(instances[0], dict) or base64.is_bytes(instances[0]):
        spec = _only(signature, "instances")
        return {spec.name: tensor(spec, instances)}
    names = instances[0].keys()
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != names:
            raise BadDocument(f"element {number} of 'instances' has other names than element 0: {listed(instances[0])}")
    return {name: tensor(spec_of(signature, name), [instance[name] for instance in instances]) for name in names}


def _with_axis(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    return array[:, None] if spec.shape == (None, 1) else array


def _only(signature: Signature, where: str) -> TensorSpec:
    if len(signature.inputs) != 1:
        raise BadDocument(
            f"signature {signature.name} takes several inputs, so each in '{where}' must stand under its name: "
            f"{listed(signature.inputs)}"
        )
    return next(iter(signature.inputs.values()))


def spec_of(signature: Signature, name: str) -> TensorSpec:
    """The input of that name.

    Raises:
        BadTensor: there is none; the message lists those that are there.
    """
    spec = signature.inputs.get(name)
    if spec is None:
        expected = listed([f"{one.name} ({one})" for one in signature.inputs.values()])
        raise BadTensor(f"signature {signature.name} has no input {name!r}; it takes {expected}")
    return spec


def tensor(spec: TensorSpec, value: Any) -> NDArray[Any]:
    """The tensor of nested lists; a value alone has no axes.

    Raises:
        BadTensor: its values are not of the input's type, or ragged. BadDocument: bad base64.
    """
    if spec.is_string:
        return _strings(spec, value)
    if spec.dtype is None:
        raise BadTensor(f"input {spec.name} has type {spec}, which is not served over HTTP")
    return numbers.array(value, spec.dtype, spec.name)


def _strings(spec: TensorSpec, value: Any) -> NDArray[Any]:
    shape: list[int] = []
    level = [value]
    while any(isinstance(item, list) for item in level):
        sizes = {len(item) if isinstance(item, list) else None for item in level}
        if len(sizes) != 1 or len(shape) == numbers.MAX_RANK:
            raise BadTensor(f"input {spec.name} is ragged: all lists of one depth must be equally long")
        shape.append(len(level[0]))
        level = [inner for item in level for inner in item]
    array = np.empty(len(level), object)
    for place, item in enumerate(level):
        if isinstance(item, str):
            array[place] = item.encode("utf-8")
        elif base64.is_bytes(item):
            array[place] = base64.decode(item["b64"])
        else:
            raise BadTensor(f'input {spec.name} must hold strings or {{"b64": "…"}}, but {base64.kind(item)} is in it')
    return array.reshape(shape)
