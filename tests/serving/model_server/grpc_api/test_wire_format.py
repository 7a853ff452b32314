"""A message that ends too early is told from bytes that are no message."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.grpc_api.wire_format import ends_early
from serving.tfs_api.messages import saved_model_pb2
from tests.serving.model_server import versions

SAVED_MODEL = saved_model_pb2.SavedModel.DESCRIPTOR
WHOLE = versions.saved_model()


@pytest.mark.parametrize("size", range(1, len(WHOLE)))
def test_a_message_that_is_cut_anywhere_ends_early(size: int) -> None:
    with pytest.raises(DecodeError):
        saved_model_pb2.SavedModel.FromString(WHOLE[:size])
    assert ends_early(WHOLE[:size], SAVED_MODEL)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (WHOLE, False),
        (b"", False),
        (b"this is no protobuf message", False),  # field 14 ends a group that never began
        (b"\x00\x00", False),  # there is no field 0
        (b"\x0f", False),  # there is no wire type 7
        (b"\x08" + b"\xff" * 10 + b"\x01", False),  # a varint of eleven bytes
        (b"\x12\x05\x0f", False),  # a meta graph that is cut, but no message before that
        (b"\x08", True),
        (b"\x08\x80", True),
        (b"\x09\x00", True),
        (b"\x0d\x00", True),
        (b"\x12\x05", True),
        (b"\x12\x05\x0a\x09\x0a", True),
        (b"b\x7funknown", True),  # an unknown field of 127 bytes
        (b"\x1b\x08\x01", True),  # a group that does not end
        (b"\x1b\x08\x01\x1c", False),
        (b"\x1b\x14", False),
    ],
)
def test_where_the_first_fault_is(data: bytes, expected: bool) -> None:
    assert ends_early(data, SAVED_MODEL) is expected


@given(st.binary(max_size=60))
def test_no_bytes_raise(data: bytes) -> None:
    ends_early(data, SAVED_MODEL)
