"""Store float32 weights that float16 holds exactly as float16, in half the bytes."""

from collections.abc import Iterator
from typing import Any

import numpy as np

_LEAST_BYTES = 4096


def store_exact_halves(model: Any) -> None:
    """Replace such weights by float16 ones and a cast to float32, in place. The outputs stay the same, bit for bit.

    Args:
        model: an ``onnx.ModelProto``.
    """
    import onnx
    from onnx import numpy_helper

    for graph in _graphs(model.graph):
        casts = []
        for weights in graph.initializer:
            if weights.data_type != onnx.TensorProto.FLOAT or len(weights.raw_data) < _LEAST_BYTES:
                continue
            values = numpy_helper.to_array(weights)
            with np.errstate(over="ignore"):
                halves = values.astype(np.float16)
            if np.array_equal(halves.astype(np.float32), values):
                name = weights.name
                weights.CopyFrom(numpy_helper.from_array(halves, f"{name}_half"))
                casts.append(onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT))
        nodes = [*casts, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and those of its loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
