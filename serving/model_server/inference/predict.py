"""Checks of named arrays against a signature.

Source: tensorflow_serving/servables/tensorflow/predict_util.cc, for the checks, their order and their messages. The
check of shapes is an addition: TensorFlow Serving leaves shapes to the graph and can die of a wrong rank. A strict
servable rejects arrays that do not fit its signature.
"""

from collections.abc import Collection, Mapping, Sequence

from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import DEFAULT_SIGNATURE, ServableSignature, TensorInfo
from serving.model_server.errors import failed_precondition, internal, invalid_argument
from serving.tfs_api import tensors
from serving.tfs_api.tensors import Array

_DT_INVALID = 0  # a signature that does not say its type
_METHODS = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


def prepare(
    servable: Servable,
    signature_name: str,
    inputs: Mapping[str, Array],
    outputs: Sequence[str] = (),
    *,
    check_method: bool = False,
) -> SignatureCall:
    """Check inputs and outputs against a signature and return the call.

    Raises:
        ServingError: FAILED_PRECONDITION for an unknown signature, INTERNAL with ``check_method`` for a signature of
            another method, INVALID_ARGUMENT for inputs or outputs that do not fit the signature.
    """
    name = signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    if check_method and signature.method not in _METHODS:
        raise internal(
            f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. Was: {signature.method}"
        )
    _check_count(signature, inputs)
    checked: dict[str, Array] = {}
    for position, (alias, info) in enumerate(signature.inputs.items()):
        array = inputs.get(alias)
        if array is None:
            array = _default(signature, alias, inputs)
        else:
            _check_type(position, info, array)
            if servable.strict:
                check_shape(alias, info, array.shape)
        checked[alias] = array
    if not checked.keys() >= inputs.keys():
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(inputs.keys() & checked.keys()))}, "
            f"request input: {','.join(sorted(inputs))}"
        )
    return SignatureCall(signature, checked, _outputs(signature, outputs))


def check_shape(alias: str, info: TensorInfo, shape: tuple[int, ...]) -> None:
    """Check the shape of an input against the signature.

    Raises:
        ServingError: INVALID_ARGUMENT if it does not fit.
    """
    if info.shape is None:
        return
    fits = len(shape) == len(info.shape)
    for expected, size in zip(info.shape, shape, strict=False):
        if expected is not None and expected != size:
            fits = False
    if not fits:
        sizes = ", ".join("?" if size is None else str(size) for size in info.shape)
        raise invalid_argument(f"input {alias} must have shape [{sizes}] but has shape {list(shape)}")


def _check_count(signature: ServableSignature, sent: Mapping[str, Array]) -> None:
    if len(sent) > len(signature.inputs) or (len(sent) < len(signature.inputs) and not signature.defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(signature.inputs)} len({_set(sent)}) != "
            f"len({_set(signature.inputs)}). Sent extra: {_set(set(sent) - set(signature.inputs))}. "
            f"Missing but required: {_set(set(signature.inputs) - set(sent))}."
        )


def _default(signature: ServableSignature, alias: str, sent: Mapping[str, Array]) -> Array:
    """Return the default value of an input."""
    if alias not in signature.defaults:
        raise invalid_argument(
            f"Signature input alias: {alias}(feed name: {signature.inputs[alias].name}) not found in request and no "
            f"default value provided. Inputs expected to be in the request {_set(sent)}, or default input alias set: "
            f"{','.join(sorted(signature.defaults))}"
        )
    return signature.defaults[alias]


def _check_type(position: int, info: TensorInfo, array: Array) -> None:
    if info.data_type == _DT_INVALID:
        return
    try:
        data_type = tensors.data_type(array)
    except TypeError as error:
        raise invalid_argument(str(error)) from None
    if data_type != info.data_type:
        raise invalid_argument(
            f"Expects arg[{position}] to be {tensors.type_name(info.data_type)} "
            f"but {tensors.type_name(data_type)} is provided"
        )


def _outputs(signature: ServableSignature, requested: Sequence[str]) -> Sequence[str]:
    if not requested:
        return tuple(signature.outputs)
    selected: list[str] = []
    for alias in requested:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in selected:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        selected.append(alias)
    return tuple(selected)


def _set(names: Collection[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
