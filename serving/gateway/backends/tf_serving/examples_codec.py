"""Codec of Classify and Regress calls: serialized examples to requests, results to arrays.

Source: tensorflow_serving/apis/{input,classification,regression}.proto.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.backends.base import Classifications, ExampleBatch
from serving.gateway.errors import BadUpstream
from serving.tfs_api import messages


def encode_examples(model: str, version: int, signature: str, examples: ExampleBatch) -> bytes:
    """Encode a ClassificationRequest or RegressionRequest: both have the same fields."""
    request = messages.ClassificationRequest()
    request.model_spec.name = model
    request.model_spec.version.value = version
    request.model_spec.signature_name = signature
    if examples.context:
        listed: Any = request.input.example_list_with_context
        listed.context.ParseFromString(examples.context)
    else:
        listed = request.input.example_list
    for serialized in examples.serialized:
        listed.examples.add().ParseFromString(serialized)
    encoded: bytes = request.SerializeToString()
    return encoded


def classifications(result: Any) -> Classifications:
    """Return the classes of a ClassificationResult.

    Raises:
        BadUpstream: the examples have different numbers of classes.
    """
    rows = [row.classes for row in result.classifications]
    shape = len(rows), len(rows[0]) if rows else 0
    if any(len(row) != shape[1] for row in rows):
        raise BadUpstream("the model server's response has different numbers of classes for the examples")
    count = shape[0] * shape[1]
    labels = np.fromiter((one.label for row in rows for one in row), object, count).reshape(shape)
    scores = np.fromiter((one.score for row in rows for one in row), np.float32, count).reshape(shape)
    return Classifications(labels, scores)


def regressions(result: Any) -> NDArray[np.float32]:
    """Return the values of a RegressionResult, shape [N]."""
    return np.fromiter((one.value for one in result.regressions), np.float32, len(result.regressions))
