"""Warm-up requests: the TFRecord file, and the rule that a failing record fails the load."""

from pathlib import Path

import numpy as np
import pytest

from serving.model_server.core import warmup
from serving.model_server.core.loader import Loader
from serving.tfs_api import messages
from serving.tfs_api.status_codes import Code
from tests.serving.model_server import versions
from tests.serving.model_server.statuses import raises_status
from tests.serving.model_server.versions import predict_log, record

X = np.zeros((2, 3), np.float32)
GOOD = predict_log(x=X)


def file_of(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "records"
    path.write_bytes(data)
    return path


def test_records_round_trip(tmp_path: Path) -> None:
    written = [b"one", b"", b"three" * 10_000]
    assert list(warmup.records(file_of(tmp_path, b"".join(map(record, written))))) == written
    assert list(warmup.records(file_of(tmp_path, b""))) == []


def test_truncated_file_is_data_loss(tmp_path: Path) -> None:
    whole = record(b"first") + record(b"second")
    ends = {0, len(record(b"first")), len(whole)}
    for length in range(len(whole) + 1):
        path = file_of(tmp_path, whole[:length])
        if length in ends:
            list(warmup.records(path))
        else:
            with raises_status(Code.DATA_LOSS, match=r"truncated record at \d+\. Please verify your warmup data is in"):
                list(warmup.records(path))


def test_file_with_a_flipped_bit_is_data_loss(tmp_path: Path) -> None:
    whole = record(b"some data")
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        with raises_status(Code.DATA_LOSS, match=r"Please verify your warmup data is in TFRecord format\."):
            list(warmup.records(file_of(tmp_path, bytes(damaged))))


def test_file_written_by_tensorflow(foreign: Path) -> None:
    assert list(warmup.records(foreign / "records")) == [b"one", b"", b"three"]


def test_every_record_is_replayed(tmp_path: Path) -> None:
    directory = versions.write(tmp_path / "1", warmup=[GOOD] * 3)
    servable = Loader(warmup_iterations=0).load(directory)
    assert warmup.replay(servable, directory) == 3
    assert warmup.replay(Loader().load(versions.write(tmp_path / "2")), tmp_path / "2") == 0


BAD = {
    "not a TFRecord": (Code.DATA_LOSS, None, "Please verify your warmup data is in TFRecord format"),
    "not a PredictionLog": (Code.INVALID_ARGUMENT, b"\xff\xff", "Failed to parse warmup record: 1"),
    "an empty log": (Code.UNIMPLEMENTED, b"", "Unsupported log_type for warmup: None"),
    "an unknown signature": (Code.FAILED_PRECONDITION, predict_log("gone"), '"gone" not found'),
    "an input of the wrong shape": (
        Code.INVALID_ARGUMENT,
        predict_log(x=np.zeros((2, 2), np.float32)),
        "must have shape",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_fails_the_load(tmp_path: Path, case: str) -> None:
    code, data, message = BAD[case]
    directory = versions.write(tmp_path / "1", warmup=[GOOD, data] if data is not None else [])
    if data is None:
        (directory / "assets.extra" / "MANIFEST.sha256").unlink()
        (directory / warmup.WARMUP_FILE).write_bytes(b"these bytes are not a TFRecord file")
    with raises_status(code, match=message.replace("record: 1", "record: 2")):
        Loader().load(directory)
    Loader(warmup_iterations=0).load(directory)


def test_session_run_log_is_unimplemented(tmp_path: Path) -> None:
    log = messages.PredictionLog()
    log.session_run_log.SetInParent()
    with raises_status(Code.UNIMPLEMENTED, match="session_run_log"):
        Loader().load(versions.write(tmp_path / "1", warmup=[log.SerializeToString()]))


def test_at_most_a_thousand_records(tmp_path: Path) -> None:
    Loader().load(versions.write(tmp_path / "1", warmup=[GOOD] * 1000))
    with raises_status(Code.INVALID_ARGUMENT, match=r"Number of warmup records exceeds the maximum \(1000\) at "):
        Loader().load(versions.write(tmp_path / "2", warmup=[GOOD] * 1001))


def test_records_of_signatures_that_the_export_lacks_are_skipped(tmp_path: Path) -> None:
    slow = predict_log("slow", text=np.array(["a"]))
    directory = versions.write(tmp_path / "1", warmup=[slow, GOOD, slow])
    servable = Loader().load(directory)
    assert warmup.replay(servable, directory, onnx_only=True) == 1
