"""The ONNX export, which serves a version without TensorFlow.

One graph contains the tensor signatures; a costly one has a file of its own, named after it. Inputs and outputs keep
the signatures' names. The model's metadata ``signatures`` lists those of each signature as JSON. A caller feeds zeros,
one row each, to graph inputs that its signature does not use.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from training.export.exported_model import Endpoint
from training.export.onnx_graph.batch_normalization import join_batch_normalizations
from training.export.onnx_graph.exact_halves import store_exact_halves
from training.export.onnx_graph.scalars import flatten_scalar_operations
from training.export.onnx_graph.shared_weights import share_weights

OPSET = 17
SIGNATURES_KEY = "signatures"


def write(endpoints: Mapping[str, Endpoint], path: Path) -> str | None:
    """Write the export of the convertible endpoints.

    Args:
        endpoints: the signatures.
        path: the file; a signature's own is named after the signature.

    Returns:
        None, or the error if tf2onnx cannot convert them.
    """
    together = {name: one for name, one in endpoints.items() if one.convertible and one.own_export is None}
    specs: dict[str, tf.TensorSpec] = {}
    for endpoint in together.values():
        specs.update(endpoint.inputs)

    def all_endpoints(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        given = dict(zip(specs, tensors, strict=True))
        outputs: dict[str, tf.Tensor] = {}
        for endpoint in together.values():
            outputs.update(endpoint.function(**{name: given[name] for name in endpoint.inputs}))
        return outputs

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save(convert(all_endpoints, list(specs.values())), together, path)
        for name, endpoint in endpoints.items():
            if endpoint.own_export is not None:
                model = endpoint.own_export(convert)
                share_weights(model, path)
                save(model, {name: endpoint}, path.with_name(f"{name}.onnx"))
    except Exception as error:  # tf2onnx raises exceptions of many types
        for written in path.parent.glob("*.onnx"):
            written.unlink()
        return f"tf2onnx cannot convert it: {error}"
    return None


def convert(function: Callable[..., dict[str, tf.Tensor]], specs: Sequence[tf.TensorSpec]) -> Any:
    """Return a function as an ``onnx.ModelProto``; inputs and outputs keep their names."""
    os.environ.setdefault("TF2ONNX_LOG_LEVEL", "40")
    import tf2onnx

    def named(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: tf.identity(value, name) for name, value in function(*tensors).items()}

    with _quiet():
        graph = tf.function(named, input_signature=list(specs))
        model, _ = tf2onnx.convert.from_function(graph, input_signature=list(specs), opset=OPSET)
    join_batch_normalizations(model)
    flatten_scalar_operations(model)
    store_exact_halves(model)
    return model


def save(model: Any, endpoints: Mapping[str, Endpoint], path: Path) -> None:
    """Write a graph with the table of its signatures."""
    import onnx

    table = {name: {"inputs": list(one.inputs), "outputs": list(one.outputs)} for name, one in endpoints.items()}
    onnx.helper.set_model_props(model, {SIGNATURES_KEY: json.dumps(table)})
    onnx.save(model, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what TensorFlow's graph optimiser prints regardless of log levels."""
    sys.stderr.flush()
    stderr = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
