"""Write small versions without TensorFlow: ``y = slope · x + offset`` by an ONNX export.

``saved_model.pb`` holds the signatures alone, which is all that the model server reads of it where an export runs them.
"""

import json
import struct
from collections.abc import Iterable
from pathlib import Path

import google_crc32c
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.artifacts import manifest
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array

SIGNATURES = {
    "serving_default": {"inputs": ["x"], "outputs": ["y"]},
    "both": {"inputs": ["x", "shift"], "outputs": ["y", "z"]},
}
_TENSORS = {"x": (messages.DT_FLOAT, [-1, 3]), "shift": (messages.DT_INT32, [-1, 1])} | {
    name: (messages.DT_FLOAT, [-1, 3]) for name in ("y", "z")
}


def write(
    directory: Path,
    slope: float = 1.0,
    offset: float = 0.0,
    warmup: Iterable[bytes] | None = None,
    ballast: int = 0,
) -> Path:
    """Write a version and return its directory.

    Its signatures are ``serving_default`` (x → y), ``both`` (x, shift → y, z = y + shift), ``describe``, and ``slow``,
    which the export lacks.

    Args:
        ballast: Megabytes of weights without effect.
    """
    extra = directory / "assets.extra"
    extra.mkdir(parents=True)
    (directory / "saved_model.pb").write_bytes(saved_model())
    onnx.save(graph(slope, offset, ballast), extra / "model.onnx")
    (extra / "card.json").write_text(json.dumps({"model": "line", "slope": slope, "offset": offset}))
    if warmup is not None:
        (extra / "tf_serving_warmup_requests").write_bytes(b"".join(map(record, warmup)))
    manifest.write(directory)
    return directory


def saved_model() -> bytes:
    message = messages.SavedModel()
    meta = message.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    for name, entry in SIGNATURES.items():
        definition = meta.signature_def[name]
        definition.method_name = "tensorflow/serving/predict"
        for alias in entry["inputs"]:
            _info(definition.inputs[alias], f"{name}_{alias}:0", *_TENSORS[alias])
        for alias in entry["outputs"]:
            _info(definition.outputs[alias], f"{name}_{alias}_out:0", *_TENSORS[alias])
    for name, input_alias, output_alias in (("describe", "query", "card"), ("slow", "text", "y")):
        definition = meta.signature_def[name]
        _info(definition.inputs[input_alias], f"{name}:0", messages.DT_STRING, [-1])
        _info(definition.outputs[output_alias], f"{name}_out:0", messages.DT_STRING, [-1])
    return message.SerializeToString()


def graph(slope: float, offset: float, ballast: int = 0) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Sub", ["shape", "shape"], ["zeros"]),
        helper.make_node("Gather", ["ballast", "zeros"], ["light"]),
        helper.make_node("ReduceSum", ["light"], ["nothing"], keepdims=0),
        helper.make_node("Mul", ["x", "slope"], ["product"]),
        helper.make_node("Add", ["product", "nothing"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["y"]),
        helper.make_node("Cast", ["shift"], ["shift_float"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["y", "shift_float"], ["z"]),
    ]
    made = helper.make_graph(
        nodes,
        "line",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3]),
            helper.make_tensor_value_info("shift", TensorProto.INT32, [None, 1]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3]) for name in ("y", "z")],
        [
            numpy_helper.from_array(np.float32(slope), "slope"),
            numpy_helper.from_array(np.float32(offset), "offset"),
            numpy_helper.from_array(np.zeros(ballast * 2**18 + 1, np.float32), "ballast"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"signatures": json.dumps(SIGNATURES)})
    return model


def predict_request(model: str, signature: str = "", **inputs: Array) -> messages.PredictRequest:
    request = messages.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(tensors.to_proto(array))
    return request


def predict_log(signature: str = "", **inputs: Array) -> bytes:
    """A warm-up record."""
    log = messages.PredictionLog()
    log.predict_log.request.CopyFrom(predict_request("line", signature, **inputs))
    return log.SerializeToString()


def record(data: bytes) -> bytes:
    """Return the data as a TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + _masked_crc(length) + data + _masked_crc(data)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def _info(info: object, name: str, data_type: int, sizes: list[int]) -> None:
    info.name = name
    info.dtype = data_type
    for size in sizes:
        info.tensor_shape.dim.add().size = size
