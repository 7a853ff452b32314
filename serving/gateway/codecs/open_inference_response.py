"""Outputs in the Open Inference Protocol's form: JSON, and behind it what was asked for in binary."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.backends.base import Outputs
from serving.gateway.codecs import open_inference_types as datatypes
from serving.gateway.codecs import tensor_json_response as encode_tensors
from serving.gateway.codecs.finite import finite
from serving.gateway.errors import BadOption, BadTensor, BadUpstream, listed
from serving.gateway.inference.predictor import PredictResult
from serving.gateway.models.signature import Signature


def wanted(asked: Mapping[str, bool | None], binary: bool, signature: Signature) -> dict[str, bool]:
    """The outputs to be sent, each with whether it is to be binary.

    Raises:
        BadTensor: the signature has no such output.
    """
    unknown = [name for name in asked if name not in signature.outputs]
    if unknown:
        raise BadTensor(
            f"signature {signature.name} has no output {listed(unknown)}; it has {listed(signature.outputs)}"
        )
    if not asked:
        return dict.fromkeys(signature.outputs, binary)
    return {name: binary if own is None else own for name, own in asked.items()}


def cost(outputs: Outputs, wanted: Mapping[str, bool]) -> int:
    """Estimated bytes of the Python objects that are made to write the outputs."""
    as_json = {name: outputs[name] for name, binary in wanted.items() if not binary}
    return encode_tensors.cost(Outputs(as_json, outputs.clean))


def answer(result: PredictResult, identity: str | None, outputs: Mapping[str, bool]) -> tuple[bytes, int | None]:
    """The body, and the size of its JSON part where something in binary follows.

    Raises:
        BadOutput: NaN or infinity in what JSON is to carry. BadOption: bytes that are no text in it.
    """
    listed_outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, binary in outputs.items():
        array = result.outputs[name]
        data_type = result.call.signature.outputs[name].data_type
        if data_type not in datatypes.NAMES:
            raise BadUpstream(f"output {name} is of a type that this protocol has no name for")
        one: dict[str, Any] = {"name": name, "datatype": datatypes.NAMES[data_type], "shape": list(array.shape)}
        if binary:
            blobs.append(datatypes.to_bytes(array))
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
    """All values in row-major order."""
    array = finite(outputs, name).ravel()
    if array.dtype == object:
        try:
            return [value.decode("utf-8") for value in array]
        except UnicodeDecodeError:
            raise BadOption(f"output {name} holds bytes that are no text; ask for it with binary_data") from None
    if array.dtype.itemsize == 2 and array.dtype.kind not in "iu":  # half and bfloat16
        return array.astype(np.float32)
    return np.ascontiguousarray(array)
