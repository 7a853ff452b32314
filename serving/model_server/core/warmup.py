"""Warm-up requests of a version, replayed before it becomes available.

Source: tensorflow_serving/servables/tensorflow/saved_model_warmup.cc. The file is a TFRecord of PredictionLog: for each
record its length as uint64, a masked crc32c of the length, the data, a masked crc32c of the data.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
from google.protobuf.message import DecodeError

from serving.model_server.batching import merging
from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.errors import data_loss, invalid_argument, unimplemented
from serving.model_server.inference import classify_regress, predict, requests
from serving.model_server.inference.classify_regress import Method
from serving.tfs_api import messages

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_MAX_RECORDS = 1000
_ADVICE = "Please verify your warmup data is in TFRecord format."


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file.

    Raises:
        ServingError: DATA_LOSS if the file is not a TFRecord, or is truncated or damaged.
    """
    with path.open("rb") as file:
        while head := file.read(12):
            if len(head) < 12:
                raise data_loss(f"truncated record at {file.tell() - len(head)}. {_ADVICE}")
            length, check = struct.unpack("<QI", head)
            if _masked_crc(head[:8]) != check:
                raise data_loss(f"corrupted record at {file.tell() - 12}. {_ADVICE}")
            body = file.read(length + 4)
            if len(body) < length + 4:
                raise data_loss(f"truncated record at {file.tell() - len(body) - 12}. {_ADVICE}")
            if _masked_crc(body[:-4]) != struct.unpack("<I", body[-4:])[0]:
                raise data_loss(f"corrupted record at {file.tell() - length - 16}. {_ADVICE}")
            yield body[:-4]


def replay(servable: Servable, version_directory: Path, iterations: int = 1, *, onnx_only: bool = False) -> int:
    """Run the warm-up requests of a version and return their number.

    Args:
        servable: The loaded version.
        version_directory: Where the version's files are.
        iterations: Runs of each request.
        onnx_only: Skip signatures that the ONNX export lacks; they would import TensorFlow.

    Raises:
        ServingError: A record cannot be read, or its request fails.
    """
    path = version_directory / WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    for number, record in enumerate(records(path), 1):
        if number > _MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {path}")
        log = messages.PredictionLog()
        try:
            log.ParseFromString(record)
        except DecodeError:
            raise invalid_argument(f"Failed to parse warmup record: {number} from {path}. {_ADVICE}") from None
        count += _replay(servable, log, iterations, onnx_only)
    return count


def _replay(servable: Servable, log: Any, iterations: int, onnx_only: bool) -> int:
    calls = _calls(servable, log)
    if onnx_only and not all(servable.runs_with_onnx(call.signature.name) for call in calls):
        return 0
    for _ in range(iterations):
        for call in calls:
            if servable.batching:
                merging.run(servable, servable.batching, [call])
            else:
                servable.run(call)
    return 1


def _calls(servable: Servable, log: Any) -> list[SignatureCall]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        inputs = requests.input_arrays(request.inputs)
        return [predict.prepare(servable, request.model_spec.signature_name, inputs, request.output_filter)]
    if kind == "classify_log":
        return [_example_call(servable, log.classify_log.request, "classify")]
    if kind == "regress_log":
        return [_example_call(servable, log.regress_log.request, "regress")]
    if kind == "multi_inference_log":
        request = log.multi_inference_log.request
        tasks = [(task.model_spec.signature_name, task.method_name) for task in request.tasks]
        examples = requests.serialized_examples(request.input)
        return [task.call for task in classify_regress.prepare_multi(servable, tasks, examples)]
    raise unimplemented(f"Unsupported log_type for warmup: {kind}")


def _example_call(servable: Servable, request: Any, method: Method) -> SignatureCall:
    examples = requests.serialized_examples(request.input)
    return classify_regress.prepare(servable, request.model_spec.signature_name, examples, method).call


def _masked_crc(data: bytes) -> int:
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
