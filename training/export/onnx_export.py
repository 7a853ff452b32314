"""The ONNX export, which serves a version without TensorFlow.

One graph contains all tensor signatures. Inputs and outputs keep the signatures' names. The model's metadata
``signatures`` lists those of each signature as JSON. A caller feeds zeros, one row each, to graph inputs that its
signature does not use.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from training.export.exported_model import Endpoint
from training.export.onnx_scalars import flatten_scalar_operations

OPSET = 17
SIGNATURES_KEY = "signatures"


def write(endpoints: Mapping[str, Endpoint], path: Path) -> str | None:
    """Write the export of the convertible endpoints.

    Returns:
        None, or the error if tf2onnx cannot convert them.
    """
    os.environ.setdefault("TF2ONNX_LOG_LEVEL", "40")
    import onnx
    import tf2onnx

    chosen = {name: endpoint for name, endpoint in endpoints.items() if endpoint.convertible}
    specs: dict[str, tf.TensorSpec] = {}
    for endpoint in chosen.values():
        specs.update(endpoint.inputs)

    def all_endpoints(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        given = dict(zip(specs, tensors, strict=True))
        outputs: dict[str, tf.Tensor] = {}
        for endpoint in chosen.values():
            outputs.update(endpoint.function(**{name: given[name] for name in endpoint.inputs}))
        return {name: tf.identity(value, name) for name, value in outputs.items()}

    try:
        graph = tf.function(all_endpoints, input_signature=list(specs.values()))
        with _quiet():
            model, _ = tf2onnx.convert.from_function(graph, input_signature=list(specs.values()), opset=OPSET)
    except Exception as error:  # tf2onnx raises exceptions of many types
        return f"tf2onnx cannot convert it: {error}"
    table: dict[str, Any] = {
        name: {"inputs": list(endpoint.inputs), "outputs": list(endpoint.outputs)} for name, endpoint in chosen.items()
    }
    flatten_scalar_operations(model)
    onnx.helper.set_model_props(model, {SIGNATURES_KEY: json.dumps(table)})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return None


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
