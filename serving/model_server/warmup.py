"""Requests that came with a version, replayed before it becomes available.

Source: tensorflow_serving/servables/tensorflow/saved_model_warmup.cc. The file is a TFRecord of PredictionLog: for each
record its length as uint64, a masked crc32c of that, the data, a masked crc32c of the data.
"""

import logging
import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
from google.protobuf.message import DecodeError

from serving.model_server import prediction
from serving.model_server.errors import DataLoss, InvalidArgument, Unimplemented
from serving.model_server.servable import Servable
from serving.model_server.signature import DEFAULT_SIGNATURE
from serving.protos import prediction_log_pb2

logger = logging.getLogger(__name__)

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_MOST_RECORDS = 1000
_ADVICE = "Please verify your warmup data is in TFRecord format."


def records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file.

    Raises:
        DataLoss: the file is no TFRecord, or is cut or damaged.
    """
    with path.open("rb") as file:
        while head := file.read(12):
            if len(head) < 12:
                raise DataLoss(f"truncated record at {file.tell() - len(head)}. {_ADVICE}")
            length, check = struct.unpack("<QI", head)
            if _masked_crc(head[:8]) != check:
                raise DataLoss(f"corrupted record at {file.tell() - 12}. {_ADVICE}")
            body = file.read(length + 4)
            if len(body) < length + 4:
                raise DataLoss(f"truncated record at {file.tell() - len(body) - 12}. {_ADVICE}")
            if _masked_crc(body[:-4]) != struct.unpack("<I", body[-4:])[0]:
                raise DataLoss(f"corrupted record at {file.tell() - length - 16}. {_ADVICE}")
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
            raise InvalidArgument(f"Number of warmup records exceeds the maximum ({_MOST_RECORDS}) at {path}")
        log = prediction_log_pb2.PredictionLog()
        try:
            log.ParseFromString(record)
        except DecodeError:
            raise InvalidArgument(f"Failed to parse warmup record: {number} from {path}. {_ADVICE}") from None
        count += _replay(servable, log, iterations, skip_slow)
    return count


def _replay(servable: Servable, log: prediction_log_pb2.PredictionLog, iterations: int, skip_slow: bool) -> int:
    kind = log.WhichOneof("log_type")
    if kind in ("classify_log", "regress_log", "multi_inference_log"):
        logger.warning("a warm-up record of type %s is skipped", kind)
        return 0
    if kind != "predict_log":
        raise Unimplemented(f"Unsupported log_type for warmup: {kind}")
    request = log.predict_log.request
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if skip_slow and name in servable.signatures and not servable.has_quick_engine(name):
        return 0
    call = prediction.prepare(servable, request)
    for _ in range(iterations):
        servable.run(call)
    return 1


def _masked_crc(data: bytes) -> int:
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
