"""Weights that two ONNX files of a version share."""

from itertools import chain
from pathlib import Path
from typing import Any

_LARGE_BYTES = 4096


def share_weights(model: Any, other: Path) -> None:
    """Replace large weights by references to the same bytes in another file of the same folder, in place.

    Args:
        model: an ``onnx.ModelProto``.
        other: a saved model.
    """
    from onnx import TensorProto, external_data_helper

    saved = other.read_bytes()
    bodies = (attribute.g for node in model.graph.node for attribute in node.attribute if attribute.HasField("g"))
    for weights in chain(model.graph.initializer, *(body.initializer for body in bodies)):
        size = len(weights.raw_data)
        offset = saved.find(weights.raw_data) if size >= _LARGE_BYTES else -1
        if offset >= 0:
            external_data_helper.set_external_data(weights, other.name, offset, size)
            weights.ClearField("raw_data")
            weights.data_location = TensorProto.EXTERNAL
