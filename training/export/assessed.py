"""Temperature of the probabilities, and the signature ``assessed``: outputs and typicality."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from training.evaluation.calibration import SMALLEST
from training.evaluation.typicality import EPSILON, Conformity
from training.export.exported_model import Endpoint, ExportedModel, Function

ASSESSED = "assessed"
PROBABILITIES = "probabilities"


def with_temperature(exported: ExportedModel, temperature: float) -> ExportedModel:
    """Divide the logits by the temperature, in all signatures with probabilities. The predicted class is the same."""
    endpoints = {
        name: replace(endpoint, function=_softened(endpoint.function, temperature))
        if PROBABILITIES in endpoint.outputs
        else endpoint
        for name, endpoint in exported.endpoints.items()
    }
    infer = exported.infer and _softened(exported.infer, temperature)
    return replace(exported, endpoints=endpoints, infer=infer)


def _softened(function: Function, temperature: float) -> Function:
    @functools.wraps(function)
    def softened(*inputs: tf.Tensor, **named: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = function(*inputs, **named)
        logits = tf.math.log(tf.maximum(outputs[PROBABILITIES], SMALLEST))
        return {**outputs, PROBABILITIES: tf.nn.softmax(logits / temperature)}

    return softened


def with_typicality(exported: ExportedModel, conformity: Conformity) -> ExportedModel:
    """Add ``assessed``: inputs of ``serving_default`` → its outputs and ``typicality`` float32 [n].

    Args:
        exported: a model with ``infer``, whose outputs ``embedding`` and perhaps ``details`` the typicality is of.
        conformity: fitted to such outputs.
    """
    assert exported.infer is not None
    infer, default = exported.infer, exported.endpoints["serving_default"]
    # As variables the large ones are stored once; each function of the graph has a copy of its constants.
    large = {name: tf.Variable(getattr(conformity, name), trainable=False) for name in ("directions", "references")}
    detector = conformity.detector
    if detector:
        detector = replace(detector, hidden=tf.Variable(detector.hidden, trainable=False))
    stored = replace(conformity, **large, detector=detector)

    @functools.wraps(default.function)
    def assessed(*inputs: tf.Tensor, **named: tf.Tensor) -> dict[str, tf.Tensor]:
        found: dict[str, Any] = dict(infer(*inputs, **named))
        return {**{name: found[name] for name in default.outputs}, "typicality": typicality(found, stored)}

    endpoint = Endpoint(
        assessed, default.inputs, {**default.outputs, "typicality": ("float32", (None,))}, default.samples
    )
    return replace(exported, endpoints={**exported.endpoints, ASSESSED: endpoint})


def typicality(found: Mapping[str, tf.Tensor], conformity: Conformity) -> tf.Tensor:
    """Return the p-value [n] of ``embedding`` [n, d] and ``details`` [n, e], as :meth:`Conformity.p_values` does."""
    x = found["embedding"]
    if conformity.unit:
        x /= tf.sqrt(tf.reduce_sum(tf.square(x), axis=1, keepdims=True) + EPSILON)
    features = tf.concat([x, found["details"]], axis=1) if "details" in found else x
    # Constants outside the function would become inputs of the ONNX graph.
    x -= tf.constant(conformity.centre)
    along = tf.matmul(x, tf.convert_to_tensor(conformity.directions))
    near = tf.matmul(x, tf.convert_to_tensor(conformity.references)) + tf.constant(conformity.offsets)
    length, excess = (tf.reduce_sum(tf.square(part), axis=1, keepdims=True) for part in (x, along))
    score = length * conformity.scale - excess + tf.reduce_min(near, axis=1, keepdims=True)
    if conformity.detector:
        hidden = tf.matmul(features, tf.convert_to_tensor(conformity.detector.hidden))
        hidden = tf.nn.relu(hidden + tf.constant(conformity.detector.bias))
        score += tf.matmul(hidden, tf.constant(conformity.detector.output[:, np.newaxis]))
    # The share of the way from each quantile to the next that is still above the score, times the step of levels.
    ends, levels = conformity.quantiles.astype(np.float64), conformity.levels.astype(np.float64)
    slopes, steps = (1 / np.diff(ends)).astype(np.float32), -np.diff(levels).astype(np.float32)
    left = tf.clip_by_value((tf.constant(conformity.quantiles[1:]) - score) * tf.constant(slopes), 0.0, 1.0)
    share = tf.matmul(left, tf.constant(steps[:, np.newaxis])) + float(levels[-1])
    return tf.reshape(tf.minimum(share, 1.0), [-1])  # a sum of float32 may end a little above 1
