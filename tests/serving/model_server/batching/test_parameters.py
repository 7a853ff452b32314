"""The batching parameters file: defaults, all fields, and errors."""

import re
from pathlib import Path

import pytest

from serving.model_server.batching import parameters as batching_parameters
from serving.model_server.batching.parameters import BatchingParameters
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status


def read(folder: Path, text: str) -> BatchingParameters:
    path = folder / "batching.config"
    path.write_text(text)
    return batching_parameters.read(path, threads=3)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert read(tmp_path, "") == BatchingParameters(num_batch_threads=3, thread_pool_name="batch_threads")


def test_every_field(tmp_path: Path) -> None:
    text = """
        max_batch_size { value: 64 } batch_timeout_micros { value: 500 } max_enqueued_batches { value: 7 }
        num_batch_threads { value: 5 } thread_pool_name { value: "mine" }
        allowed_batch_sizes: 8 allowed_batch_sizes: 64 pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true } max_execution_batch_size { value: 32 }
    """
    found = read(tmp_path, text)
    assert found == BatchingParameters(
        max_batch_size=64,
        batch_timeout_micros=500,
        max_enqueued_batches=7,
        num_batch_threads=5,
        thread_pool_name="mine",
        allowed_batch_sizes=(8, 64),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=32,
    )
    assert (found.batch_rows, found.padded(8), found.padded(9)) == (32, 8, 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 5", "Invalid protobuf file: '"),
        ("nonsense { value: 5 }", "Invalid protobuf file: '"),
        (
            "allowed_batch_sizes: 8",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 1000",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 16 allowed_batch_sizes: 8",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("max_batch_size { value: 0 }", "input_batch_size_limit must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }",
            "max_enqueued_batches must be positive; was 0",
        ),
        (
            "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 2000 }",
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to",
        ),
    ],
)
def test_rejected(tmp_path: Path, text: str, message: str) -> None:
    with raises_status(Code.INVALID_ARGUMENT, match=re.escape(message)):
        read(tmp_path, text).check()


def test_missing_file(tmp_path: Path) -> None:
    with raises_status(Code.NOT_FOUND):
        batching_parameters.read(tmp_path / "none", threads=1)
