"""Requests that came with a version, replayed before it becomes available.

Source: tensorflow_serving/servables/tensorflow/saved_model_warmup.cc. The file is a TFRecord of PredictionLog: for each
record its length as uint64, a masked crc32c of that, the data, a masked crc32c of the data.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
from google.protobuf.message import DecodeError

from serving.model_server.batching import merging as batch_merging
from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.errors import data_loss, invalid_argument, unimplemented
from serving.model_server.grpc_api import classify_regress as inference
from serving.model_server.grpc_api import predict as prediction
from serving.tfs_api import messages

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_MOST_RECORDS = 1000
_ADVICE = "Please verify your warmup data is in TFRecord format."


def records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file.

    Raises:
        DATA_LOSS: the file is no TFRecord, or is cut or damaged.
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


def replay(servable: Servable, version_directory: Path, iterations: int = 1, *, skip_slow: bool = False) -> int:
    """Run the version's warm-up requests, if it has any; returns how many.

    Args:
        iterations: how often each is run.
        skip_slow: leave out signatures that the ONNX twin lacks, which would bring TensorFlow into the process.

    Raises:
        ServingError: a record cannot be read, or its request fails.
    """
    path = version_directory / WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    for number, record in enumerate(records(path), 1):
        if number > _MOST_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({_MOST_RECORDS}) at {path}")
        log = messages.PredictionLog()
        try:
            log.ParseFromString(record)
        except DecodeError:
            raise invalid_argument(f"Failed to parse warmup record: {number} from {path}. {_ADVICE}") from None
        count += _replay(servable, log, iterations, skip_slow)
    return count


def _replay(servable: Servable, log: messages.PredictionLog, iterations: int, skip_slow: bool) -> int:
    calls = _calls(servable, log)
    if skip_slow and not all(servable.has_quick_engine(call.signature.name) for call in calls):
        return 0
    for _ in range(iterations):
        for call in calls:
            if servable.batching:
                batch_merging.run(servable, servable.batching, [call])
            else:
                servable.run(call)
    return 1


def _calls(servable: Servable, log: messages.PredictionLog) -> list[SignatureCall]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        return [prediction.prepare(servable, log.predict_log.request)]
    if kind == "classify_log":
        return [inference.prepare_classify(servable, log.classify_log.request).call]
    if kind == "regress_log":
        return [inference.prepare_regress(servable, log.regress_log.request).call]
    if kind == "multi_inference_log":
        return [task.call for task in inference.prepare_multi(servable, log.multi_inference_log.request)]
    raise unimplemented(f"Unsupported log_type for warmup: {kind}")


def _masked_crc(data: bytes) -> int:
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
