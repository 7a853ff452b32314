"""The ONNX twin: one graph for all tensor signatures, so that a version can be served without TensorFlow.

ONNX names are the signatures' own; which inputs and outputs belong to which signature stands in the model's metadata
under ``signatures``, as JSON. A graph input that a signature does not name is fed zeros, one row each.
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

OPSET = 17
SIGNATURES_KEY = "signatures"


def write(endpoints: Mapping[str, Endpoint], path: Path) -> str | None:
    """Write the twin of the convertible endpoints; returns why it could not be, or None."""
    os.environ.setdefault("TF2ONNX_LOG_LEVEL", "40")
    import onnx
    import tf2onnx

    chosen = {name: endpoint for name, endpoint in endpoints.items() if endpoint.convertible}
    specs: dict[str, tf.TensorSpec] = {}
    for endpoint in chosen.values():
        specs.update(endpoint.inputs)

    def everything(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        given = dict(zip(specs, tensors, strict=True))
        outputs: dict[str, tf.Tensor] = {}
        for endpoint in chosen.values():
            outputs.update(endpoint.function(**{name: given[name] for name in endpoint.inputs}))
        return {name: tf.identity(value, name) for name, value in outputs.items()}

    try:
        graph = tf.function(everything, input_signature=list(specs.values()))
        with _quiet():
            model, _ = tf2onnx.convert.from_function(graph, input_signature=list(specs.values()), opset=OPSET)
    except Exception as error:  # tf2onnx raises what it meets
        return f"tf2onnx cannot convert it: {error}"
    table: dict[str, Any] = {
        name: {"inputs": list(endpoint.inputs), "outputs": list(endpoint.outputs)} for name, endpoint in chosen.items()
    }
    onnx.helper.set_model_props(model, {SIGNATURES_KEY: json.dumps(table)})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TensorFlow's graph optimiser prints past all log levels off the terminal."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
