"""From a PredictRequest to a checked call, and from its outputs to a PredictResponse; knows nothing of gRPC.

Source: tensorflow_serving/servables/tensorflow/predict_util.cc, for the checks, their order and their messages. One
check is ours: TensorFlow Serving leaves shapes to the graph and may die of them; here a tensor that does not fit the
signature of a strict servable goes no further.
"""

from collections.abc import Collection, Sequence
from typing import Any

from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import DEFAULT_SIGNATURE, ServableSignature, TensorInfo
from serving.model_server.errors import failed_precondition, internal, invalid_argument, unimplemented
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array

_METHODS = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


def prepare(servable: Servable, request: Any, *, check_method: bool = False) -> SignatureCall:
    """The call that a PredictRequest describes.

    Raises:
        FAILED_PRECONDITION: no such signature.
        INTERNAL: ``check_method``, and it is for something else.
        INVALID_ARGUMENT: inputs or outputs that do not fit the signature.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    if check_method and signature.method not in _METHODS:
        raise internal(
            f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. Was: {signature.method}"
        )
    return SignatureCall(
        signature, _inputs(signature, request.inputs, servable.strict), _outputs(signature, request.output_filter)
    )


def respond(model: str, version: int, call: SignatureCall, arrays: Sequence[Array], *, as_content: bool) -> Any:
    """The PredictResponse, with the version and signature that answered.

    Raises:
        UNIMPLEMENTED: an output of a type that is not served.
    """
    response = messages.PredictResponse()
    spec = response.model_spec
    spec.name = model
    spec.version.value = version
    spec.signature_name = call.signature.name
    for alias, array in zip(call.outputs, arrays, strict=True):
        try:
            proto = tensors.to_proto(array, as_content=as_content)
        except TypeError as error:
            raise unimplemented(f"output {alias}: {error}") from None
        response.outputs[alias].CopyFrom(proto)
    return response


def _inputs(signature: ServableSignature, sent: Any, strict: bool) -> dict[str, Array]:
    if len(sent) > len(signature.inputs) or (len(sent) < len(signature.inputs) and not signature.defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(signature.inputs)} len({_set(sent)}) != "
            f"len({_set(signature.inputs)}). Sent extra: {_set(set(sent) - set(signature.inputs))}. "
            f"Missing but required: {_set(set(signature.inputs) - set(sent))}."
        )
    inputs: dict[str, Array] = {}
    for position, (alias, info) in enumerate(signature.inputs.items()):
        if alias not in sent:
            if alias not in signature.defaults:
                raise invalid_argument(
                    f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value "
                    f"provided. Inputs expected to be in the request {_set(sent)}, or default input alias set: "
                    f"{','.join(sorted(signature.defaults))}"
                )
            inputs[alias] = signature.defaults[alias]
            continue
        proto = sent[alias]
        try:
            inputs[alias] = tensors.to_array(proto)
        except ValueError:
            raise invalid_argument(f"tensor parsing error: {alias}") from None
        _check_type(position, info, proto.dtype)
        if strict:
            check_shape(alias, info, inputs[alias].shape)
    if not inputs.keys() >= set(sent):
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(set(sent) & inputs.keys()))}, "
            f"request input: {','.join(sorted(sent))}"
        )
    return inputs


def _check_type(position: int, info: TensorInfo, data_type: int) -> None:
    if data_type != info.data_type and info.data_type != messages.DT_INVALID:
        raise invalid_argument(
            f"Expects arg[{position}] to be {tensors.type_name(info.data_type)} "
            f"but {tensors.type_name(data_type)} is provided"
        )


def check_shape(alias: str, info: TensorInfo, shape: tuple[int, ...]) -> None:
    """That a tensor of the shape fits the signature.

    Raises:
        INVALID_ARGUMENT: it does not.
    """
    if info.shape is None:
        return
    if len(shape) != len(info.shape) or any(
        size is not None and size != sent for size, sent in zip(info.shape, shape, strict=True)
    ):
        expected = ", ".join("?" if size is None else str(size) for size in info.shape)
        raise invalid_argument(f"input {alias} must have shape [{expected}] but has shape {list(shape)}")


def _outputs(signature: ServableSignature, wanted: Sequence[str]) -> Sequence[str]:
    if not wanted:
        return tuple(signature.outputs)
    seen: list[str] = []
    for alias in wanted:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.append(alias)
    return tuple(seen)


def _set(names: Collection[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
