"""Warm-up requests, which the model server replays when it loads a version.

A TFRecord of PredictionLog with one record for each signature and allowed batch size
(tensorflow_serving/servables/tensorflow/saved_model_warmup.cc).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.tfs_api import messages, tensors
from training.core.array import Array

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCH_SIZES = (1, 8, 32)
_LARGEST_RECORD = 250_000  # bytes; larger batches of large pictures are omitted


def write(directory: Path, model: str, samples: Mapping[str, Mapping[str, Array]]) -> None:
    """Write the warm-up file.

    Args:
        directory: the version.
        model: name of the model.
        samples: rows by signature and input, repeated to fill a batch.
    """
    path = directory / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in samples.items():
            for size in BATCH_SIZES:
                log = messages.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = model
                request.model_spec.signature_name = signature
                for name, rows in inputs.items():
                    chosen = rows[np.arange(size) % len(rows)]
                    request.inputs[name].CopyFrom(tensors.to_proto(chosen))
                record = log.SerializeToString()
                if size == BATCH_SIZES[0] or len(record) <= _LARGEST_RECORD:
                    writer.write(record)
