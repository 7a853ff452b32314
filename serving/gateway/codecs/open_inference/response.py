"""Responses of the Open Inference Protocol: JSON, followed by binary tensors if the request wants them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.backends.base import Outputs
from serving.gateway.codecs import tf_serving_json_response
from serving.gateway.codecs.finite import finite
from serving.gateway.codecs.open_inference.tensor_types import DATATYPES, is_half, to_bytes
from serving.gateway.errors import BadOption, BadTensor, BadUpstream, listed
from serving.gateway.inference.predictor import PredictResult
from serving.gateway.models.signature import Signature


def selected(requested: Mapping[str, bool | None], binary: bool, signature: Signature) -> dict[str, bool]:
    """Return for each output to send whether it is binary.

    Raises:
        BadTensor: the signature has no such output.
    """
    unknown = [name for name in requested if name not in signature.outputs]
    if unknown:
        raise BadTensor(
            f"signature {signature.name} has no output {listed(unknown)}; it has {listed(signature.outputs)}"
        )
    if not requested:
        return dict.fromkeys(signature.outputs, binary)
    return {name: binary if own is None else own for name, own in requested.items()}


def cost(outputs: Outputs, selected: Mapping[str, bool]) -> int:
    """Estimate the memory, in bytes, of the Python objects that writing the outputs takes."""
    as_json = {name: outputs[name] for name, binary in selected.items() if not binary}
    return tf_serving_json_response.cost(Outputs(as_json, outputs.clean))


def answer(result: PredictResult, identity: str | None, outputs: Mapping[str, bool]) -> tuple[bytes, int | None]:
    """Return the body, and the size of its JSON part if binary tensors follow.

    Raises:
        BadOutput: an output in JSON holds NaN or infinity. BadOption: it holds bytes that are not UTF-8.
    """
    listed_outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, binary in outputs.items():
        array = result.outputs[name]
        data_type = result.call.signature.outputs[name].data_type
        if data_type not in DATATYPES:
            raise BadUpstream(f"output {name} has a type that this protocol lacks")
        one: dict[str, Any] = {"name": name, "datatype": DATATYPES[data_type], "shape": list(array.shape)}
        if binary:
            blobs.append(to_bytes(array))
            one["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            one["data"] = _data(result.outputs, name)
        listed_outputs.append(one)
    head: dict[str, Any] = {"model_name": result.version.model, "model_version": str(result.version.version)}
    if identity is not None:
        head["id"] = identity
    json = orjson.dumps(head | {"outputs": listed_outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([json, *blobs]), len(json) if blobs else None


def _data(outputs: Outputs, name: str) -> NDArray[Any] | list[Any]:
    """Return all values in row-major order."""
    array = finite(outputs, name).ravel()
    if array.dtype == object:
        try:
            return [value.decode("utf-8") for value in array]
        except UnicodeDecodeError:
            raise BadOption(
                f"output {name} holds bytes that are not UTF-8; request it with the parameter binary_data"
            ) from None
    if is_half(array.dtype):
        return array.astype(np.float32)
    return np.ascontiguousarray(array)
