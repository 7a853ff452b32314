"""Frames, whatever the chunks in which their bytes arrive."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.backends.tf_serving.grpc_client import frames
from serving.gateway.backends.tf_serving.grpc_client.frames import FrameReader, ProtocolError
from tests.serving.gateway.backends.tf_serving.grpc_client.frame_server import frame

FRAMES = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=60))


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 400), max_size=12))
def test_chunks_do_not_matter(sent: list[tuple[int, int, int, bytes]], cuts: list[int]) -> None:
    encoded = b"".join(frame(*each) for each in sent)
    reader, found = FrameReader(), []
    for start, end in itertools.pairwise([0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]):
        found += reader.feed(encoded[start:end])
    assert found == sent
    assert encoded == b"".join(frames.frame(*each) for each in sent)


def test_reserved_bit_is_ignored() -> None:
    assert [*FrameReader().feed(frame(frames.PING, 0, 2**31, bytes(8)))] == [(frames.PING, 0, 0, bytes(8))]


def test_oversized_frame_is_an_error_before_its_payload_arrives() -> None:
    with pytest.raises(ProtocolError, match="frame of 16385 bytes") as failed:
        [*FrameReader().feed((16_385).to_bytes(3, "big") + bytes(6))]
    assert failed.value.code == frames.FRAME_SIZE_ERROR


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd", b"\x04abc"])
def test_padding_longer_than_the_payload(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.unpad(payload)


def test_padding() -> None:
    assert frames.unpad(b"\0ab") == b"ab"
    assert frames.unpad(b"\x02ab..") == b"ab"
    assert frames.unpad(b"\x02..") == b""


def test_last_value_of_a_setting_counts() -> None:
    payload = frames.settings({1: 5})[9:] + frames.settings({1: 7})[9:]
    assert frames.read_settings(payload) == {1: 7}
    with pytest.raises(ProtocolError):
        frames.read_settings(payload[:-1])
